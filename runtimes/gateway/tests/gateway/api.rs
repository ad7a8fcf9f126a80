//! Authentication, limits, and error responses.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use crate::common::{Client, gateway, gateway_with, read_response, wait_until};
use serde_json::{Value, json};
use sorna_core::{
    AccessKey, Authorize, CreateKernel, Credentials, Destroy, Execute, ExecuteMode, Info, KernelId,
    KernelSpec, Restart, SecretKey, SessionToken, Version,
};
use sorna_gateway::{Gateway, GatewayConfig, StartError};

fn pair(access_key: &str, secret_key: &str) -> Credentials {
    let secret_key = SecretKey::new(secret_key).unwrap();
    Credentials::new(AccessKey::new(access_key).unwrap(), secret_key)
}

fn token() -> SessionToken {
    SessionToken::from_random(crate::common::random())
}

fn problem(response: &http::Response<bytes::Bytes>) -> (u16, String) {
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/problem+json")
    );
    assert!(!response.headers().contains_key("x-ratelimit-limit"));
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    let kind = body["type"]
        .as_str()
        .unwrap()
        .strip_prefix("https://api.sorna.io/probs/");
    (response.status().as_u16(), kind.unwrap().to_owned())
}

#[test]
fn keys_are_checked() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.call(&Authorize::new("é")).unwrap();

    let wrong = pair(gateway.access_key(), "not the secret");
    let wrong = Client::with_credentials(&gateway, wrong);
    assert_eq!(
        wrong.error_of(&Authorize::new("x")),
        (401, "auth-failed".to_owned())
    );
    // The version needs no valid signature, but a known key.
    wrong.call(&Version::new()).unwrap();
    let unknown = Client::with_credentials(&gateway, pair("AKIAUNKNOWNUNKNOWN00", "x"));
    assert_eq!(
        unknown.error_of(&Authorize::new("x")),
        (401, "auth-failed".to_owned())
    );
    assert_eq!(
        unknown.error_of(&Version::new()),
        (401, "auth-failed".to_owned())
    );

    for minutes in [-16, 16] {
        let skew = Duration::from_secs(16 * 60);
        let now = SystemTime::now();
        let now = if minutes < 0 { now - skew } else { now + skew };
        let error = client.call_at(&Authorize::new("x"), now).unwrap_err();
        let response = error.gateway().unwrap();
        assert_eq!(response.status().as_u16(), 400);
        assert_eq!(response.kind_name(), Some("invalid-auth-params"));
    }

    // A body that was changed in transit.
    let mut bytes = client.bytes_of(&Authorize::new("abc"), SystemTime::now());
    let at = bytes.windows(3).position(|three| three == b"abc").unwrap();
    bytes[at] = b'x';
    let mut stream = client.connect();
    stream.write_all(&bytes).unwrap();
    assert_eq!(
        problem(&read_response(&mut stream)),
        (401, "auth-failed".to_owned())
    );
    // No headers at all.
    stream
        .write_all(b"GET /v2/authorize HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    assert_eq!(
        problem(&read_response(&mut stream)),
        (400, "invalid-auth-params".to_owned())
    );
    // The connection is still usable.
    stream
        .write_all(&client.bytes_of(&Version::new(), SystemTime::now()))
        .unwrap();
    assert_eq!(read_response(&mut stream).status(), 200);
    assert_eq!(gateway.stats().requests, 10);
}

#[test]
fn the_rate_limit_is_reported_and_enforced() {
    let gateway = gateway_with(|config| config.with_max_requests_per_window(3));
    let client = Client::new(&gateway);
    for remaining in ["2", "1", "0"] {
        let response = client.raw("GET", "/v2", "application/octet-stream", b"");
        assert_eq!(response.headers()["x-ratelimit-limit"], "3");
        assert_eq!(response.headers()["x-ratelimit-remaining"], remaining);
        let reset: u64 = response.headers()["x-ratelimit-reset"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!(reset <= 900_000);
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        let extensions = [
            "final",
            "runs",
            "bytes",
            "file-modes",
            "any-size",
            "files",
            "echo",
            "interrupt",
            "keep-alive",
            "logs",
            "match",
            "attach",
            "terminal-directory",
            "refusals",
            "between",
            "usage",
            "max-output",
        ];
        let expected = json!({"version": "v2.20170315", "extensions": extensions});
        assert_eq!(body, expected);
    }
    assert_eq!(
        client.error_of(&Version::new()),
        (429, "rate-limit-exceeded".to_owned())
    );
}

#[test]
fn responses_without_a_body_have_a_length() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let target = format!("/v2/kernel/{kernel}");
    for method in ["PATCH", "DELETE"] {
        let response = client.raw(method, &target, "application/octet-stream", b"");
        assert_eq!(response.status(), 204);
        assert_eq!(response.headers()["content-length"], "0");
        assert_eq!(
            response.headers()["content-type"],
            "application/octet-stream"
        );
        assert!(response.headers().contains_key("x-ratelimit-limit"));
    }
}

#[test]
fn malformed_requests_are_rejected_without_harm() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let path = format!("/v2/kernel/{kernel}");
    let json = "application/json";
    let large = vec![b' '; 1024 * 1024];
    let just_below = vec![b' '; 1024 * 1024 - 1];
    for (method, target, body, expected) in [
        (
            "POST",
            "/v2/kernel/create",
            &b"{"[..],
            (400, "invalid-api-params"),
        ),
        (
            "POST",
            "/v2/kernel/create",
            b"{}",
            (400, "invalid-api-params"),
        ),
        ("POST", &path, b"not json", (400, "invalid-api-params")),
        (
            "POST",
            &path,
            b"{\"mode\": \"boil\", \"code\": \"\"}",
            (400, "invalid-api-params"),
        ),
        ("POST", &path, &large, (400, "generic-bad-request")),
        ("POST", &path, &just_below, (400, "invalid-api-params")),
        ("PUT", &path, b"", (400, "generic-bad-request")),
        ("GET", "/", b"", (400, "generic-bad-request")),
        ("GET", "/v3", b"", (400, "generic-bad-request")),
        ("GET", "/v2/", b"", (404, "generic-not-found")),
        ("GET", "/v2/kernel/..%2F..", b"", (404, "kernel-not-found")),
        (
            "GET",
            &format!("/v2/stream/kernel/{kernel}/pty"),
            b"",
            (400, "generic-bad-request"),
        ),
        (
            "GET",
            "/v2/stream/kernel/unknown/pty",
            b"",
            (404, "kernel-not-found"),
        ),
        (
            "POST",
            &format!("{path}/upload"),
            b"{}",
            (400, "generic-bad-request"),
        ),
    ] {
        let response = client.raw(method, target, json, body);
        let (status, kind) = problem(&response);
        assert_eq!((status, kind.as_str()), expected, "{method} {target}");
    }
    // A body that never ends, in chunks.
    let mut head = client.raw_bytes("POST", &path, json, b"");
    let text = String::from_utf8(head.clone()).unwrap();
    head = text
        .replace("Content-Length: 0", "Transfer-Encoding: chunked")
        .into_bytes();
    let mut stream = client.connect();
    stream.write_all(&head).unwrap();
    let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
    for _ in 0..17 {
        stream.write_all(&chunk).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(
        problem(&read_response(&mut stream)),
        (400, "generic-bad-request".to_owned())
    );
    assert_eq!(client.run(&kernel, "echo fine").finished().0, "fine\n");
}

#[test]
fn a_request_in_pieces_is_accepted_and_a_slow_head_times_out() {
    let gateway = gateway_with(|config| config.with_head_timeout(Duration::from_millis(300)));
    let client = Client::new(&gateway);
    let mut stream = client.connect();
    for byte in client.bytes_of(&Authorize::new("x"), SystemTime::now()) {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_response(&mut stream).status(), 200);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    let mut stream = client.connect();
    stream.write_all(b"GET /v2 HTTP/1.1\r\nHo").unwrap();
    stream.read_to_end(&mut rest).unwrap();
}

/// Sends a request on this connection, and returns the status and problem kind.
fn request_on(client: &Client, stream: &mut TcpStream) -> (u16, String) {
    let request = client.bytes_of(&Authorize::new("x"), SystemTime::now());
    // A rejected connection may be closed before the request is written.
    let _ = stream.write_all(&request);
    let response = read_response(stream);
    match response.status().as_u16() {
        200 => (200, String::new()),
        _ => problem(&response),
    }
}

/// A connection, as soon as there is room for one.
fn connect(client: &Client) -> TcpStream {
    let mut stream = client.connect();
    wait_until("room", || {
        let is_served = request_on(client, &mut stream).0 == 200;
        if !is_served {
            stream = client.connect();
        }
        is_served
    });
    stream
}

fn open_terminal(client: &Client, kernel: &KernelId, stream: &mut TcpStream) {
    stream.write_all(&client.terminal_bytes(kernel)).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 101");
}

#[test]
fn connections_are_limited_and_idle_ones_make_room() {
    let gateway = gateway_with(|config| config.with_max_connections(2));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let (mut first, mut second) = (connect(&client), connect(&client));
    open_terminal(&client, &kernel, &mut first);
    let mut third = connect(&client);
    // Closed, with nothing sent before.
    assert!(matches!(second.read(&mut [0; 1]), Ok(0) | Err(_)));
    // Terminals stay.
    open_terminal(&client, &kernel, &mut third);
    let full = (503, "service-unavailable".to_owned());
    assert_eq!(request_on(&client, &mut client.connect()), full);
    drop(first);
    connect(&client);
    drop(third);
}

#[test]
fn one_key_leaves_room_for_the_others() {
    let gateway = gateway_with(|config| {
        config
            .with_max_connections(4)
            .with_credentials([pair("KEYONE", "one"), pair("KEYTWO", "two")])
    });
    let (one, two) = (Client::with_key(&gateway, 0), Client::with_key(&gateway, 1));
    let kernel = one.create("bash");
    let mut terminals = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(&one);
        open_terminal(&one, &kernel, &mut stream);
        terminals.push(stream);
    }
    let full = (503, "service-unavailable".to_owned());
    assert_eq!(request_on(&one, &mut one.connect()), full);
    assert_eq!(request_on(&two, &mut two.connect()).0, 200);
    drop(terminals);
    connect(&one);
}

#[test]
fn a_client_that_does_not_read_responses_is_disconnected() {
    let gateway = gateway_with(|config| {
        config
            .with_max_connections(1)
            .with_write_timeout(Duration::from_millis(300))
    });
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let mut stream = connect(&client);
    let much = ExecuteMode::query("head -c 1000000 /dev/zero | tr '\\0' x");
    let request = client.bytes_of(&Execute::start(kernel, much), SystemTime::now());
    // The responses exceed what the system buffers for a connection.
    for _ in 0..32 {
        stream.write_all(&request).unwrap();
    }
    connect(&client);
    let mut responses = Vec::new();
    let _ = stream.read_to_end(&mut responses);
    assert!(responses.len() < 32_000_000, "{}", responses.len());
}

#[test]
fn a_slow_body_times_out() {
    let gateway = gateway_with(|config| config.with_body_timeout(Duration::from_millis(300)));
    let client = Client::new(&gateway);
    let request = client.bytes_of(&Authorize::new("x"), SystemTime::now());
    let mut stream = client.connect();
    // All but its last byte.
    stream.write_all(&request[..request.len() - 1]).unwrap();
    let error = problem(&read_response(&mut stream));
    assert_eq!(error, (400, "generic-bad-request".to_owned()));
}

#[test]
fn an_unknown_key_is_rejected_before_the_body_is_read() {
    let gateway = gateway();
    let unknown = Client::with_credentials(&gateway, pair("AKIAUNKNOWNUNKNOWN00", "x"));
    let request = unknown.bytes_of(&Authorize::new("x"), SystemTime::now());
    let mut stream = unknown.connect();
    let head = request
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .unwrap()
        + 4;
    stream.write_all(&request[..head]).unwrap();
    let error = problem(&read_response(&mut stream));
    assert_eq!(error, (401, "auth-failed".to_owned()));
}

#[test]
fn the_size_of_a_head_is_limited() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for size in [65 * 1024, 100 * 1024, 256 * 1024] {
        let mut stream = client.connect();
        let filler = "x".repeat(size);
        let head =
            format!("GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {filler}\r\n\r\n");
        // The gateway may close the connection before it has read all of it.
        let _ = stream.write_all(head.as_bytes());
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response);
        let response = String::from_utf8_lossy(&response);
        let is_rejected =
            response.starts_with("HTTP/1.1 431") || response.contains("larger than 65536 bytes");
        assert!(is_rejected || response.is_empty(), "{size}: {response}");
    }
    assert_eq!(request_on(&client, &mut client.connect()).0, 200);
}

#[test]
fn a_request_has_one_host() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let request = client.bytes_of(&Authorize::new("x"), SystemTime::now());
    let request = String::from_utf8(request).unwrap();
    for other in ["example.com", client.address()] {
        let request = request.replacen("\r\n", &format!("\r\nHost: {other}\r\n"), 1);
        let mut stream = client.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let error = problem(&read_response(&mut stream));
        assert_eq!(error, (400, "generic-bad-request".to_owned()));
    }
}

#[test]
fn kernels_belong_to_a_key_a_token_and_a_language_name() {
    let gateway = gateway_with(|config| {
        config.with_credentials([pair("KEYONE", "one"), pair("KEYTWO", "two")])
    });
    let (one, two) = (Client::with_key(&gateway, 0), Client::with_key(&gateway, 1));
    let token = token();
    let kernel = one.create_as("python3", token.clone());
    assert_eq!(one.create_as("python3", token.clone()), kernel);
    let others = [
        one.create_as("python", token.clone()),
        two.create_as("python3", token.clone()),
    ];
    assert!(!others.contains(&kernel));
    assert_eq!(kernel.as_str().len(), 22);

    // A key cannot use the kernel of another.
    let not_found = (404, "kernel-not-found".to_owned());
    assert_eq!(two.error_of(&Info::new(kernel.clone())), not_found);
    assert_eq!(two.error_of(&Restart::new(kernel.clone())), not_found);
    assert_eq!(two.error_of(&Destroy::new(kernel.clone())), not_found);
    let execute = sorna_core::Execute::start(kernel.clone(), ExecuteMode::query("1"));
    assert_eq!(two.error_of(&execute), not_found);
    assert_eq!(
        two.error_of(&two.upload_of(&kernel, &[("a", b"")])),
        not_found
    );

    one.destroy(&kernel);
    assert_eq!(one.error_of(&Info::new(kernel.clone())), not_found);
    assert_eq!(one.error_of(&Destroy::new(kernel.clone())), not_found);
    assert_ne!(one.create_as("python3", token), kernel);
    assert_eq!(gateway.stats().kernels, 3);
    assert_eq!(gateway.stats().kernels_created, 4);
}

#[test]
fn simultaneous_requests_for_one_token_create_one_kernel() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let token = token();
    let kernels: Vec<KernelId> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| client.create_as("bash", token.clone())))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(kernels.iter().all(|kernel| *kernel == kernels[0]));
    assert_eq!(gateway.stats().kernels_created, 1);
}

#[test]
fn kernels_that_cannot_be_created_are_explained() {
    let gateway = gateway_with(|config| config.with_max_kernels_per_key(2));
    let client = Client::new(&gateway);
    let error = client
        .call(&CreateKernel::new("klingon", token()))
        .unwrap_err();
    let response = error.gateway().unwrap();
    assert_eq!(response.kind_name(), Some("kernel-creation-failed"));
    let details = response.problem().unwrap().agent_details.clone().unwrap();
    let title = details.title.unwrap();
    assert!(
        title.contains("klingon") && title.contains("python3, bash, c"),
        "{title}"
    );
    let mounts = CreateKernel::new(KernelSpec::new("bash").with_mounts(["data"]), token());
    assert_eq!(client.error_of(&mounts).1, "kernel-creation-failed");
    // Too little for the interpreter or compiler, whether or not it is installed.
    for (lang, least) in [
        ("bash", 4),
        ("perl", 4),
        ("lua", 4),
        ("c", 6),
        ("python3", 8),
        ("ruby", 8),
        ("php", 10),
        ("c++", 10),
        ("rust", 24),
        ("node", 32),
        ("r", 32),
        ("java", 48),
        ("stable/java:17", 48),
        ("go", 64),
    ] {
        for bytes in [1024, (least << 20) - 1024] {
            let limits = sorna_core::Limits::new().with_max_memory(bytes);
            let small = CreateKernel::new(KernelSpec::new(lang).with_limits(limits), token());
            let error = client.call(&small).unwrap_err();
            let response = error.gateway().unwrap();
            assert_eq!(response.kind_name(), Some("kernel-creation-failed"));
            let details = response.problem().unwrap().agent_details.clone().unwrap();
            let title = details.title.unwrap();
            let expected = format!(
                "{} KiB of memory are too little for {lang} (minimum {least} MiB)",
                bytes / 1024
            );
            assert!(title.contains(&expected), "{title}");
        }
    }

    // At the limit, the token of a living kernel still returns that kernel.
    let first = token();
    let kernel = client.create_as("bash", first.clone());
    let second = client.create("bash");
    let full = CreateKernel::new("bash", token());
    assert_eq!(client.error_of(&full), (412, "quota-exceeded".to_owned()));
    assert_eq!(client.create_as("bash", first), kernel);
    client.destroy(&second);
    client.call(&full).unwrap();
}

#[test]
fn other_than_loopback_addresses_need_permission_and_keys() {
    let config = GatewayConfig::new().with_listen("0.0.0.0:0".parse().unwrap());
    let error = Gateway::spawn(config).unwrap_err();
    assert!(matches!(error, StartError::NotLoopback(_)));
    assert!(error.to_string().contains("loopback"));

    // Other addresses need both permission and keys.
    let config = GatewayConfig::new()
        .with_listen("0.0.0.0:0".parse().unwrap())
        .with_allow_remote(true);
    let error = Gateway::spawn(config.clone()).unwrap_err();
    assert!(matches!(error, StartError::NoCredentials(_)));
    let config = config.with_credentials(gateway().credentials().to_vec());
    let open = Gateway::spawn(config).unwrap();
    assert!(open.endpoint().starts_with("http://127.0.0.1:"));
    Client::new(&open).call(&Version::new()).unwrap();

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = GatewayConfig::new().with_listen(taken.local_addr().unwrap());
    let error = Gateway::spawn(config).unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }), "{error:?}");
}

#[test]
fn secrets_are_hidden_from_logs_and_kernels() {
    let gateway = gateway();
    let shown = format!("{gateway:?} {:?}", gateway.credentials());
    assert!(!shown.contains(gateway.secret_key()));
    assert!(shown.contains(gateway.access_key()));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let code = "cat /proc/$PPID/environ | tr '\\0' '\\n'; env";
    let (stdout, _) = client.run(&kernel, code).finished();
    assert!(!stdout.contains(gateway.secret_key()));
}
