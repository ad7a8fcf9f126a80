//! Clients, as far as they are told from each other.

use std::sync::Arc;

/// A client. By HTTP, those that begin with a handshake have IDs, by which they are told from each other; all others are one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientId(Option<Arc<str>>);

impl ClientId {
    /// The one with this ID.
    pub(crate) fn new(id: Option<&str>) -> Self {
        Self(id.map(Arc::from))
    }
}
