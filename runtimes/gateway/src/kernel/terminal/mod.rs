//! The terminal of a kernel: one shell on a pseudo-terminal, which all its clients share.
//!
//! It starts with the first client and keeps running when clients disconnect, until the shell ends
//! or the kernel is destroyed. A client that joins later is first shown the last output.

mod hub;
mod restarts;
mod shell;
mod side;
mod window;

pub(crate) use hub::{AttachError, Attached, FromTerminal, Hub, ToTerminal};
pub(crate) use restarts::Restarts;
