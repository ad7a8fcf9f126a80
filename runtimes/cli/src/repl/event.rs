//! What the prompt waits for.

/// What the prompt waits for.
#[derive(Debug)]
pub(super) enum Event {
    Typed(Typed),
    /// A signal to stop.
    Signal(i32),
}

/// What was typed at the prompt.
#[derive(Debug)]
pub(super) enum Typed {
    /// Code, of one line or several.
    Code(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or there is no terminal any more.
    End,
    /// It cannot be read.
    Failed(String),
}
