//! One small execution: the request, the response, and a server that sends only that response.

use std::net::SocketAddr;
use std::time::SystemTime;

use http::Request;
use sorna_core::{
    AccessKey, Body, Config, Credentials, Execute, ExecuteMode, KernelId, Operation, SecretKey,
    Signer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const CODE: &str = "print('hello world')";

pub const RESULT: &str = r#"{"result":{"status":"finished","console":[["stdout","hello world\n"]],"options":{"exitCode":0}}}"#;

/// The whole response, as bytes.
pub fn answer() -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n\
         Content-Length: {}\r\nX-RateLimit-Limit: 2000\r\nX-RateLimit-Remaining: 1999\r\n\
         X-RateLimit-Reset: 899999\r\nDate: Thu, 29 Jun 2017 09:23:45 GMT\r\nServer: bench\r\n\r\n\
         {RESULT}",
        RESULT.len()
    )
    .into_bytes()
}

pub fn config(address: SocketAddr) -> Config {
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
        SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a key"),
    );
    Config::new(
        format!("http://{address}").parse().expect("an endpoint"),
        keys,
    )
    .with_version(sorna_core::ApiVersion::V2_20170315)
}

pub fn kernel() -> KernelId {
    KernelId::new("zuF1OzMIhFknyjUl7Apbvg").expect("an id")
}

/// The request that the drivers send.
pub fn request(address: SocketAddr) -> Request<Body> {
    let execute = Execute::start(kernel(), ExecuteMode::query(CODE));
    let signer = Signer::new(config(address));
    execute
        .request(&signer, SystemTime::now())
        .expect("a request")
}

/// A request as bytes.
pub fn bytes_of(request: &Request<Body>) -> Vec<u8> {
    let mut bytes = format!("POST {} HTTP/1.1\r\n", request.uri().path()).into_bytes();
    for (name, value) in request.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let body = request.body().as_bytes().expect("bytes");
    if !request.headers().contains_key("content-length") {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// The length of the message at the start, by its `Content-Length`, if its head is complete.
pub fn message_len(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let name = b"content-length:";
    let lines = bytes[..head].split(|byte| *byte == b'\n');
    let mut lengths = lines.filter_map(|line| {
        let (start, value) = line.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some(value)
    });
    let length = lengths.next().unwrap_or(b"0");
    let length: usize = str::from_utf8(length).ok()?.trim().parse().ok()?;
    Some(head + length)
}

/// Sends the same bytes in response to every request.
pub async fn serve_one(mut stream: TcpStream) -> Option<()> {
    let answer = answer();
    let mut input = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        while message_len(&input[..filled]).is_none_or(|length| filled < length) {
            match stream.read(&mut input[filled..]).await.ok()? {
                0 => return None,
                read => filled += read,
            }
        }
        filled = 0;
        stream.write_all(&answer).await.ok()?;
    }
}
