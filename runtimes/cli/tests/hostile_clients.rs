//! Hostile clients of a real `sorna serve`: what they make it hold, and whether others are served meanwhile.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sorna::blocking::{Client, Kernel};
use sorna::protocol::{Continuation, Execute};
use sorna::{ExecuteMode, ExecutionStatus, Record};
use sorna_test_tools::need;
use support::served::Served;
use support::{PATIENCE, here, sorna};

const MIB: u64 = 1024 * 1024;
/// How much more memory the gateway may take during an attack.
const ROOM: u64 = 64 * MIB;
/// How long an honest client may wait for an answer: it takes less than a second, unless the machine is busy.
const ANSWER: Duration = Duration::from_secs(5);

/// The memory of a process, in bytes.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words = line.expect("the line").split_whitespace();
    let kib: u64 = words.rev().nth(1).expect("a number").parse().expect("one");
    kib * 1024
}

/// Held while one attack is made: others would slow its honest client down.
static ALONE: Mutex<()> = Mutex::new(());

/// Ends the watch, also if the attack fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs an attack while an honest client is served and memory is watched.
fn under_attack<T>(what: &str, served: &Served, attack: impl FnOnce() -> T) -> T {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let honest = served.client();
    honest.authorize("x").expect("an answer");
    let before = memory(served.id());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut most, mut slowest) = (0, Duration::ZERO);
            while !is_over.load(Ordering::Relaxed) {
                let start = Instant::now();
                honest.authorize("x").expect("an answer");
                slowest = slowest.max(start.elapsed());
                most = most.max(memory(served.id()));
                thread::sleep(Duration::from_millis(10));
            }
            (most, slowest)
        });
        let end = End(&is_over);
        let result = attack();
        drop(end);
        let (most, slowest) = watch.join().expect("it was served");
        let more = most.saturating_sub(before);
        eprintln!("{what}: {} MiB, {} ms", more / MIB, slowest.as_millis());
        assert!(more < ROOM, "{what}: {} MiB more", more / MIB);
        assert!(slowest < ANSWER, "{what}: {slowest:?}");
        result
    })
}

/// The beginning of the response to a request that is sent as it is, and nothing if the connection is closed.
fn answer_to(served: &Served, request: &[u8]) -> String {
    let endpoint = &served.settings()["SORNA_ENDPOINT"];
    let address = endpoint.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    let _ = stream.write_all(request);
    let mut start = [0; 12];
    let read = stream.read_exact(&mut start);
    read.map_or_else(
        |_| String::new(),
        |()| String::from_utf8_lossy(&start).into_owned(),
    )
}

/// Runs something many times, in some threads.
fn in_threads(times: usize, act: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..times / 8).for_each(|_| act()));
        }
    });
}

fn serve(directory: &Path) -> Command {
    let mut command = sorna(directory);
    command.args(["serve", "--log", "off"]);
    command
}

/// How many characters of media each of the kernels makes.
const MEDIA: usize = 15 << 20;

/// Makes media a while after the first response. Nobody asks for it then.
fn make_media(client: &Client) -> Kernel {
    let kernel = client.create("python3").expect("a kernel");
    let code = format!(
        "import sorna_kernel, time\ntime.sleep(3)\nsorna_kernel.media('image/png', bytes({MEDIA} * 3 // 4))\nprint('made')"
    );
    let request = Execute::start(kernel.id().clone(), ExecuteMode::query(&code));
    let result = client.call(request).expect("a response").value;
    assert_eq!(result.status, ExecutionStatus::Continued);
    kernel
}

/// Asks for the rest, which must all be there.
fn fetch(client: &Client, kernel: &Kernel) {
    let (mut media, mut text) = (0, String::new());
    let until = Instant::now() + PATIENCE;
    loop {
        let start = Execute::start(kernel.id().clone(), ExecuteMode::query(""));
        let next = start.proceed(Continuation::Continue);
        let result = client.call(next).expect("a response").value;
        for record in &result.console {
            if let Record::Media(one) = &record {
                media += one.content().len();
            }
        }
        text += &result.console.stdout();
        if result.status == ExecutionStatus::Finished {
            break;
        }
        assert!(Instant::now() < until, "it does not end");
    }
    let whole = MEDIA + "data:image/png;base64,".len();
    assert_eq!((media, text.as_str()), (whole, "made\n"));
}

#[test]
fn media_that_nobody_fetches_waits_in_its_programs() {
    if !need("python3") {
        return;
    }
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let client = served.client();
    let kernels = under_attack("unfetched media", &served, || {
        let kernels: Vec<_> = thread::scope(|scope| {
            let started: Vec<_> = (0..12)
                .map(|_| scope.spawn(|| make_media(&client)))
                .collect();
            started
                .into_iter()
                .map(|it| it.join().expect("a kernel"))
                .collect()
        });
        // Long enough for all of it to be made.
        thread::sleep(Duration::from_secs(5));
        kernels
    });
    for kernel in &kernels {
        fetch(&client, kernel);
    }
}

#[test]
fn requests_with_two_hosts_are_rejected() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let request = b"GET /v2 HTTP/1.1\r\nHost: one\r\nHost: other\r\nConnection: close\r\n\r\n";
    under_attack("two hosts", &served, || {
        in_threads(400, || {
            assert_eq!(answer_to(&served, request), "HTTP/1.1 400");
        });
    });
}

#[test]
fn heads_over_the_limit_are_rejected() {
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let filler = "x".repeat(100_000);
    let request =
        format!("GET /v2 HTTP/1.1\r\nHost: one\r\nConnection: close\r\nX: {filler}\r\n\r\n");
    under_attack("large heads", &served, || {
        in_threads(400, || {
            let answer = answer_to(&served, request.as_bytes());
            let is_rejected = ["HTTP/1.1 400", "HTTP/1.1 431", ""].contains(&answer.as_str());
            assert!(is_rejected, "{answer}");
        });
    });
}

#[test]
fn a_log_that_nobody_reads_makes_nothing_wait() {
    let directory = here();
    let mut command = sorna(directory.path());
    // Its standard error is a pipe, which is full soon.
    command.args(["serve", "--log", "debug"]);
    let served = Served::start(command);
    under_attack("an unread log", &served, || {
        in_threads(800, || {
            served.client().authorize("x").expect("an answer");
        });
    });
    // It ends when it is told to, by `Drop`.
}
