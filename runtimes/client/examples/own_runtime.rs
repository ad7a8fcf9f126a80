//! A [`Runtime`] of your own, here threads that look at their sockets every millisecond. It holds a handle, so there is no default
//! one, and `Client::from_env_with` takes it.
//!
//! ```console
//! $ eval "$(sorna serve --log off & echo SERVER=$!)"
//! $ cargo run -p sorna --example own_runtime --features engine
//! hello world
//! ```

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use futures_util::io::AllowStdIo;
use sorna::Client;
use sorna::net::BoxFuture;
use sorna::runtime::Runtime;

/// The handle of the thread that cleans up.
#[derive(Clone)]
struct Threads(mpsc::Sender<BoxFuture<()>>);

impl Runtime for Threads {
    type Tcp = Socket;
    type File = AllowStdIo<File>;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Socket> {
        let tcp = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        tcp.set_nodelay(true)?;
        tcp.set_nonblocking(true)?;
        Ok(Socket(tcp))
    }

    async fn open(&self, path: &Path) -> io::Result<(Self::File, u64)> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((AllowStdIo::new(file), length))
    }

    async fn sleep(&self, duration: Duration) {
        let start = Instant::now();
        let is_over = || start.elapsed() >= duration;
        poll_fn(|_| {
            if is_over() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn detach(&self, work: BoxFuture<()>) {
        let _ = self.0.send(work);
    }
}

/// A socket that does not block, and wakes no one.
struct Socket(TcpStream);

fn ready<T>(done: io::Result<T>) -> Poll<io::Result<T>> {
    match done {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

type Io<T> = Poll<io::Result<T>>;

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut [u8]) -> Io<usize> {
        ready(self.0.read(into))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Io<usize> {
        ready(self.0.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Io<()> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Io<()> {
        ready(self.0.shutdown(Shutdown::Write))
    }
}

/// Drives a future on this thread.
fn wait<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn main() -> Result<(), sorna::Report> {
    let (handle, detached) = mpsc::channel();
    thread::spawn(|| detached.into_iter().for_each(wait));
    let client = Client::from_env_with(Threads(handle))?;
    wait(async {
        let kernel = client.temporary("python3").await?;
        println!(
            "{}",
            kernel.run("print('hello world', end='')").await?.stdout()
        );
        kernel.close().await?;
        Ok(())
    })
}
