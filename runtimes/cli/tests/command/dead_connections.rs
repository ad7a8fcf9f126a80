//! Connections that go dead without a word, in both dialects: what was sent over them is not lost.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sorna_gateway::{GatewayConfig, RunningGateway};
use sorna_test_tools::need;

use crate::support::{backend_at, eventually, gateway_with, here, sorna_at, wait};

/// A gateway whose programs have time until a dead connection has been noticed.
fn gateway() -> RunningGateway {
    gateway_with(GatewayConfig::default().with_exec_timeout(Duration::from_secs(300)))
}

type At = fn(&Path, &RunningGateway) -> Command;

/// Prints lines, waits for a file, prints more, says so by a file, and ends, or waits to be interrupted.
const LINES: &str = "import os, sys, time\n\
                     for i in range(3): print('line', i, flush=True)\n\
                     while not os.path.exists('go'): time.sleep(.02)\n\
                     for i in range(3, 6): print('line', i, flush=True); time.sleep(.1)\n\
                     open('printed', 'w').close()\n\
                     if WAITS:\n\
                     \x20   try: time.sleep(1000)\n\
                     \x20   except KeyboardInterrupt: pass\n\
                     sys.exit(7)";

/// Passes bytes on, until connections go dead: then what the gateway sends over them is dropped without an error.
struct Proxy {
    endpoint: String,
    /// How many connections are dead: the first ones.
    dead: Arc<AtomicUsize>,
    count: Arc<AtomicUsize>,
    /// Whether those to the gateway stay when a client is gone.
    keeps: Arc<AtomicBool>,
}

impl Proxy {
    fn start(gateway: &RunningGateway) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let this = Self {
            endpoint: format!("http://{}", listener.local_addr().expect("an address")),
            dead: Arc::default(),
            count: Arc::default(),
            keeps: Arc::default(),
        };
        let gateway = gateway.endpoint();
        let gateway = gateway.trim_start_matches("http://").to_owned();
        let (dead, count) = (Arc::clone(&this.dead), Arc::clone(&this.count));
        let keeps = Arc::clone(&this.keeps);
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming() {
                let number = count.fetch_add(1, SeqCst);
                if dead.load(SeqCst) == usize::MAX {
                    continue;
                }
                let (Ok(client), Ok(gateway)) = (client, TcpStream::connect(&gateway)) else {
                    continue;
                };
                let both = |stream: &TcpStream| stream.try_clone().expect("a handle");
                let (from, to) = (both(&client), both(&gateway));
                let keeps = Arc::clone(&keeps);
                thread::spawn(move || pass(from, to, || false, || keeps.load(SeqCst)));
                let dead = Arc::clone(&dead);
                let is_dead = move || number < dead.load(SeqCst);
                thread::spawn(move || pass(gateway, client, &is_dead, &is_dead));
            }
        });
        this
    }

    /// The connections that there are go dead.
    fn dies(&self) {
        self.dead.store(self.count.load(SeqCst), SeqCst);
    }

    /// And so do all others.
    fn all_die(&self) {
        self.dead.store(usize::MAX - 1, SeqCst);
    }

    /// And so do all others, which are closed.
    fn dies_for_good(&self) {
        self.dead.store(usize::MAX, SeqCst);
    }
}

fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    is_dead: impl Fn() -> bool,
    keeps: impl Fn() -> bool,
) {
    let mut buffer = [0; 4096];
    let mut copy = || -> io::Result<()> {
        loop {
            match from.read(&mut buffer)? {
                0 => return Ok(()),
                _ if is_dead() => {}
                read => to.write_all(&buffer[..read])?,
            }
        }
    };
    let _ = copy();
    if !keeps() {
        let _ = to.shutdown(Shutdown::Write);
    }
}

/// A program in a kernel that is kept, with a proxy in between.
struct Scene<'a> {
    at: At,
    directory: &'a Path,
    gateway: &'a RunningGateway,
    proxy: Proxy,
    token: &'a str,
}

impl Scene<'_> {
    /// Runs a command without the proxy.
    fn directly(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = (self.at)(self.directory, self.gateway);
        command.args(arguments).output().expect("sorna runs")
    }

    /// Runs the program until connections have gone dead and the program has printed the rest. On a busy machine that takes so
    /// long that the command may notice.
    fn run(&self, waits: bool, die: impl FnOnce(&Proxy)) -> (Child, String) {
        let mut command = (self.at)(self.directory, self.gateway);
        for name in ["SORNA_ENDPOINT", "BACKEND_ENDPOINT"] {
            if command
                .get_envs()
                .any(|(it, value)| it == name && value.is_some())
            {
                command.env(name, &self.proxy.endpoint);
            }
        }
        let code = LINES.replace("WAITS", if waits { "True" } else { "False" });
        command.args(["run", "-t", self.token, "python3", "-c", &code]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().expect("sorna runs");
        let mut shown = String::new();
        let mut stdout = BufReader::with_capacity(1, running.stdout.take().expect("a pipe"));
        for _ in 0..3 {
            stdout.read_line(&mut shown).expect("a line");
        }
        running.stdout = Some(stdout.into_inner());
        die(&self.proxy);
        std::fs::write(self.directory.join("go"), "").expect("a file");
        let go = self.directly(&["upload", "-t", self.token, "python3", "go"]);
        assert!(go.status.success(), "{go:?}");
        eventually("all is printed", || {
            let listed = self.directly(&["ls", self.token]);
            String::from_utf8_lossy(&listed.stdout).contains("printed")
        });
        (running, shown)
    }
}

/// Sends a signal, and gives what is shown from then on.
fn stop(mut running: Child, signal: Signal) -> (Option<i32>, String, String) {
    let id = i32::try_from(running.id()).expect("an ID");
    kill_process(Pid::from_raw(id).expect("an ID"), signal).expect("it lives");
    let status = wait(&mut running);
    let (mut shown, mut said) = (String::new(), String::new());
    let (stdout, stderr) = (running.stdout.take(), running.stderr.take());
    let stdout = stdout.expect("a pipe").read_to_string(&mut shown);
    stdout.expect("text");
    let stderr = stderr.expect("a pipe").read_to_string(&mut said);
    stderr.expect("text");
    (status.code(), shown, said)
}

fn lines() -> String {
    (0..6).map(|i| format!("line {i}\n")).collect()
}

/// Whether all lines have come. Another client gets those once more of which the first one could not say any more that it
/// had them.
fn have_come(shown: &str, later: &str) -> bool {
    let count = shown.lines().count() + later.lines().count();
    lines().starts_with(shown) && lines().ends_with(later) && count >= 6
}

#[test]
fn a_command_that_is_stopped_loses_nothing_of_a_dead_connection() {
    if !need("python3") {
        return;
    }
    for at in [sorna_at as At, backend_at] {
        let (gateway, directory) = (gateway(), here());
        for (token, waits, signal) in [
            ("ends-by-itself", false, Signal::INT),
            ("waits-for-it", true, Signal::TERM),
        ] {
            let scene = Scene {
                at,
                directory: directory.path(),
                gateway: &gateway,
                proxy: Proxy::start(&gateway),
                token,
            };
            let (running, mut shown) = scene.run(waits, Proxy::dies);
            let (_, rest, said) = stop(running, signal);
            shown += &rest;
            assert_eq!(shown, lines(), "{said}");
            assert!(!said.contains("given up"), "{said}");
            // All was received, so it is not shown once more.
            let attached = scene.directly(&["attach", token]);
            let said = String::from_utf8_lossy(&attached.stderr);
            assert_eq!(attached.status.code(), Some(125), "{said}");
            assert!(attached.stdout.is_empty());
        }
        gateway.stop();
    }
}

#[test]
fn what_a_dead_connection_has_swallowed_comes_with_attach() {
    if !need("python3") {
        return;
    }
    // Over a WebSocket, gateways know what has arrived, also of the end.
    let (gateway, directory) = (gateway(), here());
    let scene = Scene {
        at: backend_at,
        directory: directory.path(),
        gateway: &gateway,
        proxy: Proxy::start(&gateway),
        token: "left-here",
    };
    let (running, mut shown) = scene.run(false, Proxy::dies_for_good);
    let (_, rest, said) = stop(running, Signal::INT);
    shown += &rest;
    let attached = scene.directly(&["attach", "left-here"]);
    let later = String::from_utf8_lossy(&attached.stdout);
    assert!(have_come(&shown, &later), "{shown}{said}{attached:?}");
    assert_eq!(attached.status.code(), Some(7), "{said}{attached:?}");
    gateway.stop();
}

#[test]
fn what_a_gateway_says_to_nobody_comes_with_attach() {
    if !need("python3") {
        return;
    }
    for (at, waits, signal) in [
        (sorna_at as At, true, Signal::INT),
        (backend_at, true, Signal::TERM),
        (backend_at, false, Signal::INT),
    ] {
        let (gateway, directory) = (gateway(), here());
        let scene = Scene {
            at,
            directory: directory.path(),
            gateway: &gateway,
            proxy: Proxy::start(&gateway),
            token: "left-here",
        };
        // What is sent to the gateway arrives, and no response does, over whatever connection.
        let (running, mut shown) = scene.run(waits, Proxy::all_die);
        let (_, rest, said) = stop(running, signal);
        shown += &rest;
        let attached = scene.directly(&["attach", "left-here"]);
        let later = String::from_utf8_lossy(&attached.stdout);
        assert!(have_come(&shown, &later), "{shown}{said}{attached:?}");
        assert_eq!(attached.status.code(), Some(7), "{said}{attached:?}");
        gateway.stop();
    }
}

#[test]
fn what_a_client_has_not_received_that_seems_to_be_there_comes_with_attach() {
    if !need("python3") {
        return;
    }
    for at in [sorna_at as At, backend_at] {
        let (gateway, directory) = (gateway(), here());
        let scene = Scene {
            at,
            directory: directory.path(),
            gateway: &gateway,
            proxy: Proxy::start(&gateway),
            token: "left-here",
        };
        scene.proxy.keeps.store(true, SeqCst);
        let (mut running, shown) = scene.run(false, Proxy::dies_for_good);
        running.kill().expect("it lives");
        let run = ["run", "-t", "left-here", "python3", "-c", "print('other')"];
        let run = scene.directly(&run);
        assert!(run.status.success(), "{run:?}");
        assert_eq!(run.stdout, b"other\n");
        let attached = scene.directly(&["attach", "left-here"]);
        // That of earlier executions is on standard error, between two lines.
        let said = String::from_utf8_lossy(&attached.stderr);
        let earlier = said.lines().filter(|line| line.starts_with("line "));
        let earlier: String = earlier.map(|line| format!("{line}\n")).collect();
        assert!(
            earlier.ends_with("line 3\nline 4\nline 5\n"),
            "{attached:?}"
        );
        // What the client has shown may come once more: it is gone, and has not said so.
        assert!(lines().ends_with(&earlier), "{shown} {attached:?}");
        running.wait().expect("it has ended");
        gateway.stop();
    }
}
