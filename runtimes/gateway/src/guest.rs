//! Other APIs on the same port.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::{Leave, Upgrade};

/// What a [`Guest`] does with a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Admission {
    /// Answers it, on behalf of the user with this access key. Then it counts as a request of that user: against the limits on
    /// requests and connections, and it is refused if the key is not accepted any more.
    Admitted(String),
    /// Answers it at once: its body is not read.
    Refused(Response<Bytes>),
}

/// Answers requests at paths that the gateway does not know, on the same port: another API, which executes code as a client of
/// the gateway. The gateway limits heads, bodies and connections, and the time that clients take, as it does for its own APIs.
///
/// Its methods are called by the gateway's runtime, of tokio, with I/O and time.
///
/// ```
/// use std::pin::Pin;
/// use std::sync::Arc;
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode, request::Parts};
/// use sorna_gateway::{Admission, Gateway, GatewayConfig, Guest};
///
/// /// Greets whoever asks.
/// #[derive(Debug)]
/// struct Greeter;
///
/// impl Guest for Greeter {
///     fn receive(&self, head: &Parts) -> Option<Admission> {
///         let greeting = Response::new(Bytes::from("hello"));
///         (head.uri.path() == "/greeting").then_some(Admission::Refused(greeting))
///     }
///
///     fn respond(&self, _: Request<Bytes>) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send + '_>> {
///         unreachable!("no request is admitted")
///     }
///
///     fn problem(&self, status: StatusCode, reason: &str) -> Response<Bytes> {
///         let mut response = Response::new(Bytes::from(reason.to_owned()));
///         *response.status_mut() = status;
///         response
///     }
/// }
///
/// let gateway = Gateway::spawn(GatewayConfig::new().with_guest(Arc::new(Greeter)))?;
/// # gateway.stop();
/// # Ok::<(), sorna_gateway::StartError>(())
/// ```
pub trait Guest: fmt::Debug + Send + Sync {
    /// Decides by its head whether a request is for this guest, and who sends it; `None` if the gateway shall answer. Paths of the
    /// gateway's own APIs are never asked for.
    fn receive(&self, head: &Parts) -> Option<Admission>;

    /// Answers a request that was [admitted](Admission::Admitted). For another protocol than HTTP (status 101), there is a
    /// [`GuestUpgrade`] in its extensions. The future is dropped if the client leaves.
    fn respond(
        &self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send + '_>>;

    /// Words an error of the gateway, such as a body that is too large, in the way of this API.
    fn problem(&self, status: StatusCode, reason: &str) -> Response<Bytes>;
}

/// A connection that another protocol can be spoken over, once a response with status 101 has been sent.
#[derive(Clone, Debug)]
pub struct GuestUpgrade(pub(crate) Upgrade);

impl GuestUpgrade {
    /// The connection, once the response has been sent; `None` if the client is gone.
    pub async fn open(self) -> Option<GuestStream> {
        let (io, leave) = self.0.into_stream().await?;
        Some(GuestStream { io, leave })
    }
}

/// A connection over which another protocol than HTTP is spoken. It counts against the limit on connections, and ends early when
/// the key of who has opened it is not accepted any more.
pub struct GuestStream {
    io: hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>,
    leave: Leave,
}

impl fmt::Debug for GuestStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestStream").finish_non_exhaustive()
    }
}

impl AsyncRead for GuestStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.leave.poll(context).is_ready() {
            // Its end.
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
