//! A client for tests: requests signed by the core or by hand, sent over one socket each.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sorna_core::signing::{SigningKey, StringToSign, body_hash};
use sorna_core::{ApiVersion, Config, Credentials, Error, HashAlgorithm, Operation, Signer};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

use crate::common::level;

/// The most a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway that soon responds `continued` to long executions.
pub(crate) fn gateway() -> RunningGateway {
    gateway_with(|config| config)
}

pub(crate) fn gateway_with(change: impl FnOnce(GatewayConfig) -> GatewayConfig) -> RunningGateway {
    let config = GatewayConfig::new().with_continuation_interval(Duration::from_millis(200));
    Gateway::spawn(level::at_level(change(config))).unwrap()
}

/// How a request is signed; tests change parts of it.
pub(crate) struct Signing {
    pub(crate) scheme: &'static str,
    pub(crate) version_header: &'static str,
    pub(crate) version: &'static str,
    pub(crate) date_header: &'static str,
    pub(crate) date: String,
    pub(crate) day: [u8; 8],
    pub(crate) media_type: Option<&'static str>,
    pub(crate) hash: HashAlgorithm,
    /// The body that is hashed.
    pub(crate) hashed: &'static [u8],
    /// The target that is signed, if not the one that is sent.
    pub(crate) target: Option<&'static str>,
}

impl Default for Signing {
    fn default() -> Self {
        let date = sorna_core::http_date(SystemTime::now()).unwrap();
        Self {
            scheme: "BackendAI",
            version_header: "X-BackendAI-Version",
            version: "v9.20250722",
            date_header: "Date",
            day: day_of(&date),
            date,
            media_type: Some("application/json"),
            hash: HashAlgorithm::Sha256,
            hashed: b"",
            target: None,
        }
    }
}

/// `Thu, 29 Jun 2017 …` to `20170629`.
fn day_of(date: &str) -> [u8; 8] {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.find(&date[8..11]).unwrap() / 3 + 1;
    let day = format!("{}{month:02}{}", &date[12..16], &date[5..7]);
    day.into_bytes().try_into().unwrap()
}

pub(crate) struct Client {
    address: String,
    credentials: Credentials,
    signer: Signer,
    version: ApiVersion,
}

impl Client {
    pub(crate) fn new(gateway: &RunningGateway) -> Self {
        Self::with_version(gateway, ApiVersion::V9_20250722)
    }

    pub(crate) fn with_version(gateway: &RunningGateway, version: ApiVersion) -> Self {
        Self::with_credentials(gateway, gateway.credentials()[0].clone(), version)
    }

    pub(crate) fn with_credentials(
        gateway: &RunningGateway,
        credentials: Credentials,
        version: ApiVersion,
    ) -> Self {
        let endpoint = gateway.endpoint();
        let config = Config::new(endpoint.parse().unwrap(), credentials.clone());
        Self {
            address: endpoint.strip_prefix("http://").unwrap().to_owned(),
            signer: Signer::new(config.with_version(version)),
            credentials,
            version,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// An operation of the core's client.
    pub(crate) fn call<O: Operation>(&self, operation: &O) -> Result<O::Output, Error> {
        let request = operation.request(&self.signer, SystemTime::now()).unwrap();
        let (parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().unwrap();
        let mut bytes = format!("{} {target} HTTP/1.1\r\n", parts.method).into_bytes();
        for (name, value) in &parts.headers {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        if !parts.headers.contains_key("content-length") {
            bytes.extend(format!("content-length: {}\r\n", body.len()).into_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        for segment in body.segments() {
            match segment {
                sorna_core::Segment::Bytes(content) => bytes.extend_from_slice(content),
                other => panic!("not used here: {other:?}"),
            }
        }
        let mut stream = self.connect();
        stream.write_all(&bytes).unwrap();
        let response = read_response(&mut stream).map(Into::into);
        operation
            .read_response(self.version, response)
            .map(|reply| reply.value)
    }

    /// The head of a request, signed by hand. `extra` are whole lines.
    pub(crate) fn head(
        &self,
        method: &str,
        target: &str,
        length: usize,
        signing: &Signing,
        extra: &str,
    ) -> String {
        let media_type = signing.media_type.unwrap_or("application/octet-stream");
        let string = StringToSign {
            method,
            target: signing.target.unwrap_or(target),
            date: &signing.date,
            host: &self.address,
            media_type: media_type.split(';').next().unwrap(),
            version_header: &signing.version_header.to_ascii_lowercase(),
            version: signing.version,
            body_hash: &body_hash(signing.hash, signing.hashed),
        };
        let secret = self.credentials.secret_key().expose();
        let key = SigningKey::derive(signing.hash, secret, &signing.day, &self.address);
        let signature = key.sign(&string);
        let content_type = signing.media_type.map_or_else(String::new, |media_type| {
            format!("Content-Type: {media_type}\r\n")
        });
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n{}: {}\r\n{}: {}\r\n{content_type}\
             Content-Length: {length}\r\n\
             Authorization: {} signMethod=HMAC-{}, credential={}:{signature}\r\n{extra}\r\n",
            self.address,
            signing.date_header,
            signing.date,
            signing.version_header,
            signing.version,
            signing.scheme,
            signing.hash,
            self.credentials.access_key(),
        )
    }

    pub(crate) fn send(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
        signing: &Signing,
    ) -> http::Response<Vec<u8>> {
        let mut stream = self.connect();
        let head = self.head(method, target, body.len(), signing, "");
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        read_response(&mut stream)
    }

    /// A request with a JSON body, or none for null; its status and JSON.
    #[track_caller]
    pub(crate) fn json(&self, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let response = self.send(method, target, &body, &Signing::default());
        let status = response.status().as_u16();
        if response.body().is_empty() {
            return (status, Value::Null);
        }
        (status, serde_json::from_slice(response.body()).unwrap())
    }

    /// Creates a session, and returns its ID.
    #[track_caller]
    pub(crate) fn create(&self, name: &str, image: &str) -> String {
        let body = json!({"name": name, "image": image});
        let (status, body) = self.json("POST", "/session", &body);
        assert_eq!(
            (status, &body["status"]),
            (201, &json!("RUNNING")),
            "{body}"
        );
        body["sessionId"].as_str().unwrap().to_owned()
    }

    /// Sends an execute request, and returns the result.
    #[track_caller]
    pub(crate) fn execute(&self, session: &str, body: &Value) -> Value {
        let (status, mut body) = self.json("POST", &format!("/session/{session}"), body);
        assert_eq!(status, 200, "{body}");
        body["result"].take()
    }

    /// Runs a snippet until it has ended or asks for input; returns the last result, with the output of all.
    #[track_caller]
    pub(crate) fn run(&self, session: &str, code: &str) -> Value {
        let first = self.execute(
            session,
            &json!({"mode": "query", "code": code, "runId": null}),
        );
        self.finish(session, first)
    }

    /// Continues until the status is not `continued`.
    #[track_caller]
    pub(crate) fn finish(&self, session: &str, first: Value) -> Value {
        let mut result = first;
        let mut console = Vec::new();
        loop {
            console.append(result["console"].as_array_mut().unwrap());
            if result["status"] != "continued" {
                result["console"] = console.into();
                return result;
            }
            let body = json!({"mode": "continue", "code": "", "run_id": result["runId"]});
            result = self.execute(session, &body);
        }
    }
}

/// The text of a stream in a result.
pub(crate) fn text(result: &Value, stream: &str) -> String {
    let console = result["console"].as_array().unwrap();
    let records = console.iter().filter(|record| record[0] == stream);
    records.map(|record| record[1].as_str().unwrap()).collect()
}

/// Reads the head of a response; what follows it is returned, as far as it has been read.
pub(crate) fn read_head(stream: &mut TcpStream) -> (http::Response<()>, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let read = read_some(stream, &mut chunk);
        assert!(
            read > 0,
            "the connection ended: {:?}",
            String::from_utf8_lossy(&bytes)
        );
        bytes.extend_from_slice(&chunk[..read]);
    };
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next().unwrap()[9..12].parse().unwrap();
    let mut builder = http::Response::builder().status(status);
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        builder = builder.header(name, value);
    }
    (builder.body(()).unwrap(), bytes.split_off(end + 4))
}

/// A read with a timeout is not restarted by the system after a signal.
pub(crate) fn read_some(stream: &mut TcpStream, chunk: &mut [u8]) -> usize {
    loop {
        match stream.read(chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            read => return read.unwrap(),
        }
    }
}

/// Reads one response with a Content-Length.
pub(crate) fn read_response(stream: &mut TcpStream) -> http::Response<Vec<u8>> {
    let (head, mut body) = read_head(stream);
    let length = head.headers().get("content-length");
    let length: usize = length.map_or(0, |length| length.to_str().unwrap().parse().unwrap());
    let mut chunk = vec![0; 64 * 1024];
    while body.len() < length {
        let read = read_some(stream, &mut chunk);
        assert!(
            read > 0,
            "the body ended after {} of {length} bytes",
            body.len()
        );
        body.extend_from_slice(&chunk[..read]);
    }
    assert_eq!(body.len(), length);
    head.map(|()| body)
}
