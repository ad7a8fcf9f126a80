//! The interface between the protocol machines and an HTTP client.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
#[cfg(feature = "async")]
use futures_core::Stream;
#[cfg(feature = "terminal")]
use futures_io::{AsyncRead, AsyncWrite};
use http::{Request, Response};
use sorna_core::{Body, TransportError};

/// A boxed future, for work that outlives the call that starts it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An asynchronous HTTP client, reduced to what the protocol needs.
///
/// The engine of this crate implements it for tokio, smol and async-std; implement it yourself to
/// send the requests through a client that your program already has.
///
/// An implementation must keep to these rules, which the protocol machines rely on:
///
/// - **A status code is not an error.** 401, 404 and 500 are responses like 200.
/// - **Redirects are not followed**: the signature holds for one host and path.
/// - **Signed headers are sent as they are**: no header of the request is altered, and none that is
///   present is added a second time. `Host` and `Content-Length` may be added where they are missing.
/// - **The body is sent exactly**: [`Body::len`] bytes, files streamed from the disk, without
///   `Expect: 100-continue`. A file that is shorter or longer than its segment is an error of
///   kind [`LocalFile`](sorna_core::TransportErrorKind::LocalFile).
/// - **The response is returned whole and unchanged**: a truncated body is an error, and a content
///   encoding is neither requested nor decoded.
/// - **[`TransportError::sent`] is correct**: whether a request is retried depends on it.
/// - **Dropping the future is always allowed**: it must not leave a connection behind in a state that
///   could harm a later request.
///
/// A request with [`OwnConnection`](super::OwnConnection) among its extensions should not be sent over a connection that was idle.
///
/// The machines decide what to retry; an implementation never sends a request twice on its own.
pub trait Transport: Send + Sync {
    /// Sends one request and reads its whole response, within `time_limit` for everything together.
    ///
    /// # Errors
    ///
    /// If no complete response came: [`TransportError`] says what failed and how much of the
    /// request may have arrived.
    fn send(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send;

    /// Waits, using the timer of the runtime that this client runs on.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Continues work in the background: the clean-up of a run that was dropped in the middle.
    ///
    /// The default drops it, so that the kernel lives until the gateway's idle timeout.
    fn detach(&self, work: BoxFuture<()>) {
        drop(work);
    }
}

/// A [`Transport`] that can return the body of a response as it arrives: for downloads and streams of
/// events ([`Client::stream`](crate::Client::stream)).
///
/// The rules of [`Transport`] hold, and these:
///
/// - The time limit is for the response's head. Afterwards there is no limit on the time for the
///   body, but it must not be silent for longer than the transport's own limit for that.
/// - **A slow reader slows the server.** The amount that is read ahead is bounded.
/// - **A truncated body ends with an error**, never like a complete one.
/// - Dropping the body closes its connection; reading it to its end leaves the connection to the next
///   request.
/// - There is no limit on the size of the body.
#[cfg(feature = "async")]
pub trait StreamTransport: Transport {
    /// The body of a response. After an error there are no more items.
    type Body: Stream<Item = Result<Bytes, TransportError>> + Send + Unpin + 'static;

    /// Sends one request and reads the head of its response, within `head_limit` for connecting, sending
    /// and the head together.
    ///
    /// # Errors
    ///
    /// If no head came: as for [`Transport::send`].
    fn send_streaming(
        &self,
        request: Request<Body>,
        head_limit: Duration,
    ) -> impl Future<Output = Result<Response<Self::Body>, TransportError>> + Send;
}

/// A [`Transport`] that can switch a connection to another protocol (`101 Switching Protocols`): for
/// terminals ([`Kernel::stream_pty`](crate::Kernel::stream_pty)), and for executions of a client
/// [that uses it](crate::Client::with_upgrades).
///
/// The rules of [`Transport`] hold, and these:
///
/// - The headers of the request name the other protocol, and are sent as they are. The caller
///   checks the response's headers.
/// - The connection is used for nothing else before or after. A proxy is asked for a tunnel (`CONNECT`).
#[cfg(feature = "terminal")]
pub trait UpgradeTransport: Transport {
    /// The connection once it speaks the other protocol. No time limit applies to it any more.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Sends one request for another protocol and reads its response, within `time_limit` for
    /// everything together.
    ///
    /// # Errors
    ///
    /// If no complete response came: as for [`Transport::send`].
    fn upgrade(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> impl Future<Output = Result<Upgraded<Self::Io>, TransportError>> + Send;
}

/// The response to a request for another protocol.
#[cfg(feature = "terminal")]
#[derive(Debug)]
pub enum Upgraded<Io> {
    /// The connection speaks the other protocol from here on.
    Switched {
        /// The status, which is 101, and the headers.
        head: Response<()>,
        /// The connection.
        io: Io,
        /// Bytes of the other protocol that were read together with the head.
        read_ahead: Bytes,
    },
    /// Any other response, whatever its status.
    Refused(Response<Bytes>),
}

impl<T: Transport> Transport for Arc<T> {
    fn send(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send {
        T::send(self, request, time_limit)
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        T::sleep(self, duration)
    }

    fn detach(&self, work: BoxFuture<()>) {
        T::detach(self, work);
    }
}

#[cfg(feature = "async")]
impl<T: StreamTransport> StreamTransport for Arc<T> {
    type Body = T::Body;

    fn send_streaming(
        &self,
        request: Request<Body>,
        head_limit: Duration,
    ) -> impl Future<Output = Result<Response<T::Body>, TransportError>> + Send {
        T::send_streaming(self, request, head_limit)
    }
}

#[cfg(feature = "terminal")]
impl<T: UpgradeTransport> UpgradeTransport for Arc<T> {
    type Io = T::Io;

    fn upgrade(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> impl Future<Output = Result<Upgraded<T::Io>, TransportError>> + Send {
        T::upgrade(self, request, time_limit)
    }
}
