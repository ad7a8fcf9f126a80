//! The terminal of a kernel: one shell on a pseudo-terminal, which all its clients share.
//!
//! It starts when the first client comes, and goes on when clients leave, until the shell ends or
//! the kernel goes. Whoever comes later is first shown what was last put out.

mod hub;
mod restarts;
mod shell;

pub(crate) use hub::{Attached, FromTerminal, Hub, ToTerminal};
pub(crate) use restarts::Restarts;
