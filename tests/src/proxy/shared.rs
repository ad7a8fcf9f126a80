//! The state of a proxy: what it does next, and what it has seen.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::fault::{Accept, Fault, Target, Times};
use super::message::Message;

/// What a proxy and its connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) gateway: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) plan: Option<Plan>,
    pub(super) latency: Duration,
    pub(super) seen: Seen,
}

/// A fault, when it strikes, and how often it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
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

/// Ignores poisoning: each test has its own proxy.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plan {
    pub(super) fn new(fault: Fault, target: Target, times: Times) -> Self {
        Self {
            fault,
            target,
            times,
            hits: 0,
        }
    }
}

impl Shared {
    pub(super) fn new(gateway: SocketAddr) -> Self {
        Self {
            gateway,
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The fault that strikes a new connection.
    pub(super) fn accept_fault(&self) -> Option<Accept> {
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
    pub(super) fn request_fault(&self, request: &Message) -> Option<Fault> {
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
