//! Sending the requests through an HTTP client that the program already has: here reqwest.
//!
//! ```console
//! $ cargo run -p sorna --example own_transport --features async
//! ```
//!
//! It brings its own gateway; with `SORNA_ENDPOINT`, `SORNA_ACCESS_KEY` and `SORNA_SECRET_KEY` set it
//! uses that one.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use sorna::Client;
use sorna::core::RetryPolicy;
use sorna::core::{Body, Config, Segment, Sent, TransportError, TransportErrorKind};
use sorna::net::{BoxFuture, Transport};
use sorna_gateway::{Gateway, GatewayConfig};

/// reqwest, as the protocol needs it.
struct Reqwest(reqwest::Client);

impl Reqwest {
    fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            // The signature holds for one host and path.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self(client))
    }
}

impl Transport for Reqwest {
    async fn send(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        let (parts, body) = request.into_parts();
        let body = gather(body).await?;
        let mut request = reqwest::Request::try_from(Request::from_parts(parts, body))
            .map_err(|error| failed(Sent::Nothing, error))?;
        *request.timeout_mut() = Some(time_limit);
        let answer = self.0.execute(request).await.map_err(|error| {
            // Only a connection that was never made has certainly sent nothing.
            let sent = if error.is_connect() {
                Sent::Nothing
            } else {
                Sent::Maybe
            };
            failed(sent, error)
        })?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        *response.body_mut() = answer
            .bytes()
            .await
            .map_err(|error| failed(Sent::Maybe, error))?;
        Ok(response)
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

/// All of a body. A client that uploads large files would stream the segments instead.
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

async fn hello(config: Config) -> Result<String, Box<dyn Error>> {
    let client = Client::with_transport(config, Reqwest::new()?, RetryPolicy::default());
    let kernel = client.get_or_create("python3", None).await?;
    let result = kernel.execute("print('hello world')").finish().await?;
    kernel.destroy().await?;
    Ok(result.console.stdout().into_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
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
    use sorna::core::UploadFile;

    use super::*;

    #[tokio::test]
    async fn the_example_works() {
        let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
        let config = gateway.config();
        assert_eq!(hello(config.clone()).await.unwrap(), "hello world\n");

        let transport = Reqwest::new().unwrap();
        let client = Client::with_transport(config, transport, RetryPolicy::default());
        let kernel = client.get_or_create("bash", None).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        std::fs::write(&path, "content\n").unwrap();
        let file = UploadFile::from_file("a.txt", path, 8).unwrap();
        kernel.upload(vec![file]).await.unwrap();
        let result = kernel.execute("cat a.txt").finish().await.unwrap();
        assert_eq!(result.console.stdout(), "content\n");
        kernel.destroy().await.unwrap();
        assert_eq!(gateway.stats().kernels, 0);
        tokio::task::spawn_blocking(|| gateway.stop())
            .await
            .unwrap();
    }
}
