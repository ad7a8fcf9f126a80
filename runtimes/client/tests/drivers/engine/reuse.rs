//! Which connections carry another request, and which do not.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{join_all, poll_fn};
use http::Request;
use sorna::TransportErrorKind;
use sorna::engine::HttpTransport;
use sorna::net::{NetOptions, Transport};
use sorna::protocol::{Body, Sent};
use sorna::runtime::Runtime;

use super::lab::{LONG, client, get, post};
use super::server::Server;

on_every_driver!(
    a_connection_is_used_again_and_again,
    clones_share_connections,
    connections_that_end_are_not_reused,
    an_idle_connection_with_stray_bytes_is_not_reused,
    an_idle_connection_that_ended_is_not_reused,
    a_stale_connection_is_reported_and_other_idle_ones_dropped,
    connection_is_not_stale_after_a_byte_of_response,
    a_new_connection_is_never_stale,
    a_dropped_future_takes_its_connection_with_it,
    many_requests_at_once,
    old_and_surplus_connections_are_dropped,
);

async fn a_connection_is_used_again_and_again<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        while let Some(request) = peer.request() {
            let status = if request.body.is_empty() {
                "404 Not Found"
            } else {
                "200 OK"
            };
            peer.answer(status, &request.body);
        }
    });
    let client = client(runtime);
    for n in 0..20_usize {
        let body = vec![b'x'; n * 1000];
        let response = post(&client, &server.url("/"), body.clone()).await.unwrap();
        assert_eq!(response.body(), &body);
    }
    assert_eq!(server.connections(), 1);
}

async fn clones_share_connections<R: Runtime>(runtime: R) {
    let server = Server::echo();
    let client = client(runtime);
    for _ in 0..3 {
        get(&client.clone(), &server.url("/")).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

async fn connections_that_end_are_not_reused<R: Runtime>(runtime: R) {
    for (version, header, connections) in [
        ("1.1", "Connection: close", 2),
        ("1.1", "Connection: Foo, Close", 2),
        ("1.0", "X: y", 2),
        ("1.0", "Connection: keep-alive", 1),
        ("1.1", "X: y", 1),
        // With both kinds of framing, the next response could not be trusted.
        ("1.1", "Transfer-Encoding: chunked", 2),
    ] {
        let chunked = header.starts_with("Transfer");
        let body = if chunked { "0\r\n\r\n" } else { "" };
        let answer =
            format!("HTTP/{version} 200 OK\r\n{header}\r\nContent-Length: 0\r\n\r\n{body}");
        let server = Server::start(move |_, mut peer| {
            while peer.request().is_some() {
                peer.send(&answer);
            }
        });
        let client = client(runtime.clone());
        for _ in 0..2 {
            get(&client, &server.url("/")).await.unwrap();
        }
        assert_eq!(server.connections(), connections, "{version} {header}");
    }

    let asked = Server::echo();
    let client = client(runtime);
    for _ in 0..2 {
        let request = Request::get(asked.url("/")).header("connection", "close");
        let request = request.body(Body::empty()).unwrap();
        client.send(request, LONG).await.unwrap();
    }
    assert_eq!(asked.connections(), 2);
}

async fn an_idle_connection_with_stray_bytes_is_not_reused<R: Runtime>(runtime: R) {
    for (stray, at_once) in [
        ("\r\n", true),
        ("\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\n", false),
    ] {
        let said = Arc::new(AtomicBool::new(false));
        let server = Server::start({
            let said = Arc::clone(&said);
            move |number, mut peer| {
                peer.request().unwrap();
                if number > 0 {
                    return peer.answer("200 OK", "new");
                }
                if at_once {
                    peer.send(format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold{stray}"
                    ));
                } else {
                    peer.answer("200 OK", "old");
                    // As the original gateway does before it closes an idle connection.
                    peer.send(stray);
                }
                said.store(true, SeqCst);
                assert!(!peer.read(), "a second request came");
            }
        });
        let client = client(runtime.clone());
        let response = get(&client, &server.url("/")).await.unwrap();
        assert_eq!(response.body(), "old");
        settle(&client, || said.load(SeqCst)).await;
        let response = get(&client, &server.url("/")).await.unwrap();
        assert_eq!(response.body(), "new");
        assert_eq!(server.connections(), 2);
    }
}

async fn an_idle_connection_that_ended_is_not_reused<R: Runtime>(runtime: R) {
    let ended = Arc::new(AtomicBool::new(false));
    let server = Server::start({
        let ended = Arc::clone(&ended);
        move |_, mut peer| {
            peer.request().unwrap();
            peer.answer("200 OK", "");
            peer.finish();
            ended.store(true, SeqCst);
            assert!(!peer.read(), "a second request came");
        }
    });
    let client = client(runtime);
    for _ in 0..2 {
        get(&client, &server.url("/")).await.unwrap();
        settle(&client, || ended.load(SeqCst)).await;
    }
    assert_eq!(server.connections(), 2);
}

/// Waits until the server has done something, and until the system and the runtime have noticed.
async fn settle<R: Runtime>(client: &HttpTransport<R>, done: impl Fn() -> bool) {
    while !done() {
        client.sleep(Duration::from_millis(5)).await;
    }
    client.sleep(Duration::from_millis(100)).await;
}

async fn a_stale_connection_is_reported_and_other_idle_ones_dropped<R: Runtime>(runtime: R) {
    // Two connections, each of which reads a second request and closes without a response.
    let server = Server::start(|number, mut peer| {
        while peer.request().is_some() {
            peer.answer("200 OK", "");
            if number < 2 {
                peer.request();
                return;
            }
        }
    });
    let client = client(runtime);
    let url = server.url("/");
    for first in join_all([get(&client, &url), get(&client, &url)]).await {
        first.unwrap();
    }
    assert_eq!(server.connections(), 2);
    let error = post(&client, &url, vec![b'x']).await.unwrap_err();
    assert_eq!(error.sent(), Sent::StaleConnection);
    assert_eq!(error.kind(), TransportErrorKind::Receive);
    post(&client, &url, vec![b'x']).await.unwrap();
    assert_eq!(server.connections(), 3);
}

async fn connection_is_not_stale_after_a_byte_of_response<R: Runtime>(runtime: R) {
    for begin in ["H", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let server = Server::start(move |_, mut peer| {
            peer.request().unwrap();
            peer.answer("200 OK", "");
            peer.request().unwrap();
            peer.send(begin);
        });
        let client = client(runtime.clone());
        get(&client, &server.url("/")).await.unwrap();
        let error = post(&client, &server.url("/"), vec![b'x']).await;
        assert_eq!(error.unwrap_err().sent(), Sent::Maybe);
        assert_eq!(server.connections(), 1);
    }
}

async fn a_new_connection_is_never_stale<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        peer.request();
    });
    let error = get(&client(runtime), &server.url("/")).await.unwrap_err();
    assert_eq!(error.sent(), Sent::Maybe);
    assert_eq!(server.connections(), 1);
}

async fn a_dropped_future_takes_its_connection_with_it<R: Runtime>(runtime: R) {
    let arrived = Arc::new(AtomicBool::new(false));
    let gone = Arc::new(AtomicBool::new(false));
    let server = Server::start({
        let (arrived, gone) = (Arc::clone(&arrived), Arc::clone(&gone));
        move |number, mut peer| {
            while let Some(request) = peer.request() {
                if request.head.starts_with("GET /slow") {
                    // Half a response: the rest would be read as part of the next one.
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
                    arrived.store(true, SeqCst);
                    peer.drain();
                    gone.store(true, SeqCst);
                    return;
                }
                peer.answer("200 OK", number.to_string());
            }
        }
    });
    let client = client(runtime);
    get(&client, &server.url("/")).await.unwrap();
    {
        let slow = server.url("/slow");
        let mut slow = pin!(get(&client, &slow));
        let mut wait = pin!(settle(&client, || arrived.load(SeqCst)));
        poll_fn(|cx| {
            assert!(slow.as_mut().poll(cx).is_pending());
            match wait.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
    }
    settle(&client, || gone.load(SeqCst)).await;
    let response = get(&client, &server.url("/")).await.unwrap();
    assert_eq!(response.body(), "1");
    assert_eq!(server.connections(), 2);
}

async fn many_requests_at_once<R: Runtime>(runtime: R) {
    let server = Server::echo();
    let client = client(runtime);
    let url = server.url("/");
    for round in 0..3 {
        let all = (0..64).map(|n| {
            let (client, url) = (&client, &url);
            async move {
                let body = format!("{round}-{n}").into_bytes();
                let response = post(client, url, body.clone()).await.unwrap();
                assert_eq!(response.body(), &body);
            }
        });
        join_all(all).await;
    }
    // The first round opens what the others use.
    assert!(server.connections() <= 64, "{}", server.connections());
}

async fn old_and_surplus_connections_are_dropped<R: Runtime>(runtime: R) {
    let options = NetOptions::new().with_idle_connections(0);
    let server = Server::echo();
    let client = HttpTransport::new(runtime.clone(), options);
    for _ in 0..3 {
        get(&client, &server.url("/")).await.unwrap();
    }
    assert_eq!(server.connections(), 3);

    let options = NetOptions::new()
        .with_idle_connections(1)
        .with_idle_age(Duration::from_millis(50));
    let server = Server::echo();
    let client = HttpTransport::new(runtime, options);
    for _ in 0..2 {
        get(&client, &server.url("/")).await.unwrap();
        client.sleep(Duration::from_millis(60)).await;
    }
    assert_eq!(server.connections(), 2);
}
