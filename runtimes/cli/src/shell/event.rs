//! What the threads of `sorna shell` report to the one that shows the terminal.

use sorna::core::Error;

/// What ends or changes the terminal.
#[derive(Debug)]
pub(super) enum Event {
    /// Output for the screen.
    Output(Vec<u8>),
    /// The gateway says something.
    Words(String),
    /// The terminal is closed by the gateway; with an error if the connection broke.
    Closed(Option<Error>),
    /// The user left with the detach key; what was typed before it may still be on its way.
    Leaving,
    /// It is sent.
    Detached,
    /// A signal asks us to end.
    Signal(i32),
    /// The screen is gone.
    NoScreen,
}
