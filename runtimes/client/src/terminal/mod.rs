//! Terminals: a shell or interpreter in a kernel, live.
//!
//! `Kernel::stream_pty` opens one, on any async runtime and without one (`blocking`). What can
//! happen in it, and how it starts, is core's: [`TerminalEvent`], [`TerminalOptions`].

#[cfg(feature = "terminal")]
mod duplex;
mod handshake;
#[cfg(feature = "terminal")]
mod open;
#[cfg(feature = "terminal")]
mod pty;

pub use sorna_core::terminal::{TerminalEvent, TerminalOptions};

#[cfg(feature = "terminal")]
pub use pty::{Pty, PtyReader, PtyWriter};

pub(crate) use handshake::{Handshake, socket_config, socket_error};
#[cfg(feature = "terminal")]
pub(crate) use open::open;

/// Typed bytes that may wait to be sent before the writer is made to wait.
pub(crate) const QUEUE: usize = 64 * 1024;
