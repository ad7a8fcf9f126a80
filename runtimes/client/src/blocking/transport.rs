//! Carries requests to the gateway by ureq.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use sorna_core::{Body, Sent, TransportError, TransportErrorKind};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::{Connector, DefaultConnector};
use ureq::{Agent, SendBody, Timeout};

use super::SendMeter;
use super::body::BodyReader;
use super::resolver::CachingResolver;
use super::runtime::Threads;
use super::socket::Socket;
use super::stream::StreamedBody;
use super::tracker::{Progress, TrackingConnector};
use super::wait::{Sleep, time_left, wait_at_most, yield_now};
use crate::ClientOptions;
use crate::engine::{Connection, HttpTransport};
use crate::net::{
    BoxFuture, NetOptions, Origin, Proxy, StreamTransport, Transport, UpgradeTransport, Upgraded,
};

/// Sends by ureq. Its futures block when they are polled: they are for [`wait`](super::wait::wait) alone.
pub(super) struct UreqTransport {
    options: ClientOptions,
    /// Made with the first request, since that may have to read certificates.
    agent: OnceLock<Agent>,
    /// Makes the connections of terminals.
    connections: HttpTransport<Threads>,
    meter: SendMeter,
}

impl UreqTransport {
    pub(super) fn new(options: ClientOptions) -> Self {
        let runtime = Threads {
            connect_limit: options.net.times.connect,
        };
        Self {
            connections: HttpTransport::new(runtime, options.net.clone()),
            options,
            agent: OnceLock::new(),
            meter: SendMeter::default(),
        }
    }

    pub(super) fn meter(&self) -> SendMeter {
        self.meter.clone()
    }

    pub(super) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Sends one request and reads its response, whatever its status: all that `read` reads, if `whole`,
    /// within the time limit, otherwise its head.
    fn exchange<B>(
        &self,
        request: Request<Body>,
        time_limit: Duration,
        whole: bool,
        read: impl FnOnce(ureq::Body) -> Result<B, ureq::Error>,
    ) -> Result<Response<B>, TransportError> {
        let origin = Origin::of(request.uri())?;
        let agent = self.agent(&origin)?;
        let (parts, body) = request.into_parts();
        let body_follows = !body.is_empty();
        let mut reader = BodyReader::new(body, self.meter.clone());
        let limits = [self.options.net.times.request, time_left()];
        let limit = limits.into_iter().flatten().fold(time_limit, Duration::min);
        let head_by = if whole {
            None
        } else {
            Instant::now().checked_add(limit)
        };
        Progress::reset(body_follows, head_by);
        let exchange = || {
            let request = Request::from_parts(parts, SendBody::from_reader(&mut reader));
            let request = agent.configure_request(request);
            let request = match whole {
                true => request.timeout_global(Some(limit)),
                false => request.timeout_connect(Some(limit.min(self.options.net.times.connect))),
            };
            let (parts, body) = agent.run(request.build())?.into_parts();
            if parts.status.is_informational() {
                // Another protocol, for which nobody asked. ureq takes it for an answer.
                let unasked = format!("status {} was not asked for", parts.status);
                let unasked = ureq_proto::Error::HttpParseFail(unasked);
                return Err(ureq::Error::Protocol(unasked));
            }
            Ok(Response::from_parts(parts, read(body)?))
        };
        let exchanged = exchange();
        Progress::head_is_over();
        exchanged.map_err(|error| match reader.take_failure() {
            Some(file) => {
                let message = format!("cannot send {}", file.path.display());
                TransportError::new(TransportErrorKind::LocalFile, sent(), message)
                    .with_source(file.error)
            }
            None => self.explain(error, &origin, limit),
        })
    }

    fn agent(&self, origin: &Origin) -> Result<&Agent, TransportError> {
        if let Some(agent) = self.agent.get() {
            return Ok(agent);
        }
        let agent = self.new_agent(origin)?;
        Ok(self.agent.get_or_init(|| agent))
    }

    /// A client has one endpoint, so its agent needs to know one origin's proxy and TLS.
    fn new_agent(&self, origin: &Origin) -> Result<Agent, TransportError> {
        let NetOptions {
            times,
            sizes,
            pool,
            tls,
            ..
        } = &self.options.net;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .accept("")
            .accept_encoding("")
            .timeout_connect(Some(times.connect))
            .timeout_per_read(Some(times.idle))
            .timeout_per_write(Some(times.idle))
            .max_response_header_size(sizes.head)
            .max_idle_connections(usize::MAX)
            .max_idle_connections_per_host(pool.idle_per_origin)
            .max_idle_age(pool.idle_age)
            .proxy(self.proxy(origin).map(ureq_proxy).transpose()?);
        if origin.is_secure() {
            let roots: Vec<Certificate<'static>> = tls
                .certificates()?
                .iter()
                .map(|der| Certificate::from_der(der).to_owned())
                .collect();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            config = config.tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::Specific(Arc::new(roots)))
                    .unversioned_rustls_crypto_provider(provider)
                    .build(),
            );
        }
        let tracking = TrackingConnector {
            through_proxy: self.proxy(origin).is_some(),
        };
        Ok(Agent::with_parts(
            config.build(),
            DefaultConnector::new().chain(tracking),
            CachingResolver::default(),
        ))
    }

    fn proxy(&self, origin: &Origin) -> Option<&Proxy> {
        let scheme = if origin.is_secure() { "https" } else { "http" };
        self.options
            .net
            .proxy
            .proxy_for(scheme, origin.host(), origin.port())
    }

    /// Says what failed, and at what.
    fn explain(&self, error: ureq::Error, origin: &Origin, limit: Duration) -> TransportError {
        use TransportErrorKind as Kind;

        let progress = Progress::get();
        let connecting = !progress.sent;
        let times = &self.options.net.times;
        let (kind, message) = match &error {
            ureq::Error::HostNotFound => {
                (Kind::Resolve, format!("cannot find the host of {origin}"))
            }
            ureq::Error::Timeout(Timeout::Resolve) => (
                Kind::Timeout,
                format!(
                    "finding the host of {origin} took longer than {:?}",
                    times.connect
                ),
            ),
            ureq::Error::Timeout(Timeout::Connect) => (
                Kind::Timeout,
                format!(
                    "connecting to {origin} took longer than {:?}",
                    times.connect
                ),
            ),
            ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => (
                Kind::Timeout,
                format!("{origin} was silent for longer than {:?}", times.idle),
            ),
            ureq::Error::Timeout(_) => (
                Kind::Timeout,
                format!("the request to {origin} took longer than {limit:?}"),
            ),
            ureq::Error::ConnectProxyFailed(_) => (
                Kind::Proxy,
                match self.proxy(origin) {
                    Some(proxy) => format!("the proxy {proxy} did not connect to {origin}"),
                    None => format!("a proxy did not connect to {origin}"),
                },
            ),
            ureq::Error::Tls(_)
            | ureq::Error::Rustls(_)
            | ureq::Error::Pem(_)
            | ureq::Error::TlsRequired => (Kind::Tls, format!("no secure connection to {origin}")),
            ureq::Error::BodyExceedsLimit(most) => (
                Kind::TooLarge,
                format!("the answer of {origin} has more than {most} bytes"),
            ),
            ureq::Error::LargeResponseHeader(_, most) => (
                Kind::TooLarge,
                format!("the head of the answer of {origin} has more than {most} bytes"),
            ),
            ureq::Error::Io(source) if is_resolution(source) && connecting => {
                (Kind::Resolve, format!("cannot find the host of {origin}"))
            }
            ureq::Error::Io(source) if is_tls(source) => {
                (Kind::Tls, format!("no secure connection to {origin}"))
            }
            ureq::Error::Io(_) | ureq::Error::ConnectionFailed if connecting => {
                (Kind::Connect, format!("cannot connect to {origin}"))
            }
            ureq::Error::Io(_) if !progress.received => (
                Kind::Receive,
                format!("{origin} closed the connection without an answer"),
            ),
            ureq::Error::Io(_) | ureq::Error::BodyStalled => (
                Kind::Receive,
                format!("the connection to {origin} broke before the answer was complete"),
            ),
            ureq::Error::Protocol(ureq_proto::Error::HttpParseTooManyHeaders) => (
                Kind::TooLarge,
                format!("the answer of {origin} has too many headers"),
            ),
            ureq::Error::Protocol(_) => {
                (Kind::Receive, format!("the answer of {origin} is not HTTP"))
            }
            _ => (Kind::Other, format!("the request to {origin} failed")),
        };
        let sent = match (kind, sent()) {
            // A connection that is silent is not a closed one.
            (Kind::Timeout, Sent::StaleConnection) => Sent::Maybe,
            (_, sent) => sent,
        };
        let failure = TransportError::new(kind, sent, message);
        match error {
            ureq::Error::Io(source) => failure.with_source(source),
            other => failure.with_source(other),
        }
    }
}

impl Transport for UreqTransport {
    async fn send(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        let most = self.options.net.sizes.body;
        let result = self.exchange(request, time_limit, true, |mut body| {
            // What is announced to be too large is not waited for.
            if body.content_length().is_some_and(|length| length > most) {
                return Err(ureq::Error::BodyExceedsLimit(most));
            }
            Ok(Bytes::from(body.with_config().limit(most).read_to_vec()?))
        });
        // A run looks whether it was cancelled when it is polled. Without this it would not be polled
        // between one request and the next.
        yield_now().await;
        result
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        Sleep::of(duration)
    }

    /// Does the work at once, for at most 5 s: there is no runtime that could do it later.
    fn detach(&self, work: BoxFuture<()>) {
        let _ = wait_at_most(ClientOptions::LAST_TRY, work);
    }
}

impl StreamTransport for UreqTransport {
    type Body = StreamedBody;

    async fn send_streaming(
        &self,
        request: Request<Body>,
        head_limit: Duration,
    ) -> Result<Response<StreamedBody>, TransportError> {
        let origin = Origin::of(request.uri())?;
        let idle = self.options.net.times.idle;
        self.exchange(request, head_limit, false, |body| {
            Ok(StreamedBody::new(body, origin, idle))
        })
    }
}

impl UpgradeTransport for UreqTransport {
    type Io = Connection<Socket>;

    fn upgrade(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> impl Future<Output = Result<Upgraded<Self::Io>, TransportError>> + Send {
        self.connections.upgrade(request, time_limit)
    }
}

/// How much of this thread's last request may have reached the gateway.
fn sent() -> Sent {
    let progress = Progress::get();
    match progress {
        Progress { sent: false, .. } => Sent::Nothing,
        Progress {
            fresh: false,
            received: false,
            ..
        } => Sent::StaleConnection,
        _ => Sent::Maybe,
    }
}

fn ureq_proxy(proxy: &Proxy) -> Result<ureq::Proxy, TransportError> {
    let mut builder = ureq::Proxy::builder(ureq::ProxyProtocol::Http)
        .host(proxy.host())
        .port(proxy.port());
    if let Some(user) = proxy.user() {
        builder = builder.username(user);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    builder.build().map_err(|error| {
        let message = format!("the proxy {proxy} cannot be used");
        TransportError::new(TransportErrorKind::Proxy, Sent::Nothing, message).with_source(error)
    })
}

/// The standard library does not tell a failed look-up from other errors but by its text.
fn is_resolution(error: &std::io::Error) -> bool {
    error.to_string().contains("failed to lookup address")
}

/// TLS errors come out of ureq inside I/O errors.
fn is_tls(error: &std::io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
}
