//! A [`Runtime`] without a runtime: what can block does so on a separate thread, and the thread
//! that uses a socket waits for it.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::io::AllowStdIo;

use super::socket::Socket;
use super::wait::{Sleep, wait};
use crate::lock::lock;
use crate::net::BoxFuture;
use crate::runtime::Runtime;

/// For futures that are polled by [`wait`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Threads {
    /// How long a thread may try to connect; by then, perhaps nothing waits for it.
    pub(super) connect_limit: Duration,
}

impl Runtime for Threads {
    type Tcp = Socket;
    type File = AllowStdIo<std::fs::File>;

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let host = host.to_owned();
        on_thread("sorna-resolve", move || {
            Ok((host.as_str(), port).to_socket_addrs()?.collect())
        })
        .await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Tcp> {
        let limit = self.connect_limit;
        let stream = on_thread("sorna-connect", move || {
            TcpStream::connect_timeout(&address, limit)
        });
        Socket::new(stream.await?)
    }

    async fn open(&self, path: &Path) -> io::Result<(Self::File, u64)> {
        let file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        Ok((AllowStdIo::new(file), length))
    }

    async fn sleep(&self, duration: Duration) {
        Sleep::of(duration).await;
    }

    fn detach(&self, work: BoxFuture<()>) {
        let builder = thread::Builder::new().name("sorna-background".to_owned());
        // If no thread can be started, the work is dropped, as the trait allows.
        let _ = builder.spawn(|| wait(work));
    }
}

/// The result that a thread hands over.
struct Handover<T> {
    result: Option<T>,
    waker: Option<Waker>,
}

/// Runs a function that blocks on a separate thread, to its end even if the future is dropped.
async fn on_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let handover = Arc::new(Mutex::new(Handover {
        result: None,
        waker: None,
    }));
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn({
        let handover = Arc::clone(&handover);
        move || {
            let result = work();
            let mut handover = lock(&handover);
            handover.result = Some(result);
            if let Some(waker) = handover.waker.take() {
                waker.wake();
            }
        }
    })?;
    poll_fn(|context| {
        let mut handover = lock(&handover);
        match handover.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                handover.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}
