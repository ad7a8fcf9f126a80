//! A server that accepts every upload, and discards it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::execute::message_len;

/// Serves one connection to its end.
pub async fn serve_one(mut stream: TcpStream) -> Option<()> {
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
