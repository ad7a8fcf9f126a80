//! smol.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use smol::{Async, Timer, unblock};

use super::local_file::Spawn;
use super::{LocalFile, Runtime};
use crate::net::BoxFuture;

/// The [smol](https://docs.rs/smol) runtime; works in any executor, since its reactor runs on its
/// own thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Smol;

impl Runtime for Smol {
    type Tcp = Async<TcpStream>;
    type File = LocalFile;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let host = host.to_owned();
        unblock(move || Ok((host.as_str(), port).to_socket_addrs()?.collect())).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Tcp> {
        let stream = Async::<TcpStream>::connect(address).await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(stream)
    }

    fn is_quiet(&self, tcp: &mut Self::Tcp) -> bool {
        // Each read that has to wait is registered with the reactor, by a system call.
        let seen = tcp.get_ref().peek(&mut [0]);
        seen.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    async fn open(&self, path: &Path) -> io::Result<(Self::File, u64)> {
        let path = path.to_owned();
        let spawn: Spawn = |job| Box::pin(unblock(move || job.read()));
        unblock(move || LocalFile::open(&path, spawn)).await
    }

    async fn sleep(&self, duration: Duration) {
        Timer::after(duration).await;
    }

    fn detach(&self, work: BoxFuture<()>) {
        smol::spawn(work).detach();
    }
}
