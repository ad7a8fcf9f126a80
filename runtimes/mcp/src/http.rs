//! Any number of clients, by HTTP.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::model::JsonRpcError;
use rmcp::transport::common::http_header::HEADER_SESSION_ID;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::message::{refusal, too_long};
use crate::server::Service;

/// The path at which it is served.
pub(crate) const PATH: &str = "/mcp";
/// How many connections may be open at a time, and how long a client may take for the head of a request.
const MOST_CONNECTIONS: usize = 256;
const HEAD: Duration = Duration::from_secs(30);
/// How long to wait after a connection could not be taken, as when too many files are open.
const PAUSE: Duration = Duration::from_millis(100);
/// How long responses have to be sent at the end.
const FAREWELL: Duration = Duration::from_secs(3);
/// The largest request, in bytes: files are sent in one.
const MOST_BODY: usize = 16 * 1024 * 1024;
const JSON: &str = "application/json";

/// What clients say to be let in. It is never shown.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// This one; `None` if it is shorter than 16 characters, or has some that a header cannot have.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_fit = text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_fit.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// A random one.
    #[must_use]
    pub fn random() -> Self {
        Self(Zeroizing::new(sorna::random_token().to_string()))
    }

    /// Its text, for those who may have it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a request has it. Takes as long for any token of the same length.
    fn is_in(&self, header: Option<&HeaderValue>) -> bool {
        let given = header.map(HeaderValue::as_bytes).unwrap_or_default();
        let Some((scheme, given)) = given.split_at_checked(7) else {
            return false;
        };
        let differences = given.iter().zip(self.0.as_bytes());
        let difference = differences.fold(0, |all, (one, other)| all | (one ^ other));
        scheme.eq_ignore_ascii_case(b"Bearer ") && given.len() == self.0.len() && difference == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The connections over which no one has said the token yet, the oldest first. They make room for others.
#[derive(Clone, Debug, Default)]
struct Strangers(Arc<Mutex<VecDeque<CancellationToken>>>);

impl Strangers {
    fn all(&self) -> std::sync::MutexGuard<'_, VecDeque<CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the oldest one.
    fn end_oldest(&self) {
        if let Some(oldest) = self.all().pop_front() {
            oldest.cancel();
        }
    }
}

/// A connection, as long as it is open.
struct Connection {
    strangers: Strangers,
    /// Cancelled when it is to make room.
    leave: CancellationToken,
}

impl Connection {
    fn new(strangers: &Strangers) -> Self {
        let leave = CancellationToken::new();
        strangers.all().push_back(leave.clone());
        Self {
            strangers: strangers.clone(),
            leave,
        }
    }

    /// Its client has said the token: it does not make room any more.
    fn let_in(&self) {
        self.strangers.all().retain(|it| *it != self.leave);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.let_in();
    }
}

type Answer = Response<BoxBody<Bytes, Infallible>>;
type Tools = StreamableHttpService<Service, LocalSessionManager>;

/// Serves clients that have the token, until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    token: Token,
    service: Service,
    stop: CancellationToken,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?.ip();
    // As a URL has it.
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let origins = ["localhost", "127.0.0.1", "[::1]", &host];
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(["localhost", "127.0.0.1", "::1", &address.to_string()])
        .with_allowed_origins(origins.map(|host| format!("http://{host}:*")))
        .with_max_request_body_bytes(MOST_BODY)
        .with_cancellation_token(stop.clone());
    let mut clients = LocalSessionManager::default();
    clients.session_config.keep_alive = Some(service.memory());
    let made = service.clone();
    let make = move || Ok(made.clone());
    let tools = Arc::new(Tools::new(make, Arc::new(clients), config));
    let token = Arc::new(token);
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let strangers = Strangers::default();
    let tracker = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections, &strangers) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, permit)) = accepted else {
            continue;
        };
        let (tools, token, stop) = (Arc::clone(&tools), Arc::clone(&token), stop.clone());
        let service = service.clone();
        let from = Connection::new(&strangers);
        tracker.spawn(async move {
            let _permit = permit;
            let answer = service_fn(|request| answer(&tools, &service, &token, &from, request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), answer);
            tokio::pin!(connection);
            // What a client does wrong ends its connection.
            let _ = tokio::select! {
                served = connection.as_mut() => served,
                () = from.leave.cancelled() => return,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
                }
            };
        });
    }
    tracker.close();
    let _ = tokio::time::timeout(FAREWELL, tracker.wait()).await;
    Ok(())
}

/// The next connection, once there is room for it. If there is none, the oldest client that has not sent the token has to leave.
async fn accept(
    listener: &tokio::net::TcpListener,
    connections: &Arc<Semaphore>,
    strangers: &Strangers,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    match listener.accept().await {
        Ok((stream, _)) => {
            let _ = stream.set_nodelay(true);
            if connections.available_permits() == 0 {
                strangers.end_oldest();
            }
            let permit = Arc::clone(connections).acquire_owned().await.ok()?;
            Some((stream, permit))
        }
        Err(_) => {
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

async fn answer(
    tools: &Tools,
    service: &Service,
    token: &Token,
    from: &Connection,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    if !token.is_in(request.headers().get(AUTHORIZATION)) {
        let mut refused = plain(StatusCode::UNAUTHORIZED, "This needs the bearer token.\n");
        let scheme = HeaderValue::from_static("Bearer");
        refused.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        return Ok(refused);
    }
    from.let_in();
    if request.uri().path() != PATH {
        return Ok(plain(StatusCode::NOT_FOUND, "There is only /mcp.\n"));
    }
    let (head, body) = request.into_parts();
    let is_end = head.method == Method::DELETE;
    let ended = head.headers.get(HEADER_SESSION_ID).filter(|_| is_end);
    let ended = ended.cloned();
    let body = match Limited::new(body, MOST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Ok(refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                &too_long(MOST_BODY, &[], &[]),
            ));
        }
        Err(_) => return Ok(plain(StatusCode::BAD_REQUEST, "The body has no end.\n")),
    };
    let is_json = has_json(&head.headers);
    let request = Request::from_parts(head, Full::new(body.clone()));
    let mut response = tools.handle(request).await;
    // The SDK says that of a body, too.
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE && is_json {
        return Ok(refused(StatusCode::BAD_REQUEST, &refusal(&body)));
    }
    if is_end && response.status().is_success() {
        // Nothing is left to be done, and some clients take `Accepted` for a failure.
        *response.status_mut() = StatusCode::NO_CONTENT;
        if let Some(Ok(id)) = ended.as_ref().map(HeaderValue::to_str) {
            service.forget(id);
        }
    }
    Ok(response)
}

/// Whether these headers say that the body is JSON.
fn has_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(JSON))
}

fn refused(status: StatusCode, refusal: &JsonRpcError) -> Answer {
    let text = serde_json::to_vec(refusal).unwrap_or_default();
    of_kind(status, JSON, text)
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    of_kind(status, "text/plain", text)
}

fn of_kind(status: StatusCode, kind: &'static str, content: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(content.into()).boxed());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_lets_in() {
        let token = Token::new("0123456789abcdef").expect("it is long enough");
        let is_in = |text: &'static str| token.is_in(Some(&HeaderValue::from_static(text)));
        assert!(is_in("Bearer 0123456789abcdef") && is_in("bearer 0123456789abcdef"));
        for wrong in [
            "Bearer 0123456789abcdeg",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Basic  0123456789abcdef",
            "0123456789abcdef",
            "",
        ] {
            assert!(!is_in(wrong), "{wrong}");
        }
        assert!(!token.is_in(None));
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert!(Token::new("short").is_none() && Token::new("0123456789abcde\n").is_none());
        assert_ne!(Token::random().reveal(), Token::random().reveal());
    }
}
