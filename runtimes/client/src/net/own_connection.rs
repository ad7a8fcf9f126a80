//! Requests that must not be sent over a connection that was idle.

/// In the [extensions](http::Request::extensions) of a request: it has to be sent over a new connection, since those that are open
/// may be dead. A [`Transport`](super::Transport) that reuses connections looks for it; for others it means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnConnection;
