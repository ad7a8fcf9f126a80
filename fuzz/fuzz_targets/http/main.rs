//! The client's HTTP/1.1, against a peer that may send anything, and against hyper.
//!
//! The input is a line of words, and then what the peer sends. The words: the request's method (`GET`, `POST`
//! or `HEAD`), `stays` if the connection is left open at the end, and `small` for small limits. What holds:
//!
//! - However the bytes are cut, there is the same response, or a failure of the same kind. The connection
//!   is kept for another request in all of these cases, or in none; never if bytes follow the response.
//! - A body that is streamed has the same bytes.
//! - hyper reads the same response from what is accepted here. It accepts more.
//! - A failure says that the request may have been received, and can be shown. Nothing is larger than
//!   its limit.

#![no_main]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, Request, Response};
use libfuzzer_sys::fuzz_target;
use sorna::engine::HttpTransport;
use sorna::net::{NetOptions, StreamTransport as _, Transport as _};
use sorna_core::{Body, Sent, TransportError, TransportErrorKind};

mod hyper;
mod peer;

use peer::{Peer, Script};

const LIMIT: Duration = Duration::from_secs(1);

/// What became of a request.
enum Outcome {
    /// The response, and whether the connection was used for another request.
    Response(Response<Bytes>, bool),
    Failure(TransportError),
    /// More has to come.
    Waits,
}

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (line, sent) = data.split_at(end.map_or(data.len(), |end| end + 1));
    let line = String::from_utf8_lossy(line);
    let words: Vec<&str> = line.split_whitespace().collect();
    let method = match words.first() {
        Some(&"HEAD") => Method::HEAD,
        Some(&"POST") => Method::POST,
        _ => Method::GET,
    };
    let script = |piece| Script::new(sent, piece, words.contains(&"stays"));
    let options = match words.contains(&"small") {
        true => NetOptions::new().with_max_head(300).with_max_body(100),
        false => NetOptions::new(),
    };

    let whole = request(&method, script(usize::MAX), &options);
    check(&whole, sent, &words);
    for piece in [1, sent.len() % 61 + 1] {
        let cut = request(&method, script(piece), &options);
        assert_same(&whole, &cut);
        let streamed = stream(&method, script(piece), &options);
        match (&whole, &streamed) {
            (Outcome::Response(response, _), Outcome::Response(streamed, _)) => {
                assert_eq!(response.status(), streamed.status());
                assert_eq!(response.headers(), streamed.headers());
                assert_eq!(response.body(), streamed.body());
            }
            // It has no limit.
            (Outcome::Failure(error), _) if error.kind() == TransportErrorKind::TooLarge => {}
            (Outcome::Failure(_), Outcome::Failure(_)) | (Outcome::Waits, Outcome::Waits) => {}
            _ => panic!("streamed, it has another end"),
        }
    }
    if let Outcome::Response(response, reused) = &whole {
        hyper::check(&method, script(usize::MAX), response, *reused);
    }
});

fn check(outcome: &Outcome, sent: &[u8], words: &[&str]) {
    match outcome {
        Outcome::Response(response, reused) => {
            assert!(response.status().as_u16() >= 200);
            if *reused {
                assert!(sent.ends_with(response.body()) || sent.ends_with(b"\r\n"));
            }
            if words.contains(&"small") {
                assert!(response.body().len() <= 100);
            }
        }
        Outcome::Failure(error) => {
            assert_eq!(error.sent(), Sent::Maybe);
            assert!(matches!(
                error.kind(),
                TransportErrorKind::Receive | TransportErrorKind::TooLarge
            ));
            assert!(error.to_string().len() < 200, "{error}");
        }
        Outcome::Waits => assert!(words.contains(&"stays")),
    }
}

fn assert_same(whole: &Outcome, cut: &Outcome) {
    match (whole, cut) {
        (Outcome::Response(one, reused), Outcome::Response(other, reused_too)) => {
            assert_eq!(one.status(), other.status());
            assert_eq!(one.version(), other.version());
            assert_eq!(one.headers(), other.headers());
            assert_eq!(one.body(), other.body());
            assert_eq!(reused, reused_too);
        }
        // What is found first depends on how much is looked at.
        (Outcome::Failure(_), Outcome::Failure(_)) | (Outcome::Waits, Outcome::Waits) => {}
        (Outcome::Response(..), Outcome::Failure(error)) => panic!("cut, it fails: {error}"),
        (Outcome::Failure(error), Outcome::Response(..)) => panic!("whole, it fails: {error}"),
        _ => panic!("cut, it has another end"),
    }
}

fn a_request(method: &Method) -> Request<Body> {
    let request = Request::builder().method(method).uri("http://127.0.0.1/v2");
    request.body(Body::empty()).expect("a request")
}

fn request(method: &Method, script: Script, options: &NetOptions) -> Outcome {
    let peer = Peer::new(script);
    let client = HttpTransport::new(peer.clone(), options.clone());
    match now(client.send(a_request(method), LIMIT)) {
        Some(Ok(response)) => {
            let again = now(client.send(a_request(method), LIMIT));
            assert!(!matches!(again, Some(Ok(_))), "a response to two requests");
            Outcome::Response(response, peer.connections() == 1)
        }
        Some(Err(error)) => Outcome::Failure(error),
        None => Outcome::Waits,
    }
}

fn stream(method: &Method, script: Script, options: &NetOptions) -> Outcome {
    let client = HttpTransport::new(Peer::new(script), options.clone());
    let work = async {
        let response = client.send_streaming(a_request(method), LIMIT).await?;
        let (parts, mut stream) = response.into_parts();
        let mut body = Vec::new();
        while let Some(bytes) = stream.next().await {
            body.extend_from_slice(&bytes?);
        }
        Ok(Response::from_parts(parts, Bytes::from(body)))
    };
    match now(work) {
        Some(Ok(response)) => Outcome::Response(response, false),
        Some(Err(error)) => Outcome::Failure(error),
        None => Outcome::Waits,
    }
}

/// What a future has to say without waiting: nothing here becomes ready later.
fn now<F: Future>(work: F) -> Option<F::Output> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
