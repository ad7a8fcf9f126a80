//! Heads of requests.

use sorna::protocol::Authorize;

use crate::attack::{
    answer_to, connect, drip, in_threads, keep_writing, serve, signed, under_attack,
    whole_answer_to,
};
use crate::support::here;
use crate::support::served::Served;

#[test]
fn requests_with_two_hosts_are_rejected() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let request = b"GET /v2 HTTP/1.1\r\nHost: one\r\nHost: other\r\nConnection: close\r\n\r\n";
    under_attack("two hosts", &served, || {
        in_threads(8, || {
            for _ in 0..50 {
                assert_eq!(answer_to(&served, request), "HTTP/1.1 400");
            }
        });
    });
}

#[test]
fn requests_with_two_of_what_is_signed_are_rejected() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let close = "Connection: close\r\n";
    let once = signed(&served, &Authorize::new("x"), close);
    assert_eq!(answer_to(&served, &once), "HTTP/1.1 200");
    let once = String::from_utf8(once).expect("text");
    under_attack("headers that are there twice", &served, || {
        for header in [
            "Date: 2017-01-01T00:00:00Z",
            "Authorization: Sorna x",
            "X-Sorna-Version: v1",
            "Content-Type: text/plain",
            "host: other",
        ] {
            // Before the right one, and after it.
            let before = once.replacen("\r\n", &format!("\r\n{header}\r\n"), 1);
            let after = once.replacen("\r\n\r\n", &format!("\r\n{header}\r\n\r\n"), 1);
            for request in [before, after] {
                let answer = whole_answer_to(&served, request.as_bytes());
                assert!(answer.starts_with("HTTP/1.1 400"), "{header}: {answer}");
                assert!(answer.contains("more than one"), "{header}: {answer}");
            }
        }
        for host in ["http://other", "http://127.0.0.1:1", "https://127.0.0.1"] {
            let request = once.replacen(" /v2", &format!(" {host}/v2"), 1);
            let answer = whole_answer_to(&served, request.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 400"), "{host}: {answer}");
            assert!(answer.contains("one host"), "{host}: {answer}");
        }
        let own = &served.settings()["SORNA_ENDPOINT"];
        let request = once.replacen(" /v2", &format!(" {own}/v2"), 1);
        assert_eq!(answer_to(&served, request.as_bytes()), "HTTP/1.1 200");
    });
}

#[test]
fn chunks_with_a_length_end_the_connection() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let request = b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
    // The gateway must not read a second request from what follows: a proxy that goes by the length sees it as the body.
    let answer = whole_answer_to(&served, request);
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(
        answer.to_ascii_lowercase().contains("connection: close"),
        "{answer}"
    );
}

#[test]
fn heads_over_the_limit_are_rejected() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let filler = "x".repeat(100_000);
    let request =
        format!("GET /v2 HTTP/1.1\r\nHost: one\r\nConnection: close\r\nX: {filler}\r\n\r\n");
    under_attack("large heads", &served, || {
        in_threads(8, || {
            for _ in 0..50 {
                let answer = answer_to(&served, request.as_bytes());
                let is_rejected = ["HTTP/1.1 400", "HTTP/1.1 431", ""].contains(&answer.as_str());
                assert!(is_rejected, "{answer}");
            }
        });
    });
}

#[test]
fn heads_that_arrive_byte_by_byte_keep_nobody_waiting() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    under_attack("slow heads", &served, || {
        drip(&served, b"GET /v2 HTTP/1.1\r\nX-");
    });
}

#[test]
fn requests_whose_responses_nobody_reads_wait() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let request = signed(&served, &Authorize::new("x"), "");
    let many = request.repeat(100);
    let unsigned = b"GET /v2 HTTP/1.1\r\nHost: one\r\n\r\n".repeat(1000);
    under_attack("pipelined requests", &served, || {
        in_threads(20, || keep_writing(&mut connect(&served), &many));
    });
    under_attack("pipelined requests of strangers", &served, || {
        in_threads(20, || keep_writing(&mut connect(&served), &unsigned));
    });
}

#[test]
fn a_log_that_nobody_reads_makes_nothing_wait() {
    let directory = here();
    let mut command = crate::support::sorna(directory.path());
    // Its standard error is a pipe, which is full soon.
    command.args(["serve", "--log", "debug"]);
    let served = Served::start(command);
    under_attack("an unread log", &served, || {
        in_threads(8, || {
            for _ in 0..100 {
                served.client().authorize("x").expect("an answer");
            }
        });
    });
    // `Drop` ends it.
}
