//! A server that takes whatever is uploaded, and looks at none of it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::execute::message_len;

/// Serves until the process ends.
pub fn serve(announce: impl FnOnce(SocketAddr)) {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime")
        .block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            announce(listener.local_addr().expect("an address"));
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve_one(stream));
            }
        });
}

async fn serve_one(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let mut filled = 0;
        let length = loop {
            if let Some(length) = message_len(&buffer[..filled]) {
                break length;
            }
            match stream.read(&mut buffer[filled..]).await.ok()? {
                0 => return None,
                read => filled += read,
            }
        };
        let mut left = length - filled;
        while left > 0 {
            let most = left.min(buffer.len());
            match stream.read(&mut buffer[..most]).await.ok()? {
                0 => return None,
                read => left -= read,
            }
        }
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        stream.write_all(answer).await.ok()?;
    }
}
