//! A server, from its start to its end.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use sorna::tokio::Client;
use tokio_util::sync::CancellationToken;

use crate::http::{self, Token};
use crate::options::Options;
use crate::server::Service;
use crate::sessions::Sessions;
use crate::stdio::{Lines, output_broken};
use crate::stopper::Stopper;

/// How long a client has to read the last answers when the server is stopped.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a server ended before its time.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The runtime could not be made, or the listener not be used.
    Start(io::Error),
    /// The client has not begun as the protocol says.
    Client(String),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "cannot start: {error}"),
            Self::Client(reason) => write!(f, "the client does not speak MCP: {reason}"),
        }
    }
}

impl std::error::Error for ServeError {}

/// A server: call one of its methods.
#[derive(Debug)]
pub struct Server {
    sessions: Sessions,
    stopper: Stopper,
}

impl Server {
    /// One whose sessions are kernels that `client` creates. They are destroyed at the end, whatever that is.
    #[must_use]
    pub fn new(client: Client, options: Options) -> Self {
        Self {
            sessions: Sessions::new(client, options),
            stopper: Stopper::new(),
        }
    }

    /// One that ends when this says so.
    #[must_use]
    pub fn with_stopper(mut self, stopper: Stopper) -> Self {
        self.stopper = stopper;
        self
    }

    /// The path at which [`serve_http`](Self::serve_http) serves.
    pub const PATH: &str = http::PATH;

    /// As [`serve_stdio`](Self::serve_stdio), on this thread.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn serve_stdio_blocking(self) -> Result<(), ServeError> {
        block_on(self.serve_stdio())
    }

    /// As [`serve_http`](Self::serve_http), on this thread.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn serve_http_blocking(
        self,
        listener: TcpListener,
        token: Token,
    ) -> Result<(), ServeError> {
        block_on(self.serve_http(listener, token))
    }

    /// Serves any number of clients that have the token, by HTTP at [`PATH`](Self::PATH), until it is stopped. Any of them may use any
    /// session by its name. Where they name none, those that begin with a handshake get sessions of their own, and all others share
    /// them. Connections are not encrypted: the address should be one of this machine. Needs a runtime of tokio with I/O and time.
    ///
    /// # Errors
    ///
    /// [`ServeError::Start`] if the listener cannot be used.
    pub async fn serve_http(self, listener: TcpListener, token: Token) -> Result<(), ServeError> {
        let stop = CancellationToken::new();
        let service = Service::shared(self.sessions.clone());
        let serving = http::serve(listener, token, service, stop.clone());
        tokio::pin!(serving);
        let result = tokio::select! {
            result = &mut serving => result,
            () = self.stopper.stopped() => {
                // What runs ends by that, and is answered.
                self.sessions.close().await;
                stop.cancel();
                serving.await
            }
        };
        self.sessions.close().await;
        result.map_err(ServeError::Start)
    }

    /// Serves one client on standard input and output, until the input has ended and all requests are answered, the output breaks,
    /// or it is stopped. Nothing else may be written to standard output meanwhile. Needs a runtime of tokio with I/O and time.
    ///
    /// # Errors
    ///
    /// See [`ServeError`]. What is wrong with the gateway is no error of this: the tools say it.
    pub async fn serve_stdio(self) -> Result<(), ServeError> {
        let stop = CancellationToken::new();
        let sessions = self.sessions.clone();
        let lines = Lines::new(tokio::io::stdin(), tokio::io::stdout());
        let serving = async {
            let service = Service::new(self.sessions.clone());
            match service.serve_with_ct(lines, stop.clone()).await {
                Ok(running) => {
                    let _ = running.waiting().await;
                    Ok(())
                }
                // The input has ended, or the output, before anything was asked.
                Err(
                    ServerInitializeError::ConnectionClosed(_)
                    | ServerInitializeError::TransportError { .. }
                    | ServerInitializeError::Cancelled,
                ) => Ok(()),
                Err(error) => Err(ServeError::Client(error.to_string())),
            }
        };
        tokio::pin!(serving);
        let result = tokio::select! {
            result = &mut serving => result,
            () = self.stopper.stopped() => {
                // What runs ends by that, and is answered, if the client reads.
                sessions.close().await;
                stop.cancel();
                tokio::time::timeout(FAREWELL, serving).await.unwrap_or(Ok(()))
            }
            () = output_broken() => Ok(()),
        };
        sessions.close().await;
        result
    }
}

fn block_on(serving: impl Future<Output = Result<(), ServeError>>) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    let result = runtime.block_on(serving);
    // A thread may wait for input that never comes.
    runtime.shutdown_background();
    result
}
