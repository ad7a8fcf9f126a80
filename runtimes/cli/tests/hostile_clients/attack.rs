//! Attacks, and what is measured meanwhile.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use sorna::protocol::{Operation, Segment, Signer};
use sorna::{AccessKey, ApiVersion, Config, Credentials, SecretKey};

use crate::support::served::Served;
use crate::support::{PATIENCE, sorna};

pub(crate) const MIB: u64 = 1024 * 1024;
/// How much more memory the gateway may take during an attack.
const ROOM: u64 = 64 * MIB;
/// How long an honest client may wait for an answer, in 99 of 100 cases: it takes less than a second, unless the machine is
/// busy.
const ANSWER: Duration = Duration::from_secs(5);
/// How long attacks last that do not end by themselves.
pub(crate) const DURATION: Duration = Duration::from_secs(3);

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
pub(crate) fn under_attack<T>(what: &str, served: &Served, attack: impl FnOnce() -> T) -> T {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let honest = served.client();
    honest.authorize("x").expect("an answer");
    let before = memory(served.id());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut most, mut times) = (0, Vec::new());
            while !is_over.load(Ordering::Relaxed) {
                // On a connection that it has, and on a new one.
                for client in [honest.clone(), served.client()] {
                    let start = Instant::now();
                    client.authorize("x").expect("an answer");
                    times.push(start.elapsed());
                }
                most = most.max(memory(served.id()));
                thread::sleep(Duration::from_millis(10));
            }
            times.sort_unstable();
            (most, times)
        });
        let end = End(&is_over);
        let result = attack();
        drop(end);
        let (most, times) = watch.join().expect("it was served");
        let more = most.saturating_sub(before);
        let rank = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
        let [half, most_cases, slowest] = [50, 99, 100].map(rank);
        eprintln!(
            "{what}: {} MiB more; {} answers, 50 %: {half:.1?}, 99 %: {most_cases:.1?}, slowest: {slowest:.1?}",
            more / MIB,
            times.len(),
        );
        assert!(more < ROOM, "{what}: {} MiB more", more / MIB);
        assert!(most_cases < ANSWER, "{what}: {most_cases:?}");
        result
    })
}

/// A second key of gateways that are served with [`KEYS`].
pub(crate) fn other_key(served: &Served) -> Config {
    let credentials = KEYS.lines().nth(1).and_then(|line| line.split_once(' '));
    let (access, secret) = credentials.expect("a pair");
    let credentials = Credentials::new(
        AccessKey::new(access).expect("a key"),
        SecretKey::new(secret).expect("a key"),
    );
    let endpoint = served.client().config().endpoint().clone();
    Config::new(endpoint, credentials).with_version(ApiVersion::V2_20170315)
}

/// Two pairs of keys, of which honest clients have the first.
const KEYS: &str = "AKIAAAAAAAAAAAAAAAA1 secret1secret1secret1secret1secret1secr
AKIAAAAAAAAAAAAAAAA2 secret2secret2secret2secret2secret2secr
";

pub(crate) fn serve_two_keys(directory: &Path) -> Command {
    let file = directory.join("keys");
    fs::write(&file, KEYS).expect("it is written");
    let only_own = fs::Permissions::from_mode(0o600);
    fs::set_permissions(&file, only_own).expect("they are set");
    let mut command = serve(directory);
    command.arg("--keys").arg(file);
    command
}

/// Such a gateway with the first of its keys.
pub(crate) fn first_of(served: Served) -> Served {
    let first = KEYS.lines().next().and_then(|line| line.split_once(' '));
    let (access, secret) = first.expect("a pair");
    served.with_keys(access, secret)
}

pub(crate) fn serve(directory: &Path) -> Command {
    let mut command = sorna(directory);
    command.args(["serve", "--log", "off"]);
    command
}

/// Runs something in this many threads.
pub(crate) fn in_threads(threads: usize, act: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(&act);
        }
    });
}

pub(crate) fn connect(served: &Served) -> TcpStream {
    let endpoint = &served.settings()["SORNA_ENDPOINT"];
    let address = endpoint.strip_prefix("http://").expect("an address");
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream.set_write_timeout(Some(PATIENCE)).expect("a time");
    stream
}

/// The beginning of the response, and nothing if the connection is closed.
pub(crate) fn status(stream: &mut TcpStream) -> String {
    let mut start = [0; 12];
    let read = stream.read_exact(&mut start);
    read.map_or_else(
        |_| String::new(),
        |()| String::from_utf8_lossy(&start).into_owned(),
    )
}

/// The beginning of the response to a request that is sent as it is.
pub(crate) fn answer_to(served: &Served, request: &[u8]) -> String {
    let mut stream = connect(served);
    let _ = stream.write_all(request);
    status(&mut stream)
}

/// All of the response, when the gateway closes the connection after it.
pub(crate) fn whole_answer_to(served: &Served, request: &[u8]) -> String {
    let mut stream = connect(served);
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Writes again and again until the connection is closed, the time is over, or nothing can be written for a while.
pub(crate) fn keep_writing(stream: &mut TcpStream, piece: &[u8]) {
    let wait = Some(Duration::from_millis(200));
    stream.set_write_timeout(wait).expect("a time");
    let until = Instant::now() + DURATION;
    while Instant::now() < until && stream.write_all(piece).is_ok() {}
}

/// Opens so many connections from some threads, sends this on each, and waits. Not all may be let in.
pub(crate) fn hold(served: &Served, count: usize, begun: &[u8]) {
    sorna_gateway::raise_open_files();
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    // If this process may open so many.
    let most = most.and_then(|most| usize::try_from(most / 2).ok());
    let count = most.map_or(count, |most| most.min(count));
    in_threads(4, || {
        let mut streams: Vec<_> = (0..count / 4).map(|_| connect(served)).collect();
        for stream in &mut streams {
            let _ = stream.write_all(begun);
        }
        thread::sleep(DURATION);
    });
}

/// Sends this on 800 connections, and then a byte now and then on each.
pub(crate) fn drip(served: &Served, beginning: &[u8]) {
    let mut streams: Vec<_> = (0..800).map(|_| connect(served)).collect();
    for stream in &mut streams {
        let _ = stream.write_all(beginning);
    }
    let until = Instant::now() + DURATION;
    while Instant::now() < until {
        for stream in &mut streams {
            let _ = stream.write_all(b"x");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// A signed request as it is sent, with these headers in addition.
pub(crate) fn signed<O: Operation>(served: &Served, operation: &O, headers: &str) -> Vec<u8> {
    signed_with(served.client().config(), operation, headers)
}

/// The same with other keys.
pub(crate) fn signed_with<O: Operation>(config: &Config, operation: &O, headers: &str) -> Vec<u8> {
    let signer = Signer::new(config.clone());
    let request = operation.request(&signer, SystemTime::now());
    let (parts, body) = request.expect("a request").into_parts();
    let target = parts.uri.path_and_query().expect("a path");
    let mut bytes = format!("{} {target} HTTP/1.1\r\n{headers}", parts.method).into_bytes();
    for (name, value) in &parts.headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    if !parts.headers.contains_key("content-length") && !headers.contains("chunked") {
        bytes.extend(format!("content-length: {}\r\n", body.len()).into_bytes());
    }
    bytes.extend(b"\r\n");
    for segment in body.segments() {
        match segment {
            Segment::Bytes(content) => bytes.extend_from_slice(content),
            other => panic!("not used here: {other:?}"),
        }
    }
    bytes
}
