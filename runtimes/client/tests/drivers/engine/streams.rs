//! Responses whose bodies are read as they arrive: the transport's part, and the client's.

use std::future::poll_fn;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{Request, Response};
use sorna::engine::{HttpTransport, ResponseBody};
use sorna::net::{NetOptions, ProxyOptions, StreamTransport};
use sorna::protocol::{Body, Sent, Version};
use sorna::runtime::Runtime;
use sorna::{
    AccessKey, Client, ClientOptions, Config, Credentials, Error, RetryPolicy, SecretKey,
    TransportError, TransportErrorKind,
};

use super::lab::{LONG, Lab, client, get};
use super::server::Server;

on_every_driver!(
    bytes_arrive_before_the_body_has_ended,
    every_framing_is_read_to_its_end,
    size_limit_of_whole_responses_does_not_apply,
    no_more_is_read_than_one_buffer_ahead,
    slow_reader_slows_the_server,
    truncated_body_ends_with_an_error,
    dropped_body_closes_its_connection,
    body_read_to_its_end_leaves_its_connection,
    body_that_ends_with_its_head_leaves_its_connection_at_once,
    time_limit_is_for_the_head,
    silent_body_times_out,
    pause_of_the_reader_is_not_silence,
    stale_connection_is_reported,
    error_response_of_the_proxy_is_a_proxy_error,
    client_retries_until_the_head_arrives,
    client_makes_an_error_of_an_error_response,
    client_limits_the_size_on_request,
    client_reads_a_long_error_response_in_part,
    client_runs_on_a_runtime_that_is_a_handle,
);

async fn open<R: Runtime>(
    client: &HttpTransport<R>,
    url: &str,
) -> Result<Response<ResponseBody<R>>, TransportError> {
    let request = Request::get(url).body(Body::empty()).unwrap();
    client.send_streaming(request, LONG).await
}

async fn rest<R: Runtime>(mut body: ResponseBody<R>) -> Result<Vec<u8>, TransportError> {
    let mut all = Vec::new();
    while let Some(chunk) = body.next().await {
        all.extend_from_slice(&chunk?);
    }
    Ok(all)
}

async fn bytes_arrive_before_the_body_has_ended<R: Runtime>(runtime: R) {
    let (go_on, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let server = Server::start(move |_, mut peer| {
        peer.request().unwrap();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Y: z\r\n\r\n3\r\none\r\n");
        wait.lock().unwrap().recv().unwrap();
        peer.send("3\r\ntwo\r\n0\r\n\r\n");
    });
    let response = open(&client(runtime), &server.url("/")).await.unwrap();
    assert_eq!(response.headers()["x-y"], "z");
    let mut body = response.into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "one");
    go_on.send(()).unwrap();
    assert_eq!(body.next().await.unwrap().unwrap(), "two");
    assert!(body.next().await.is_none());
    assert!(body.next().await.is_none());
}

async fn every_framing_is_read_to_its_end<R: Runtime>(runtime: R) {
    let content = "0123456789abcdef".repeat(10_000);
    let chunked: String = content
        .as_bytes()
        .chunks(1234)
        .map(|chunk| {
            format!(
                "{:x};x=y\r\n{}\r\n",
                chunk.len(),
                String::from_utf8_lossy(chunk)
            )
        })
        .collect();
    for (header, wire) in [
        (
            format!("Content-Length: {}", content.len()),
            content.clone(),
        ),
        (
            "Transfer-Encoding: chunked".into(),
            format!("{chunked}0\r\nT: x\r\n\r\n"),
        ),
        ("X: y".into(), content.clone()),
    ] {
        let server = Server::start(move |_, mut peer| {
            peer.request().unwrap();
            peer.send(format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n{wire}"));
        });
        let response = open(&client(runtime.clone()), &server.url("/")).await;
        let body = rest(response.unwrap().into_body()).await.unwrap();
        assert!(body == content.as_bytes());
    }
}

async fn size_limit_of_whole_responses_does_not_apply<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        while peer.request().is_some() {
            peer.answer("200 OK", [b'x'; 1000]);
        }
    });
    let client = HttpTransport::new(runtime, NetOptions::new().with_max_body(10));
    let error = get(&client, &server.url("/")).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::TooLarge);
    let response = open(&client, &server.url("/")).await.unwrap();
    assert_eq!(rest(response.into_body()).await.unwrap().len(), 1000);
}

async fn no_more_is_read_than_one_buffer_ahead<R: Runtime>(runtime: R) {
    const SIZE: usize = 1024 * 1024;
    let server = Server::start(|_, mut peer| {
        peer.request().unwrap();
        peer.answer("200 OK", vec![b'x'; SIZE]);
    });
    let lab = Lab::new(runtime);
    let log = Arc::clone(&lab.log);
    let response = open(&client(lab), &server.url("/")).await.unwrap();
    let (mut body, mut taken) = (response.into_body(), 0);
    loop {
        let ahead = log.lock().unwrap().read - taken;
        assert!(ahead <= 17 * 1024, "{ahead} bytes ahead");
        match body.next().await {
            Some(chunk) => taken += chunk.unwrap().len(),
            None => break,
        }
    }
    assert_eq!(taken, SIZE);
}

async fn slow_reader_slows_the_server<R: Runtime>(runtime: R) {
    // More than all the buffers of the system hold.
    const SIZE: usize = 64 * 1024 * 1024;
    const PIECE: usize = 64 * 1024;
    let sent = Arc::new(Mutex::new(0));
    let server = Server::start({
        let sent = Arc::clone(&sent);
        move |_, mut peer| {
            peer.request().unwrap();
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
            for _ in 0..SIZE / PIECE {
                peer.send([b'x'; PIECE]);
                *sent.lock().unwrap() += PIECE;
            }
        }
    });
    let response = open(&client(runtime.clone()), &server.url("/")).await;
    // Until the server can send no more.
    let mut before = usize::MAX;
    loop {
        runtime.sleep(Duration::from_millis(100)).await;
        let now = *sent.lock().unwrap();
        if now == before {
            break;
        }
        before = now;
    }
    assert!(
        before < SIZE / 2,
        "{before} bytes were sent before the client read any"
    );
    let mut body = response.unwrap().into_body();
    let mut taken = 0;
    while let Some(chunk) = body.next().await {
        taken += chunk.unwrap().len();
    }
    assert_eq!(taken, SIZE);
}

async fn truncated_body_ends_with_an_error<R: Runtime>(runtime: R) {
    for wire in [
        "Content-Length: 10\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "Transfer-Encoding: chunked\r\n\r\n8\r\nhalf",
    ] {
        let server = Server::start(move |_, mut peer| {
            peer.request().unwrap();
            peer.send(format!("HTTP/1.1 200 OK\r\n{wire}"));
        });
        let response = open(&client(runtime.clone()), &server.url("/")).await;
        let mut body = response.unwrap().into_body();
        assert_eq!(body.next().await.unwrap().unwrap(), "half", "{wire}");
        let error = body.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Receive, "{wire}");
        assert_eq!(error.sent(), Sent::Maybe, "{wire}");
        assert!(body.next().await.is_none(), "{wire}");
    }
}

async fn dropped_body_closes_its_connection<R: Runtime>(runtime: R) {
    let (ended, closed) = mpsc::channel();
    let server = Server::start(move |number, mut peer| {
        peer.request().unwrap();
        if number > 0 {
            return peer.answer("200 OK", "new");
        }
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        peer.drain();
        ended.send(()).unwrap();
    });
    let client = client(runtime);
    let response = open(&client, &server.url("/")).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "half");
    drop(body);
    closed.recv().unwrap();
    assert_eq!(get(&client, &server.url("/")).await.unwrap().body(), "new");
    assert_eq!(server.connections(), 2);
}

async fn body_read_to_its_end_leaves_its_connection<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        while let Some(request) = peer.request() {
            if request.head.starts_with("GET /chunked") {
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                peer.send("3\r\none\r\n0\r\n\r\n");
            } else {
                peer.answer("200 OK", "one");
            }
        }
    });
    let client = client(runtime);
    for path in ["/", "/chunked", "/"] {
        let response = open(&client, &server.url(path)).await.unwrap();
        assert_eq!(rest(response.into_body()).await.unwrap(), b"one");
    }
    get(&client, &server.url("/")).await.unwrap();
    assert_eq!(server.connections(), 1);

    let closing = Server::start(|_, mut peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\none");
        }
    });
    for _ in 0..2 {
        let response = open(&client, &closing.url("/")).await.unwrap();
        assert_eq!(rest(response.into_body()).await.unwrap(), b"one");
    }
    assert_eq!(closing.connections(), 2);
}

async fn body_that_ends_with_its_head_leaves_its_connection_at_once<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 204 No Content\r\n\r\n");
        }
    });
    let client = client(runtime);
    let first = open(&client, &server.url("/")).await.unwrap();
    open(&client, &server.url("/")).await.unwrap();
    assert_eq!(server.connections(), 1);
    assert!(rest(first.into_body()).await.unwrap().is_empty());
}

async fn time_limit_is_for_the_head<R: Runtime>(runtime: R) {
    const LIMIT: Duration = Duration::from_millis(300);
    let server = Server::start(|_, mut peer| {
        let request = peer.request().unwrap();
        if request.head.starts_with("GET /silent") {
            return peer.drain();
        }
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
        std::thread::sleep(2 * LIMIT);
        peer.send("one");
    });
    let client = client(runtime);
    let request = |path| Request::get(server.url(path)).body(Body::empty()).unwrap();
    let error = client.send_streaming(request("/silent"), LIMIT).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
    assert_eq!(error.sent(), Sent::Maybe);
    let response = client.send_streaming(request("/"), LIMIT).await.unwrap();
    assert_eq!(rest(response.into_body()).await.unwrap(), b"one");
}

fn impatient<R: Runtime>(runtime: R, idle: Duration) -> HttpTransport<R> {
    HttpTransport::new(runtime, NetOptions::new().with_idle_timeout(idle))
}

async fn silent_body_times_out<R: Runtime>(runtime: R) {
    const IDLE: Duration = Duration::from_millis(200);
    let server = Server::start(|_, mut peer| {
        peer.request().unwrap();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        peer.drain();
    });
    let response = open(&impatient(runtime, IDLE), &server.url("/")).await;
    let mut body = response.unwrap().into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "half");
    let began = Instant::now();
    let error = body.next().await.unwrap().unwrap_err();
    assert!(began.elapsed() >= IDLE * 3 / 4);
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
    assert!(error.to_string().starts_with("no data"), "{error}");
    assert!(body.next().await.is_none());
}

async fn pause_of_the_reader_is_not_silence<R: Runtime>(runtime: R) {
    const IDLE: Duration = Duration::from_millis(400);
    let server = Server::start(|_, mut peer| {
        peer.request().unwrap();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none");
        // After the pause of the reader, and well within the limit from there.
        std::thread::sleep(2 * IDLE + IDLE / 4);
        peer.send("two");
    });
    let client = impatient(runtime.clone(), IDLE);
    let response = open(&client, &server.url("/")).await;
    let mut body = response.unwrap().into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "one");
    let mut next = body.next();
    let waits = poll_fn(|context| Poll::Ready(next.poll_unpin(context).is_pending()));
    assert!(waits.await);
    runtime.sleep(2 * IDLE).await;
    assert_eq!(next.await.unwrap().unwrap(), "two");
}

async fn stale_connection_is_reported<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        peer.request().unwrap();
        peer.answer("200 OK", "one");
        peer.request();
    });
    let client = client(runtime);
    let response = open(&client, &server.url("/")).await.unwrap();
    assert_eq!(rest(response.into_body()).await.unwrap(), b"one");
    let error = open(&client, &server.url("/")).await.unwrap_err();
    assert_eq!(error.sent(), Sent::StaleConnection);
}

async fn error_response_of_the_proxy_is_a_proxy_error<R: Runtime>(runtime: R) {
    let proxy = Server::start(|_, mut peer| {
        peer.request();
        peer.answer("407 Proxy Authentication Required", "who?");
    });
    let through = ProxyOptions::url(&format!("http://{}", proxy.address())).unwrap();
    let client = HttpTransport::new(runtime, NetOptions::new().with_proxy(through));
    let error = open(&client, "http://gateway.example/").await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Proxy);
    assert_eq!(error.sent(), Sent::Nothing);
}

fn config(server: &Server) -> Config {
    let keys = Credentials::new(AccessKey::new("AK").unwrap(), SecretKey::new("SK").unwrap());
    Config::new(server.url("").parse().unwrap(), keys).with_version(sorna::ApiVersion::V2_20170315)
}

fn of_gateway<R: Runtime>(runtime: R, server: &Server) -> Client<HttpTransport<R>> {
    let backoff = Duration::from_millis(1);
    let retry = RetryPolicy::default().with_backoff(backoff, backoff);
    let options = ClientOptions::new().with_retry(retry);
    Client::with_transport(config(server), client(runtime), options)
}

async fn client_retries_until_the_head_arrives<R: Runtime>(runtime: R) {
    let server = Server::start(|number, mut peer| {
        let request = peer.request().unwrap();
        assert!(request.head.starts_with("GET /v2 HTTP/1.1\r\n"));
        assert!(request.header("authorization").is_some());
        match number {
            0 => {}
            1 => peer.answer("503 Service Unavailable", "later"),
            2 => peer.send("HTTP/1.1 200 OK\r\nX-Y: z\r\nContent-Length: 6\r\n\r\nonetwo"),
            _ => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none"),
        }
    });
    let client = of_gateway(runtime, &server);
    let mut response = client.stream(Version::new()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-y"], "z");
    let mut all = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    assert_eq!(all, b"onetwo");
    assert_eq!(server.connections(), 3);

    // No retry once the head has arrived.
    let mut response = client.stream(Version::new()).await.unwrap();
    assert_eq!(response.chunk().await.unwrap(), Some(Bytes::from("one")));
    let error = response.chunk().await.unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error}");
    assert_eq!(response.chunk().await.unwrap(), None);
    assert_eq!(server.connections(), 4);
}

async fn client_makes_an_error_of_an_error_response<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        while peer.request().is_some() {
            let problem =
                r#"{"type": "https://api.sorna.io/probs/kernel-not-found", "title": "No."}"#;
            peer.answer("404 Not Found", problem);
        }
    });
    let client = of_gateway(runtime, &server);
    for _ in 0..2 {
        let error = client.stream(Version::new()).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(error.to_string().ends_with("No."), "{error}");
    }
    assert_eq!(server.connections(), 1);
}

async fn client_limits_the_size_on_request<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        while peer.request().is_some() {
            peer.answer("200 OK", "onetwo");
        }
    });
    let client = of_gateway(runtime, &server);
    for (limit, fits) in [(6, true), (5, false)] {
        let response = client.stream(Version::new()).await.unwrap();
        let mut response = response.with_size_limit(limit);
        let result = response.chunk().await;
        assert_eq!(result.is_ok(), fits);
        if let Err(error) = result {
            let failure = error.transport().unwrap();
            assert_eq!(failure.kind(), TransportErrorKind::TooLarge);
        }
        assert_eq!(response.chunk().await.unwrap(), None);
    }
}

async fn client_reads_a_long_error_response_in_part<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        peer.request();
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        peer.send(vec![b'x'; 8 * 1024 * 1024]);
        peer.drain();
    });
    let client = of_gateway(runtime, &server);
    let error = client.stream(Version::new()).await.unwrap_err();
    assert!(matches!(error, Error::Gateway(_)), "{error}");
}

/// A runtime without a default.
async fn client_runs_on_a_runtime_that_is_a_handle<R: Runtime>(runtime: R) {
    let server = Server::start(|_, mut peer| {
        peer.request().unwrap();
        peer.answer("200 OK", r#"{"version": "v2.20170315"}"#);
    });
    let lab = Lab::new(runtime);
    let log = Arc::clone(&lab.log);
    let client = Client::with_runtime(lab, config(&server), ClientOptions::new());
    assert_eq!(client.version().await.unwrap().version, "v2.20170315");
    assert_eq!(log.lock().unwrap().connects, [server.address()]);
    // Compiling is the check: a test must not change the environment.
    let _ = Client::<HttpTransport<Lab<R>>>::from_env_with;
}
