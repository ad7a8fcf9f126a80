# frozen_string_literal: true

# Adapts the standard input of a kernel for ruby: clients show prompts and hide what is typed, without a terminal.
module SornaInput
  # The methods of io/console for terminals, on standard input. A process that has descriptor 60 open for it wants its
  # input hidden, and one that has 61 all but its line end.
  module Hidden
    def noecho
      return super unless SornaInput.asks?

      SornaInput.hide(60) { yield self }
    end

    def echo=(shown)
      return super unless SornaInput.asks? && SornaInput.prompts?

      SornaInput.mark(!shown)
    end

    def echo?
      return super unless SornaInput.asks? && SornaInput.prompts?

      !File.exist?(SornaInput::MARK)
    end

    def getpass(prompt = nil)
      return super unless SornaInput.asks?

      $stderr.print(prompt) if prompt
      $stderr.flush
      SornaInput.hide(61) { gets&.chomp }
    end
  end

  # `Readline.readline` and `Reline.readline` print the prompt only on terminals, or over and over.
  module Line
    def readline(prompt = '', add_history = false)
      return super unless SornaInput.asks?

      $stdout.print(prompt) if SornaInput.prompts?
      $stdout.flush
      line = STDIN.gets&.chomp
      self::HISTORY << line if add_history && line
      line
    end
  end

  # The file that is there while what is typed is to be hidden.
  MARK = "#{File.dirname(ENV['SORNA_KERNEL_STDIN'].to_s)}/tmp/.sorna-hidden"

  def self.mark(hides)
    hides ? File.write(MARK, '') : File.exist?(MARK) && File.delete(MARK)
  end

  # Has the gateway hide what is typed meanwhile.
  def self.hide(descriptor)
    hidden = IO.for_fd(STDIN.fcntl(0, descriptor)) # F_DUPFD
    begin
      yield
    ensure
      hidden.close
    end
  end

  # Whether the client is asked for the standard input.
  def self.asks?
    STDIN.stat.ino == @input&.ino && STDIN.stat.dev == @input.dev
  rescue SystemCallError, IOError
    false
  end

  # Whether a person is asked: the sticky bit says that the client has no terminal.
  def self.prompts?
    !STDIN.stat.sticky?
  end

  # The shim beside this file has the place of the real one.
  def self.load_beyond(name)
    place = $LOAD_PATH.delete(__dir__)
    require name
  ensure
    $LOAD_PATH.unshift(place) if place
  end

  def self.adopt(path)
    @input = File.stat(path)
    return unless asks?

    STDIN.extend(Hidden)
    # Prompts are to be seen before the program waits, as on a terminal.
    STDOUT.sync = true
    $LOAD_PATH.unshift(__dir__) unless $LOAD_PATH.include?(__dir__)
  rescue SystemCallError
    nil
  end
end

SornaInput.adopt(ENV['SORNA_KERNEL_STDIN']) if ENV['SORNA_KERNEL_STDIN']
