//! The gateway's side of a terminal.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The gateway's side of a terminal: what programs print is read here, and what is typed is written.
#[derive(Clone, Debug)]
pub(super) struct Side(Arc<AsyncFd<OwnedFd>>);

impl Side {
    /// Must be called within a tokio runtime.
    #[allow(
        deprecated,
        reason = "it is for types that may close their file; an owned descriptor does not"
    )]
    pub(super) fn new(terminal: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&terminal, true)?;
        Ok(Self(Arc::new(AsyncFd::new(terminal)?)))
    }

    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |terminal: &OwnedFd| Ok(rustix::io::read(terminal, &mut *buffer)?);
        self.0.async_io(Interest::READABLE, read).await
    }

    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
            let write = |terminal: &AsyncFd<OwnedFd>| Ok(rustix::io::write(terminal, bytes)?);
            match ready.try_io(write) {
                Ok(written) => bytes = &bytes[written?..],
                // When the programs have left the terminal, it always seems to be writable, and takes nothing. Whoever waits beside
                // this has to get its turn, or no one notices the end.
                Err(_) => tokio::task::yield_now().await,
            }
        }
        Ok(())
    }
}
