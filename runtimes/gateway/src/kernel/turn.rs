//! What clients ask of a kernel that say what they do.

use sorna_core::server::ExecuteRequest;

use super::input::Input;

/// What a request of a client does that says so.
#[derive(Clone, Debug)]
pub(crate) enum Turn<'a> {
    Start(&'a ExecuteRequest),
    Continue,
    Input(Input),
    /// Input if it was asked for, and else a continuation.
    Proceed(Input),
}
