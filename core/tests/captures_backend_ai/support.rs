//! Reads recorded exchanges.

use std::path::PathBuf;

use bytes::Bytes;
use http::Response;
use sorna_core::{AccessKey, Config, Credentials, KernelId, SecretKey, Signer};

pub(crate) use sorna_core::ApiVersion;

pub(crate) const V7: ApiVersion = ApiVersion::V7_20230615;
pub(crate) const V9: ApiVersion = ApiVersion::V9_20250722;

pub(crate) fn id(id: &str) -> KernelId {
    KernelId::new(id).expect("an ID")
}

/// A recorded message: its first line, its headers, and its body as it was sent.
pub(crate) struct Message {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// Reads one, such as `26.9.6/83-gql.request`.
pub(crate) fn message(name: &str) -> Message {
    let bytes = std::fs::read(folder().join(format!("{name}.http"))).expect(name);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head in UTF-8");
    let mut lines = head.split("\r\n");
    Message {
        first: lines.next().expect("a first line").to_owned(),
        headers: lines
            .map(|line| {
                let (name, value) = line.split_once(": ").expect("a header");
                (name.to_owned(), value.to_owned())
            })
            .collect(),
        body: Bytes::copy_from_slice(&bytes[end + 4..]),
    }
}

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// Method and target of a request.
    pub(crate) fn line(&self) -> &str {
        self.first.strip_suffix(" HTTP/1.1").expect("a request")
    }

    /// The body without the coding of its transfer.
    pub(crate) fn content(&self) -> Bytes {
        match self.header("transfer-encoding") {
            Some("chunked") => unchunk(&self.body).into(),
            _ => self.body.clone(),
        }
    }
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    // The recording may end in the middle of a response that has no end.
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        let rest = &body[end + 2..];
        content.extend_from_slice(&rest[..size.min(rest.len())]);
        body = rest.get(size + 2..).unwrap_or_default();
    }
    content
}

pub(crate) fn response(name: &str) -> Response<Bytes> {
    let message = message(&format!("{name}.response"));
    let status = message.first.split(' ').nth(1).expect("a status");
    let mut response = Response::builder().status(status);
    for (name, value) in &message.headers {
        response = response.header(name, value);
    }
    response.body(message.content()).expect("a response")
}

/// The names of all recorded exchanges of a release.
pub(crate) fn names(release: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder().join(release)).expect("a folder");
    files
        .filter_map(|file| {
            let name = file
                .expect("a file")
                .file_name()
                .into_string()
                .expect("a name");
            let name = name.strip_suffix(".response.http")?;
            Some(format!("{release}/{name}"))
        })
        .collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures-backend-ai")
}

/// The messages that a server sent over a WebSocket, with the kind of each frame: 1 is text, 2 binary.
pub(crate) fn frames(name: &str) -> Vec<(u8, Bytes)> {
    let body = message(&format!("{name}.response")).body;
    let mut frames = Vec::new();
    let mut rest = &body[..];
    while let [kind, length, after @ ..] = rest {
        let (length, after) = match length {
            126 => (
                usize::from(u16::from_be_bytes([after[0], after[1]])),
                &after[2..],
            ),
            length => (usize::from(*length), after),
        };
        frames.push((kind & 15, Bytes::copy_from_slice(&after[..length])));
        rest = &after[length..];
    }
    frames
}

/// Signs with the keys of the recordings.
pub(crate) fn signer(version: ApiVersion, host: &str) -> Signer {
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
        SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a key"),
    );
    let endpoint = format!("http://{host}").parse().expect("an endpoint");
    Signer::new(Config::new(endpoint, keys).with_version(version))
}
