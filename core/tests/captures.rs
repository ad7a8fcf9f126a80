//! Exchanges recorded between the original client (0.9.8) and the original gateway (0.9.11).

use bytes::Bytes;
use http::{Request, Response};
use sorna_core::machine::{Execution, ExecutionEvent, Machine, Step};
use sorna_core::*;

/// Splits a recorded message into its first line, headers and body.
fn message(bytes: &[u8]) -> (String, Vec<(String, String)>, Bytes) {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head in UTF-8");
    let mut lines = head.split("\r\n").map(str::to_owned);
    let first = lines.next().expect("a first line");
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.to_owned(), value.to_owned())
        })
        .collect();
    (first, headers, Bytes::copy_from_slice(&bytes[end + 4..]))
}

fn response(bytes: &[u8]) -> Response<Bytes> {
    let (first, headers, body) = message(bytes);
    let status = first.split(' ').nth(1).expect("a status");
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(body).expect("a response")
}

#[cfg_attr(
    not(feature = "server"),
    allow(dead_code, reason = "read by the server's tests")
)]
fn request(bytes: &[u8]) -> Request<Bytes> {
    let (first, headers, body) = message(bytes);
    let mut line = first.split(' ');
    let mut request = Request::builder()
        .method(line.next().expect("a method"))
        .uri(line.next().expect("a target"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(body).expect("a request")
}

macro_rules! capture {
    ($name:literal) => {
        include_bytes!(concat!("data/captures-sorna/", $name, ".http"))
    };
}

fn kernel() -> KernelId {
    KernelId::new("6N0hHjQKeTAvdmU5q2Kgow").expect("an id")
}

fn executed(bytes: &[u8]) -> ExecutionResult {
    Execute::start(kernel(), ExecuteMode::query("1"))
        .read_response(ApiVersion::default(), response(bytes))
        .expect("a result")
        .value
}

#[test]
fn version() {
    let answer = Version::new()
        .read_response(
            ApiVersion::default(),
            response(capture!("01-version.response")),
        )
        .expect("a version");
    assert_eq!(answer.value.version, "v2.20170315");
    let limit = answer.rate_limit.expect("rate limit headers");
    assert_eq!((limit.limit, limit.remaining), (Some(1000), Some(1000)));
    assert_eq!(limit.reset.expect("a reset").as_secs(), 900);
}

#[test]
fn create_and_destroy() {
    let token = SessionToken::new("capture-1060a1e8e2349c90").expect("a token");
    let created = CreateKernel::new("python3", token)
        .read_response(
            ApiVersion::default(),
            response(capture!("03-create.response")),
        )
        .expect("a kernel");
    assert_eq!(created.value.id, kernel());
    let destroyed = Destroy::new(kernel()).read_response(
        ApiVersion::default(),
        response(capture!("12-destroy.response")),
    );
    assert_eq!(
        destroyed
            .expect("success")
            .rate_limit
            .expect("headers")
            .remaining,
        Some(971)
    );
}

#[test]
fn info() {
    let info = Info::new(kernel())
        .read_response(
            ApiVersion::default(),
            response(capture!("10-get-info.response")),
        )
        .expect("info")
        .value;
    assert_eq!(info.language(), Some("python3"));
    assert_eq!(
        info.age(),
        Some(std::time::Duration::from_micros(3_526_982))
    );
    assert_eq!(
        info.cpu_time_used(),
        Some(std::time::Duration::from_millis(110))
    );
    assert_eq!(info.idle(), Some(std::time::Duration::from_micros(163_656)));
    assert!(info.extra().is_empty());
}

#[test]
fn records_keep_their_order() {
    let result = executed(capture!("05-execute-records.response"));
    assert_eq!(result.status, ExecutionStatus::Finished);
    let records: Vec<_> = result.console.iter().collect();
    assert_eq!(
        records,
        [
            Record::Stdout("out\n".into()),
            Record::Stderr("err\n".into()),
            Record::Stdout("é 😀\n".into()),
            Record::Html("<b>x</b>".into()),
            Record::Media(Media::new("image/svg+xml", "<svg/>")),
        ]
    );
    assert_eq!(result.exit_code(), None, "this gateway never sends it");
    assert_eq!(result.extra["files"], serde_json::json!([]));
}

#[test]
fn statuses_before_the_end_are_read() {
    let result = executed(capture!("06-execute-continued.response"));
    assert_eq!(result.status, ExecutionStatus::Continued);
    let result = executed(capture!("08-execute-waiting-input.response"));
    assert_eq!(result.status, ExecutionStatus::WaitingInput);
    assert!(!result.is_password());
    assert_eq!(result.console.stdout(), "name? ");
    let result = executed(capture!("15-batch-build-finished.response"));
    assert_eq!(result.status, ExecutionStatus::BuildFinished);
}

#[test]
fn error_responses() {
    let read = |bytes: &[u8]| {
        let error = Info::new(kernel()).read_response(ApiVersion::default(), response(bytes));
        error.expect_err("an error response")
    };
    let error = read(capture!("13-unknown-kernel.response"));
    assert!(error.is_not_found());
    assert_eq!(
        error.to_string(),
        "the gateway responded with 404 kernel-not-found: No such kernel."
    );
    let error = read(capture!("21-wrong-secret.response"));
    assert!(error.is_auth());
    let error = read(capture!("28-rate-limit-exceeded.response"));
    let response = error.gateway().expect("an error response");
    assert!(response.is_rate_limited());
    assert_eq!(response.retry_after(), None);
    let error = read(capture!("29-not-json-400-invalid-url.response"));
    let response = error.gateway().expect("an error response");
    assert!(matches!(response.error_body(), ErrorBody::Raw));
    assert_eq!(&response.body()[..], b"invalid URL");
}

#[test]
fn an_execution_is_driven_by_recorded_responses() {
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
        SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a key"),
    );
    let config = Config::new("http://127.0.0.1:8082".parse().expect("an endpoint"), keys);
    let mut execution = Execution::new(
        kernel(),
        ExecuteMode::query("…"),
        Caller::new(Signer::new(config)),
    );
    let now = Moment::new(std::time::UNIX_EPOCH, Instant::default(), 0);
    let mut now = now.after(std::time::Duration::from_secs(1_500_000_000));
    let mut seen = String::new();
    for bytes in [
        &capture!("08-execute-waiting-input.response")[..],
        capture!("15-batch-build-finished.response"),
        capture!("05-execute-records.response"),
    ] {
        while let step = execution.poll(now)
            && !matches!(step, Step::Send(_))
        {
            match step {
                Step::Event(ExecutionEvent::Console(console)) => seen += &console.stdout(),
                Step::Event(ExecutionEvent::InputRequested { .. }) => {
                    execution.answer("me").expect("it waits");
                }
                Step::Event(_) => {}
                Step::Wait(until) => now = now.after(until.saturating_duration_since(now.instant)),
                step => panic!("{step:?}"),
            }
        }
        execution.handle_response(now, response(bytes));
    }
    while let Step::Event(event) = execution.poll(now) {
        if let ExecutionEvent::Console(console) = event {
            seen += &console.stdout();
        }
    }
    assert_eq!(seen, "name? out\né 😀\n");
}

#[cfg(feature = "server")]
mod server {
    use std::time::{Duration, UNIX_EPOCH};

    use sorna_core::SecretKey;
    use sorna_core::server::{ExecuteRequest, Route, SignedRequest, Step};

    use super::request;

    /// 24 November 2026, 02:22:10 UTC: when the exchanges were recorded, to a few seconds.
    const NOW: Duration = Duration::from_secs(1_795_486_930);

    #[test]
    fn the_original_client_s_signatures_verify() {
        let secret = SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a key");
        // Not 01-version: the original client signs `/v2/` there and sends `/v2`, which works
        // because its gateway does not check that signature.
        for bytes in [
            &capture!("03-create.request")[..],
            capture!("05-execute-records.request"),
            capture!("06-execute-continued.request"),
            capture!("08-execute-waiting-input.request"),
            capture!("10-get-info.request"),
            capture!("12-destroy.request"),
            capture!("13-unknown-kernel.request"),
            capture!("14-upload.request"),
            capture!("15-batch-build-finished.request"),
        ] {
            let (parts, body) = request(bytes).into_parts();
            assert!(Route::parse(&parts.method, parts.uri.path()).is_ok());
            let signed = SignedRequest::parse(&parts, UNIX_EPOCH + NOW).expect("signed");
            assert_eq!(signed.access_key(), "AKIAIOSFODNN7EXAMPLE");
            signed.verify(&secret, &body).expect("the signature");
            let other = SecretKey::new("other").expect("a key");
            assert!(signed.verify(&other, &body).is_err());
        }
        let (parts, body) = request(capture!("21-wrong-secret.request")).into_parts();
        let signed = SignedRequest::parse(&parts, UNIX_EPOCH + NOW).expect("signed");
        assert!(signed.verify(&secret, &body).is_err());
    }

    #[test]
    fn the_original_client_s_bodies_are_read() {
        let (_, body) = request(capture!("15-batch-build-finished.request")).into_parts();
        let ExecuteRequest::Batch { steps, .. } = ExecuteRequest::parse(&body).expect("a body")
        else {
            panic!("not a batch")
        };
        assert_eq!((steps.build, steps.exec), (Step::Default, Step::Default));
    }
}
