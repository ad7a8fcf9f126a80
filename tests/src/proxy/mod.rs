//! A proxy between a client and a gateway that injects faults.
//!
//! It passes whole requests and responses on, through its own connections, until a [`Fault`] strikes.

mod exchange;
mod fault;
mod message;
mod shared;

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, JoinSet};

pub use fault::{Accept, End, Fault, Pace, Place, Stream, Target, Times};
pub use message::Message;
pub use shared::Seen;

use shared::{Plan, Shared, lock};

/// The runtime of all proxies in this process. It ends with the process; the tasks of a proxy end
/// with the proxy.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("proxy")
        .enable_all()
        .build()
        .expect("a runtime")
});

/// A proxy on its own port. Dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Bound, but not listening yet.
    closed: Mutex<Option<TcpSocket>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// A proxy for a gateway, without faults yet.
    ///
    /// # Panics
    ///
    /// If no port is available.
    #[must_use]
    pub fn start(gateway: SocketAddr) -> Self {
        let this = Self::closed(gateway);
        this.open();
        this
    }

    /// A proxy that does not listen on its port until [`open`](Self::open) is called.
    ///
    /// # Panics
    ///
    /// If no port is available.
    #[must_use]
    pub fn closed(gateway: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(any).expect("a port");
        let address = socket.local_addr().expect("it is bound");
        Self {
            address,
            shared: Arc::new(Shared::new(gateway)),
            closed: Mutex::new(Some(socket)),
            task: Mutex::default(),
        }
    }

    /// Starts to listen, unless it already does.
    ///
    /// # Panics
    ///
    /// If that is not possible.
    pub fn open(&self) {
        let Some(socket) = lock(&self.closed).take() else {
            return;
        };
        let _inside = RUNTIME.enter();
        let listener = socket.listen(1024).expect("it listens");
        let serve = serve(listener, Arc::clone(&self.shared));
        *lock(&self.task) = Some(RUNTIME.spawn(serve));
    }

    /// The URL for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Injects this fault from now on.
    pub fn arm(&self, fault: Fault, target: Target, times: Times) {
        self.shared.state().plan = Some(Plan::new(fault, target, times));
    }

    /// Injects no more faults. Connections that a fault holds open stay open.
    pub fn lift(&self) {
        self.shared.state().plan = None;
        self.open();
    }

    /// Delays each response by this time from now on.
    pub fn slow_down(&self, latency: Duration) {
        self.shared.state().latency = latency;
    }

    /// What it has seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.shared.state().seen.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        // If a connection breaks, the client has to notice.
        connections.spawn(exchange::serve(client, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}
