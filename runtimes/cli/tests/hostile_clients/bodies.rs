//! Bodies of requests.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use sorna::blocking::Client;
use sorna::protocol::{Authorize, Boundary, UploadFiles};
use sorna::{Config, KernelId, UploadFile};
use sorna_test_tools::need;

use crate::attack::{
    DURATION, answer_to, connect, drip, in_threads, keep_writing, serve, signed, signed_with,
    status, under_attack,
};
use crate::support::here;
use crate::support::served::Served;

/// The head of a request that brings a form, which is to be sent in chunks.
pub(crate) fn form(config: &Config, kernel: &KernelId) -> Vec<u8> {
    let file = UploadFile::from_bytes("x", Vec::new()).expect("a file");
    let boundary = Boundary::from_random([7; 16]);
    let upload = UploadFiles::new(kernel.clone(), vec![file], boundary);
    let request = signed_with(config, &upload, "");
    let end = request.windows(4).position(|it| it == b"\r\n\r\n");
    let head = String::from_utf8(request[..end.expect("an end")].to_vec()).expect("text");
    let lines = head.split("\r\n");
    let lines = lines.filter(|line| !line.to_ascii_lowercase().starts_with("content-length"));
    let lines: Vec<&str> = lines.collect();
    format!(
        "{}\r\ntransfer-encoding: chunked\r\n\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}

/// A chunk of a body.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    let length = format!("{:x}\r\n", bytes.len());
    [length.as_bytes(), bytes, b"\r\n"].concat()
}

fn bash(client: &Client) -> KernelId {
    client.create("bash").expect("a kernel").id().clone()
}

#[test]
fn forms_are_held_only_in_part() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let kernel = bash(&served.client());
    let head = form(served.client().config(), &kernel);
    let part = b"--x\r\nContent-Disposition: form-data; name=\"src\"; filename=\"";
    let piece = chunk(&vec![b'.'; 64 * 1024]);
    // The boundary is of the real one's length.
    let text = String::from_utf8_lossy(&head).into_owned();
    let (_, boundary) = text.split_once("boundary=").expect("a boundary");
    let boundary = boundary.lines().next().expect("a line").trim_matches('"');
    let part = String::from_utf8_lossy(part).replacen('x', boundary, 1);
    for (what, start) in [("a preamble", ""), ("the head of a part", part.as_str())] {
        under_attack(what, &served, || {
            in_threads(30, || {
                let mut stream = connect(&served);
                let first = if start.is_empty() {
                    Vec::new()
                } else {
                    chunk(start.as_bytes())
                };
                let _ = stream.write_all(&[&head[..], &first].concat());
                for _ in 0..300 {
                    if stream.write_all(&piece).is_err() {
                        break;
                    }
                }
                let _ = stream.shutdown(Shutdown::Write);
                let mut response = String::new();
                let _ = stream.read_to_string(&mut response);
                let is_rejected =
                    response.is_empty() || response.contains("larger than 16384 bytes");
                assert!(is_rejected, "{what}: {response}");
            });
        });
    }
}

#[test]
fn heads_of_parts_are_limited_to_the_byte() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let kernel = bash(&served.client());
    let head = form(served.client().config(), &kernel);
    let text = String::from_utf8_lossy(&head).into_owned();
    let (_, boundary) = text.split_once("boundary=").expect("a boundary");
    let boundary = boundary.lines().next().expect("a line").trim_matches('"');
    let named = |name: &str| {
        format!("Content-Disposition: form-data; name=\"src\"; filename=\"{name}\"\r\n")
    };
    let filled = |size: usize| {
        let line = named("b");
        let filler = "h".repeat(size - line.len() - "X: \r\n".len());
        format!("{line}X: {filler}\r\n")
    };
    let first = format!("--{boundary}\r\n{}\r\nx\r\n", named("a"));
    for (size, status) in [
        (100, "204"),
        (16 * 1024, "204"),
        (16 * 1024 + 1, "400"),
        (17_000, "400"),
        (20_070, "400"),
        (64 * 1024, "400"),
    ] {
        // As the first part, and when it arrives together with one before it.
        for before in ["", &first] {
            let part = format!(
                "--{boundary}\r\n{}\r\ny\r\n--{boundary}--\r\n",
                filled(size)
            );
            let body = [chunk(format!("{before}{part}").as_bytes()), chunk(b"")].concat();
            let answer = answer_to(&served, &[&head[..], &body].concat());
            assert_eq!(answer, format!("HTTP/1.1 {status}"), "{size}");
        }
    }
}

#[test]
fn bodies_of_strangers_are_held_within_a_limit() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let head = |length: &str| signed(&served, &Authorize::new("x"), length);
    let whole = head("");
    let end = whole
        .windows(4)
        .position(|it| it == b"\r\n\r\n")
        .expect("an end");
    let text = String::from_utf8_lossy(&whole[..end]).into_owned();
    let lines: Vec<&str> = text
        .split("\r\n")
        .filter(|line| !line.to_ascii_lowercase().starts_with("content-length"))
        .collect();
    let long = format!("{}\r\ncontent-length: 1048575\r\n\r\n", lines.join("\r\n"));
    let chunked = format!(
        "{}\r\ntransfer-encoding: chunked\r\n\r\n",
        lines.join("\r\n")
    );
    under_attack("bodies that do not end", &served, || {
        in_threads(200, || {
            let mut stream = connect(&served);
            let _ = stream.write_all(long.as_bytes());
            let _ = stream.write_all(&vec![b'x'; (1 << 20) - 2]);
            let time = Some(Duration::from_secs(2));
            stream.set_read_timeout(time).expect("a time");
            let _ = stream.read(&mut [0; 1]);
        });
    });
    let small = chunk(b"x");
    let large = chunk(&vec![b'x'; 64 * 1024]);
    under_attack("chunks that do not end", &served, || {
        in_threads(50, || {
            let mut stream = connect(&served);
            let _ = stream.write_all(chunked.as_bytes());
            keep_writing(&mut stream, &large);
        });
    });
    under_attack("tiny chunks that do not end", &served, || {
        in_threads(20, || {
            let mut stream = connect(&served);
            let _ = stream.write_all(chunked.as_bytes());
            keep_writing(&mut stream, &small.repeat(1000));
            assert_ne!(status(&mut stream), "HTTP/1.1 200");
        });
    });
    under_attack("slow bodies", &served, || {
        drip(&served, long.as_bytes());
    });
}

#[test]
fn wrong_signatures_and_logins_keep_nobody_waiting() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let right = String::from_utf8(signed(&served, &Authorize::new("x"), "")).expect("text");
    let wrong = right.replacen("credential=", "credential=X", 1);
    under_attack("unknown keys", &served, || {
        in_threads(8, || {
            let until = Instant::now() + DURATION;
            while Instant::now() < until {
                let mut stream = connect(&served);
                let _ = stream.write_all(wrong.as_bytes());
                assert_eq!(status(&mut stream), "HTTP/1.1 401");
            }
        });
    });
    let user = &served.settings()["SORNA_ACCESS_KEY"];
    let password = &served.settings()["SORNA_SECRET_KEY"];
    let login = format!("{{\"username\": \"{user}\", \"password\": \"{password}\"}}");
    let request = format!(
        "POST /server/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{login}",
        login.len()
    );
    under_attack("logins", &served, || {
        in_threads(8, || {
            let until = Instant::now() + DURATION;
            while Instant::now() < until {
                let mut stream = connect(&served);
                let _ = stream.write_all(request.as_bytes());
                assert_eq!(status(&mut stream), "HTTP/1.1 200");
            }
        });
    });
}
