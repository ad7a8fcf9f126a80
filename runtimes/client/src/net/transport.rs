//! The seam between the protocol machines and an HTTP client.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use sorna_core::{Body, TransportError};

/// A future in a box, for work that outlives the call that starts it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An asynchronous HTTP client, reduced to what the protocol needs.
///
/// The engine of this crate implements it for tokio, smol and async-std; implement it yourself to
/// send the requests through a client that your program already has.
///
/// An implementation must keep to these rules, which the protocol machines rely on:
///
/// - **A status code is not an error.** 401, 404 and 500 are answers like 200.
/// - **Redirects are not followed**: the signature holds for one host and path.
/// - **Signed headers are sent as they are**: no header of the request is altered, and none that is
///   present is added a second time. `Host` and `Content-Length` may be added where they are missing.
/// - **The body is sent exactly**: [`Body::len`] bytes, files streamed from the disk, without
///   `Expect: 100-continue`. A file that is shorter or longer than its segment says is an error of
///   kind [`LocalFile`](sorna_core::TransportErrorKind::LocalFile).
/// - **The answer is handed over whole and as it came**: a truncated body is an error, and a content
///   encoding is neither asked for nor undone.
/// - **[`TransportError::sent`] tells the truth**: a request is sent again on the strength of it.
/// - **Dropping the future is always allowed**: it must not leave a connection behind in a state that
///   could harm a later request.
///
/// The machines decide what to repeat; an implementation never sends a request twice by itself.
pub trait Transport: Send + Sync {
    /// Sends one request and reads its whole answer, within `time_limit` for everything together.
    ///
    /// # Errors
    ///
    /// If no complete answer came: [`TransportError`] says at what it failed and how much of the
    /// request may have arrived.
    fn send(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send;

    /// Waits, on the timer of the runtime that this client runs on.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Carries work on in the background: the clean-up of a run that was dropped in the middle.
    ///
    /// The default drops it, so that the kernel lives until the gateway's idle timeout.
    fn detach(&self, work: BoxFuture<()>) {
        drop(work);
    }
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
