//! The tools: their names, what they take, and what they do.

mod call;
mod caller;
mod files;
mod list;
mod runs;
mod schema;
mod tool;

pub(crate) use call::call;
pub(crate) use caller::{Caller, Progress};
pub(crate) use schema::Hints;
pub(crate) use tool::Tool;
