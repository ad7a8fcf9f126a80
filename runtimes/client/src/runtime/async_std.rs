//! async-std, which is discontinued upstream in favor of smol: kept small and opt-in.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use async_std::net::{TcpStream, ToSocketAddrs};
use async_std::task::spawn_blocking;

use super::local_file::Spawn;
use super::{LocalFile, Runtime};
use crate::net::BoxFuture;

/// The [async-std](https://docs.rs/async-std) runtime.
///
/// Its authors have discontinued it (RUSTSEC-2025-0052); new programs should use [smol].
///
/// [smol]: https://docs.rs/smol
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStd;

impl Runtime for AsyncStd {
    type Tcp = TcpStream;
    type File = LocalFile;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs().await?.collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Tcp> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn open(&self, path: &Path) -> io::Result<(Self::File, u64)> {
        let path = path.to_owned();
        let spawn: Spawn = |job| Box::pin(spawn_blocking(move || job.read()));
        spawn_blocking(move || LocalFile::open(&path, spawn)).await
    }

    async fn sleep(&self, duration: Duration) {
        async_std::task::sleep(duration).await;
    }

    fn detach(&self, work: BoxFuture<()>) {
        async_std::task::spawn(work);
    }
}
