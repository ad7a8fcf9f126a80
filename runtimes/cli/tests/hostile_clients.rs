//! Hostile clients of a real `sorna serve`: what they make it hold, and whether others are served meanwhile.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
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
/// How long an honest client may wait for an answer.
const ANSWER: Duration = Duration::from_secs(1);

/// The memory of a process, in bytes.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words = line.expect("the line").split_whitespace();
    let kib: u64 = words.rev().nth(1).expect("a number").parse().expect("one");
    kib * 1024
}

/// Ends the watch, also if the attack fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs an attack while an honest client is served and memory is watched.
fn under_attack<T>(what: &str, served: &Served, attack: impl FnOnce() -> T) -> T {
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
