//! Responses in every allowed framing, and in malformed ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use http::{Request, StatusCode};
use sorna::engine::HttpTransport;
use sorna::net::{NetOptions, Transport};
use sorna::protocol::{Body, Sent};
use sorna::runtime::Runtime;
use sorna::{TransportError, TransportErrorKind};

use super::lab::{LONG, chain, client, get, post};
use super::server::Server;

on_every_driver!(
    every_framing_is_understood,
    responses_may_come_byte_by_byte,
    responses_without_a_body_are_complete_at_once,
    interim_responses_are_skipped,
    redirects_are_not_followed,
    a_content_encoding_is_passed_on,
    truncated_responses_are_errors,
    what_is_not_http_is_an_error,
    ambiguous_lengths_are_errors,
    an_oversized_head_is_an_error,
    an_oversized_body_is_an_error,
    early_error_response_is_read_while_the_body_is_sent,
    early_error_response_before_a_reset_is_read,
    an_early_success_does_not_stop_the_body,
);

/// A server that sends the same response to the first request of every connection, and then closes
/// it if `close` is set.
fn canned(answer: impl Into<Vec<u8>>, close: bool) -> Server {
    let answer = answer.into();
    Server::start(move |_, mut peer| {
        peer.request().unwrap();
        peer.send(&answer);
        if close {
            peer.finish();
        }
        peer.drain();
    })
}

async fn failure<R: Runtime>(client: &HttpTransport<R>, server: &Server) -> TransportError {
    let error = post(client, &server.url("/"), vec![b'x'])
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&server.address().to_string()), "{text}");
    error
}

async fn every_framing_is_understood<R: Runtime>(runtime: R) {
    let client = client(runtime);
    for (answer, close) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nhe\r\n3;note=1\r\nllo\r\n0\r\nTrailer: x\r\n\r\n",
            false,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhello", true),
        ("HTTP/1.0 200 OK\r\n\r\nhello", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false),
        ("\r\nHTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", false),
    ] {
        let server = canned(answer, close);
        let response = get(&client, &server.url("/")).await.expect(answer);
        assert_eq!(response.status(), StatusCode::OK, "{answer}");
        assert_eq!(response.body(), "hello", "{answer}");
    }
}

async fn responses_may_come_byte_by_byte<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        for answer in [
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\
             Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ] {
            peer.request().unwrap();
            for byte in answer.bytes() {
                peer.send([byte]);
            }
        }
        peer.drain();
    });
    let client = client(runtime);
    for _ in 0..2 {
        let response = get(&client, &server.url("/")).await.unwrap();
        assert_eq!(response.body(), "hello");
    }
    assert_eq!(server.connections(), 1);
}

async fn responses_without_a_body_are_complete_at_once<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        while let Some(request) = peer.request() {
            let status = request.header("x-status").unwrap();
            let length = request.header("x-length").unwrap();
            peer.send(format!("HTTP/1.1 {status}\r\n{length}\r\n\r\n"));
        }
    });
    let client = client(runtime);
    for (method, status, length) in [
        ("GET", "204 No Content", "X: y"),
        ("GET", "304 Not Modified", "Content-Length: 17"),
        ("HEAD", "200 OK", "Content-Length: 17"),
        ("HEAD", "200 OK", "Transfer-Encoding: chunked"),
        ("DELETE", "200 OK", "Content-Length: 0"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(server.url("/"))
            .header("x-status", status)
            .header("x-length", length)
            .body(Body::empty());
        let response = client.send(request.unwrap(), LONG).await.unwrap();
        assert!(response.body().is_empty());
    }
    assert_eq!(server.connections(), 1);
}

async fn interim_responses_are_skipped<R: Runtime>(runtime: R) {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\nX: y\r\n\r\n\
                   HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n";
    let server = canned(
        format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        false,
    );
    let client = client(runtime);
    let response = get(&client, &server.url("/")).await.unwrap();
    assert_eq!(response.body(), "ok");

    let endless = Server::start(|_, mut peer| {
        peer.request().unwrap();
        for _ in 0..10_000 {
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        peer.drain();
    });
    let error = failure(&client, &endless).await;
    assert_eq!(error.kind(), TransportErrorKind::TooLarge);
}

async fn redirects_are_not_followed<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        while peer.request().is_some() {
            peer.send(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: /other\r\n\
                 Content-Length: 4\r\n\r\nmove",
            );
        }
    });
    let client = client(runtime);
    for _ in 0..2 {
        let response = get(&client, &server.url("/")).await.unwrap();
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(response.body(), "move");
    }
    assert_eq!(server.connections(), 1);
}

async fn a_content_encoding_is_passed_on<R: Runtime>(runtime: R) {
    let server = canned(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x7fz",
        false,
    );
    let response = get(&client(runtime), &server.url("/")).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.body(), "\x1f\x7fz");
}

async fn truncated_responses_are_errors<R: Runtime>(runtime: R) {
    let client = client(runtime);
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nnine byte",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let server = canned(answer, true);
        let error = failure(&client, &server).await;
        assert_eq!(error.kind(), TransportErrorKind::Receive, "{answer}");
        assert_eq!(error.sent(), Sent::Maybe, "{answer}");
    }
}

async fn what_is_not_http_is_an_error<R: Runtime>(runtime: R) {
    let client = client(runtime);
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\0\0\0\x12\x04\0\0\0\0\0",
        "<html><body>hello</body></html>\n\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello world\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxy",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n-",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
    ] {
        let server = canned(answer, false);
        let error = failure(&client, &server).await;
        assert_eq!(error.kind(), TransportErrorKind::Receive, "{answer}");
        assert_eq!(error.sent(), Sent::Maybe, "{answer}");
    }
}

async fn ambiguous_lengths_are_errors<R: Runtime>(runtime: R) {
    let client = client(runtime);
    for headers in [
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3, 4",
        "Content-Length: -1",
        "Content-Length: +3",
        "Content-Length: three",
        "Content-Length: 99999999999999999999999",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        let server = canned(format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nabc"), false);
        let error = failure(&client, &server).await;
        assert_eq!(error.kind(), TransportErrorKind::Receive, "{headers}");
    }
    let old = canned(
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        true,
    );
    let error = failure(&client, &old).await;
    assert_eq!(error.kind(), TransportErrorKind::Receive);
}

async fn an_oversized_head_is_an_error<R: Runtime>(runtime: R) {
    let long = "x".repeat(70_000);
    let many: String = (0..129).map(|n| format!("X-{n}: y\r\n")).collect();
    let client = client(runtime);
    for head in [
        format!("X-Long: {long}\r\n\r\n"),
        format!("X-Long: {long}"),
        format!("{many}\r\n"),
    ] {
        let server = canned(format!("HTTP/1.1 200 OK\r\n{head}"), false);
        let error = failure(&client, &server).await;
        assert_eq!(error.kind(), TransportErrorKind::TooLarge);
    }
    let fits = "y".repeat(60_000);
    let server = canned(
        format!("HTTP/1.1 200 OK\r\nX-Long: {fits}\r\nContent-Length: 0\r\n\r\n"),
        false,
    );
    let response = get(&client, &server.url("/")).await.unwrap();
    assert_eq!(response.headers()["x-long"].len(), 60_000);
}

async fn an_oversized_body_is_an_error<R: Runtime>(runtime: R) {
    let options = NetOptions::new().with_max_body(1000);
    let client = HttpTransport::new(runtime, options);
    let long = "x".repeat(1001);
    let ones = "1\r\nx\r\n".repeat(1001);
    for (answer, close) in [
        // The length is enough; the body never arrives.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n".into(),
            false,
        ),
        (format!("HTTP/1.1 200 OK\r\n\r\n{long}"), true),
        (
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n{long}"),
            false,
        ),
        (
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{ones}"),
            false,
        ),
        (
            // A chunk header that never ends, and trailers that never do.
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;{}",
                "x".repeat(10_000)
            ),
            false,
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}",
                "T: x\r\n".repeat(20_000)
            ),
            false,
        ),
    ] {
        let server = canned(answer, close);
        let error = failure(&client, &server).await;
        assert_eq!(error.kind(), TransportErrorKind::TooLarge, "{error}");
        assert_eq!(error.sent(), Sent::Maybe);
    }
    let server = canned(
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}",
            &long[1..]
        ),
        false,
    );
    let response = get(&client, &server.url("/")).await.unwrap();
    assert_eq!(response.body().len(), 1000);
}

/// More than the sockets' buffers hold: the client cannot send it all unless the server reads.
fn huge() -> Vec<u8> {
    vec![b'x'; 32 * 1024 * 1024]
}

async fn early_error_response_is_read_while_the_body_is_sent<R: Runtime>(runtime: R) {
    let read = Arc::new(AtomicBool::new(false));
    let server = Server::start({
        let read = Arc::clone(&read);
        move |number, mut peer| {
            peer.head().unwrap();
            if number > 0 {
                return peer.answer("200 OK", "");
            }
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
            // Most likely the client is stuck in the middle of a piece by then.
            std::thread::sleep(Duration::from_millis(300));
            peer.answer("413 Payload Too Large", "no more than 1 MiB");
            // Reads none of the body until the client has the response.
            while !read.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            peer.drain();
        }
    });
    let client = client(runtime);
    let outcome = post(&client, &server.url("/"), huge()).await;
    read.store(true, SeqCst);
    let response = outcome.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.body(), "no more than 1 MiB");
    get(&client, &server.url("/")).await.unwrap();
    assert_eq!(server.connections(), 2);
}

async fn early_error_response_before_a_reset_is_read<R: Runtime>(runtime: R) {
    // Closing with unread bytes makes the system send a reset.
    let server = Server::start(|_, mut peer| {
        peer.head().unwrap();
        peer.answer("401 Unauthorized", "who are you?");
    });
    // A reset may overtake the response, so the client either reads it or reports the failure. It
    // never hangs.
    let outcome = post(&client(runtime), &server.url("/"), huge()).await;
    match outcome {
        Ok(response) => assert_eq!(response.status(), StatusCode::UNAUTHORIZED),
        Err(error) => {
            assert_eq!(error.kind(), TransportErrorKind::Send, "{}", chain(&error));
            assert_eq!(error.sent(), Sent::Maybe);
        }
    }
}

async fn an_early_success_does_not_stop_the_body<R: Runtime>(runtime: R) {
    let server = Server::start(|number, mut peer| {
        let head = peer.head().unwrap();
        if number > 0 {
            return peer.answer("200 OK", "");
        }
        assert!(head.contains("content-length: 33554432\r\n"), "{head}");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        let mut left = 32 * 1024 * 1024 - peer.input.len();
        while left > 0 {
            peer.input.clear();
            assert!(peer.read(), "the body is not complete");
            left -= peer.input.len();
        }
        peer.send("ok");
        assert!(!peer.read(), "the connection was used again");
    });
    let client = client(runtime);
    let response = post(&client, &server.url("/"), huge()).await;
    assert_eq!(response.unwrap().body(), "ok");
    get(&client, &server.url("/")).await.unwrap();
    assert_eq!(server.connections(), 2);
}
