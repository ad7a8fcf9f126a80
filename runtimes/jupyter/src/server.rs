//! The API of Jupyter's servers, REST and WebSockets, as far as it is about kernels: what JupyterLab asks of the server that
//! `--gateway-url` names, and notebooks, agents and libraries of a server that runs code.

mod access;
mod frames;
mod hub;
mod kernels;
mod once;
mod reply;
mod sessions;
mod socket;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    CACHE_CONTROL, HeaderValue, LOCATION, VARY,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use sorna::tokio::Client;
use sorna::{ApiVersion, ClientOptions, Config, KernelSpec, Limits};

use crate::engine::Completeness;
use crate::language::Language;
use crate::lock::lock;
use crate::message::now;
use crate::spec::is_name;
pub use access::Token;
use access::{Access, Refusal, is_origin, query};
use kernels::{Entry, Kernels};
use once::Once;
use reply::{Problem, json as reply, nothing};
use sessions::{Session, Sessions};
pub use socket::Io;

/// The version of Jupyter's server whose API this is.
const VERSION: &str = "2.17.0";
/// The kernel that is started where none is named, if there is one.
const USUAL: &str = "python3";
/// As long as executions may take: users interrupt them.
const UNLIMITED: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const LOGO: &str = "logo-svg.svg";

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

/// The connection of a request, once a response with status 101 has been sent; `None` if the client is gone.
pub type Upgrade = Pin<Box<dyn Future<Output = Option<Box<dyn Io>>> + Send>>;

/// A server. Its kernels are those of a gateway, and end with it.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    client: Client,
    /// For kernels with variables, which Sorna v2 has not.
    session_client: Client,
    access: Access,
    judge: fn(&str, &str) -> Completeness,
    kernels: Arc<Kernels>,
    sessions: Sessions,
    /// Kernels that are being started, by the IDs that clients have chosen.
    kernel_starts: Once<Arc<Entry>>,
    /// Sessions whose kernels are being started, by their paths.
    session_starts: Once<Session>,
    started: Timestamp,
    last_activity: Mutex<Timestamp>,
}

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
        let response = self.answer(&head, &body, upgrade).await;
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

    async fn answer(
        &self,
        head: &Parts,
        body: &[u8],
        upgrade: Option<Upgrade>,
    ) -> Result<Response<Bytes>, Problem> {
        let path = head.uri.path().trim_matches('/');
        let segments: Vec<String> = path
            .split('/')
            .map(|it| percent_decode_str(it).decode_utf8_lossy().into_owned())
            .collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let method = match head.method.as_str() {
            "HEAD" => "GET",
            method => method,
        };
        if !matches!(segments[..], ["api", "status"]) {
            *lock(&self.0.last_activity) = now();
        }
        match (method, &segments[..]) {
            ("GET", ["api"]) => Ok(reply(StatusCode::OK, &json!({"version": VERSION}))),
            ("GET", ["api", "status"]) => Ok(self.status()),
            ("GET", ["api", "me"]) => Ok(me(head)),
            ("GET", ["api", "kernelspecs"]) => self.kernelspecs().await,
            ("GET", ["api", "kernelspecs", name]) => {
                let specs = self.specs().await?;
                let spec = specs
                    .get(*name)
                    .ok_or_else(|| Problem::not_found(format!("Kernel spec {name} not found")))?;
                Ok(reply(StatusCode::OK, spec))
            }
            ("GET", ["kernelspecs", name, resource]) => {
                let is_known = *resource == LOGO && self.specs().await?.contains_key(*name);
                match is_known {
                    true => Ok(logo(name)),
                    false => Err(Problem::not_found("Not Found")),
                }
            }
            ("GET", ["api", "kernels"]) => {
                let kernels = self.kernels().await;
                let models = kernels.iter().map(|it| it.model()).collect();
                Ok(reply(StatusCode::OK, &Value::Array(models)))
            }
            ("POST", ["api", "kernels"]) => self.start(body).await,
            ("GET", ["api", "kernels", id]) => {
                self.0.kernels.find(id)?.look().await;
                Ok(reply(StatusCode::OK, &self.0.kernels.find(id)?.model()))
            }
            ("DELETE", ["api", "kernels", id]) => {
                self.0.kernel_starts.settled(id).await;
                self.0.kernels.find(id)?.end().await;
                Ok(nothing())
            }
            ("POST", ["api", "kernels", id, "interrupt"]) => {
                self.0.kernels.find(id)?.interrupt();
                Ok(nothing())
            }
            ("POST", ["api", "kernels", id, "restart"]) => {
                let entry = self.0.kernels.find(id)?;
                entry.restart().await?;
                Ok(reply(StatusCode::OK, &entry.model()))
            }
            ("GET", ["api", "kernels", id, "channels"]) => {
                self.0.kernels.find(id)?.look().await;
                self.channels(head, self.0.kernels.find(id)?, upgrade)
            }
            ("GET", ["api", "sessions"]) => {
                let kernels = self.kernels().await;
                let sessions = self.0.sessions.all();
                let models = sessions.iter().filter_map(|session| {
                    let kernel = kernels.iter().find(|it| it.id == session.kernel)?;
                    Some(session.model(kernel))
                });
                Ok(reply(StatusCode::OK, &Value::Array(models.collect())))
            }
            ("POST", ["api", "sessions"]) => self.start_session(body).await,
            ("GET", ["api", "sessions", id]) => {
                let session = self.session(id).await?;
                let kernel = self.0.kernels.find(&session.kernel)?;
                Ok(reply(StatusCode::OK, &session.model(&kernel)))
            }
            ("PATCH", ["api", "sessions", id]) => self.change_session(id, body).await,
            ("DELETE", ["api", "sessions", id]) => {
                let _turn = self.0.sessions.turn(id).await;
                let session = self.session(id).await?;
                self.0.sessions.remove(&session.id);
                if let Ok(kernel) = self.0.kernels.find(&session.kernel) {
                    kernel.end().await;
                }
                Ok(nothing())
            }
            (_, known) => Err(unknown(known)),
        }
        .map_err(|problem| {
            tracing::debug!(?problem, "error response");
            problem
        })
    }

    fn status(&self) -> Response<Bytes> {
        let kernels = self.0.kernels.all();
        let connections: usize = kernels.iter().map(|it| it.hub.report().connections).sum();
        let last = *lock(&self.0.last_activity);
        reply(
            StatusCode::OK,
            &json!({
                "connections": connections,
                "kernels": kernels.len(),
                "last_activity": format!("{last:.6}"),
                "started": format!("{:.6}", self.0.started),
            }),
        )
    }

    /// The kernels that are still there.
    async fn kernels(&self) -> Vec<Arc<Entry>> {
        let looks = self.0.kernels.all().into_iter().map(|it| async move {
            it.look().await;
        });
        futures_util::future::join_all(looks).await;
        let kernels = self.0.kernels.all();
        self.0.sessions.keep_those_of(&kernels);
        kernels
    }

    /// The models of kernelspecs, by their names: one for each language that the gateway can run.
    async fn specs(&self) -> Result<Map<String, Value>, Problem> {
        let languages = self.0.client.languages().await.map_err(|error| {
            Problem::of_gateway(&error, "cannot list the languages of the gateway")
        })?;
        let available = languages
            .into_iter()
            .filter(|it| it.available && is_name(&it.name));
        let model = |name: String| {
            let language = Language::of(&name);
            let model = json!({
                "name": name,
                "spec": {
                    "argv": [],
                    "env": {},
                    "display_name": language.title(),
                    "language": language.id(),
                    "interrupt_mode": "message",
                    "metadata": {"sorna": {"language": name}},
                },
                "resources": {"logo-svg": format!("/kernelspecs/{name}/{LOGO}")},
            });
            (name, model)
        };
        Ok(available.map(|it| model(it.name)).collect())
    }

    async fn kernelspecs(&self) -> Result<Response<Bytes>, Problem> {
        let specs = self.specs().await?;
        let default = usual(&specs);
        let body = json!({"default": default, "kernelspecs": specs});
        Ok(reply(StatusCode::OK, &body))
    }

    async fn start(&self, body: &[u8]) -> Result<Response<Bytes>, Problem> {
        let model = object(body)?.unwrap_or_default();
        let id = match model.get("kernel_id") {
            None | Some(Value::Null) => None,
            Some(id) => {
                let id = id.as_str().filter(|id| is_id(id));
                Some(id.ok_or_else(|| Problem::bad("kernel_id is no ID of a kernel"))?)
            }
        };
        let entry = match id {
            None => {
                let name = text(&model, "name")?;
                self.start_kernel(name, model.get("env"), None).await?
            }
            Some(id) => {
                let begin = || {
                    let (server, model, id) = (self.clone(), model.clone(), id.to_owned());
                    let start = async move {
                        let name = text(&model, "name")?;
                        server.start_kernel(name, model.get("env"), Some(&id)).await
                    };
                    start.boxed()
                };
                // As Jupyter's own server has it, who asks for one that is there gets that.
                let find = || self.0.kernels.find(id).ok();
                self.0.kernel_starts.get(id, find, begin).await?
            }
        };
        let location = format!("/api/kernels/{}", entry.id);
        Ok(created(&entry.model(), &location))
    }

    /// Starts a kernel of this name, or the usual one.
    async fn start_kernel(
        &self,
        name: Option<&str>,
        env: Option<&Value>,
        id: Option<&str>,
    ) -> Result<Arc<Entry>, Problem> {
        let specs = self.specs().await?;
        let name = match name.filter(|name| !name.is_empty()) {
            Some(name) if specs.contains_key(name) => name,
            Some(name) => {
                let known: Vec<_> = specs.keys().map(String::as_str).collect();
                let known = known.join(", ");
                return Err(Problem::not_found(format!(
                    "No such kernel: {name} (there are: {known})"
                ))
                .with_short(format!("{name} not found")));
            }
            None => usual(&specs)
                .ok_or_else(|| Problem::not_found("the gateway can run no language"))?,
        };
        let mut spec = KernelSpec::new(name);
        let mut has_env = false;
        let env = match env {
            None | Some(Value::Null) => None,
            Some(Value::Object(env)) => Some(env),
            Some(_) => return Err(Problem::bad("env must be an object")),
        };
        for (name, value) in env.into_iter().flatten() {
            let value = value
                .as_str()
                .filter(|value| !value.contains('\0'))
                .filter(|_| !name.is_empty() && !name.contains(['=', '\0']));
            let value = value.ok_or_else(|| {
                Problem::bad("env must have names of variables and texts as values")
            })?;
            // JupyterLab always sends these, which are for the servers of clusters.
            has_env |= !name.starts_with("KERNEL_");
            spec = spec.with_env(name, value);
        }
        let client = match has_env {
            true => &self.0.session_client,
            false => {
                let limits = Limits::new().with_exec_timeout(UNLIMITED);
                spec = KernelSpec::new(spec.language()).with_limits(limits);
                &self.0.client
            }
        };
        let id = id.map_or_else(new_id, str::to_owned);
        let (client, judge) = (client.clone(), self.0.judge);
        let entry = self.0.kernels.start(client, spec, id, judge).await?;
        tracing::info!(
            kernel = entry.id,
            lang = entry.name,
            "a kernel of Jupyter was started"
        );
        Ok(entry)
    }

    fn channels(
        &self,
        head: &Parts,
        entry: Arc<Entry>,
        upgrade: Option<Upgrade>,
    ) -> Result<Response<Bytes>, Problem> {
        let (response, protocol) = socket::accept(head)?;
        let upgrade = upgrade.ok_or_else(|| Problem::bad("this connection cannot be upgraded"))?;
        let session = query(head, "session_id").filter(|it| !it.is_empty());
        let is_named = session.is_some();
        let session = session.unwrap_or_else(new_id);
        tokio::spawn(async move {
            if let Some(io) = upgrade.await {
                socket::serve(io, protocol, entry, session, is_named).await;
            }
        });
        Ok(response)
    }

    /// A session whose kernel is there.
    async fn session(&self, id: &str) -> Result<Session, Problem> {
        let session = self.0.sessions.find(id)?;
        if let Ok(kernel) = self.0.kernels.find(&session.kernel) {
            kernel.look().await;
        }
        self.0.sessions.keep_those_of(&self.0.kernels.all());
        self.0.sessions.find(id)
    }

    async fn start_session(&self, body: &[u8]) -> Result<Response<Bytes>, Problem> {
        let model = object(body)?.ok_or_else(|| Problem::bad("No JSON data provided"))?;
        let notebook = model.get("notebook").and_then(Value::as_object);
        // The older form.
        let path = match notebook.map(|it| (text(it, "name"), text(it, "path"))) {
            Some((Ok(Some(name)), _)) => Some(name),
            Some((_, Ok(Some(path)))) => Some(path),
            _ => text(&model, "path")?,
        };
        let path = path.ok_or_else(|| Problem::bad("Missing field in JSON data: path"))?;
        let kind = match notebook {
            Some(_) => Some("notebook"),
            None => text(&model, "type")?,
        };
        let kind = kind.ok_or_else(|| Problem::bad("Missing field in JSON data: type"))?;
        self.kernels().await;
        let find = || self.0.sessions.of_path(path);
        let begin = || {
            let (server, model) = (self.clone(), model.clone());
            let (path, kind) = (path.to_owned(), kind.to_owned());
            async move { server.new_session(path, kind, &model).await }.boxed()
        };
        let session = self.0.session_starts.get(path, find, begin).await?;
        let kernel = self.0.kernels.find(&session.kernel)?;
        let location = format!("/api/sessions/{}", session.id);
        Ok(created(&session.model(&kernel), &location))
    }

    /// A session with the kernel that the model names, or a new one.
    async fn new_session(
        &self,
        path: String,
        kind: String,
        model: &Map<String, Value>,
    ) -> Result<Session, Problem> {
        let kernel = model.get("kernel").and_then(Value::as_object);
        let of_kernel = |field| kernel.map_or(Ok(None), |kernel| text(kernel, field));
        let kernel = match of_kernel("id")?.filter(|id| !id.is_empty()) {
            Some(id) => self.0.kernels.find(id)?,
            None => {
                let name = of_kernel("name")?;
                let started = self.start_kernel(name, None, None).await;
                started.map_err(not_available)?
            }
        };
        let session = Session {
            id: new_id(),
            path,
            name: text(model, "name")?.unwrap_or_default().to_owned(),
            kind,
            kernel: kernel.id.clone(),
        };
        self.0.sessions.put(session.clone());
        Ok(session)
    }

    async fn change_session(&self, id: &str, body: &[u8]) -> Result<Response<Bytes>, Problem> {
        let model = object(body)?.ok_or_else(|| Problem::bad("No JSON data provided"))?;
        let _turn = self.0.sessions.turn(id).await;
        let before = self.session(id).await?;
        let mut session = before.clone();
        let notebook = model.get("notebook").and_then(Value::as_object);
        if let Some(path) = notebook.map_or(Ok(None), |it| text(it, "path"))? {
            path.clone_into(&mut session.path);
            "notebook".clone_into(&mut session.kind);
        }
        for (field, value) in [
            ("path", &mut session.path),
            ("name", &mut session.name),
            ("type", &mut session.kind),
        ] {
            if let Some(text) = text(&model, field)? {
                text.clone_into(value);
            }
        }
        if let Some(kernel) = model.get("kernel").and_then(Value::as_object) {
            if let Some(id) = text(kernel, "id")? {
                let found = self.0.kernels.find(id);
                let found = found.map_err(|it| it.with_status(StatusCode::BAD_REQUEST))?;
                session.kernel.clone_from(&found.id);
            } else if let Some(name) = text(kernel, "name")? {
                let started = self.start_kernel(Some(name), None, None).await;
                session.kernel = started.map_err(not_available)?.id.clone();
            }
        }
        self.0.sessions.put(session.clone());
        if session.kernel != before.kernel
            && let Ok(older) = self.0.kernels.find(&before.kernel)
        {
            older.end().await;
        }
        let kernel = self.0.kernels.find(&session.kernel)?;
        Ok(reply(StatusCode::OK, &session.model(&kernel)))
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

/// As Jupyter's own server says that a kernel for a session cannot be started, unless that is for a reason of its own.
fn not_available(problem: Problem) -> Problem {
    match problem.is_not_found() {
        true => problem.with_status(StatusCode::NOT_IMPLEMENTED),
        false => problem,
    }
}

/// What is said of paths and methods that there are not.
fn unknown(segments: &[&str]) -> Problem {
    let methods = match segments {
        ["api" | "kernelspecs"]
        | ["api", "status" | "me" | "kernelspecs"]
        | ["api", "kernelspecs", _]
        | ["kernelspecs", _, _]
        | ["api", "kernels", _, "channels"] => "GET",
        ["api", "kernels" | "sessions"] => "GET, POST",
        ["api", "kernels", _] => "GET, DELETE",
        ["api", "sessions", _] => "GET, PATCH, DELETE",
        ["api", "kernels", _, "interrupt" | "restart"] => "POST",
        [
            "api",
            part @ ("contents" | "terminals" | "config" | "nbconvert" | "events"),
            ..,
        ] => {
            return Problem::not_found(format!(
                "Not Found: this server has kernels alone, and no {part}"
            ));
        }
        _ => return Problem::not_found("Not Found"),
    };
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").allowing(methods)
}

/// Who the client is: whoever has the token.
fn me(head: &Parts) -> Response<Bytes> {
    let asked = query(head, "permissions").and_then(|it| serde_json::from_str(&it).ok());
    let asked: Map<String, Value> = asked.unwrap_or_default();
    let has = ["api", "kernels", "kernelspecs", "sessions"];
    let permissions: Map<String, Value> = asked
        .into_iter()
        .map(|(resource, actions)| {
            let is_here = has.contains(&resource.as_str());
            (resource, if is_here { actions } else { json!([]) })
        })
        .collect();
    reply(
        StatusCode::OK,
        &json!({
            "identity": {
                "username": "sorna",
                "name": "Sorna",
                "display_name": "Sorna",
                "initials": null,
                "avatar_url": null,
                "color": null,
            },
            "permissions": permissions,
        }),
    )
}

fn logo(name: &str) -> Response<Bytes> {
    let logo = Language::of(name).logo();
    let mut response = reply::with(StatusCode::OK, "image/svg+xml", logo);
    response.headers_mut().insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=3600"),
    );
    response
}

fn created(model: &Value, location: &str) -> Response<Bytes> {
    let mut response = reply(StatusCode::CREATED, model);
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// The kernelspec for who names none.
fn usual(specs: &Map<String, Value>) -> Option<&str> {
    match specs.contains_key(USUAL) {
        true => Some(USUAL),
        false => specs.keys().next().map(String::as_str),
    }
}

/// The object of a body; `None` if that is empty.
fn object(body: &[u8]) -> Result<Option<Map<String, Value>>, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(Value::Null) => Ok(None),
        _ => Err(Problem::bad("Invalid JSON in body of request")),
    }
}

/// A field that is text, or not there.
fn text<'m>(model: &'m Map<String, Value>, field: &str) -> Result<Option<&'m str>, Problem> {
    match model.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::bad(format!("{field} must be a text"))),
    }
}

/// A random ID, as Jupyter has them (version 4 of RFC 9562).
fn new_id() -> String {
    let digits = sorna::random_token().to_string();
    format!(
        "{}-{}-4{}-a{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..32]
    )
}

/// Whether it is an ID as Jupyter takes them.
fn is_id(text: &str) -> bool {
    let is_word = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    text.len() <= 128 && text.split('-').count() == 5 && text.split('-').all(is_word)
}

/// Without its token.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
