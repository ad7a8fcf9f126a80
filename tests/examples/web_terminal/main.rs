//! A terminal in the browser: xterm.js, over a WebSocket, on a shell in a kernel.
//!
//! ```console
//! $ cargo run -p sorna-tests --example web_terminal
//! ```
//!
//! and open the page that it names. `-- --listen ADDRESS:PORT` changes the address from
//! 127.0.0.1:8080. The page loads a fixed version of xterm.js from a CDN, and checks its hash; with
//! `--xterm node_modules`, it loads the copy that npm installed.
//!
//! It starts its own gateway; with `SORNA_ENDPOINT`, `SORNA_ACCESS_KEY` and `SORNA_SECRET_KEY` set, it
//! uses the gateway named there. The browser receives neither the endpoint nor the keys. Each terminal
//! has a temporary kernel, which is destroyed when the page is closed. Requests from other web
//! sites are rejected, but anyone who can reach the port has a shell: require a login before you
//! open the port to others.

mod bridge;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use sorna::tokio::Client;
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// How many terminals may be open at the same time.
const TERMINALS: u32 = 16;
/// The largest message of the page, in bytes.
const MESSAGE: usize = 1024 * 1024;

const CDN: &str = "https://cdn.jsdelivr.net/npm/";
/// The files that the page loads, and where npm puts them.
const XTERM: [(&str, &str); 3] = [
    (
        "@xterm/xterm@6.0.0/lib/xterm.js",
        "@xterm/xterm/lib/xterm.js",
    ),
    (
        "@xterm/xterm@6.0.0/css/xterm.css",
        "@xterm/xterm/css/xterm.css",
    ),
    (
        "@xterm/addon-fit@0.11.0/lib/addon-fit.js",
        "@xterm/addon-fit/lib/addon-fit.js",
    ),
];

struct App {
    client: Client,
    /// The origin of the page, as browsers send it.
    origin: String,
    node_modules: Option<PathBuf>,
    places: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

/// Upgrades to a WebSocket. axum's feature `ws` does that in fewer lines, but with an older
/// tungstenite than the one in use here.
async fn terminal(State(app): State<Arc<App>>, request: Request) -> Result<Response, StatusCode> {
    // Only this check rejects the pages of other sites, which may open WebSockets to any server.
    let origin = request.headers().get(header::ORIGIN);
    if origin.is_none_or(|origin| origin != app.origin.as_str()) {
        return Err(StatusCode::FORBIDDEN);
    }
    let place = Arc::clone(&app.places).try_acquire_owned();
    let place = place.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let response = create_response_with_body(&request, Body::empty);
    let response = response.map_err(|_| StatusCode::BAD_REQUEST)?;
    tokio::spawn(async move {
        let _place = place;
        let upgraded = match hyper::upgrade::on(request).await {
            Ok(upgraded) => TokioIo::new(upgraded),
            Err(error) => return eprintln!("no WebSocket came of a request: {error}"),
        };
        let config = WebSocketConfig::default().max_message_size(Some(MESSAGE));
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await;
        if let Err(error) = bridge::connect(socket, &app.client, app.stopping.subscribe()).await {
            // For the log: the browser must not learn what it says about the gateway.
            eprintln!("a terminal failed: {error}");
        }
    });
    Ok(response)
}

async fn page(State(app): State<Arc<App>>) -> Html<String> {
    let page = include_str!("page.html");
    Html(match app.node_modules {
        Some(_) => page.replace(CDN, "npm/"),
        None => page.to_owned(),
    })
}

async fn npm(
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
) -> Result<Response, StatusCode> {
    let file = XTERM.iter().find(|(of_cdn, _)| *of_cdn == path);
    let (Some((_, file)), Some(directory)) = (file, &app.node_modules) else {
        return Err(StatusCode::NOT_FOUND);
    };
    let media_type = if file.ends_with(".css") {
        "text/css"
    } else {
        "text/javascript"
    };
    let content = tokio::fs::read(directory.join(file)).await;
    let content = content.map_err(|error| {
        eprintln!("{file}: {error}");
        StatusCode::NOT_FOUND
    })?;
    Ok(([(header::CONTENT_TYPE, media_type)], content).into_response())
}

/// The gateway that the environment names, or one in this process that lives as long as the handle.
fn gateway() -> Result<(Client, Option<RunningGateway>), sorna::Report> {
    if std::env::var_os("SORNA_ENDPOINT").is_some() {
        return Ok((Client::from_env()?, None));
    }
    let gateway = Gateway::spawn(GatewayConfig::default())?;
    Ok((Client::new(gateway.config()), Some(gateway)))
}

#[tokio::main]
async fn main() -> Result<(), sorna::Report> {
    let mut address = "127.0.0.1:8080".to_owned();
    let mut node_modules = None;
    let mut words = std::env::args().skip(1);
    while let Some(option) = words.next() {
        match (option.as_str(), words.next()) {
            ("--listen", Some(value)) => address = value,
            ("--xterm", Some(value)) => node_modules = Some(value.into()),
            _ => {
                return Err(
                    "usage: web_terminal [--listen ADDRESS:PORT] [--xterm DIRECTORY]".into(),
                );
            }
        }
    }
    let listener = TcpListener::bind(&address).await?;
    let (client, _gateway) = gateway()?;
    let app = Arc::new(App {
        client,
        origin: format!("http://{}", listener.local_addr()?),
        node_modules,
        places: Arc::new(Semaphore::new(TERMINALS as usize)),
        stopping: watch::Sender::new(false),
    });
    println!("{}", app.origin);
    let script = (
        [(header::CONTENT_TYPE, "text/javascript")],
        include_str!("page.js"),
    );
    let routes = Router::new()
        .route("/", get(page))
        .route("/page.js", get(script))
        .route("/npm/{*path}", get(npm))
        .route("/terminal", get(terminal))
        .with_state(Arc::clone(&app));
    let interrupted = async {
        tokio::signal::ctrl_c()
            .await
            .unwrap_or_else(|error| eprintln!("{error}"))
    };
    axum::serve(listener, routes)
        .with_graceful_shutdown(interrupted)
        .await?;
    // When all permits are back, all kernels are gone.
    app.stopping.send_replace(true);
    drop(app.places.acquire_many(TERMINALS).await?);
    Ok(())
}
