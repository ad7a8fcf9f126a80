//! The kernel that Jupyter starts, over ZeroMQ.

mod connection;
mod error;
mod publisher;
mod seal;
mod watch;
mod wire;

use std::io;
use std::time::Duration;

use sorna::KernelSpec;
use sorna::tokio::Client;

pub use crate::engine::Completeness;
use crate::engine::Engine;
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
        let link = wire::open(connection.listeners, seal).await;
        let link = link.map_err(|error| StartError::Bind(io::Error::other(error)))?;
        let _sockets = engine.serve(link, None, ends.wait()).await;
        tokio::time::sleep(LINGER).await;
        Ok(())
    }
}
