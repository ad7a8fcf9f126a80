# frozen_string_literal: true

SornaInput.load_beyond('readline')
Readline.singleton_class.prepend(SornaInput::Line)
