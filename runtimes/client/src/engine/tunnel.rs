//! `CONNECT`: a proxy that forwards bytes.

use futures_io::{AsyncRead, AsyncWrite};
use http::header::PROXY_AUTHORIZATION;
use http::{Method, Request, StatusCode, Uri};
use sorna_core::{Body, Sent, TransportError, TransportErrorKind};

use super::exchange::{Setting, exchange};
use super::progress::Progress;
use crate::net::{Origin, Proxy, SizeLimits};
use crate::runtime::Runtime;

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
    let uri = Uri::builder()
        .authority(origin.to_string())
        .build()
        .map_err(|source| broke(proxy, origin).with_source(source))?;
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = uri;
    if let Some(value) = proxy.authorization() {
        request.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
    let setting = Setting {
        peer: &proxy.to_string(),
        proxy: None,
        reused: false,
        sizes,
        // Bytes of this request are not bytes of the caller's.
        progress: &Progress::default(),
    };
    let exchanged = exchange(runtime, stream, request, setting)
        .await
        .map_err(|source| broke(proxy, origin).with_source(source))?;
    let status = exchanged.response.status();
    if !status.is_success() {
        return Err(refused(proxy, status, Sent::Nothing));
    }
    if exchanged.stray_bytes {
        // Whoever is asked speaks second, in HTTP and in TLS.
        return Err(broke(proxy, origin));
    }
    Ok(())
}

/// The proxy's answer is its own, and a refusal.
pub(super) fn refused(proxy: &Proxy, status: StatusCode, sent: Sent) -> TransportError {
    let hint = if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        "; check the user name and password in the proxy's URL"
    } else {
        ""
    };
    let message = format!("the proxy {proxy} refused: {status}{hint}").to_ascii_lowercase();
    TransportError::new(TransportErrorKind::Proxy, sent, message)
}

fn broke(proxy: &Proxy, origin: &Origin) -> TransportError {
    TransportError::new(
        TransportErrorKind::Proxy,
        Sent::Nothing,
        format!("the proxy {proxy} made no connection to {origin}"),
    )
}
