//! Terminals: a shell or interpreter in a kernel, live.
//!
//! `Kernel::stream_pty` opens one, on any async runtime and without one (`blocking`). Its events
//! and options are defined in core: [`TerminalEvent`], [`TerminalOptions`].

mod duplex;
mod open;
#[cfg_attr(
    not(feature = "ureq"),
    allow(dead_code, reason = "only the blocking driver has a stand-in")
)]
mod presence;
mod pty;
#[cfg_attr(
    not(feature = "ureq"),
    allow(dead_code, reason = "only a stand-in reads ahead")
)]
mod queue;
#[cfg(feature = "ureq")]
mod stand_in;

pub use pty::{Pty, PtyReader, PtyWriter};

pub(crate) use open::open;
