# The runner of a ruby kernel: one interpreter runs one snippet after another, all in the same
# top-level binding.
#
# Started with the control channel as descriptor 3 and the input FIFO as standard input, whose path
# is the only argument. The gateway sends `x <length>`, a line end, and the snippet; `f` in place of
# `x` for the last snippet, after which the interpreter ends. The runner sends
# `<letter> <length>`, a line end, and that many bytes: `+` once at the start, and `d` with the exit
# status after each snippet. Output goes through the pipes.

require_relative 'input/ruby/sorna_input'

module SornaRunner
  LINK = IO.for_fd(3, 'r+b')
  LINK.sync = true
  LINK.close_on_exec = true
  INPUT = ARGV.shift
  PROCESS = Process.pid

  def self.put(letter, content)
    LINK.write("#{letter} #{content.bytesize}\n#{content}")
  end

  # The next snippet.
  def self.take
    header = LINK.gets("\n")
    # The gateway is gone.
    Process.kill(:KILL, Process.pid) unless header
    @last = header.start_with?('f')
    code = LINK.read(header[/\d+/].to_i).force_encoding(Encoding::UTF_8)
    # Discard input that an earlier snippet left unread.
    STDIN.reopen(INPUT, 'r')
    code
  end

  # Removes the runner's own lines from an exception. Returns whether there are others.
  def self.clean(error)
    trace = error.backtrace
    cut = trace&.index { |line| line.start_with?(__FILE__) }
    error.set_backtrace(trace.first(cut)) if cut&.positive?
    cut != 0
  end

  # Shows an exception.
  def self.show(error)
    # The place of a syntax error is in its message.
    return STDERR.puts("#{error.message} (#{error.class})") unless clean(error)

    STDERR.puts(error.full_message(highlight: false, order: :top))
  rescue StandardError
    STDERR.puts("#{error.class}: an exception that cannot be shown")
  end

  # Whether the interpreter is to end after the snippet. So does a child that the program has forked, as at the end of
  # a program.
  def self.last?
    @last || Process.pid != PROCESS
  end

  def self.done(status)
    [$stdout, STDOUT, $stderr, STDERR].each do |stream|
      stream.flush
    rescue StandardError
      nil
    end
    put('d', status.to_s)
  end

  def self.serve(scope)
    # Ctrl-C on a terminal ends the snippet, and is nothing between snippets.
    busy = false
    trap('INT') { raise Interrupt if busy }
    put('+', '')
    loop do
      status = 0
      begin
        code = take
        busy = true
        scope.eval(code, 'snippet', 1)
      rescue SystemExit
        raise
      rescue Exception => e
        if last? && clean(e)
          # The interpreter shows it, after the hooks.
          raise
        end
        show(e)
        status = 1
      ensure
        busy = last?
      end
      # As at the end of a program; a failure that was shown is not shown again.
      return if last? && status.zero?

      exit(false) if last?
      done(status)
    end
  end
end

STDOUT.sync = true
STDERR.sync = true
$PROGRAM_NAME = 'ruby'
SornaRunner.serve(TOPLEVEL_BINDING)
