//! Exchanges by hyper's client.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::execute::request;

/// A bare connection of hyper, with its task spawned.
pub struct Hyper {
    sender: http1::SendRequest<Full<Bytes>>,
    /// The head is copied for each exchange, since sending consumes it.
    request: Request<Bytes>,
}

impl Hyper {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await;
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .expect("a connection");
        tokio::spawn(connection);
        let (mut parts, body) = request(address).into_parts();
        // hyper writes the target as it is given.
        parts.uri = parts.uri.path().parse().expect("a path");
        let body = Bytes::copy_from_slice(body.as_bytes().expect("bytes"));
        Self {
            sender,
            request: Request::from_parts(parts, body),
        }
    }

    pub async fn exchanges(&mut self, times: usize) {
        for _ in 0..times {
            let request = self.request.clone().map(Full::new);
            let response = self.sender.send_request(request).await.expect("a response");
            response.collect().await.expect("a body");
        }
    }
}
