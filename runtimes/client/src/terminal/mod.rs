//! Terminals: a shell or interpreter in a kernel, live.
//!
//! `Kernel::stream_pty` opens one, on any async runtime and without one (`blocking`). What can
//! happen in it, and how it starts, is core's: [`TerminalEvent`], [`TerminalOptions`].

#[cfg(feature = "engine")]
mod duplex;
mod handshake;
#[cfg(feature = "engine")]
mod open;
#[cfg(feature = "engine")]
mod pty;

pub use sorna_core::terminal::{TerminalEvent, TerminalOptions};

#[cfg(feature = "engine")]
pub use pty::{Pty, PtyReader, PtyWriter};

pub(crate) use handshake::{Handshake, Outcome, socket_config, socket_error, tell};
#[cfg(feature = "engine")]
pub(crate) use open::open;

/// Typed bytes that may wait to be sent before the writer is made to wait.
pub(crate) const QUEUE: usize = 64 * 1024;
