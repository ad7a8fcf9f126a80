//! What an async driver needs from a runtime: sockets, names, files and time.
//!
//! The marker types `Tokio`, `Smol` and `AsyncStd` implement [`Runtime`], behind the features
//! `tokio`, `smol` and `async-std`. The program chooses one by its type; nothing is detected.
//!
//! Requests never spawn a task: the engine runs inside the future that the caller polls. Only the
//! clean-up of a run that is dropped in the middle needs one ([`Runtime::detach`]).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};

use crate::net::BoxFuture;

#[cfg(feature = "async-std")]
mod async_std;
#[cfg(any(feature = "async-std", feature = "smol", feature = "tokio"))]
mod local_file;
#[cfg(feature = "smol")]
mod smol;
#[cfg(feature = "tokio")]
mod tokio;

#[cfg(feature = "async-std")]
pub use self::async_std::AsyncStd;
#[cfg(any(feature = "async-std", feature = "smol", feature = "tokio"))]
pub use self::local_file::LocalFile;
#[cfg(feature = "smol")]
pub use self::smol::Smol;
#[cfg(feature = "tokio")]
pub use self::tokio::{Tokio, TokioIo};

/// Sockets, name resolution, files and timers of one async runtime.
///
/// Every returned future must be `Send`, and dropping one must release what it holds. The errors
/// are the operating system's; the engine adds what was being done.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A connected TCP socket.
    type Tcp: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// A local file, open for reading from its start.
    type File: AsyncRead + Unpin + Send;

    /// The addresses of a host name, in the system resolver's order.
    ///
    /// Never called for IP addresses, which the engine parses itself.
    ///
    /// # Errors
    ///
    /// If the name is unknown or the resolver fails.
    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects to one address, with Nagle's algorithm off (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// If the connection is refused or the address cannot be reached.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send;

    /// Whether nothing has arrived on an idle connection, neither a byte nor its end. Must not wait.
    ///
    /// The default works for every socket; a runtime for which an unsuccessful read is expensive
    /// may override it.
    fn is_quiet(&self, tcp: &mut Self::Tcp) -> bool {
        nothing_to_read(tcp)
    }

    /// Opens a local file for reading; returns it with its length in bytes.
    ///
    /// # Errors
    ///
    /// If the file does not exist or may not be read.
    fn open(&self, path: &Path) -> impl Future<Output = io::Result<(Self::File, u64)>> + Send;

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Continues work in the background, as a task of the runtime; drops it if no runtime is running.
    fn detach(&self, work: BoxFuture<()>);
}

/// Whether a read would have to wait.
pub(crate) fn nothing_to_read<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(stream)
        .poll_read(&mut context, &mut [0])
        .is_pending()
}
