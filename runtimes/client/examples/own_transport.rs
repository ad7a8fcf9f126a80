//! Sends the requests through an HTTP client that the program already has: here reqwest.
//!
//! ```console
//! $ cargo run -p sorna --example own_transport --features terminal
//! ```
//!
//! It starts its own gateway; with `SORNA_ENDPOINT`, `SORNA_ACCESS_KEY` and `SORNA_SECRET_KEY` set,
//! it uses the gateway named there.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, try_unfold};
use http::{Request, Response, StatusCode};
use sorna::net::{BoxFuture, StreamTransport, Transport, UpgradeTransport, Upgraded};
use sorna::protocol::{Body, Segment, Sent};
use sorna::{Client, ClientOptions, Config, TransportError, TransportErrorKind};
use sorna_gateway::{Gateway, GatewayConfig};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

/// reqwest, as the protocol needs it.
struct Reqwest(reqwest::Client);

impl Reqwest {
    fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            // The signature holds for one host and path.
            .redirect(reqwest::redirect::Policy::none())
            // How long a body may be silent while it is read as a stream.
            .read_timeout(Duration::from_secs(120))
            .build()?;
        Ok(Self(client))
    }

    /// Sends a request and reads the head of its response.
    async fn begin(&self, request: Request<Body>) -> Result<reqwest::Response, TransportError> {
        let (parts, body) = request.into_parts();
        let body = gather(body).await?;
        let request = reqwest::Request::try_from(Request::from_parts(parts, body))
            .map_err(|error| failed(Sent::Nothing, error))?;
        self.0.execute(request).await.map_err(|error| {
            // Only if no connection was made is it certain that nothing was sent.
            let sent = if error.is_connect() {
                Sent::Nothing
            } else {
                Sent::Maybe
            };
            failed(sent, error)
        })
    }
}

impl Transport for Reqwest {
    async fn send(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        within(time_limit, async {
            let response = self.begin(request).await?;
            let head = head_of(&response);
            let body = response.bytes().await;
            let body = body.map_err(|error| failed(Sent::Maybe, error))?;
            Ok(head.map(|()| body))
        })
        .await
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn detach(&self, work: BoxFuture<()>) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(work);
        }
    }
}

/// For downloads and events.
impl StreamTransport for Reqwest {
    type Body = BoxStream<'static, Result<Bytes, TransportError>>;

    async fn send_streaming(
        &self,
        request: Request<Body>,
        head_limit: Duration,
    ) -> Result<Response<Self::Body>, TransportError> {
        let response = within(head_limit, self.begin(request)).await?;
        let head = head_of(&response);
        let body = try_unfold(response, |mut response| async move {
            let chunk = response.chunk().await;
            let chunk = chunk.map_err(|error| failed(Sent::Maybe, error))?;
            Ok(chunk.map(|chunk| (chunk, response)))
        });
        Ok(head.map(|()| body.boxed()))
    }
}

/// For terminals.
impl UpgradeTransport for Reqwest {
    type Io = Compat<reqwest::Upgraded>;

    async fn upgrade(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> Result<Upgraded<Self::Io>, TransportError> {
        within(time_limit, async {
            let response = self.begin(request).await?;
            let head = head_of(&response);
            if head.status() != StatusCode::SWITCHING_PROTOCOLS {
                let body = response.bytes().await;
                let body = body.map_err(|error| failed(Sent::Maybe, error))?;
                return Ok(Upgraded::Refused(head.map(|()| body)));
            }
            let io = response.upgrade().await;
            Ok(Upgraded::Switched {
                head,
                io: io.map_err(|error| failed(Sent::Maybe, error))?.compat(),
                // reqwest returns these bytes together with the connection.
                read_ahead: Bytes::new(),
            })
        })
        .await
    }
}

fn head_of(response: &reqwest::Response) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = response.status();
    *head.headers_mut() = response.headers().clone();
    head
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let message = format!("no response within {limit:?}");
        let kind = TransportErrorKind::Timeout;
        Err(TransportError::new(kind, Sent::Maybe, message))
    })
}

/// The whole body. A client that uploads large files would stream the segments instead.
async fn gather(body: Body) -> Result<Vec<u8>, TransportError> {
    let mut all = Vec::new();
    for segment in body.into_segments() {
        match segment {
            Segment::Bytes(bytes) => all.extend_from_slice(&bytes),
            Segment::File { path, len } => {
                let content = tokio::fs::read(&path).await.map_err(|error| {
                    let message = format!("cannot read {}", path.display());
                    local_file(message).with_source(error)
                })?;
                if content.len() as u64 != len {
                    return Err(local_file(format!("{} has changed", path.display())));
                }
                all.extend_from_slice(&content);
            }
            _ => return Err(local_file("a segment of an unknown kind".to_owned())),
        }
    }
    Ok(all)
}

fn local_file(message: String) -> TransportError {
    TransportError::new(TransportErrorKind::LocalFile, Sent::Nothing, message)
}

fn failed(sent: Sent, error: reqwest::Error) -> TransportError {
    let kind = if error.is_timeout() {
        TransportErrorKind::Timeout
    } else if error.is_connect() {
        TransportErrorKind::Connect
    } else {
        TransportErrorKind::Other
    };
    TransportError::new(kind, sent, "the request failed").with_source(error)
}

async fn hello(config: Config) -> Result<String, sorna::Report> {
    let client = Client::with_upgrades(config, Reqwest::new()?, ClientOptions::new());
    let kernel = client.create("python3").await?;
    let result = kernel.run("print('hello world')").await?;
    kernel.destroy().await?;
    Ok(result.stdout().into_owned())
}

#[tokio::main]
async fn main() -> Result<(), sorna::Report> {
    if std::env::var_os("SORNA_ENDPOINT").is_some() {
        let config = Config::from_lookup(|name| std::env::var(name).ok())?;
        print!("{}", hello(config).await?);
    } else {
        let gateway = Gateway::spawn(GatewayConfig::default())?;
        print!("{}", hello(gateway.config()).await?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sorna::protocol::Info;
    use sorna::{TerminalEvent, TerminalOptions, UploadFile};

    use super::*;

    #[tokio::test]
    async fn the_example_works() {
        let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
        let config = gateway.config();
        assert_eq!(hello(config.clone()).await.unwrap(), "hello world\n");

        let transport = Reqwest::new().unwrap();
        let client = Client::with_upgrades(config, transport, ClientOptions::new());
        let kernel = client.create("bash").await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        std::fs::write(&path, "content\n").unwrap();
        let file = UploadFile::from_file("a.txt", path, 8).unwrap();
        kernel.upload(vec![file]).await.unwrap();
        let result = kernel.run("cat a.txt").await.unwrap();
        assert_eq!(result.stdout(), "content\n");

        let mut pty = kernel.stream_pty(TerminalOptions::default()).await.unwrap();
        pty.write(b"echo $((6 * 7))7; exit\n").await.unwrap();
        let mut screen = Vec::new();
        while let Some(event) = pty.next_event().await.unwrap() {
            if let TerminalEvent::Output(bytes) = event {
                screen.extend_from_slice(&bytes);
            }
        }
        let screen = String::from_utf8_lossy(&screen);
        assert!(screen.contains("427"), "{screen}");

        let info = Info::new(kernel.id().clone());
        let mut response = client.stream(info).await.unwrap();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.unwrap() {
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains(r#""lang":"bash""#), "{body}");

        kernel.destroy().await.unwrap();
        let error = kernel.stream_pty(TerminalOptions::default()).await;
        assert!(error.unwrap_err().is_not_found());
        let error = client.stream(Info::new(kernel.id().clone())).await;
        assert!(error.unwrap_err().is_not_found());
        assert_eq!(gateway.stats().kernels, 0);
        tokio::task::spawn_blocking(|| gateway.stop())
            .await
            .unwrap();
    }
}
