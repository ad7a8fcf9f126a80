//! Terminals for blocking use: a thread for each, between the socket and the caller's threads.
//!
//! ```text
//!   PtyWriter ──► ┌────────┐ ◄──► ┌──────┐
//!                 │ Shared │      │ Pump │ ◄──► WebSocket ◄──► Connection
//!   PtyReader ◄── └────────┘      └──────┘
//! ```

mod caller;
mod handshake;
mod open;
mod pty;
mod pump;
mod queue;
mod shared;
mod wait;

pub use pty::{Pty, PtyReader, PtyWriter};

pub(super) use open::open;
