//! How requests are sent.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use sorna::TransportErrorKind;
use sorna::engine::HttpTransport;
use sorna::net::{NetOptions, Transport};
use sorna::protocol::{Body, Segment, Sent};
use sorna::runtime::Runtime;
use sorna_test_tools::need_that;

use super::lab::{LONG, Lab, chain, client, get, post};
use super::server::Server;

on_every_driver!(
    headers_and_target_arrive_as_they_were_signed,
    head_and_small_body_leave_in_one_write,
    a_large_body_leaves_in_large_pieces_that_start_with_the_head,
    an_upload_is_gathered_from_its_segments,
    a_large_file_is_streamed_in_pieces_of_limited_size,
    a_file_that_changed_is_an_error_and_closes_the_connection,
    file_with_a_wrong_length_is_an_error,
    a_missing_file_is_noticed_before_anything_is_sent,
    nothing_is_sent_for_a_wrong_length,
    detached_work_is_done,
);

/// The test is that this compiles for every runtime.
#[test]
fn futures_are_send() {
    fn is_send(_: impl Send) {}
    #[allow(dead_code, reason = "only its types are checked")]
    fn check<R: Runtime>(client: &HttpTransport<R>) {
        is_send(client.send(Request::default(), LONG));
        is_send(client.sleep(LONG));
        is_send(client.connect(&http::Uri::default()));
    }
}

async fn headers_and_target_arrive_as_they_were_signed<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        let request = peer.request().unwrap();
        let first = request.head.lines().next().unwrap();
        assert_eq!(first, "POST /v2/kernel/%7Eid?a=%2B&b HTTP/1.1");
        assert_eq!(request.header("host"), Some("api.example:8081"));
        assert_eq!(request.header("authorization"), Some("Sorna x=y, z"));
        assert_eq!(request.header("content-length"), Some("4"));
        for absent in ["accept-encoding", "expect", "transfer-encoding"] {
            assert_eq!(request.header(absent), None);
        }
        peer.answer("404 Not Found", "no such kernel");
    });
    let request = Request::post(server.url("/v2/kernel/%7Eid?a=%2B&b"))
        .header("Host", "api.example:8081")
        .header("Authorization", "Sorna x=y, z")
        .body(Body::from(b"code".to_vec()))
        .unwrap();
    let response = client(runtime).send(request, LONG).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.body(), "no such kernel");
}

async fn head_and_small_body_leave_in_one_write<R: Runtime>(runtime: R) {
    let server = Server::echo();
    let lab = Lab::new(runtime);
    let client = HttpTransport::new(lab.clone(), NetOptions::default());
    get(&client, &server.url("/v2")).await.unwrap();
    for len in [2, 1000, 64 * 1024] {
        let body = vec![b'x'; len];
        let response = post(&client, &server.url("/v2"), body.clone()).await;
        assert_eq!(response.unwrap().body(), &body);
    }
    let writes = std::mem::take(&mut lab.log.lock().unwrap().writes);
    // The socket may take a long piece in parts, but it is offered whole.
    let whole: Vec<_> = writes
        .iter()
        .filter(|write| write.starts_with(b"GET ") || write.starts_with(b"POST "))
        .map(|write| {
            let head = write.windows(4).position(|four| four == b"\r\n\r\n");
            write.len() - head.unwrap() - 4
        })
        .collect();
    assert_eq!(whole, [0, 2, 1000, 64 * 1024]);
    assert_eq!(server.connections(), 1);
}

async fn a_large_body_leaves_in_large_pieces_that_start_with_the_head<R: Runtime>(runtime: R) {
    let server = Server::echo();
    let lab = Lab::new(runtime);
    let client = HttpTransport::new(lab.clone(), NetOptions::default());
    let body: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let response = post(&client, &server.url("/"), body.clone()).await.unwrap();
    assert!(response.body() == &body, "the echoed body differs");
    let log = lab.log.lock().unwrap();
    assert_eq!(log.writes[0].len(), 256 * 1024);
    assert!(log.writes[0].starts_with(b"POST / HTTP/1.1\r\n"));
}

async fn an_upload_is_gathered_from_its_segments<R: Runtime>(runtime: R) {
    let server = Server::echo();
    let lab = Lab::new(runtime);
    let client = HttpTransport::new(lab.clone(), NetOptions::default());
    let dir = tempfile::tempdir().unwrap();
    let (mut segments, mut expected) = (Vec::new(), Vec::new());
    for (number, len) in [0, 1, 5000, 100_000].into_iter().enumerate() {
        let part = format!("--boundary\r\nContent-Disposition: {number}\r\n\r\n");
        let content = vec![b'a' + number as u8; len];
        let path = dir.path().join(number.to_string());
        std::fs::write(&path, &content).unwrap();
        expected.extend_from_slice(part.as_bytes());
        expected.extend_from_slice(&content);
        segments.push(Segment::Bytes(Bytes::from(part)));
        segments.push(Segment::File {
            path,
            len: len as u64,
        });
    }
    segments.push(Segment::Bytes(Bytes::from_static(b"\r\n--boundary--\r\n")));
    expected.extend_from_slice(b"\r\n--boundary--\r\n");
    let body = Body::from_segments(segments);
    let response = post(&client, &server.url("/"), body).await.unwrap();
    assert!(
        response.body() == &expected,
        "the upload came out different"
    );
    let log = lab.log.lock().unwrap();
    assert!(log.writes[0].ends_with(b"--boundary--\r\n"));
}

async fn a_large_file_is_streamed_in_pieces_of_limited_size<R: Runtime>(runtime: R) {
    const LEN: usize = 5_000_000;
    let server = Server::start(|_, mut peer| {
        let request = peer.request().unwrap();
        assert_eq!(request.body.len(), LEN + 4);
        let content = &request.body[2..LEN + 2];
        assert!(
            content
                .iter()
                .zip(0_u32..)
                .all(|(b, n)| *b == (n % 253) as u8)
        );
        peer.answer("204 No Content", "");
    });
    let lab = Lab::new(runtime);
    let client = HttpTransport::new(lab.clone(), NetOptions::default());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big");
    let content: Vec<u8> = (0..LEN as u32).map(|n| (n % 253) as u8).collect();
    std::fs::write(&path, content).unwrap();
    let body = around(path, LEN as u64);
    let response = post(&client, &server.url("/"), body).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let log = lab.log.lock().unwrap();
    let longest = log.writes.iter().map(Vec::len).max();
    assert_eq!(longest, Some(256 * 1024));
}

async fn a_file_that_changed_is_an_error_and_closes_the_connection<R: Runtime>(runtime: R) {
    let server = Server::start(|number, mut peer| {
        if number == 3 {
            peer.request().unwrap();
            peer.answer("200 OK", "");
        } else {
            assert!(
                peer.request().is_none(),
                "a request that cannot be complete"
            );
        }
    });
    let client = client(runtime);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("changing");
    std::fs::write(&path, vec![0; 1_000_000]).unwrap();
    for (planned, how) in [(1_000_001, "shrank"), (999_999, "grew"), (0, "grew")] {
        let body = around(path.clone(), planned);
        let error = post(&client, &server.url("/"), body).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::LocalFile);
        let text = error.to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
        assert!(text.contains(how), "{text}");
    }
    get(&client, &server.url("/")).await.unwrap();
    assert_eq!(server.connections(), 4);
}

/// Stands for a file that changes between being opened and being read.
async fn file_with_a_wrong_length_is_an_error<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        assert!(
            peer.request().is_none(),
            "a request that cannot be complete"
        );
    });
    let client = client(runtime);
    for (path, how) in [
        ("/proc/self/status", "grew"),
        ("/sys/devices/system/cpu/online", "shrank"),
    ] {
        let file = std::fs::metadata(path);
        if !need_that(file.is_ok(), path) {
            continue;
        }
        let file = file.unwrap();
        let body = around(path.into(), file.len());
        let error = post(&client, &server.url("/"), body).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::LocalFile);
        assert!(error.to_string().contains(how), "{error}");
    }
}

async fn a_missing_file_is_noticed_before_anything_is_sent<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| assert!(!peer.read(), "something was sent"));
    let body = around("/does/not/exist".into(), 10);
    let error = post(&client(runtime), &server.url("/"), body).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::LocalFile);
    assert_eq!(error.sent(), Sent::Nothing);
    assert!(chain(&error).starts_with("cannot read /does/not/exist: "));
}

async fn nothing_is_sent_for_a_wrong_length<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| assert!(!peer.read(), "something was sent"));
    let client = client(runtime);
    for request in [
        Request::post(server.url("/")).header("content-length", "3"),
        Request::post(server.url("/")).header("transfer-encoding", "chunked"),
        Request::head(server.url("/")),
    ] {
        let request = request.body(Body::from(b"four".to_vec())).unwrap();
        let error = client.send(request, LONG).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Other);
        assert_eq!(error.sent(), Sent::Nothing);
    }
    let relative = get(&client, "/v2").await.unwrap_err();
    assert_eq!(relative.sent(), Sent::Nothing);
}

async fn detached_work_is_done<R: Runtime>(runtime: R) {
    let server = Server::echo();
    let client = client(runtime);
    let done = Arc::new(AtomicBool::new(false));
    client.detach(Box::pin({
        let (client, url, done) = (client.clone(), server.url("/"), Arc::clone(&done));
        async move {
            get(&client, &url).await.unwrap();
            done.store(true, SeqCst);
        }
    }));
    while !done.load(SeqCst) {
        client.sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.connections(), 1);
}

fn around(path: PathBuf, len: u64) -> Body {
    Body::from_segments(vec![
        Segment::Bytes(Bytes::from_static(b"<<")),
        Segment::File { path, len },
        Segment::Bytes(Bytes::from_static(b">>")),
    ])
}
