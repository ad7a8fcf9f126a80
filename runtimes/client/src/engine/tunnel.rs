//! `CONNECT`: a proxy that forwards bytes.

use futures_io::{AsyncRead, AsyncWrite};
use http::Response;
use sorna_core::{Sent, TransportError};

use super::exchange::{Setting, send};
use super::progress::Progress;
use crate::net::hop::{connect_request, no_tunnel, refused};
use crate::net::{Origin, Proxy, SizeLimits};
use crate::runtime::Runtime;
use crate::wire::Answer;

/// Asks the proxy at the other end of `stream` to connect it to `origin`.
pub(super) async fn open_tunnel<R, S>(
    runtime: &R,
    stream: &mut S,
    proxy: &Proxy,
    origin: &Origin,
    sizes: &SizeLimits,
) -> Result<(), TransportError>
where
    R: Runtime,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = connect_request(proxy, origin)
        .map_err(|source| no_tunnel(proxy, origin).with_source(source))?;
    let setting = Setting {
        peer: proxy,
        proxy: None,
        reused: false,
        sizes,
        // Bytes of this request are not bytes of the caller's.
        progress: &Progress::default(),
    };
    let answered = async {
        let mut incoming = send(runtime, stream, request, &setting, false).await?;
        let read = incoming.read_until(stream, &setting, Answer::is_done).await;
        read.map(|()| incoming)
    };
    let mut incoming = answered
        .await
        .map_err(|source| no_tunnel(proxy, origin).with_source(source))?;
    let answer = incoming.answer();
    match answer.head().map(Response::status) {
        Some(status) if !status.is_success() => Err(refused(proxy, status, Sent::Nothing)),
        // The side that is asked speaks second, in HTTP and in TLS.
        Some(_) if !answer.has_stray_bytes() => Ok(()),
        _ => Err(no_tunnel(proxy, origin)),
    }
}
