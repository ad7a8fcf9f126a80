//! Connections.

use std::io::Write;
use std::time::Instant;

use crate::attack::{DURATION, connect, hold, in_threads, serve, under_attack};
use crate::support::here;
use crate::support::served::Served;

#[test]
fn connections_that_send_nothing_make_room() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    sorna_gateway::raise_open_files();
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    // More than the gateway accepts, if this process may open so many.
    let each = most.map_or(1200, |most| {
        usize::try_from(most / 8).unwrap_or(1200).min(1200)
    });
    for (what, begun) in [
        ("idle connections", &b""[..]),
        ("half heads", b"GET /v2 HTTP/1.1\r\nHost: x\r\n"),
        (
            "idle connections after a response",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
    ] {
        under_attack(what, &served, || {
            in_threads(4, || {
                let mut streams: Vec<_> = (0..each).map(|_| connect(&served)).collect();
                for stream in &mut streams {
                    // It may have had to make room.
                    let _ = stream.write_all(begun);
                }
                std::thread::sleep(DURATION);
            });
        });
    }
}

#[test]
fn connections_that_come_again_and_again_take_no_more_memory() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    under_attack("rounds of connections", &served, || {
        for _ in 0..3 {
            for begun in [
                &b"GET /v2 HTTP/1.1\r\nHost: x\r\n"[..],
                b"POST /v2/kernel/create HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            ] {
                hold(&served, 3000, begun);
            }
        }
    });
}

#[test]
fn connections_that_are_closed_at_once_keep_nobody_waiting() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    under_attack("short connections", &served, || {
        in_threads(8, || {
            let until = Instant::now() + DURATION;
            while Instant::now() < until {
                drop(connect(&served));
            }
        });
    });
}
