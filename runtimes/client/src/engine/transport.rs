//! The async drivers' HTTP client.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, ready};
use http::{Request, Response, StatusCode, Uri};
use sorna_core::{Body, Sent, TransportError};

use super::body::ResponseBody;
use super::connection::Connection;
use super::dial::{Route, dial};
use super::exchange::{Incoming, Setting, prepare, send};
use super::outgoing::Outgoing;
use super::pool::Pool;
use super::progress::{Progress, watch};
use super::shared::Shared;
use crate::net::explain::{Peer, refused};
use crate::net::way::Way;
use crate::net::{
    BoxFuture, NetOptions, Origin, OwnConnection, Proxy, SizeLimits, StreamTransport, Transport,
    UpgradeTransport, Upgraded,
};
use crate::runtime::Runtime;
use crate::wire::ResponseParser;

/// An HTTP/1.1 client on the runtime `R`, with connection reuse, TLS and proxies.
///
/// Clones are cheap and share their connections. Requests may run at the same time, each on its own
/// connection.
///
/// ```no_run
/// # #[cfg(feature = "smol")]
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use sorna::engine::HttpTransport;
/// use sorna::net::{NetOptions, ProxyOptions, Transport};
/// use sorna::protocol::Body;
/// use sorna::runtime::Smol;
///
/// let proxy = ProxyOptions::from_lookup(|name| std::env::var(name).ok())?;
/// let transport = HttpTransport::new(Smol, NetOptions::new().with_proxy(proxy));
/// let request = http::Request::get("https://api.sorna.io/v2").body(Body::empty())?;
/// let response = transport.send(request, Duration::from_secs(30)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors of a request
///
/// - A connection that had been idle and was closed without one byte of a response is reported as
///   [`Sent::StaleConnection`]; the other idle ones are dropped with it, so that a retry gets a new
///   connection. This client itself never sends a request twice.
/// - A response that arrives while the body is still being sent is returned, and the connection is
///   closed afterwards. If it is not a success, the rest of the body is not sent.
/// - A request whose future is dropped takes its connection with it.
pub struct HttpTransport<R: Runtime> {
    shared: Arc<Shared<R>>,
}

impl<R: Runtime> HttpTransport<R> {
    /// A client with these settings. Does not open or read anything yet.
    #[must_use]
    pub fn new(runtime: R, options: NetOptions) -> Self {
        let pool = Pool::new(options.pool.clone());
        Self {
            shared: Arc::new(Shared {
                runtime,
                options,
                pool,
            }),
        }
    }

    /// The runtime.
    #[must_use]
    pub fn runtime(&self) -> &R {
        &self.shared.runtime
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &NetOptions {
        &self.shared.options
    }

    /// Opens a new connection to the server of an `http`, `https`, `ws` or `wss` URL, for another
    /// protocol such as WebSocket. It uses the same proxy (always by `CONNECT`) and the same TLS as
    /// requests, and is never pooled.
    ///
    /// # Errors
    ///
    /// As for requests, with nothing sent; the limit for connecting applies.
    pub async fn connect(&self, uri: &Uri) -> Result<Connection<R::Tcp>, TransportError> {
        self.dial(uri, &Progress::new()).await
    }

    /// As [`connect`](Self::connect), for a request whose progress is watched.
    pub(crate) async fn dial(
        &self,
        uri: &Uri,
        progress: &Progress,
    ) -> Result<Connection<R::Tcp>, TransportError> {
        let origin = Origin::of(uri)?;
        let route = self.shared.route(&origin, true);
        let Shared {
            runtime, options, ..
        } = &*self.shared;
        dial(runtime, options, &route, progress).await
    }
}

impl<R: Runtime> HttpTransport<R> {
    /// Who responds to requests to this origin, where a proxy is always asked for a tunnel.
    #[cfg(feature = "ureq")]
    pub(crate) fn tunnel_peer<'a>(&'a self, origin: &'a Origin) -> Peer<'a> {
        self.shared.route(origin, true).peer()
    }

    fn sizes(&self) -> &SizeLimits {
        &self.shared.options.sizes
    }

    /// Does the work within the time limits.
    async fn watch<T>(
        &self,
        peer: Peer<'_>,
        progress: &Progress,
        time_limit: Duration,
        work: Pin<&mut impl Future<Output = Result<T, TransportError>>>,
    ) -> Result<T, TransportError> {
        let times = &self.shared.options.times;
        let total = times
            .request
            .map_or(time_limit, |call| call.min(time_limit));
        let runtime = &self.shared.runtime;
        watch(runtime, progress, peer, total, times.idle, work).await
    }
}

impl<R: Runtime> Transport for HttpTransport<R> {
    fn send(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send {
        // Not in the future, which would be larger by the request.
        let prepared = self.shared.prepare(request, self.sizes(), false);
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Either::Right(ready(Err(error))),
        };
        Either::Left(async move {
            let (route, outgoing, incoming) = prepared.parts();
            let progress = Progress::new();
            // Pinned here and not passed on, since a future that holds another one twice is twice as large.
            let work = pin!(self.shared.send(&route, outgoing, incoming, &progress));
            self.watch(route.peer(), &progress, time_limit, work).await
        })
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        self.shared.runtime.sleep(duration)
    }

    fn detach(&self, work: BoxFuture<()>) {
        self.shared.runtime.detach(work);
    }
}

impl<R: Runtime> StreamTransport for HttpTransport<R> {
    type Body = ResponseBody<R>;

    async fn send_streaming(
        &self,
        request: Request<Body>,
        head_limit: Duration,
    ) -> Result<Response<ResponseBody<R>>, TransportError> {
        let sizes = SizeLimits {
            body: u64::MAX,
            ..self.sizes().clone()
        };
        let mut prepared = self.shared.prepare(request, &sizes, false)?;
        let progress = Progress::new();
        let (connection, reused) = {
            let (route, outgoing, incoming) = prepared.parts();
            let enough = ResponseParser::has_begun;
            let begun = self
                .shared
                .begin(&route, outgoing, incoming, &progress, enough);
            self.watch(route.peer(), &progress, head_limit, pin!(begun))
                .await?
        };
        let Prepared {
            origin,
            mut incoming,
            ..
        } = prepared;
        let head = incoming
            .response()
            .head()
            .expect("the head has arrived")
            .clone();
        let body = ResponseBody::new(
            Arc::clone(&self.shared),
            origin,
            connection,
            incoming,
            progress,
            reused,
        );
        Ok(head.map(|()| body))
    }
}

impl<R: Runtime> UpgradeTransport for HttpTransport<R> {
    type Io = Connection<R::Tcp>;

    async fn upgrade(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> Result<Upgraded<Connection<R::Tcp>>, TransportError> {
        let mut prepared = self.shared.prepare(request, self.sizes(), true)?;
        let (route, outgoing, incoming) = prepared.parts();
        let progress = Progress::new();
        let work = pin!(self.shared.upgrade(&route, outgoing, incoming, &progress));
        self.watch(route.peer(), &progress, time_limit, work).await
    }
}

/// A request that is ready to be sent, and what will become its response.
struct Prepared<'a, R: Runtime> {
    origin: Origin,
    proxy: Option<&'a Proxy>,
    /// Whether the proxy should forward bytes, not requests.
    tunnel: bool,
    outgoing: Outgoing<'a, R>,
    incoming: Incoming,
}

impl<'a, R: Runtime> Prepared<'a, R> {
    fn parts(&mut self) -> (Route<'_>, &mut Outgoing<'a, R>, &mut Incoming) {
        let way = Way {
            origin: &self.origin,
            proxy: self.proxy,
        };
        let route = Route {
            way,
            tunnel: self.tunnel,
        };
        (route, &mut self.outgoing, &mut self.incoming)
    }
}

impl<R: Runtime> Shared<R> {
    /// Writes a request as bytes. With `upgrade`, it asks for another protocol, which no proxy reads.
    fn prepare(
        &self,
        request: Request<Body>,
        sizes: &SizeLimits,
        upgrade: bool,
    ) -> Result<Prepared<'_, R>, TransportError> {
        let origin = Origin::of(request.uri())?;
        if request.extensions().get::<OwnConnection>().is_some() {
            // None of them is to be trusted.
            self.pool.forget(&origin);
        }
        let proxy = self.proxy(&origin);
        let tunnel = upgrade || origin.is_secure();
        let forwarder = proxy.filter(|_| !tunnel);
        let (outgoing, incoming) = prepare(&self.runtime, request, forwarder, sizes, upgrade)?;
        Ok(Prepared {
            origin,
            proxy,
            tunnel,
            outgoing,
            incoming,
        })
    }

    /// Sends a request, on an idle connection if there is one, and reads until enough of the
    /// response has arrived. Returns the connection, and whether it had been idle.
    async fn begin(
        &self,
        route: &Route<'_>,
        outgoing: &mut Outgoing<'_, R>,
        incoming: &mut Incoming,
        progress: &Progress,
        enough: fn(&ResponseParser) -> bool,
    ) -> Result<(Connection<R::Tcp>, bool), TransportError> {
        let origin = route.way.origin;
        let idle = self.pool.take(&self.runtime, origin);
        let setting = Setting {
            peer: route.peer(),
            reused: idle.is_some(),
            progress,
        };
        let mut connection = match idle {
            Some(connection) => connection,
            // Boxed, since connecting is rare and its future large.
            None => Box::pin(dial(&self.runtime, &self.options, route, progress)).await?,
        };
        let sent = send(&mut connection, outgoing, incoming, &setting).await;
        let received = match sent {
            Ok(()) => incoming.read_until(&mut connection, &setting, enough).await,
            Err(error) => Err(error),
        };
        received.inspect_err(|error| {
            if error.sent() == Sent::StaleConnection {
                self.pool.forget(origin);
            }
        })?;
        check_proxy(route.forwarder(), incoming.response())?;
        Ok((connection, setting.reused))
    }

    async fn send(
        &self,
        route: &Route<'_>,
        outgoing: &mut Outgoing<'_, R>,
        incoming: &mut Incoming,
        progress: &Progress,
    ) -> Result<Response<Bytes>, TransportError> {
        let begun = self.begin(route, outgoing, incoming, progress, ResponseParser::is_done);
        let (connection, _) = begun.await?;
        if incoming.keeps_alive() {
            self.pool.put(route.way.origin, connection);
        }
        let response = incoming.response().take_response();
        Ok(response.expect("the response is complete"))
    }

    /// Requests another protocol, on a separate connection and never through a proxy that reads the request.
    async fn upgrade(
        &self,
        route: &Route<'_>,
        outgoing: &mut Outgoing<'_, R>,
        incoming: &mut Incoming,
        progress: &Progress,
    ) -> Result<Upgraded<Connection<R::Tcp>>, TransportError> {
        let dialed = Box::pin(dial(&self.runtime, &self.options, route, progress));
        let mut connection = dialed.await?;
        let setting = Setting {
            peer: route.peer(),
            reused: false,
            progress,
        };
        send(&mut connection, outgoing, incoming, &setting).await?;
        let ended = |response: &ResponseParser| response.is_done() || response.is_upgraded();
        let read = incoming.read_until(&mut connection, &setting, ended);
        read.await?;
        let response = incoming.response();
        Ok(match response.take_upgrade() {
            Some((head, read_ahead)) => Upgraded::Switched {
                head,
                io: connection,
                read_ahead: read_ahead.into(),
            },
            None => {
                let response = response.take_response();
                Upgraded::Refused(response.expect("the response is complete"))
            }
        })
    }
}

/// A response of the proxy itself: the gateway has not seen the request.
fn check_proxy(forwarder: Option<&Proxy>, response: &ResponseParser) -> Result<(), TransportError> {
    let status = response.head().map(Response::status);
    match (forwarder, status) {
        (Some(proxy), Some(status @ StatusCode::PROXY_AUTHENTICATION_REQUIRED)) => {
            Err(refused(proxy, status, Sent::Nothing))
        }
        _ => Ok(()),
    }
}

impl<R: Runtime> Clone for HttpTransport<R> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<R: Runtime> fmt::Debug for HttpTransport<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}
