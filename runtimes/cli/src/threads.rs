//! Threads.

use std::thread;

use crate::failure::Failure;

/// Starts a thread.
pub(crate) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| Failure::System("cannot start a thread", error))
}
