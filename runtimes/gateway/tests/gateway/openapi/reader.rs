//! A client that compares what it receives with the document.

use std::io::Write;

use serde_json::Value;
use sorna_core::{AccessKey, ApiVersion, Credentials, SecretKey};
use sorna_gateway::RunningGateway;

use super::document::Document;
use crate::backend_ai::client::{Client, Signing, read_head, read_response};

pub(super) const FORM: &str = "multipart/form-data; boundary=B";
pub(super) const FILE: &[u8] = b"--B\r\nContent-Disposition: form-data; name=\"src\"; filename=\"a/b.txt\"\r\nsorna-file-mode: 100644\r\n\r\nx\r\n--B--\r\n";

/// A client whose responses are compared with the document.
pub(super) struct Reader<'d> {
    pub(super) document: &'d Document,
    pub(super) client: Client,
}

impl<'d> Reader<'d> {
    pub(super) fn new(document: &'d Document, gateway: &RunningGateway) -> Self {
        let client = Client::new(gateway);
        Self { document, client }
    }

    /// One whose access key the gateway does not know.
    pub(super) fn unknown(document: &'d Document, gateway: &RunningGateway) -> Self {
        let keys = Credentials::new(
            AccessKey::new("AKIANOSUCHKEY").unwrap(),
            SecretKey::new("no-such-key").unwrap(),
        );
        let client = Client::with_credentials(gateway, keys, ApiVersion::V9_20250722);
        Self { document, client }
    }

    fn signing(target: &str, media_type: &'static str, body: &[u8]) -> Signing {
        let default = Signing {
            media_type: Some(media_type),
            ..Signing::default()
        };
        let is_form = media_type.starts_with("multipart/form-data");
        match target.starts_with("/v2") {
            true => Signing {
                scheme: "Sorna",
                version_header: "X-Sorna-Version",
                version: "v2.20170315",
                hashed: if is_form { b"" } else { body.to_vec().leak() },
                ..default
            },
            false => default,
        }
    }

    /// Sends a request with these headers besides, whole lines, and returns the response once it has been checked.
    #[track_caller]
    pub(super) fn send(
        &self,
        method: &str,
        target: &str,
        (media_type, body): (&'static str, &[u8]),
        extra: &str,
    ) -> http::Response<Vec<u8>> {
        let signing = Self::signing(target, media_type, body);
        let head = self
            .client
            .head(method, target, body.len(), &signing, extra);
        let mut stream = self.client.connect();
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let response = match extra.contains("websocket") {
            true => read_head(&mut stream).0.map(|()| Vec::new()),
            false => read_response(&mut stream),
        };
        self.document.check(method, target, &response);
        response
    }

    /// Sends a request with a JSON body, or none for null, and returns the JSON that comes back, if its status is this one.
    #[track_caller]
    pub(super) fn json(&self, method: &str, target: &str, body: &Value, status: u16) -> Value {
        let bytes = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let response = self.send(method, target, ("application/json", &bytes), "");
        let text = String::from_utf8_lossy(response.body());
        assert_eq!(
            response.status(),
            status,
            "{method} {target} {body}: {text}"
        );
        serde_json::from_slice(response.body()).unwrap_or_default()
    }

    #[track_caller]
    pub(super) fn get(&self, target: &str) -> Value {
        self.json("GET", target, &Value::Null, 200)
    }

    #[track_caller]
    pub(super) fn upload(&self, target: &str) {
        let response = self.send("POST", target, (FORM, FILE), "");
        assert_eq!(response.status(), 204);
    }

    #[track_caller]
    pub(super) fn upgrade(&self, target: &str) {
        let extra = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let response = self.send("GET", target, ("application/octet-stream", b""), extra);
        assert_eq!(response.status(), 101);
    }
}
