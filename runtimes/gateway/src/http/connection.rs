//! Accepting and serving connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::service::Service;

/// The pause after a failure to accept, such as too many open files.
const BREATHER: Duration = Duration::from_millis(50);

/// What turns connections into streams of bytes.
#[derive(Clone)]
pub(crate) enum Acceptor {
    Plain,
    #[cfg(feature = "tls")]
    Tls(tokio_rustls::TlsAcceptor),
}

/// Serves connections for ever. Dropping the future cuts them off.
pub(crate) async fn serve(
    listener: TcpListener,
    acceptor: Acceptor,
    service: Arc<Service>,
    head_timeout: Duration,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                service.note_connection();
                // Answers are short and waited for.
                let _ = stream.set_nodelay(true);
                let (acceptor, service) = (acceptor.clone(), Arc::clone(&service));
                connections.spawn(acceptor.serve_one(stream, service, head_timeout));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
}

impl Acceptor {
    async fn serve_one(self, stream: TcpStream, service: Arc<Service>, head_timeout: Duration) {
        match self {
            Self::Plain => serve_stream(stream, service, head_timeout).await,
            #[cfg(feature = "tls")]
            Self::Tls(acceptor) => {
                let accepted = tokio::time::timeout(head_timeout, acceptor.accept(stream)).await;
                match accepted {
                    Ok(Ok(stream)) => serve_stream(stream, service, head_timeout).await,
                    Ok(Err(error)) => tracing::debug!(%error, "no agreement on TLS"),
                    Err(_) => tracing::debug!("a client is too slow for TLS"),
                }
            }
        }
    }
}

async fn serve_stream<S>(stream: S, service: Arc<Service>, head_timeout: Duration)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handle = service_fn(|request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.handle(request).await) }
    });
    // A client that closes its end in the middle of a request drops the handler's future. The
    // upgrades are for terminals.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .serve_connection(TokioIo::new(stream), handle)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended badly");
    }
}
