//! Accepting and serving connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::service::Service;

/// The pause after a failure to accept, such as too many open files.
const BREATHER: Duration = Duration::from_millis(50);

/// Serves connections for ever. Dropping the future cuts them off.
pub(crate) async fn serve(listener: TcpListener, service: Arc<Service>, head_timeout: Duration) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                service.note_connection();
                connections.spawn(serve_one(stream, Arc::clone(&service), head_timeout));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
}

async fn serve_one(stream: TcpStream, service: Arc<Service>, head_timeout: Duration) {
    // Answers are short and waited for.
    let _ = stream.set_nodelay(true);
    let handle = service_fn(|request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.handle(request).await) }
    });
    // A client that closes its end in the middle of a request drops the handler's future. The
    // terminal will need the upgrade.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .serve_connection(TokioIo::new(stream), handle)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended badly");
    }
}
