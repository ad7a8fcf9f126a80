//! Creates a kernel, and waits until it can run code.

mod machine;
#[cfg(test)]
mod tests;

pub use machine::{Create, SessionPending};
