//! `CONNECT`: a proxy that forwards bytes.

use futures_io::{AsyncRead, AsyncWrite};
use http::Response;
use sorna_core::{Sent, TransportError, TransportErrorKind};

use super::exchange::{Setting, prepare, send};
use super::progress::Progress;
use crate::net::explain::{Peer, no_tunnel, refused};
use crate::net::way::{Way, connect_request};
use crate::net::{Proxy, SizeLimits};
use crate::runtime::Runtime;
use crate::wire::ResponseParser;

/// Asks the proxy at the other end of `stream` to connect it to the origin.
pub(super) async fn open_tunnel<R, S>(
    runtime: &R,
    stream: &mut S,
    way: Way<'_>,
    proxy: &Proxy,
    sizes: &SizeLimits,
) -> Result<(), TransportError>
where
    R: Runtime,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = connect_request(proxy, way.origin).map_err(|source| {
        let message = "the request cannot be written as HTTP/1.1";
        let reason = TransportError::new(TransportErrorKind::Other, Sent::Nothing, message);
        no_tunnel(&way, reason.with_source(source))
    })?;
    let prepared = prepare(runtime, request, None, sizes, false);
    let (mut outgoing, mut incoming) = prepared.map_err(|reason| no_tunnel(&way, reason))?;
    let setting = Setting {
        peer: Peer::proxy(way),
        reused: false,
        // The bytes of this request do not count as bytes of the caller's request.
        progress: &Progress::new(),
    };
    let exchanged = async {
        send(stream, &mut outgoing, &mut incoming, &setting).await?;
        let read = incoming.read_until(stream, &setting, ResponseParser::is_done);
        read.await
    };
    exchanged.await.map_err(|reason| no_tunnel(&way, reason))?;
    let response = incoming.response();
    match response.head().map(Response::status) {
        Some(status) if !status.is_success() => Err(refused(proxy, status, Sent::Nothing)),
        // In HTTP and in TLS, the client sends first.
        _ if response.has_stray_bytes() => {
            let message = "unexpected data after the response to CONNECT";
            let reason = TransportError::new(TransportErrorKind::Receive, Sent::Nothing, message);
            Err(no_tunnel(&way, reason))
        }
        _ => Ok(()),
    }
}
