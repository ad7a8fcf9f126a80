//! The async drivers' HTTP client.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use sorna_core::{Body, Sent, TransportError};

use super::connection::Connection;
use super::dial::{Route, dial};
use super::exchange::{Setting, exchange};
use super::pool::Pool;
use super::progress::{Progress, watch};
use crate::net::hop::{Hop, refused};
use crate::net::{BoxFuture, NetOptions, Origin, Transport};
use crate::runtime::Runtime;

/// An HTTP/1.1 client on the runtime `R`, with connection reuse, TLS and proxies.
///
/// Clones are cheap and share their connections. Requests may run side by side, each on a connection
/// of its own.
///
/// ```no_run
/// # #[cfg(feature = "smol")]
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// use sorna::core::Body;
/// use sorna::engine::HttpTransport;
/// use sorna::net::{NetOptions, ProxyOptions, Transport};
/// use sorna::runtime::Smol;
///
/// let mut options = NetOptions::default();
/// options.proxy = ProxyOptions::from_lookup(|name| std::env::var(name).ok())?;
/// let transport = HttpTransport::new(Smol, options);
/// let request = http::Request::get("https://api.sorna.io/v2").body(Body::empty())?;
/// let response = transport.send(request, Duration::from_secs(30)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors of a request
///
/// - A connection that had been idle and was closed without one byte of an answer is reported as
///   [`Sent::StaleConnection`]; the other idle ones are dropped with it, so that a repeated request
///   gets a new connection. This client itself never sends a request twice.
/// - An answer that comes while the body is still being sent is handed over, and the connection closed
///   after it. If it is not a success, the rest of the body is not sent.
/// - A request whose future is dropped takes its connection with it.
pub struct HttpTransport<R: Runtime> {
    inner: Arc<Inner<R>>,
}

struct Inner<R: Runtime> {
    runtime: R,
    options: NetOptions,
    pool: Pool<R::Tcp>,
}

impl<R: Runtime> HttpTransport<R> {
    /// A client with these settings. Nothing is opened or read yet.
    #[must_use]
    pub fn new(runtime: R, options: NetOptions) -> Self {
        let pool = Pool::new(options.pool.clone());
        Self {
            inner: Arc::new(Inner {
                runtime,
                options,
                pool,
            }),
        }
    }

    /// The runtime.
    #[must_use]
    pub fn runtime(&self) -> &R {
        &self.inner.runtime
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &NetOptions {
        &self.inner.options
    }

    /// A new connection to the server of an `http`, `https`, `ws` or `wss` URL, for another protocol
    /// such as WebSocket: through the proxy (always by `CONNECT`) and TLS that requests would use, but
    /// never pooled.
    ///
    /// # Errors
    ///
    /// As for requests, with nothing sent; the limit for connecting applies.
    pub async fn connect(&self, uri: &Uri) -> Result<Connection<R::Tcp>, TransportError> {
        let origin = Origin::of(uri)?;
        let route = self.inner.route(&origin, true);
        let Inner {
            runtime, options, ..
        } = &*self.inner;
        dial(runtime, options, &route, &Progress::default()).await
    }
}

impl<R: Runtime> Transport for HttpTransport<R> {
    async fn send(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        let inner = &*self.inner;
        let times = &inner.options.times;
        let total = times.call.map_or(time_limit, |call| call.min(time_limit));
        let origin = Origin::of(request.uri())?;
        let progress = Progress::default();
        // Pinned here, and not handed over, since a future that holds another twice is twice as large.
        let work = pin!(inner.send(&origin, request, &progress));
        let watched = watch(&inner.runtime, &progress, &origin, total, times.idle, work);
        watched.await
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        self.inner.runtime.sleep(duration)
    }

    fn detach(&self, work: BoxFuture<()>) {
        self.inner.runtime.detach(work);
    }
}

impl<R: Runtime> Inner<R> {
    fn route<'a>(&'a self, origin: &'a Origin, tunnel: bool) -> Route<'a> {
        let scheme = if origin.is_secure() { "https" } else { "http" };
        let proxy = &self.options.proxy;
        Route {
            hop: Hop {
                origin,
                proxy: proxy.proxy_for(scheme, origin.host(), origin.port()),
            },
            tunnel: tunnel || origin.is_secure(),
        }
    }

    async fn send(
        &self,
        origin: &Origin,
        request: Request<Body>,
        progress: &Progress,
    ) -> Result<Response<Bytes>, TransportError> {
        let route = self.route(origin, false);
        let idle = self.pool.take(&self.runtime, origin);
        let reused = idle.is_some();
        let mut connection = match idle {
            Some(connection) => connection,
            // Rare, and large.
            None => Box::pin(dial(&self.runtime, &self.options, &route, progress)).await?,
        };
        let forwarder = route.hop.proxy.filter(|_| !route.tunnel);
        let setting = Setting {
            peer: origin,
            proxy: forwarder,
            reused,
            sizes: &self.options.sizes,
            progress,
        };
        let exchanged = exchange(&self.runtime, &mut connection, request, setting).await;
        let exchanged = exchanged.inspect_err(|error| {
            if error.sent() == Sent::StaleConnection {
                self.pool.forget(origin);
            }
        })?;
        if exchanged.keep_alive {
            self.pool.put(origin, connection);
        }
        let status = exchanged.response.status();
        match forwarder {
            // The proxy's own word: the gateway has not seen the request.
            Some(proxy) if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(refused(proxy, status, Sent::Nothing))
            }
            _ => Ok(exchanged.response),
        }
    }
}

impl<R: Runtime> Clone for HttpTransport<R> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<R: Runtime> fmt::Debug for HttpTransport<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}
