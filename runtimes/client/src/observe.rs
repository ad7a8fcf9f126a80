//! Observation of requests.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{Entry, SET_COOKIE};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use sorna_core::{Body, TransportError};

/// A function that is called for each request of a client, when its response has arrived or it has
/// failed: for logs and measurements. Set it in [`ClientOptions`](crate::ClientOptions).
///
/// Every driver calls it at the same places: once for each try of each request, the handshakes of
/// WebSockets included; for a response that is [streamed](crate::Client::stream), when its head has arrived.
/// It is not called for requests that are abandoned (their future dropped). It runs on the thread,
/// or inside the future, that waits for the response, so it should be quick. A client without an
/// observer has no overhead.
///
/// ```
/// use sorna::{ClientOptions, Observer};
///
/// let options = ClientOptions::new().with_observer(Observer::new(|exchange| {
///     match exchange.status() {
///         Some(status) => println!("{} {}: {status}", exchange.method, exchange.target),
///         None => println!("{} {}: no response", exchange.method, exchange.target),
///     }
/// }));
/// ```
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(&Exchange<'_>) + Send + Sync>);

/// A request and its outcome, without what must not be shown: the request's headers and the bodies.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The request's path and query.
    pub target: &'a str,
    /// The number of this attempt at the same request, from 1.
    pub attempt: u32,
    /// The time from before connecting to the last byte of the response, or of its head if the body is
    /// streamed.
    pub time: Duration,
    /// The response's status and headers, whatever the status; or why there was none. Cookies are marked as sensitive,
    /// so that `Debug` does not show them.
    pub outcome: Result<(StatusCode, &'a HeaderMap), &'a TransportError>,
}

impl Exchange<'_> {
    /// The response's status, if one came.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.outcome.ok().map(|(status, _)| status)
    }
}

impl Observer {
    /// An observer that calls this function.
    #[must_use]
    pub fn new(callback: impl Fn(&Exchange<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(callback))
    }

    /// Calls the function: for an observer that wraps another one.
    pub fn notify(&self, exchange: &Exchange<'_>) {
        (self.0)(exchange);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

/// The outcome of a request, as far as an observer needs it.
pub(crate) trait Outcome {
    /// The response's status and headers.
    fn head(&self) -> (StatusCode, &HeaderMap);

    fn headers_mut(&mut self) -> &mut HeaderMap;
}

impl<B> Outcome for Response<B> {
    fn head(&self) -> (StatusCode, &HeaderMap) {
        (self.status(), self.headers())
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        Response::headers_mut(self)
    }
}

#[cfg(feature = "terminal")]
impl<Io> Outcome for crate::net::Upgraded<Io> {
    fn head(&self) -> (StatusCode, &HeaderMap) {
        match self {
            Self::Switched { head, .. } => Outcome::head(head),
            Self::Refused(response) => Outcome::head(response),
        }
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        match self {
            Self::Switched { head, .. } => head.headers_mut(),
            Self::Refused(response) => response.headers_mut(),
        }
    }
}

/// In responses of web servers of Backend.AI, the cookie of the session again.
const SESSION_ID: HeaderName = HeaderName::from_static("x-backendai-sessionid");

/// Marks cookies as sensitive, so that `Debug` does not show them: they stand for a user like a key.
fn hide_cookies(headers: &mut HeaderMap) {
    for name in [SET_COOKIE, SESSION_ID] {
        if headers.contains_key(&name)
            && let Entry::Occupied(mut values) = headers.entry(name)
        {
            for value in values.iter_mut() {
                value.set_sensitive(true);
            }
        }
    }
}

/// Sends a request, and notifies the observer of the outcome.
///
/// **Every request of every driver passes here**, whether its response is read whole, is streamed, or
/// turns the connection into another protocol: anything that must happen around every request belongs here.
pub(crate) async fn observed<A: Outcome, F>(
    observer: Option<&Observer>,
    request: Request<Body>,
    attempt: u32,
    send: impl FnOnce(Request<Body>) -> F,
) -> Result<A, TransportError>
where
    F: Future<Output = Result<A, TransportError>>,
{
    let timer = RequestTimer::begin(observer, &request, attempt);
    #[cfg(feature = "tracing")]
    let mut result = traced(request, attempt, send).await;
    #[cfg(not(feature = "tracing"))]
    let mut result = send(request).await;
    if let Ok(outcome) = &mut result {
        hide_cookies(outcome.headers_mut());
    }
    if let Some(timer) = timer {
        timer.end(result.as_ref().map(Outcome::head));
    }
    result
}

/// Sends a request inside a span of [`tracing`], with an event for the outcome. Neither shows
/// headers or bodies.
#[cfg(feature = "tracing")]
async fn traced<A: Outcome, F>(
    request: Request<Body>,
    attempt: u32,
    send: impl FnOnce(Request<Body>) -> F,
) -> Result<A, TransportError>
where
    F: Future<Output = Result<A, TransportError>>,
{
    use tracing::{Instrument as _, debug, debug_span};

    let method = request.method().as_str();
    let target = request.uri().path_and_query().map_or("", |it| it.as_str());
    let span = debug_span!(target: "sorna", "request", method, target, attempt);
    let began = Instant::now();
    let result = send(request).instrument(span.clone()).await;
    span.in_scope(|| {
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(outcome) => {
                let status = outcome.head().0.as_u16();
                debug!(target: "sorna", status, ms, "response");
            }
            Err(error) => debug!(target: "sorna", %error, ms, "no response"),
        }
    });
    result
}

/// A request in flight of which an observer will be notified.
struct RequestTimer {
    observer: Observer,
    method: Method,
    target: String,
    attempt: u32,
    began: Instant,
}

impl RequestTimer {
    /// Starts, if there is an observer.
    fn begin(observer: Option<&Observer>, request: &Request<Body>, attempt: u32) -> Option<Self> {
        let target = request.uri().path_and_query();
        Some(Self {
            observer: observer?.clone(),
            method: request.method().clone(),
            target: target.map_or_else(String::new, ToString::to_string),
            attempt,
            began: Instant::now(),
        })
    }

    /// Notifies the observer.
    fn end(self, outcome: Result<(StatusCode, &HeaderMap), &TransportError>) {
        self.observer.notify(&Exchange {
            method: &self.method,
            target: &self.target,
            attempt: self.attempt,
            time: self.began.elapsed(),
            outcome,
        });
    }
}
