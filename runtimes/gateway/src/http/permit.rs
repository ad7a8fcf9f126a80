//! The right to a connection.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

/// The right to a connection. Requests carry it along, since a terminal outlives the request that
/// opened it.
pub(super) type Permit = Arc<OwnedSemaphorePermit>;
