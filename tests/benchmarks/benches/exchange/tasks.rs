//! Requests by many tasks at the same time.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sorna::engine::HttpTransport;
use sorna::runtime::Runtime;

use crate::execute::{CODE, kernel, request};

/// The number of tasks (or threads) at the same time.
pub const TASKS: usize = 64;

pub fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// The work of all tasks, spawned as the runtime does it.
pub async fn on_tasks<W, T>(spawn: impl Fn(W) -> T, work: impl Fn() -> W)
where
    W: Future<Output = ()> + 'static,
    T: Future,
{
    on_so_many(TASKS, spawn, work).await;
}

/// The same with another number of tasks.
pub async fn on_so_many<W, T>(number: usize, spawn: impl Fn(W) -> T, work: impl Fn() -> W)
where
    W: Future<Output = ()> + 'static,
    T: Future,
{
    let tasks: Vec<_> = (0..number).map(|_| spawn(work())).collect();
    for task in tasks {
        task.await;
    }
}

pub async fn executes<R: Runtime>(client: &sorna::Client<HttpTransport<R>>, times: usize) {
    let kernel = client.kernel(kernel());
    for _ in 0..times {
        let result = kernel.execute(CODE).finish().await.expect("a result");
        assert_eq!(result.exit_code(), Some(0));
    }
}

pub async fn reqwest_exchanges(client: &reqwest::Client, address: SocketAddr, times: usize) {
    let (parts, body) = request(address).into_parts();
    let url: reqwest::Url = parts.uri.to_string().parse().expect("a URL");
    let body = Bytes::copy_from_slice(body.as_bytes().expect("bytes"));
    for _ in 0..times {
        let request = client.post(url.clone()).headers(parts.headers.clone());
        let response = request.body(body.clone()).send().await.expect("a response");
        response.bytes().await.expect("a body");
    }
}

/// Connections for tasks that end with each turn.
pub struct Shelf<T>(Arc<Mutex<Vec<T>>>);

impl<T> Shelf<T> {
    pub fn take(&self) -> T {
        let mut shelf = self.0.lock().expect("no panic inside");
        shelf.pop().expect("one for each task")
    }

    pub fn put(&self, connection: T) {
        self.0.lock().expect("no panic inside").push(connection);
    }
}

impl<T> FromIterator<T> for Shelf<T> {
    fn from_iter<I: IntoIterator<Item = T>>(connections: I) -> Self {
        Self(Arc::new(Mutex::new(connections.into_iter().collect())))
    }
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
