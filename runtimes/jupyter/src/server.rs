//! The API of Jupyter's servers, REST and WebSockets, as far as it is about kernels: what JupyterLab asks of the server that
//! `--gateway-url` names, and notebooks, agents and libraries of a server that runs code.

mod access;
mod api;
mod body;
mod frames;
mod hub;
mod kernel_requests;
mod kernels;
mod once;
mod reply;
mod routes;
mod session_requests;
mod sessions;
mod socket;
mod specs;

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    CACHE_CONTROL, HeaderValue, VARY,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use serde_json::json;
use sorna::tokio::Client;
use sorna::{ApiVersion, ClientOptions, Config};

use crate::engine::Completeness;
use crate::message::now;
pub use access::Token;
use access::{Access, Refusal, is_origin};
use api::Inner;
pub use kernel_requests::Upgrade;
use once::Once;
use reply::{Problem, json as reply, nothing};
use routes::VERSION;
use sessions::Sessions;
pub use socket::Io;

/// For browsers. It has no addresses of what asks, so that nothing must be escaped.
const HINT: &str = r#"<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Kernels for Jupyter</title></head>
<body style="font-family: sans-serif; max-width: 40em; margin: 3em auto; line-height: 1.5">
<h1>There are kernels here, and no pages</h1>
<p>This is a gateway of <code>sorna serve --jupyter</code>. It runs cells; notebooks and pages are where JupyterLab runs, which
takes this address, without a path:</p>
<pre>$ export JUPYTER_GATEWAY_AUTH_TOKEN=...
$ jupyter lab --gateway-url http://HOST:PORT</pre>
<p>In VS Code: <em>Select Kernel</em>, <em>Existing Jupyter Server...</em>, <code>http://HOST:PORT/?token=...</code></p>
</body>
</html>
"#;

/// A server. Its kernels are those of a gateway, and end with it.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

impl Server {
    /// A server whose kernels are those of a gateway that speaks Sorna v2 and Backend.AI, with these keys, for those who have the
    /// token. Web pages of these `origins` may use it besides those that come from the same host, such as
    /// `https://lab.example.com`; `*` stands for all.
    #[must_use]
    pub fn new(config: &Config, token: Token, origins: &[String]) -> Self {
        let now = now();
        let client = |version| {
            let config = config.clone().with_version(version);
            Client::with_options(config, ClientOptions::new())
        };
        Self(Arc::new(Inner {
            client: client(ApiVersion::V2_20170315),
            session_client: client(ApiVersion::V9_20250722),
            access: Access::new(token, origins),
            judge: |_, _| Completeness::Unknown,
            kernels: Arc::default(),
            sessions: Sessions::default(),
            kernel_starts: Once::default(),
            session_starts: Once::default(),
            started: now,
            last_activity: Mutex::new(now),
        }))
    }

    /// With what judges whether code of a language is whole, by the name of the language.
    ///
    /// # Panics
    ///
    /// If the server is in use already.
    #[must_use]
    pub fn with_judge(mut self, judge: fn(&str, &str) -> Completeness) -> Self {
        let inner = Arc::get_mut(&mut self.0).expect("it is not in use yet");
        inner.judge = judge;
        self
    }

    /// Whether a path is one of this API.
    #[must_use]
    pub fn has(path: &str) -> bool {
        let mut segments = path.trim_start_matches('/').split('/');
        matches!(segments.next(), Some("api" | "kernelspecs")) || is_page(path)
    }

    /// Whether this can be the origin of web pages, or is `*`, as [`new`](Self::new) takes them.
    #[must_use]
    pub fn takes_origin(origin: &str) -> bool {
        is_origin(origin)
    }

    /// Checks who sends a request, by its head.
    ///
    /// # Errors
    ///
    /// The response if it is not to be let in, or needs no permission; its body is not needed then.
    pub fn receive(&self, head: &Parts) -> Result<(), Box<Response<Bytes>>> {
        let path = head.uri.path().trim_end_matches('/');
        if is_page(path) {
            let hint = reply::with(StatusCode::NOT_FOUND, "text/html; charset=utf-8", HINT);
            return Err(Box::new(self.finished(head, hint)));
        }
        // The version is no secret.
        let is_public = path == "/api" && head.method == Method::GET;
        let response = match self.0.access.check(head) {
            Err(Refusal::Origin) => {
                let message = "Cross origin request: this origin is not allowed";
                Problem::new(StatusCode::FORBIDDEN, message).into_response()
            }
            // A browser asks without the token whether it may ask.
            _ if head.method == Method::OPTIONS => nothing(),
            Ok(()) => return Ok(()),
            Err(Refusal::Token) if is_public => reply(StatusCode::OK, &json!({"version": VERSION})),
            Err(Refusal::Token) => Problem::new(StatusCode::FORBIDDEN, "Forbidden").into_response(),
        };
        Err(Box::new(self.finished(head, response)))
    }

    /// An error in the way of this API.
    #[must_use]
    pub fn problem(status: StatusCode, message: &str) -> Response<Bytes> {
        Problem::new(status, message).into_response()
    }

    /// Answers a request that was [let in](Self::receive). Runs on a runtime of tokio with I/O and time, which must go on for as
    /// long as kernels do.
    pub async fn respond(
        &self,
        request: Request<Bytes>,
        upgrade: Option<Upgrade>,
    ) -> Response<Bytes> {
        let (head, body) = request.into_parts();
        let response = routes::answer(&self.0, &head, &body, upgrade).await;
        let response = response.unwrap_or_else(Problem::into_response);
        self.finished(&head, response)
    }

    /// Adds what all responses have.
    fn finished(&self, head: &Parts, mut response: Response<Bytes>) -> Response<Bytes> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return response;
        }
        let allowed = self.0.access.allowed(&head.headers);
        let headers = response.headers_mut();
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        if let Some(origin) = allowed.and_then(|it| HeaderValue::from_str(it).ok()) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(VARY, HeaderValue::from_static("Origin"));
            headers.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("authorization, content-type, x-xsrftoken"),
            );
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, POST, PATCH, DELETE, OPTIONS"),
            );
        }
        response
    }
}

/// Whether someone who opens this in a browser expects JupyterLab, or another application of Jupyter.
fn is_page(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next();
    matches!(
        first,
        Some("lab" | "tree" | "notebooks" | "consoles" | "edit" | "terminals")
    )
}

/// Without its token.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
