//! The terminals of languages that have an interactive interpreter.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use sorna::blocking::{Client, Kernel, PtyWriter};
use sorna::{AccessKey, Config, Credentials, SecretKey, TerminalEvent, TerminalOptions};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use sorna_test_tools::need;

/// Only a test that fails waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

fn client(gateway: &RunningGateway) -> Client {
    let keys = Credentials::new(
        AccessKey::new(gateway.access_key()).expect("a key"),
        SecretKey::new(gateway.secret_key()).expect("a key"),
    );
    let endpoint = gateway.endpoint().parse().expect("an endpoint");
    Client::new(Config::new(endpoint, keys).with_version(sorna::ApiVersion::V2_20170315))
}

/// A terminal with a time limit on the wait for events.
struct Terminal {
    writer: PtyWriter,
    events: Receiver<TerminalEvent>,
    seen: String,
}

impl Terminal {
    fn open(kernel: &Kernel) -> Self {
        let pty = kernel
            .stream_pty(TerminalOptions::default())
            .expect("a terminal");
        let (mut reader, writer) = pty.split();
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            while let Ok(Some(event)) = reader.next_event() {
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self {
            writer,
            events,
            seen: String::new(),
        }
    }

    fn types(&mut self, line: &str) {
        self.writer
            .write(format!("{line}\r").as_bytes())
            .expect("typed");
    }

    fn event(&mut self, awaited: &str) -> TerminalEvent {
        let event = self.events.recv_timeout(PATIENCE);
        let event =
            event.unwrap_or_else(|error| panic!("no {awaited:?}, {error}: {:?}", self.seen));
        if let TerminalEvent::Output(bytes) = &event
            && String::from_utf8_lossy(bytes).contains("\x1b[6n")
        {
            // The reply of a terminal to a query of the cursor's position.
            self.writer.write(b"\x1b[1;1R").expect("answered");
        }
        event
    }

    fn read_until(&mut self, words: &str) {
        while !self.seen.contains(words) {
            match self.event(words) {
                TerminalEvent::Output(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                other => panic!("{other:?} before {words:?}: {:?}", self.seen),
            }
        }
        self.seen.clear();
    }
}

/// Waits for the interpreter's prompt, types a line, waits for its output, and leaves.
fn try_out(lang: &str, tool: &str, prompt: &str, line: &str, words: &str, leave: &str) {
    if !need(tool) {
        return;
    }
    let gateway = Gateway::spawn(GatewayConfig::default()).expect("a gateway");
    let kernel = client(&gateway).create(lang).expect("a kernel");
    let mut terminal = Terminal::open(&kernel);
    terminal.read_until(prompt);
    terminal.types(line);
    terminal.read_until(words);
    terminal.types(leave);
    let code = loop {
        if let TerminalEvent::Closed { code, .. } = terminal.event("end") {
            break code;
        }
    };
    assert_eq!(code, Some(1000), "{lang}");
    // The next terminal gets a new shell.
    Terminal::open(&kernel).read_until(prompt);
    kernel.destroy().expect("destroyed");
    gateway.stop();
}

#[test]
fn python() {
    try_out("python3", "python3", ">>> ", "print(6 * 7)", "42", "exit()");
}

#[test]
fn bash() {
    try_out("bash", "bash", "~ ", "echo $((6 * 7))", "42", "exit");
}

#[test]
fn ruby() {
    try_out("ruby", "irb", "> ", "puts 6 * 7", "42", "exit");
}

#[test]
fn node() {
    try_out("nodejs", "node", "> ", "console.log(6 * 7)", "42", ".exit");
}

#[test]
fn lua() {
    try_out("lua", "lua", "> ", "print(6 * 7)", "42", "os.exit()");
}

#[test]
fn php() {
    try_out("php", "php", "php > ", "echo 6 * 7, \"\\n\";", "42", "exit");
}

#[test]
fn r() {
    try_out("r", "R", "> ", "6 * 7", "[1] 42\r\n", "quit('no')");
}

#[test]
fn java() {
    try_out(
        "java",
        "jshell",
        "jshell> ",
        "6 * 7",
        "$1 ==> 42\r\n",
        "/exit",
    );
}

#[test]
fn languages_without_a_shell_get_bash() {
    for (lang, tool) in [("perl", "perl"), ("c", "gcc")] {
        try_out(lang, tool, "~ ", "echo $((6 * 7))", "42", "exit");
    }
}

/// What waits is shown before anything that happens after an interrupt, which a slow screen delays for as long.
#[test]
fn little_output_waits_for_a_screen_that_is_slow() {
    // A screen that takes 200 kB/s shows so much in less than 3 s.
    const MOST: usize = 512 * 1024;
    for version in [
        sorna::ApiVersion::V2_20170315,
        sorna::ApiVersion::V9_20250722,
    ] {
        let gateway = Gateway::spawn(GatewayConfig::new()).expect("a gateway");
        let client = Client::new(gateway.config().with_version(version));
        let kernel = client.create("bash").expect("a kernel");
        let mut pty = kernel
            .stream_pty(TerminalOptions::default())
            .expect("a terminal");
        let read_until = |pty: &mut sorna::blocking::Pty, words: &str| {
            let mut seen = Vec::new();
            let mut bytes = 0;
            while !seen
                .windows(words.len())
                .any(|part| part == words.as_bytes())
            {
                let event = pty.next_event().expect("it goes on");
                if let Some(TerminalEvent::Output(output)) = event {
                    bytes += output.len();
                    // The end of what came before may belong to the words.
                    seen.drain(..seen.len().saturating_sub(words.len()));
                    seen.extend_from_slice(&output);
                }
            }
            bytes
        };
        pty.write(b"yes\r").expect("typed");
        read_until(&mut pty, "y\r\ny\r\ny\r\n");
        // Nothing is read until all that can wait does.
        thread::sleep(Duration::from_secs(2));
        pty.write(b"\x03").expect("typed");
        pty.write(b"echo in''terrupted\r").expect("typed");
        let waiting = read_until(&mut pty, "interrupted");
        assert!(waiting < MOST, "{version}: {waiting} bytes");
        kernel.destroy().expect("it is there");
        gateway.stop();
    }
}
