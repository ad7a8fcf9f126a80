//! One execution, from its first request to its end.

mod conduct;
mod event;
mod machine;
mod release;
mod script;
mod settle;
mod steps;
mod stream;
mod streaming;
#[cfg(test)]
mod tests;

pub use event::ExecutionEvent;
pub use machine::Execution;
pub use streaming::Streaming;
