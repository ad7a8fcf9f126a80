# The runner of a ruby kernel: one interpreter runs one snippet after another, all in the same
# top-level binding.
#
# Started with the control channel as descriptor 3 and the input FIFO as standard input, whose path
# is the only argument. The gateway sends `x <length>`, a line end, and the snippet; `f` in place of
# `x` for the last snippet, after which the interpreter ends; `X` and `F` if its value is wanted; and `k` before a snippet
# that goes on with the input of the one before. The runner sends
# `<letter> <length>`, a line end, and that many bytes: `+` once at the start, `v` with a value, to which the gateway replies
# `a <length>`, and `d` with the exit status after each snippet. Output goes through the pipes.

require_relative 'input/ruby/sorna_input'

module SornaRunner
  LINK = IO.for_fd(3, 'r+b')
  LINK.sync = true
  LINK.close_on_exec = true
  INPUT = ARGV.shift
  PROCESS = Process.pid
  DIRECTORY = "#{__dir__}/"
  KEEPS_LINES = defined?(RubyVM) && RubyVM.respond_to?(:keep_script_lines=)

  def self.put(letter, content)
    LINK.write("#{letter} #{content.bytesize}\n#{content}")
  end

  def self.get
    header = LINK.gets("\n")
    # The gateway is gone.
    Process.kill(:KILL, Process.pid) unless header
    [header[0], LINK.read(header[/\d+/].to_i)]
  end

  # The text of a value that is wanted: of any but nil, which is what `puts` returns.
  def self.text_of(value, scope)
    return unless @echoes

    scope.local_variable_set(:_, value)
    value.inspect.to_s unless value.nil?
  end

  # Shows the value of a snippet.
  def self.echo(text)
    # A child that the program has forked cannot send it.
    return $stdout.puts(text) if Process.pid != PROCESS

    [$stdout, $stderr].each { |stream| stream.flush if stream.respond_to?(:flush) }
    put('v', cut(text))
    get
  end

  # The most characters of a value that are shown.
  LONG = 1024 * 1024

  def self.cut(text)
    left_out = text.size - LONG
    return text if left_out <= 0

    half = LONG / 2
    "#{text[0, half]}\n... #{left_out} characters are left out here ...\n#{text[-half, half]}"
  end

  # The next snippet.
  def self.take
    letter, content = get
    # The reply to a value, which an interrupt kept from being read.
    keeps = false
    while %w[a k].include?(letter)
      keeps ||= letter == 'k'
      letter, content = get
    end
    @last = %w[f F].include?(letter)
    @echoes = %w[X F].include?(letter)
    code = content.force_encoding(Encoding::UTF_8)
    # Discard input that an earlier snippet left unread, unless this one goes on with it.
    STDIN.reopen(INPUT, 'r') unless keeps
    code
  end

  # Evaluates a snippet, whose lines are kept for what messages of errors quote: else those would be looked for in the
  # program that `-e` of the interpreter gives, which there is not. What the snippet compiles itself is as usual.
  def self.evaluate(code, scope)
    return scope.eval(code, '-e', 1) unless KEEPS_LINES

    was = RubyVM.keep_script_lines
    compiled = TracePoint.new(:script_compiled) do
      compiled.disable
      RubyVM.keep_script_lines = was
    end
    RubyVM.keep_script_lines = true
    begin
      compiled.enable
      scope.eval(code, '-e', 1)
    ensure
      # A syntax error is not compiled.
      if compiled.enabled?
        compiled.disable
        RubyVM.keep_script_lines = was
      end
    end
  end

  # A stack without the runner's own lines.
  def self.clean(trace)
    return trace unless trace.is_a?(Array) && trace.any? { |line| own?(line) }

    trace.reject { |line| own?(line) }
  end

  def self.own?(line)
    (line.is_a?(String) ? line : line.path).to_s.start_with?(DIRECTORY)
  end

  # A range of callers as seen from one function further down.
  def self.below(range)
    last = range.end
    last += 1 if last && !last.negative?
    Range.new((range.begin || 0) + 1, last, range.exclude_end?)
  end

  # Whether the snippet itself is no program.
  def self.unparsed?(error)
    error.is_a?(SyntaxError) && error.backtrace&.empty?
  end

  # Shows an exception.
  def self.show(error)
    # The place of a syntax error is in its message.
    return STDERR.puts(error.message) if unparsed?(error)

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
        value = evaluate(code, scope)
        text = text_of(value, scope)
        busy = false
        echo(text) if text
      rescue SystemExit
        raise
      rescue Exception => e
        if last? && !unparsed?(e)
          # The interpreter shows it, after the hooks.
          raise
        end
        # What ends a program like a signal says nothing, but for an interrupt.
        show(e) if !e.is_a?(SignalException) || e.is_a?(Interrupt)
        status = e.is_a?(SignalException) ? 128 + e.signo : 1
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

# A program sees no lines of the runner, wherever it looks at a stack.
[Exception, Thread].each do |kind|
  kind.class_eval do
    alias_method :sorna_backtrace, :backtrace
    alias_method :sorna_locations, :backtrace_locations
    private :sorna_backtrace, :sorna_locations

    def backtrace(...)
      SornaRunner.clean(sorna_backtrace(...))
    end

    def backtrace_locations(...)
      SornaRunner.clean(sorna_locations(...))
    end
  end
end

module Kernel
  alias sorna_caller caller
  alias sorna_caller_locations caller_locations

  def caller(start = 1, *length)
    start = start.is_a?(Range) ? SornaRunner.below(start) : start + 1
    SornaRunner.clean(sorna_caller(start, *length))
  end

  def caller_locations(start = 1, *length)
    start = start.is_a?(Range) ? SornaRunner.below(start) : start + 1
    SornaRunner.clean(sorna_caller_locations(start, *length))
  end

  module_function :caller, :caller_locations
  private :sorna_caller, :sorna_caller_locations
end

# What this interpreter starts adapts its input, too.
ENV['RUBYOPT'] = ENV.delete('SORNA_CHILDREN_RUBYOPT') if ENV.key?('SORNA_CHILDREN_RUBYOPT')
STDOUT.sync = true
STDERR.sync = true
$PROGRAM_NAME = '-e'
SornaRunner.serve(TOPLEVEL_BINDING)
