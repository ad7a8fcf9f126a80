//! A proxy between a client and a gateway that fails as it is told to.
//!
//! It passes whole requests and answers on, on connections of its own, until a [`Fault`] strikes.

mod exchange;
mod fault;
mod message;

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, JoinSet};

pub use fault::{Accept, End, Fault, Pace, Place, Stream, Target, Times};
pub use message::Message;

/// All proxies of a process share it. It ends with the process; their tasks end with each.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("proxy")
        .enable_all()
        .build()
        .expect("a runtime")
});

/// A proxy on a port of its own. Dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Bound, but nobody listens yet.
    closed: Mutex<Option<TcpSocket>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    gateway: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    latency: Duration,
    seen: Seen,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    fault: Fault,
    target: Target,
    times: Times,
    hits: usize,
}

/// What a proxy has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Connections from clients.
    pub connections: usize,
    /// Requests, each as method and target.
    pub requests: Vec<String>,
    /// How often a fault struck.
    pub hits: usize,
    /// The kernels that the gateway said it created.
    pub kernels: Vec<String>,
}

impl Proxy {
    /// A proxy for a gateway, which fails in nothing yet.
    ///
    /// # Panics
    ///
    /// If there is no port to be had.
    #[must_use]
    pub fn start(gateway: SocketAddr) -> Self {
        let this = Self::closed(gateway);
        this.open();
        this
    }

    /// A proxy on whose port nobody listens, until [`open`](Self::open).
    ///
    /// # Panics
    ///
    /// If there is no port to be had.
    #[must_use]
    pub fn closed(gateway: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(any).expect("a port");
        let address = socket.local_addr().expect("it is bound");
        let state = Mutex::default();
        Self {
            address,
            shared: Arc::new(Shared { gateway, state }),
            closed: Mutex::new(Some(socket)),
            task: Mutex::default(),
        }
    }

    /// Begins to listen, if it does not yet.
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

    /// From now on it fails like this.
    pub fn arm(&self, fault: Fault, target: Target, times: Times) {
        self.shared.state().plan = Some(Plan {
            fault,
            target,
            times,
            hits: 0,
        });
    }

    /// From now on it fails no more. Connections that a fault holds stay as they are.
    pub fn lift(&self) {
        self.shared.state().plan = None;
        self.open();
    }

    /// From now on each answer takes this time longer.
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The fault that strikes a new connection.
    fn accept_fault(&self) -> Option<Accept> {
        let mut state = self.state();
        state.seen.connections += 1;
        let plan = state.plan.as_mut()?;
        let accept = match plan.fault {
            Fault::Accept(accept) if plan.times == Times::Always || plan.hits == 0 => accept,
            Fault::Gone if plan.times == Times::Always && plan.hits > 0 => Accept::Reset,
            _ => return None,
        };
        plan.hits += 1;
        state.seen.hits += 1;
        Some(accept)
    }

    /// The fault that strikes a request.
    fn request_fault(&self, request: &Message) -> Option<Fault> {
        let mut state = self.state();
        let line = format!("{} {}", request.method(), request.target());
        state.seen.requests.push(line);
        let plan = state.plan.as_mut()?;
        if matches!(plan.fault, Fault::Accept(_)) {
            return None;
        }
        let strikes = match plan.times {
            Times::Once => plan.hits == 0 && plan.target.matches(request),
            Times::Always => plan.hits > 0 || plan.target.matches(request),
        };
        if !strikes {
            return None;
        }
        plan.hits += 1;
        let fault = plan.fault;
        state.seen.hits += 1;
        Some(fault)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Ends with this task.
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        // A connection that breaks is the client's to notice.
        connections.spawn(exchange::serve(client, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}
