//! A client for tests: requests signed by the core, sent over one socket each.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "not every test uses everything")]

pub(crate) mod level;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use sorna_core::signing::{SigningKey, StringToSign, body_hash};
use sorna_core::{
    ApiVersion, Boundary, Config, Console, Continuation, CreateKernel, Credentials, Destroy, Error,
    Execute, ExecuteMode, ExecutionResult, ExecutionStatus, HashAlgorithm, KernelId, KernelSpec,
    Limits, Operation, Record, SessionToken, Signer, UploadFile, UploadFiles,
};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

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

/// Waits for a condition.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) struct Client {
    address: String,
    credentials: Credentials,
    signer: Signer,
}

impl Client {
    pub(crate) fn new(gateway: &RunningGateway) -> Self {
        Self::with_key(gateway, 0)
    }

    pub(crate) fn with_key(gateway: &RunningGateway, index: usize) -> Self {
        Self::with_credentials(gateway, gateway.credentials()[index].clone())
    }

    pub(crate) fn with_credentials(gateway: &RunningGateway, credentials: Credentials) -> Self {
        Self::at(gateway.endpoint(), credentials)
    }

    /// Of a gateway in another process.
    pub(crate) fn at(endpoint: &str, credentials: Credentials) -> Self {
        Self {
            address: endpoint.strip_prefix("http://").unwrap().to_owned(),
            signer: Signer::new(Config::new(endpoint.parse().unwrap(), credentials.clone())),
            credentials,
        }
    }

    pub(crate) fn call<O: Operation>(&self, operation: &O) -> Result<O::Output, Error> {
        self.call_at(operation, SystemTime::now())
    }

    pub(crate) fn call_at<O: Operation>(
        &self,
        operation: &O,
        now: SystemTime,
    ) -> Result<O::Output, Error> {
        let mut stream = self.connect();
        stream.write_all(&self.bytes_of(operation, now)).unwrap();
        operation
            .read_response(ApiVersion::default(), read_response(&mut stream))
            .map(|answer| answer.value)
    }

    /// The status and problem kind of the error response to an operation.
    #[track_caller]
    pub(crate) fn error_of<O: Operation>(&self, operation: &O) -> (u16, String)
    where
        O::Output: std::fmt::Debug,
    {
        let error = self.call(operation).unwrap_err();
        let response = error.gateway().expect("an error response");
        (
            response.status().as_u16(),
            response.kind_name().unwrap_or("none").to_owned(),
        )
    }

    /// Host and port of the gateway.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The request as it is sent.
    pub(crate) fn bytes_of<O: Operation>(&self, operation: &O, now: SystemTime) -> Vec<u8> {
        let (parts, body) = operation.request(&self.signer, now).unwrap().into_parts();
        let target = parts.uri.path_and_query().unwrap();
        let mut bytes = format!("{} {target} HTTP/1.1\r\n", parts.method).into_bytes();
        for (name, value) in &parts.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        if !parts.headers.contains_key("content-length") {
            bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        for segment in body.segments() {
            match segment {
                sorna_core::Segment::Bytes(content) => bytes.extend_from_slice(content),
                other => panic!("not used here: {other:?}"),
            }
        }
        bytes
    }

    /// A request for a terminal as it is sent.
    pub(crate) fn terminal_bytes(&self, kernel: &KernelId) -> Vec<u8> {
        let open = sorna_core::terminal::OpenTerminal::new(kernel.clone());
        let request = open.request(&self.signer, SystemTime::now()).unwrap();
        let mut bytes = format!("GET {} HTTP/1.1\r\n", request.uri().path()).into_bytes();
        for (name, value) in request.headers() {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        bytes.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
        bytes.extend_from_slice(b"sec-websocket-version: 13\r\n");
        bytes.extend_from_slice(b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
        bytes
    }

    /// Sends any request, properly signed.
    pub(crate) fn raw(
        &self,
        method: &str,
        target: &str,
        media_type: &str,
        body: &[u8],
    ) -> http::Response<Bytes> {
        let mut stream = self.connect();
        stream
            .write_all(&self.raw_bytes(method, target, media_type, body))
            .unwrap();
        read_response(&mut stream)
    }

    pub(crate) fn raw_bytes(
        &self,
        method: &str,
        target: &str,
        media_type: &str,
        body: &[u8],
    ) -> Vec<u8> {
        let now = httpdate::fmt_http_date(SystemTime::now());
        let day: Vec<u8> = iso_day(&now);
        let hash = HashAlgorithm::Sha256;
        let signed_type = media_type.split(';').next().unwrap();
        let signed_body = if signed_type == "multipart/form-data" {
            b""
        } else {
            body
        };
        let string = StringToSign {
            method,
            target,
            date: &now,
            host: &self.address,
            media_type: signed_type,
            version_header: "x-sorna-version",
            version: "v2.20170315",
            body_hash: &body_hash(hash, signed_body),
        };
        let secret = self.credentials.secret_key().expose();
        let key = SigningKey::derive(hash, secret, &day.try_into().unwrap(), &self.address);
        let signature = key.sign(&string);
        let mut bytes = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nDate: {now}\r\nX-Sorna-Version: v2.20170315\r\n\
             Content-Type: {media_type}\r\nContent-Length: {}\r\n\
             Authorization: Sorna signMethod=HMAC-SHA256, credential={}:{signature}\r\n\r\n",
            self.address,
            body.len(),
            self.credentials.access_key(),
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    pub(crate) fn create(&self, lang: &str) -> KernelId {
        self.create_as(lang, SessionToken::from_random(random()))
    }

    pub(crate) fn create_as(&self, lang: &str, token: SessionToken) -> KernelId {
        self.call(&CreateKernel::new(lang, token)).unwrap().id
    }

    pub(crate) fn create_with(&self, lang: &str, limits: Limits) -> KernelId {
        let token = SessionToken::from_random(random());
        self.call(&CreateKernel::new(
            KernelSpec::new(lang).with_limits(limits),
            token,
        ))
        .unwrap()
        .id
    }

    pub(crate) fn destroy(&self, kernel: &KernelId) {
        self.call(&Destroy::new(kernel.clone())).unwrap();
    }

    pub(crate) fn upload(&self, kernel: &KernelId, files: &[(&str, &[u8])]) -> Result<(), Error> {
        self.call(&self.upload_of(kernel, files)).map(|_| ())
    }

    pub(crate) fn upload_of(&self, kernel: &KernelId, files: &[(&str, &[u8])]) -> UploadFiles {
        let files = files
            .iter()
            .map(|(name, content)| UploadFile::from_bytes(*name, content.to_vec()).unwrap())
            .collect();
        UploadFiles::new(kernel.clone(), files, Boundary::from_random(random()))
    }

    /// Starts an execution and returns the first result.
    pub(crate) fn start(&self, kernel: &KernelId, mode: ExecuteMode) -> (Execute, ExecutionResult) {
        let start = Execute::start(kernel.clone(), mode);
        let result = self.call(&start).unwrap();
        (start, result)
    }

    pub(crate) fn query(&self, kernel: &KernelId, code: &str) -> (Execute, ExecutionResult) {
        self.start(kernel, ExecuteMode::query(code))
    }

    /// Runs a snippet to its end, and returns its records as if they had come in one response.
    pub(crate) fn console(&self, kernel: &KernelId, code: &str) -> Console {
        let (start, mut result) = self.query(kernel, code);
        let mut all = Console::new();
        loop {
            for record in result.console.iter() {
                match record {
                    Record::Stdout(text) => all.push_stdout(&text),
                    Record::Stderr(text) => all.push_stderr(&text),
                    other => all.push(&other),
                }
            }
            if result.status != ExecutionStatus::Continued {
                assert_eq!(result.status, ExecutionStatus::Finished);
                return all;
            }
            result = self.call(&start.proceed(Continuation::Continue)).unwrap();
        }
    }

    /// Continues until the status is not `continued`, and collects the output.
    pub(crate) fn finish(&self, start: &Execute, first: ExecutionResult) -> Outcome {
        let mut outcome = Outcome::default();
        let mut result = first;
        let until = Instant::now() + PATIENCE;
        loop {
            outcome.stdout += &result.console.stdout();
            outcome.stderr += &result.console.stderr();
            outcome.records += result.console.iter().count();
            outcome.responses += 1;
            outcome.longest = outcome.longest.max(result.console.text_len());
            if result.status != ExecutionStatus::Continued {
                outcome.status = Some(result.status.clone());
                outcome.last = Some(result);
                return outcome;
            }
            assert!(Instant::now() < until, "still running: {outcome:?}");
            result = self.call(&start.proceed(Continuation::Continue)).unwrap();
        }
    }

    /// Runs a snippet to its end, or until it asks for input.
    pub(crate) fn run(&self, kernel: &KernelId, code: &str) -> Outcome {
        let (start, first) = self.query(kernel, code);
        self.finish(&start, first)
    }

    /// Sends input and continues.
    pub(crate) fn input(&self, kernel: &KernelId, line: &str) -> Outcome {
        let start = Execute::start(kernel.clone(), ExecuteMode::query(""));
        let next = start.proceed(Continuation::Input(line.to_owned()));
        let first = self.call(&next).unwrap();
        self.finish(&start, first)
    }

    /// Runs a batch to its end, and collects the statuses on the way.
    pub(crate) fn batch(
        &self,
        kernel: &KernelId,
        batch: sorna_core::Batch,
    ) -> (Vec<ExecutionStatus>, Outcome) {
        let (start, mut result) = self.start(kernel, ExecuteMode::Batch(batch));
        let mut statuses = Vec::new();
        let mut all = Outcome::default();
        loop {
            let outcome = self.finish(&start, result);
            all.stdout += &outcome.stdout;
            all.stderr += &outcome.stderr;
            let status = outcome.status.clone().unwrap();
            statuses.push(status.clone());
            if status != ExecutionStatus::BuildFinished {
                all.status = Some(status);
                all.last = outcome.last;
                return (statuses, all);
            }
            result = self.call(&start.proceed(Continuation::Continue)).unwrap();
        }
    }
}

/// The output of an execution until its last response.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) records: usize,
    pub(crate) responses: usize,
    /// The most text in one response, in bytes.
    pub(crate) longest: usize,
    pub(crate) status: Option<ExecutionStatus>,
    pub(crate) last: Option<ExecutionResult>,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn finished(self) -> (String, String) {
        assert_eq!(self.status, Some(ExecutionStatus::Finished), "{self:?}");
        (self.stdout, self.stderr)
    }

    pub(crate) fn exit_code(&self) -> Option<i64> {
        self.last.as_ref()?.exit_code()
    }

    /// If it asks for input, whether that is a password.
    pub(crate) fn asks(&self) -> Option<bool> {
        let last = self.last.as_ref()?;
        (last.status == ExecutionStatus::WaitingInput).then(|| last.is_password())
    }
}

/// How many processes of this machine have this word in their command line or environment. Their IDs are not known to
/// programs that have namespaces of their own.
pub(crate) fn running(word: &str) -> usize {
    let holds = |entry: &std::fs::DirEntry| {
        let read = |file| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let has = |text: Vec<u8>| text.windows(word.len()).any(|part| part == word.as_bytes());
        has(read("cmdline")) || has(read("environ"))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(holds)
        .count()
}

pub(crate) fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// `Thu, 29 Jun 2017 …` to `20170629`.
fn iso_day(date: &str) -> Vec<u8> {
    let parts: Vec<&str> = date.split(' ').collect();
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = months.iter().position(|month| *month == parts[2]).unwrap() + 1;
    format!("{}{month:02}{}", parts[3], parts[1]).into_bytes()
}

/// Reads one response with a Content-Length.
pub(crate) fn read_response(stream: &mut TcpStream) -> http::Response<Bytes> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 64 * 1024];
    loop {
        if let Some(head_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = std::str::from_utf8(&bytes[..head_end]).unwrap();
            let mut lines = head.split("\r\n");
            let status: u16 = lines.next().unwrap()[9..12].parse().unwrap();
            let mut builder = http::Response::builder().status(status);
            let mut length = 0;
            for line in lines {
                let (name, value) = line.split_once(": ").unwrap();
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.parse().unwrap();
                }
                builder = builder.header(name, value);
            }
            let body = head_end + 4;
            if bytes.len() >= body + length {
                let content = Bytes::copy_from_slice(&bytes[body..body + length]);
                return builder.body(content).unwrap();
            }
        }
        let read = match stream.read(&mut chunk) {
            // A read with a timeout is not restarted by the system after a signal.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read.unwrap(),
        };
        assert!(
            read > 0,
            "the connection ended: {:?}",
            String::from_utf8_lossy(&bytes)
        );
        bytes.extend_from_slice(&chunk[..read]);
    }
}
