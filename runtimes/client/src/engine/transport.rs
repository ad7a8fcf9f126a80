//! The async drivers' HTTP client.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use sorna_core::{Body, Sent, TransportError};

use super::body::ResponseBody;
use super::connection::Connection;
use super::dial::dial;
use super::exchange::{Incoming, Setting, send};
use super::pool::Pool;
use super::progress::{Progress, watch};
use super::shared::Shared;
use crate::net::explain::{Peer, refused};
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
    pub(crate) fn tunnel_peer<'a>(&'a self, origin: &'a Origin) -> Peer<'a> {
        self.shared.route(origin, true).peer()
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
    async fn send(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        let origin = Origin::of(request.uri())?;
        let progress = Progress::new();
        // Pinned here and not passed on, since a future that holds another one twice is twice as large.
        let work = pin!(self.shared.send(&origin, request, &progress));
        let peer = self.shared.peer(&origin);
        self.watch(peer, &progress, time_limit, work).await
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
        let origin = Origin::of(request.uri())?;
        let progress = Progress::new();
        let sizes = SizeLimits {
            body: u64::MAX,
            ..self.shared.options.sizes.clone()
        };
        let begun = {
            let shared = &*self.shared;
            let work = shared.begin(
                &origin,
                request,
                &progress,
                &sizes,
                ResponseParser::has_begun,
            );
            self.watch(self.shared.peer(&origin), &progress, head_limit, pin!(work))
                .await?
        };
        let Begun {
            connection,
            mut incoming,
            reused,
        } = begun;
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
        let origin = Origin::of(request.uri())?;
        let progress = Progress::new();
        let work = pin!(self.shared.upgrade(&origin, request, &progress));
        let peer = self.tunnel_peer(&origin);
        self.watch(peer, &progress, time_limit, work).await
    }
}

/// A request that was sent, and the response as far as it arrived.
struct Begun<T> {
    connection: Connection<T>,
    incoming: Incoming,
    /// Whether the connection had been idle.
    reused: bool,
}

impl<R: Runtime> Shared<R> {
    /// Sends a request, on an idle connection if there is one, and reads until enough of the
    /// response has arrived.
    async fn begin(
        &self,
        origin: &Origin,
        request: Request<Body>,
        progress: &Progress,
        sizes: &SizeLimits,
        enough: fn(&ResponseParser) -> bool,
    ) -> Result<Begun<R::Tcp>, TransportError> {
        let route = self.route(origin, false);
        if request.extensions().get::<OwnConnection>().is_some() {
            // None of them is to be trusted.
            self.pool.forget(origin);
        }
        let idle = self.pool.take(&self.runtime, origin);
        let reused = idle.is_some();
        let mut connection = match idle {
            Some(connection) => connection,
            // Boxed, since connecting is rare and its future large.
            None => Box::pin(dial(&self.runtime, &self.options, &route, progress)).await?,
        };
        let forwarder = route.way.proxy.filter(|_| !route.tunnel);
        let setting = Setting {
            peer: route.peer(),
            proxy: forwarder,
            reused,
            sizes,
            progress,
        };
        let received = self.exchange(&mut connection, request, &setting, enough);
        let mut incoming = received.await.inspect_err(|error| {
            if error.sent() == Sent::StaleConnection {
                self.pool.forget(origin);
            }
        })?;
        check_proxy(forwarder, incoming.response())?;
        Ok(Begun {
            connection,
            incoming,
            reused,
        })
    }

    async fn exchange(
        &self,
        connection: &mut Connection<R::Tcp>,
        request: Request<Body>,
        setting: &Setting<'_>,
        enough: fn(&ResponseParser) -> bool,
    ) -> Result<Incoming, TransportError> {
        let mut incoming = send(&self.runtime, connection, request, setting, false).await?;
        incoming.read_until(connection, setting, enough).await?;
        Ok(incoming)
    }

    async fn send(
        &self,
        origin: &Origin,
        request: Request<Body>,
        progress: &Progress,
    ) -> Result<Response<Bytes>, TransportError> {
        let sizes = &self.options.sizes;
        let begun = self.begin(origin, request, progress, sizes, ResponseParser::is_done);
        let Begun {
            connection,
            mut incoming,
            ..
        } = begun.await?;
        if incoming.keeps_alive() {
            self.pool.put(origin, connection);
        }
        let response = incoming.response().take_response();
        Ok(response.expect("the response is complete"))
    }

    /// Requests another protocol, on a separate connection and never through a proxy that reads the request.
    async fn upgrade(
        &self,
        origin: &Origin,
        request: Request<Body>,
        progress: &Progress,
    ) -> Result<Upgraded<Connection<R::Tcp>>, TransportError> {
        let route = self.route(origin, true);
        let dialed = Box::pin(dial(&self.runtime, &self.options, &route, progress));
        let mut connection = dialed.await?;
        let setting = Setting {
            peer: route.peer(),
            proxy: None,
            reused: false,
            sizes: &self.options.sizes,
            progress,
        };
        let mut incoming = send(&self.runtime, &mut connection, request, &setting, true).await?;
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
