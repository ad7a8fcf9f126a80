//! Runs code from a web page, and streams its output back as server-sent events.
//!
//! ```console
//! $ cargo run -p sorna-tests --example web_page
//! ```
//!
//! and open the page that it names (`-- ADDRESS:PORT` changes the address from 127.0.0.1:8080). It
//! starts its own gateway; with `SORNA_ENDPOINT`, `SORNA_ACCESS_KEY` and `SORNA_SECRET_KEY` set, it
//! uses the gateway named there. The browser receives neither the endpoint nor the keys.
//!
//! Each run has a temporary kernel, which lives no longer than the response that carries its events:
//! if the browser disconnects, the response is dropped, and with it the `Session`. Time, memory, code,
//! output and the number of runs are limited. Requests from other web sites are rejected, but
//! anyone who can reach the port can run code: require a login before you open the port to others.

mod app;
mod session;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{Stream, stream};
use sorna::tokio::Client;
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use tokio::net::TcpListener;

use app::App;
use session::{Job, Session};

/// The largest request, which is mostly the code, in bytes.
const REQUEST: usize = 64 * 1024;

/// Starts a run; its events are the response's body.
async fn run(
    State(app): State<Arc<App>>,
    Json(job): Json<Job>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, StatusCode> {
    let plan = job.plan().ok_or(StatusCode::BAD_REQUEST)?;
    let place = Arc::clone(&app.places).try_acquire_owned();
    let place = place.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let session = Session::new(app, plan, place);
    let events = stream::unfold(session, async |mut session| {
        let event = session.next_event().await?;
        Some((Ok(event), session))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Gives input to a program that waits for it.
async fn input(State(app): State<Arc<App>>, Path(id): Path<String>, line: String) -> StatusCode {
    let sender = app.inputs().get(&id).cloned();
    match sender.map(|sender| sender.try_send(line)) {
        None => StatusCode::NOT_FOUND,
        Some(Err(_)) => StatusCode::CONFLICT,
        Some(Ok(())) => StatusCode::NO_CONTENT,
    }
}

/// Rejects requests from pages of other sites, whatever name they use for this machine.
async fn own_page(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match request.headers().get(header::ORIGIN) {
        Some(origin) if origin == app.origin.as_str() => next.run(request).await,
        _ => (StatusCode::FORBIDDEN, format!("open {}", app.origin)).into_response(),
    }
}

fn routes(app: Arc<App>) -> Router {
    let script = (
        [(header::CONTENT_TYPE, "text/javascript")],
        include_str!("page.js"),
    );
    Router::new()
        .route("/run", post(run))
        .route("/input/{id}", post(input))
        .layer(DefaultBodyLimit::max(REQUEST))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), own_page))
        .route("/", get(Html(include_str!("page.html"))))
        .route("/page.js", get(script))
        .with_state(app)
}

/// The gateway that the environment names, or one in this process that lives as long as the handle.
fn connect() -> Result<(Client, Option<RunningGateway>), sorna::Report> {
    if std::env::var_os("SORNA_ENDPOINT").is_some() {
        return Ok((Client::from_env()?, None));
    }
    // Gateways report output every 2 s, which looks slow on a page.
    let config = GatewayConfig::new().with_continuation_interval(Duration::from_millis(200));
    let gateway = Gateway::spawn(config)?;
    Ok((Client::new(gateway.config()), Some(gateway)))
}

#[tokio::main]
async fn main() -> Result<(), sorna::Report> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    let (client, _gateway) = connect()?;
    let origin = format!("http://{}", listener.local_addr()?);
    let app = Arc::new(App::new(client, origin));
    println!("{}", app.origin);
    let stop = Arc::clone(&app);
    axum::serve(listener, routes(app))
        // Waits for responses in flight, and for the end of their kernels.
        .with_graceful_shutdown(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stop.stopping.send_replace(true);
            }
        })
        .await?;
    Ok(())
}
