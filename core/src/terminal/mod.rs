//! The terminal: a shell or interpreter in a kernel, over a WebSocket. (API manual of 2017,
//! "Streaming".)
//!
//! [`OpenTerminal`] makes the signed handshake, [`Command`] and [`Message`] are its messages, and
//! [`Terminal`] is the state machine between them and the caller.

mod machine;
mod message;
mod open;
mod options;
mod readiness;

pub use crate::frame::Frame;
pub use machine::{Outgoing, Terminal, TerminalEvent};
pub use message::{Command, Message};
pub use open::OpenTerminal;
pub use options::TerminalOptions;
