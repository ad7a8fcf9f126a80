//! Events that the threads of `sorna shell` report to the one that shows the terminal.

use sorna::Error;

/// What ends or changes the terminal.
#[derive(Debug)]
pub(super) enum Event {
    /// A message from the gateway.
    Message(String),
    /// The gateway closes the terminal for this reason, although its program has not ended.
    Taken(String),
    /// The manager loses what is typed, and closes the terminal.
    InputLost,
    /// The terminal is closed by the gateway; with an error if the connection broke.
    Closed(Option<Error>),
    /// The user left with the detach key; what was typed before it may still be in flight.
    Leaving,
    /// What was typed before the detach key is sent.
    Detached,
    /// A signal to stop.
    Signal(i32),
    /// Nothing more will be typed.
    NoInput,
    /// The terminal shows nothing.
    Silent,
    /// The keyboard is gone.
    NoKeys,
    /// The screen is gone.
    NoScreen,
}
