//! Sessions of Backend.AI: kernels with names, a history, and runs with IDs.
//!
//! A session exists before its kernel does, and is remembered for a while when its kernel is gone.

mod adopt;
mod create;
mod events;
mod run;
mod session;
mod table;

pub(crate) use events::{Event, Scope};
pub(crate) use run::{RunError, RunReply};
pub(crate) use session::Session;
pub(crate) use table::Sessions;
