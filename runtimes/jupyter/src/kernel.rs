//! The kernel that Jupyter starts, over ZeroMQ.

mod connection;
mod error;
mod heartbeat;
mod outbox;
mod places;
mod publisher;
mod router;
mod seal;
mod watch;
mod wire;
mod zmtp;

use std::sync::Arc;
use std::time::Duration;

use sorna::KernelSpec;
use sorna::tokio::Client;

pub use crate::engine::Completeness;
use crate::engine::Engine;
use crate::traceback::Failure;
pub use connection::Connection;
pub use error::StartError;
use seal::Seal;

/// How long to wait for the last messages to be taken: nothing tells when they were.
const LINGER: Duration = Duration::from_millis(50);

/// A kernel: call [`serve`](Self::serve).
#[derive(Debug)]
pub struct Kernel(Engine);

impl Kernel {
    /// One whose cells run in a kernel of this language, or with these limits, that `client` creates when this one starts, and
    /// destroys when it ends.
    #[must_use]
    pub fn new(client: Client, spec: KernelSpec) -> Self {
        Self(Engine::new(client, spec))
    }

    /// As [`new`](Self::new), with a client that there is not yet, as its settings are wrong: each cell calls `open`, and shows its
    /// failure, until that succeeds and the gateway has created a kernel. `open` may block.
    #[must_use]
    pub fn opening(
        open: impl Fn() -> Result<Client, Failure> + Send + Sync + 'static,
        spec: KernelSpec,
    ) -> Self {
        Self(Engine::opening(Arc::new(open), spec))
    }

    /// With what judges whether code of a language is whole, by the name of the language.
    #[must_use]
    pub fn with_judge(self, judge: fn(&str, &str) -> Completeness) -> Self {
        Self(self.0.with_judge(judge))
    }

    /// As [`serve`](Self::serve), on this thread.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn serve_blocking(self, connection: Connection) -> Result<(), StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Signals)?;
        runtime.block_on(self.serve(connection))
    }

    /// Serves Jupyter until it asks for the end, its process is gone, or SIGTERM comes; SIGINT is ignored, since Jupyter sends a
    /// message to interrupt a cell. Then the kernel on the gateway is destroyed. Needs a runtime of tokio with I/O and time.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. What is wrong with the gateway is no error of this: cells show it, and the next one tries again.
    pub async fn serve(self, connection: Connection) -> Result<(), StartError> {
        let session = sorna::random_token().to_string();
        let mut ends = watch::Ends::new()?;
        let seal = Seal::new(&connection.key, session);
        let _files = connection.sockets;
        let engine = self.0.with_ports(connection.ports);
        let link = wire::open(connection.listeners, seal).map_err(StartError::Bind)?;
        let _sockets = engine.serve(link, None, ends.wait()).await;
        tokio::time::sleep(LINGER).await;
        Ok(())
    }
}
