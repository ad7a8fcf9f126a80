//! `CONNECT`: a proxy that forwards bytes.

use futures_io::{AsyncRead, AsyncWrite};
use sorna_core::{Sent, TransportError};

use super::exchange::{Setting, exchange};
use super::progress::Progress;
use crate::net::hop::{connect_request, no_tunnel, refused};
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
    let exchanged = exchange(runtime, stream, request, setting)
        .await
        .map_err(|source| no_tunnel(proxy, origin).with_source(source))?;
    let status = exchanged.response.status();
    if !status.is_success() {
        return Err(refused(proxy, status, Sent::Nothing));
    }
    if exchanged.stray_bytes {
        // Whoever is asked speaks second, in HTTP and in TLS.
        return Err(no_tunnel(proxy, origin));
    }
    Ok(())
}
