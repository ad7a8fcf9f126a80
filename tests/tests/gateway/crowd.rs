//! Many kernels: of every kind, ended in every way, and idle.

use std::fs;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use sorna::blocking::{Client, Kernel};
use sorna::protocol::Execute;
use sorna::{
    Batch, Config, ExecuteMode, ExecutionStatus, KernelSpec, Limits, SessionToken, TerminalOptions,
};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use sorna_test_tools::need;

use crate::machine::{control_groups, processes_with, resident, zombies};

/// How many kernels are created in all, and by how many clients at a time.
const SOAK: usize = 240;
const CLIENTS: usize = 4;
/// How many kernels are idle at the same time.
const IDLE: usize = 500;

fn client_of(gateway: &RunningGateway) -> Client {
    let endpoint = gateway.endpoint().parse().unwrap();
    let config = Config::new(endpoint, gateway.credentials()[0].clone());
    Client::new(config.with_version(sorna::ApiVersion::V2_20170315))
}

/// The mark in the environment of all processes of the gateway.
fn mark_of(client: &Client) -> String {
    let kernel = client.create("bash").unwrap();
    let result = kernel.execute("echo -n $SORNA_KERNEL_MARK").finish();
    let mark = result.unwrap().console.stdout().into_owned();
    kernel.destroy().unwrap();
    mark.split_once('.').unwrap().0.to_owned()
}

fn variable(mark: &str) -> String {
    format!("SORNA_KERNEL_MARK={mark}.")
}

#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < until, "it did not happen: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Pseudorandom numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// A language, with code that prints `42`, and code that runs for long.
const LANGUAGES: &[(&str, &str, &str, &str)] = &[
    (
        "python3",
        "python3",
        "print(42)",
        "import os; os.system('sleep 60 & setsid sleep 60')",
    ),
    (
        "bash",
        "bash",
        "echo 42",
        "sleep 60 & (setsid sleep 60 &); sleep 60",
    ),
    ("perl", "perl", "print \"42\\n\"", "system('sleep 60')"),
    (
        "nodejs",
        "node",
        "console.log(42)",
        "setTimeout(() => {}, 60000)",
    ),
    ("lua", "lua5.4", "print(42)", "os.execute('sleep 60')"),
    ("ruby", "ruby", "puts 42", "spawn('sleep 60'); sleep 60"),
    ("php", "php", "echo 42, \"\\n\";", "sleep(60);"),
    (
        "c",
        "gcc",
        "#include <stdio.h>\nint main(void) { puts(\"42\"); }",
        "#include <unistd.h>\nint main(void) { fork(); setsid(); sleep(60); }",
    ),
];

#[test]
fn hundreds_of_kernels_leave_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let config = GatewayConfig::new()
        .with_directory(directory.path())
        .with_continuation_interval(Duration::from_millis(50));
    let gateway = Gateway::spawn(config).unwrap();
    let mark = mark_of(&client_of(&gateway));
    let languages: Vec<_> = LANGUAGES
        .iter()
        .filter(|(_, tool, ..)| need(tool))
        .collect();
    thread::scope(|scope| {
        for seed in 1..=CLIENTS as u64 {
            let (gateway, languages) = (&gateway, &languages);
            scope.spawn(move || {
                let client = client_of(gateway);
                let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                for _ in 0..SOAK / CLIENTS {
                    let (name, _, short, long) = languages[dice.roll(languages.len())];
                    live(&client, name, short, long, &mut dice);
                }
            });
        }
    });
    let left = gateway.stats();
    assert!(left.kernels_created >= SOAK as u64);
    // Kernels whose clients have disconnected still exist; they end with the gateway.
    assert!(left.kernels < left.kernels_created / 2, "{left:?}");
    gateway.stop();
    assert_eq!(processes_with(&variable(&mark)), []);
    assert_eq!(zombies(), 0);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    assert_eq!(control_groups(&mark), Vec::<std::path::PathBuf>::new());
}

/// The life of one kernel, which ends in a random way.
fn live(client: &Client, name: &str, short: &str, long: &str, dice: &mut Dice) {
    let kernel = client.create(name).unwrap();
    if dice.roll(2) == 0 {
        answer(&kernel, short);
    }
    match dice.roll(7) {
        // In the middle of a run.
        0 => {
            begin(client, &kernel, long);
            kernel.destroy().unwrap();
        }
        // The client disconnects, and its kernel stays.
        1 => begin(client, &kernel, long),
        2 => {
            begin(client, &kernel, long);
            kernel.restart().unwrap();
            answer(&kernel, short);
            kernel.destroy().unwrap();
        }
        3 => {
            let batch = Batch::new()
                .with_build("echo x > made; sleep 60 &")
                .with_exec("cat made; exit 3");
            let result = kernel.execute(batch).finish().unwrap();
            assert_eq!(result.exit_code(), Some(3), "{name}: {result:?}");
            kernel.destroy().unwrap();
        }
        4 => {
            let mut terminal = kernel.stream_pty(TerminalOptions::default()).unwrap();
            terminal.write(b"sleep 60 &\n").unwrap();
            if dice.roll(2) == 0 {
                terminal.close().unwrap();
            }
            kernel.destroy().unwrap();
        }
        5 => {
            let limits = Limits::new().with_exec_timeout(Duration::from_millis(300));
            let spec = KernelSpec::new(name).with_limits(limits);
            let token = SessionToken::from_random(dice_bytes(dice));
            let hasty = client.get_or_create(spec, &token).unwrap();
            let _ = hasty.execute(long).finish().unwrap();
            answer_in_time(&hasty, short);
            hasty.destroy().unwrap();
            kernel.destroy().unwrap();
        }
        _ => kernel.destroy().unwrap(),
    }
}

fn dice_bytes(dice: &mut Dice) -> [u8; 16] {
    std::array::from_fn(|_| dice.roll(256) as u8)
}

#[track_caller]
fn answer(kernel: &Kernel, code: &str) {
    let result = kernel.execute(code).finish().unwrap();
    assert_eq!(result.console.stdout(), "42\n", "{result:?}");
}

/// The same from a kernel whose time limit a busy machine may exceed with anything.
fn answer_in_time(kernel: &Kernel, code: &str) {
    wait_until("an answer in time", || {
        let result = kernel.execute(code).finish().unwrap();
        let late = result.status == ExecutionStatus::ExecTimeout;
        assert!(late || result.console.stdout() == "42\n", "{result:?}");
        !late
    });
}

/// Starts an execution, and does not wait for its end.
fn begin(client: &Client, kernel: &Kernel, code: &str) {
    let start = Execute::start(kernel.id().clone(), ExecuteMode::query(code));
    client.call(start).unwrap();
}

#[test]
fn hundreds_of_kernels_are_idle_at_the_same_time() {
    sorna_gateway::raise_open_files();
    let config = GatewayConfig::new().with_max_kernels_per_key(IDLE + 1);
    let gateway = Gateway::spawn(config).unwrap();
    let client = client_of(&gateway);
    let mark = mark_of(&client);
    let own = resident("self");
    let kernels: Vec<Kernel> = (0..IDLE).map(|_| client.create("bash").unwrap()).collect();
    assert_eq!(gateway.stats().kernels, IDLE as u64);
    let processes = processes_with(&variable(&mark));
    assert_eq!(processes.len(), IDLE, "one process each");
    let memory: u64 = processes.iter().map(|(_, memory)| memory).sum();
    println!(
        "{IDLE} kernels: {} KiB resident in each on average (shared pages counted for each); \
         the gateway and its client grew by {} KiB",
        memory / IDLE as u64,
        resident("self") - own
    );
    // All of them exist.
    for kernel in kernels.iter().step_by(IDLE / 10) {
        answer(kernel, "echo 42");
    }
    // At the limit, the next one is rejected.
    let last = client.create("bash").unwrap();
    let error = client.create("bash").unwrap_err();
    assert!(
        error
            .gateway()
            .is_some_and(|error_response| error_response.is_quota_exceeded())
    );
    last.destroy().unwrap();
    gateway.stop();
    assert_eq!(processes_with(&variable(&mark)), []);
}

#[test]
fn terminals_are_confined_and_end_with_their_gateway() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("file");
    fs::write(&secret, "the secret of another user").unwrap();
    let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
    let client = client_of(&gateway);
    let mark = mark_of(&client);
    let kernel = client.create("bash").unwrap();
    let (mut reader, mut writer) = kernel
        .stream_pty(TerminalOptions::default())
        .unwrap()
        .split();
    let command = format!("cat {}; setsid sleep 60 & echo e'n'd\n", secret.display());
    writer.write_all(command.as_bytes()).unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("end") {
        let count = reader.read(&mut buffer).unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let gateway_is_isolated = gateway_isolates();
    assert_eq!(
        seen.contains("the secret of"),
        !gateway_is_isolated,
        "{seen}"
    );
    gateway.stop();
    wait_until("the terminal's processes go", || {
        processes_with(&variable(&mark)).is_empty()
    });
}

fn gateway_isolates() -> bool {
    let gateway = Gateway::bind(GatewayConfig::default()).unwrap();
    gateway.isolation().landlock.is_some()
}
