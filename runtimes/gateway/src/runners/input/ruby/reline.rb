# frozen_string_literal: true

SornaInput.load_beyond('reline')
Reline.singleton_class.prepend(SornaInput::Line)
