//! The HTTP client: ureq, set up so that it changes nothing about a signed request.

use std::future::Future;
use std::io::Read as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use sorna_core::{Body, TransportError};
use ureq::{Agent, SendBody};

use super::SendMeter;
use super::body::BodyReader;
use super::failure::{Failure, Scene};
use super::line::{Dialer, NoResolver};
use super::runtime::Threads;
use super::socket::Socket;
use super::streamed_body::StreamedBody;
use super::tracker;
use super::wait::{Sleep, time_left, wait_at_most, yield_now};
use crate::ClientOptions;
use crate::engine::{Connection, HttpTransport};
use crate::lock::lock;
use crate::net::explain::Fault;
use crate::net::{
    BoxFuture, NetOptions, Origin, OwnConnection, StreamTransport, Transport, UpgradeTransport,
    Upgraded,
};

/// Most memory reserved for an announced body before any of it arrived, bytes.
const AT_ONCE: u64 = 64 * 1024;

/// Sends with ureq. Its futures block when they are polled: they are only for [`wait`](super::wait::wait).
pub(super) struct UreqTransport {
    options: ClientOptions,
    /// Has the idle connections, which cannot be closed in another way than by dropping it.
    agent: Mutex<Agent>,
    /// Makes all connections.
    connections: HttpTransport<Threads>,
    meter: SendMeter,
}

impl UreqTransport {
    pub(super) fn new(options: ClientOptions) -> Self {
        let net = &options.net;
        let runtime = Threads {
            connect_limit: net.times.connect,
        };
        let connections = HttpTransport::new(runtime, net.clone());
        Self {
            agent: Mutex::new(agent(net, &connections)),
            connections,
            options,
            meter: SendMeter::default(),
        }
    }

    /// Closes the idle connections.
    fn forget_connections(&self) {
        *lock(&self.agent) = agent(&self.options.net, &self.connections);
    }
    pub(super) fn meter(&self) -> SendMeter {
        self.meter.clone()
    }

    pub(super) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Sends one request and reads its response, whatever its status. If `whole`, the time limit
    /// covers all that `read` reads, otherwise only the head.
    fn exchange<B>(
        &self,
        request: Request<Body>,
        time_limit: Duration,
        whole: bool,
        read: impl FnOnce(ureq::Body) -> Result<B, Failure>,
    ) -> Result<Response<B>, TransportError> {
        let origin = Origin::of(request.uri())?;
        let (parts, body) = request.into_parts();
        let limits = [self.options.net.times.request, time_left()];
        let limit = limits.into_iter().flatten().fold(time_limit, Duration::min);
        let head_by = match whole {
            true => None,
            false => Instant::now().checked_add(limit),
        };
        tracker::begin(!body.is_empty(), head_by);
        let mut reader = BodyReader::new(body, self.meter.clone());
        let run = || {
            let request = Request::from_parts(parts, SendBody::from_reader(&mut reader));
            let agent = lock(&self.agent).clone();
            let request = agent.configure_request(request);
            let request = request.timeout_global(whole.then_some(limit));
            let (parts, body) = agent.run(request.build())?.into_parts();
            if parts.status.is_informational() {
                return Err(Failure::Response(Fault::Upgrade));
            }
            Ok(Response::from_parts(parts, read(body)?))
        };
        let exchanged = run();
        tracker::head_is_over();
        exchanged.map_err(|failure| match reader.take_failure() {
            Some((path, fault)) => fault.explain(&path, tracker::sent()),
            None => Scene {
                peer: self.connections.tunnel_peer(&origin),
                doing: tracker::doing(),
                sent: tracker::sent(),
                sent_if_closed: tracker::sent_if_closed(),
                foreign: tracker::foreign(),
                idle: self.options.net.times.idle,
                limit,
            }
            .explain(failure),
        })
    }

    /// Reads the whole body of a response.
    fn read(&self, mut body: ureq::Body) -> Result<Bytes, Failure> {
        let most = self.options.net.sizes.body;
        let length = body.content_length();
        // A body that is announced as too large is not read at all.
        if length.is_some_and(|length| length > most) {
            return Err(ureq::Error::BodyExceedsLimit(most).into());
        }
        let announced = length.map_or(0, |length| length.min(AT_ONCE) as usize);
        let mut bytes = Vec::with_capacity(announced);
        let read = body
            .with_config()
            .limit(most)
            .reader()
            .read_to_end(&mut bytes);
        match read {
            Ok(_) => Ok(Bytes::from(bytes)),
            Err(error) => Err(Failure::of_body(error, length, bytes.len() as u64)),
        }
    }
}

/// Makes requests over these connections, and keeps those that are idle.
fn agent(net: &NetOptions, connections: &HttpTransport<Threads>) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .accept("")
        .accept_encoding("")
        .proxy(None)
        .timeout_per_read(Some(net.times.idle))
        .timeout_per_write(Some(net.times.idle))
        .max_response_header_size(net.sizes.head)
        .max_idle_connections(usize::MAX)
        .max_idle_connections_per_host(net.pool.idle_per_origin)
        .max_idle_age(net.pool.idle_age)
        .build();
    Agent::with_parts(config, Dialer(connections.clone()), NoResolver)
}

impl Transport for UreqTransport {
    async fn send(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        if request.extensions().get::<OwnConnection>().is_some() {
            // None of them is to be trusted.
            self.forget_connections();
        }
        let result = self.exchange(request, time_limit, true, |body| self.read(body));
        // A run checks whether it was cancelled when it is polled. Without this it would not be
        // polled between two requests.
        yield_now().await;
        result
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        Sleep::of(duration)
    }

    /// Does the work now, for at most 5 s: there is no runtime that could do it later.
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
        self.exchange(request, head_limit, false, |body| {
            Ok(StreamedBody::new(body, origin, self.connections.clone()))
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
