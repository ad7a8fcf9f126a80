//! The end of a server, from outside.

use tokio_util::sync::CancellationToken;

/// Ends a [`Server`](crate::Server), as a signal does that a program catches. Cloning it gives another handle of the same.
#[derive(Clone, Debug, Default)]
pub struct Stopper(CancellationToken);

impl Stopper {
    /// One that has stopped nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the servers that have it, also those that have not begun: what runs is interrupted, calls are answered, and sessions
    /// end. Does not wait for that.
    pub fn stop(&self) {
        self.0.cancel();
    }

    /// Waits until it is to end.
    pub(crate) async fn stopped(&self) {
        self.0.cancelled().await;
    }
}
