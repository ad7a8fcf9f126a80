//! Bare exchanges: write the bytes of the request, read those of the response.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::execute::{bytes_of, message_len, request};

/// A bare exchange on a stream of futures-io.
pub struct Bare<S> {
    stream: S,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl<S: futures_util::AsyncRead + futures_util::AsyncWrite + Unpin> Bare<S> {
    pub fn new(stream: S, address: SocketAddr) -> Self {
        Self {
            stream,
            request: bytes_of(&request(address)),
            buffer: vec![0; 16 * 1024],
        }
    }

    pub async fn exchanges(&mut self, times: usize) {
        for _ in 0..times {
            let sent = self.stream.write_all(&self.request).await;
            sent.expect("it is sent");
            let mut filled = 0;
            while message_len(&self.buffer[..filled]).is_none_or(|length| filled < length) {
                let read = self.stream.read(&mut self.buffer[filled..]).await;
                filled += read.expect("a response");
            }
        }
    }
}

/// The same on tokio's own traits.
pub struct TokioBare {
    stream: tokio::net::TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl TokioBare {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await;
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self {
            stream,
            request: bytes_of(&request(address)),
            buffer: vec![0; 16 * 1024],
        }
    }

    pub async fn exchanges(&mut self, times: usize) {
        for _ in 0..times {
            let sent = self.stream.write_all(&self.request).await;
            sent.expect("it is sent");
            let mut filled = 0;
            while message_len(&self.buffer[..filled]).is_none_or(|length| filled < length) {
                let read = self.stream.read(&mut self.buffer[filled..]).await;
                filled += read.expect("a response");
            }
        }
    }
}

/// The same without a runtime.
pub struct BlockingBare {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl BlockingBare {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self {
            stream,
            request: bytes_of(&request(address)),
            buffer: vec![0; 16 * 1024],
        }
    }

    pub fn exchanges(&mut self, times: usize) {
        for _ in 0..times {
            self.stream.write_all(&self.request).expect("it is sent");
            let mut filled = 0;
            while message_len(&self.buffer[..filled]).is_none_or(|length| filled < length) {
                let read = self.stream.read(&mut self.buffer[filled..]);
                filled += read.expect("a response");
            }
        }
    }
}
