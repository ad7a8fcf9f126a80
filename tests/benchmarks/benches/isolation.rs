//! What isolation costs: kernels of three gateways, one at each level, and the same namespaces by bubblewrap.
//!
//! This program is the helper of its gateways, unless `BENCHMARK_HELPER` names another, with its arguments.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sorna::blocking::{Client, Kernel};
use sorna::{ExecuteMode, TerminalEvent, TerminalOptions};
use sorna_benchmarks::{Cost, Ratio, added, caution, take_turns, wall};
use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel};

#[path = "../shared/execute.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod execute;
#[path = "../shared/server.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod server;

use execute::config;
use server::Server;

const ROUNDS: usize = 101;
/// The number of executions in a turn, one after the other.
const EXECUTIONS: usize = 20;
/// The number of kernels whose memory is measured.
const KERNELS: usize = 50;
/// The number of kernels from stock, and how long the gateway has to put the next one there.
const STOCK_ROUNDS: usize = 31;
const REST: Duration = Duration::from_millis(300);
/// The argument that turns this program into the helper of a gateway.
const HELPER: &str = "__box";
/// The variable that names another helper.
const HELPER_VARIABLE: &str = "BENCHMARK_HELPER";
/// How long something that ends may take.
const PATIENCE: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == HELPER) {
        return sorna_gateway::box_main(arguments);
    }
    if let Some(level) = server::asked_for() {
        serve(&level);
        return ExitCode::SUCCESS;
    }
    let gateways = Levels::of(Server::start);
    println!("# Isolation\n");
    caution();
    println!("| what | against | more, in ms | ratio | to reach |");
    println!("|---|---|---|---|---|");
    let clients = gateways.each(|server| Client::new(config(server.address)));
    for (language, code) in [("bash", "echo hello"), ("python3", "print('hello')")] {
        lives(&clients, language, code);
    }
    executions(&clients);
    terminals(&clients);
    bubblewrap(&clients.namespaces);
    println!();
    for level in ["landlock", "namespaces"] {
        memory(level);
    }
    end();
    ExitCode::SUCCESS
}

/// Something for each level.
struct Levels<T> {
    none: T,
    landlock: T,
    namespaces: T,
}

impl<T> Levels<T> {
    fn of(make: impl Fn(&str) -> T) -> Self {
        Self {
            none: make("none"),
            landlock: make("landlock"),
            namespaces: make("namespaces"),
        }
    }

    fn each<U>(&self, make: impl Fn(&T) -> U) -> Levels<U> {
        Levels {
            none: make(&self.none),
            landlock: make(&self.landlock),
            namespaces: make(&self.namespaces),
        }
    }
}

/// A gateway at that level, with the keys that all benchmarks use.
fn serve(level: &str) {
    let warm = usize::from(level == "stock");
    let level = match level {
        "none" => IsolationLevel::None,
        "landlock" => IsolationLevel::Landlock,
        _ => IsolationLevel::Namespaces,
    };
    let keys = config(SocketAddr::from(([127, 0, 0, 1], 1)));
    let keys = keys.credentials().expect("it has keys").clone();
    let helper = std::env::var(HELPER_VARIABLE);
    let helper = helper.unwrap_or_else(|_| format!("/proc/self/exe {HELPER}"));
    let (program, words) = helper.split_once(' ').unwrap_or((&helper, ""));
    let config = GatewayConfig::new()
        .with_credentials([keys])
        .with_isolation(level)
        .with_require_isolation(true)
        .with_warm_kernels("bash", warm)
        .with_box_program(program, words.split_whitespace())
        .with_max_kernels_per_key(KERNELS + 10)
        .with_max_requests_per_window(u64::MAX);
    let gateway = Gateway::spawn(config).expect("a gateway");
    println!("{}", gateway.endpoint().trim_start_matches("http://"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    gateway.stop();
}

fn row(what: &str, against: &str, ours: &[Cost], theirs: &[Cost], reach: &str) {
    let (more, ratio): (Ratio, Ratio) = (added(ours, theirs), wall(ours, theirs));
    println!("| {what} | {against} | {more} | {ratio} | {reach} |");
}

/// Rows of each level against the one below.
fn rows(what: &str, of: &Levels<&[Cost]>, reach: &str) {
    let absolute = |costs: &[Cost]| {
        let times = costs.iter().map(|cost| cost.wall * 1e3);
        Ratio::of(times.collect())
    };
    eprintln!(
        "{what}, ms: none {}, landlock {}, namespaces {}",
        absolute(of.none),
        absolute(of.landlock),
        absolute(of.namespaces)
    );
    row(
        &format!("{what}, landlock"),
        "none",
        of.landlock,
        of.none,
        "-",
    );
    let name = format!("{what}, namespaces");
    row(&name, "landlock", of.namespaces, of.landlock, reach);
}

fn now(since: Instant) -> Cost {
    Cost {
        wall: since.elapsed().as_secs_f64(),
        cpu: 0.0,
    }
}

/// Kernels that are created, execute a snippet, and are destroyed.
fn lives(clients: &Levels<Client>, language: &str, code: &str) {
    // By level: the creation, the execution, the end, and all of it.
    let mut costs: [[Vec<Cost>; 4]; 3] = Default::default();
    let all = [&clients.none, &clients.landlock, &clients.namespaces];
    for round in 0..=ROUNDS {
        for turn in 0..all.len() {
            let level = (round + turn) % all.len();
            let start = Instant::now();
            let kernel = all[level].create(language).expect("a kernel");
            let created = now(start);
            let execution = Instant::now();
            run(&kernel, code);
            let executed = now(execution);
            let end = Instant::now();
            kernel.destroy().expect("its end");
            let turns = [created, executed, now(end), now(start)];
            // The first round opens connections.
            for (costs, cost) in costs[level].iter_mut().zip(turns).filter(|_| round > 0) {
                costs.push(cost);
            }
        }
    }
    let parts = [
        "created",
        "its first execution",
        "destroyed",
        "its whole life",
    ];
    for (part, name) in parts.into_iter().enumerate() {
        let of = Levels {
            none: &costs[0][part][..],
            landlock: &costs[1][part],
            namespaces: &costs[2][part],
        };
        let reach = ["at most 3 ms", "-", "-", "-"][part];
        rows(&format!("a {language} kernel, {name}"), &of, reach);
    }
}

fn run(kernel: &Kernel, code: &str) {
    let result = kernel.run(ExecuteMode::query(code)).expect("a result");
    assert_eq!(result.stdout(), "hello\n");
}

fn executions(clients: &Levels<Client>) {
    let kernels = clients.each(|client| client.create("python3").expect("a kernel"));
    let executions = |kernel: &Kernel| {
        for _ in 0..EXECUTIONS {
            run(kernel, "print('hello')");
        }
    };
    let [none, landlock, namespaces] = take_turns(
        ROUNDS,
        [
            &mut || executions(&kernels.none),
            &mut || executions(&kernels.landlock),
            &mut || executions(&kernels.namespaces),
        ],
    );
    let of = Levels {
        none: &none[..],
        landlock: &landlock,
        namespaces: &namespaces,
    };
    let name = format!("{EXECUTIONS} executions in a living python3 kernel");
    rows(&name, &of, "-");
    kernels.each(|kernel| kernel.destroy().expect("its end"));
}

/// The first terminal of a kernel, from the request to its first output.
fn terminals(clients: &Levels<Client>) {
    let open = |client: &Client| {
        let kernel = client.create("bash").expect("a kernel");
        let start = Instant::now();
        let mut pty = kernel
            .stream_pty(TerminalOptions::default())
            .expect("a terminal");
        let event = pty.next_event().expect("an event");
        let cost = now(start);
        assert!(matches!(event, Some(TerminalEvent::Output(_))), "{event:?}");
        kernel.destroy().expect("its end");
        cost
    };
    let mut costs: [Vec<Cost>; 3] = Default::default();
    let all = [&clients.none, &clients.landlock, &clients.namespaces];
    for round in 0..ROUNDS {
        for turn in 0..all.len() {
            let level = (round + turn) % all.len();
            costs[level].push(open(all[level]));
        }
    }
    let [none, landlock, namespaces] = &costs;
    let of = Levels {
        none: &none[..],
        landlock,
        namespaces,
    };
    rows("the first output of a terminal", &of, "-");
}

/// The same mounts by bubblewrap, for a shell that ends at once.
fn bubblewrap(client: &Client) {
    if Command::new("bwrap").arg("--version").output().is_err() {
        eprintln!("SKIPPED: bubblewrap is not installed");
        return;
    }
    let kernel = client.create("bash").expect("a kernel");
    let mounts = kernel
        .run(ExecuteMode::query("cat /proc/self/mountinfo"))
        .expect("a result");
    let mut arguments: Vec<String> = ["--unshare-all", "--new-session", "--die-with-parent"]
        .map(str::to_owned)
        .into();
    for line in mounts.stdout().lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (place, options) = (fields[4], fields[5]);
        let option = match place {
            "/" => continue,
            "/dev" => vec!["--dev", place],
            "/dev/mqueue" => vec!["--mqueue", place],
            "/tmp" | "/dev/shm" => vec!["--tmpfs", place],
            "/proc" => vec!["--proc", place],
            _ if place.starts_with("/dev/") => continue,
            _ if options.starts_with("ro") => vec!["--ro-bind", place, place],
            _ => vec!["--bind", place, place],
        };
        arguments.extend(option.into_iter().map(str::to_owned));
    }
    for entry in fs::read_dir("/").expect("a root").flatten() {
        if let Ok(target) = fs::read_link(entry.path()) {
            let words = ["--symlink".into(), target, entry.path()];
            arguments.extend(words.map(|word| word.display().to_string()));
        }
    }
    eprintln!("{} mounts", mounts.stdout().lines().count());
    let shell = ["bash", "-c", ":"];
    let python = ["python3", "-c", "print(1)"];
    let in_bubblewrap =
        |program: [&str; 3]| process(Command::new("bwrap").args(&arguments).args(program));
    let live = |client: &Client| {
        let kernel = client.create("bash").expect("a kernel");
        kernel.destroy().expect("its end");
    };
    let [bwrap, setsid, cold, bwrap_python, python] = take_turns(
        ROUNDS,
        [
            &mut || in_bubblewrap(shell),
            &mut || process(Command::new("setsid").args(shell)),
            &mut || live(client),
            &mut || in_bubblewrap(python),
            &mut || process(Command::new("python3").args(&python[1..])),
        ],
    );
    let what = "`bash -c :` in bubblewrap, with the mounts of a bash kernel";
    row(what, "`setsid bash -c :`", &bwrap, &setsid, "-");
    let what = "`python3 -c ...` in bubblewrap, with the same mounts";
    row(what, "`python3 -c ...`", &bwrap_python, &python, "-");
    let what = "a bash kernel created and destroyed";
    row(what, "`bash -c :` in bubblewrap", &cold, &bwrap, "1.5");

    let gateway = Server::start("stock");
    let client = Client::new(config(gateway.address));
    // The first one says which language is in use.
    live(&client);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..STOCK_ROUNDS {
        // The gateway puts the next one in stock while nothing runs.
        thread::sleep(REST);
        let start = Instant::now();
        live(&client);
        ours.push(now(start));
        let start = Instant::now();
        in_bubblewrap(shell);
        theirs.push(now(start));
    }
    let what = "the same from stock";
    row(what, "`bash -c :` in bubblewrap", &ours, &theirs, "0.6");
    // Until here, for its directory is among the mounts.
    kernel.destroy().expect("its end");
}

fn process(command: &mut Command) {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().expect("a process");
    assert!(status.success(), "{status}");
}

/// What a kernel at rest takes, of the system's memory and of that of its processes.
fn memory(level: &str) {
    let gateway = Server::start(level);
    let client = Client::new(config(gateway.address));
    let create = || client.create("bash").expect("a kernel");
    create().destroy().expect("its end");
    let before = memory_of_system();
    let kernels: Vec<Kernel> = (0..KERNELS).map(|_| create()).collect();
    thread::sleep(Duration::from_millis(500));
    let after = memory_of_system();
    let each = |name: &str| {
        let more = after[name] - before[name];
        more / KERNELS as f64 / 1024.0
    };
    let names = ["Slab", "KernelStack", "PageTables", "Percpu"];
    let system: f64 = names.into_iter().map(each).sum();
    println!(
        "a bash kernel of {KERNELS}, {level}: {:.2} MiB less are available; {system:.2} MiB in the system{}",
        -each("MemAvailable"),
        names
            .map(|name| format!(", {name} {:.2}", each(name)))
            .concat(),
    );
    for kernel in kernels {
        kernel.destroy().expect("its end");
    }
}

/// `/proc/meminfo`, in KiB.
fn memory_of_system() -> HashMap<String, f64> {
    let text = fs::read_to_string("/proc/meminfo").expect("Linux");
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter_map(|(name, rest)| {
            let number = rest.split_whitespace().next()?.parse().ok()?;
            Some((name.to_owned(), number))
        })
        .collect()
}

/// How long a program that hides in a kernel lives on when its gateway was killed.
fn end() {
    let mut times = Vec::new();
    for round in 0..21 {
        let mut gateway = Server::start("namespaces");
        let kernel = Client::new(config(gateway.address)).create("bash");
        let kernel = kernel.expect("a kernel");
        let word = format!("98765{round}.321");
        let hide = format!(
            "(cd /; env -i setsid -f sh -c 'trap \"\" TERM HUP; sleep {word} & sleep {word}') & wait"
        );
        kernel
            .run(ExecuteMode::query(hide))
            .expect("a program that hides");
        let hidden = || processes_with(&word);
        while hidden().len() < 3 {
            thread::sleep(Duration::from_millis(1));
        }
        let open = |id| pidfd_open(id, PidfdFlags::empty()).expect("it lives");
        let hidden: Vec<_> = hidden().into_iter().map(open).collect();
        let start = Instant::now();
        gateway.kill();
        for process in &hidden {
            let mut end = [PollFd::new(process, PollFlags::IN)];
            let ended = poll(&mut end, Some(&PATIENCE)).expect("it can be waited for");
            assert!(ended == 1, "it lives on");
        }
        times.push(now(start).wall * 1e3);
    }
    let times = Ratio::of(times);
    println!("what hid in a kernel has ended after its gateway was killed: {times} ms");
}

/// The processes that have this word in their command line.
fn processes_with(word: &str) -> Vec<Pid> {
    let holds = |path: &Path| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        line.windows(word.len()).any(|part| part == word.as_bytes())
    };
    let entries = fs::read_dir("/proc").expect("Linux").flatten();
    entries
        .filter(|entry| holds(&entry.path()))
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}
