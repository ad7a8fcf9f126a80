//! Waiting for points in time that may not exist.

use std::time::Instant;

/// Waits until then, or forever if there is no such time.
pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
