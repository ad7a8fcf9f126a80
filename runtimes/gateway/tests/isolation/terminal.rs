//! Terminals in namespaces.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use sorna_core::KernelId;
use sorna_core::terminal::{Command, Message};
use sorna_test_tools::need;

use crate::common::{self, Client, PATIENCE};
use crate::setting::gateway;
use crate::shared_limits::COUNT;

/// A terminal, by its WebSocket.
struct Terminal {
    stream: TcpStream,
    received: Vec<u8>,
    shown: String,
}

impl Terminal {
    fn open(client: &Client, kernel: &KernelId) -> Self {
        let mut stream = client.connect();
        stream.write_all(&client.terminal_bytes(kernel)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"));
        Self {
            stream,
            received: Vec::new(),
            shown: String::new(),
        }
    }

    fn send(&mut self, command: &Command) {
        let text = command.encode();
        // Masked with zeros, which leaves the text as it is.
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        self.stream.write_all(&frame).unwrap();
    }

    fn enter(&mut self, line: &str) {
        self.send(&Command::Stdin(format!("{line}\r").into_bytes().into()));
    }

    /// Waits until this has been shown since the last call, and returns all that was.
    #[track_caller]
    fn shows(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        while !self.shown.contains(text) {
            assert!(
                Instant::now() < until,
                "{text:?} is not in {:?}",
                self.shown
            );
            let (head, length) = match self.received[..] {
                [_, length @ 0..126, ..] => (2, usize::from(length)),
                [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([a, b]))),
                _ => (0, usize::MAX / 2),
            };
            if self.received.len() < head + length {
                let mut chunk = [0; 4096];
                let read = self.stream.read(&mut chunk);
                let read =
                    read.unwrap_or_else(|e| panic!("{e}: {text:?} is not in {:?}", self.shown));
                assert!(read > 0, "ended: {text:?} is not in {:?}", self.shown);
                self.received.extend(&chunk[..read]);
                continue;
            }
            let frame: Vec<u8> = self.received.drain(..head + length).collect();
            let message = String::from_utf8_lossy(&frame[head..]);
            if let Message::Out(bytes) = Message::decode(&message) {
                self.shown += &String::from_utf8_lossy(&bytes);
            }
        }
        std::mem::take(&mut self.shown)
    }
}

#[test]
fn a_terminal_is_one_for_the_programs_in_it() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    client.run(&kernel, "echo seen >/tmp/shared").finished();
    let mut terminal = Terminal::open(&client, &kernel);
    terminal.enter("tty; echo 'E'ND");
    let shown = terminal.shows("END");
    assert!(shown.contains("/dev/pts/0"), "{shown:?}");
    // The same box as that of snippets.
    terminal.enter("cat /tmp/shared; echo 'E'ND");
    assert!(terminal.shows("END").contains("seen"));
    terminal.send(&Command::Resize {
        rows: 33,
        cols: 101,
    });
    terminal.enter("stty size; echo 'E'ND");
    assert!(terminal.shows("END").contains("33 101"));
    // Job control, and the signal of Ctrl-C.
    // The program itself says that it runs: between fork and exec, bash has a moment in which a Ctrl-C reaches neither.
    terminal
        .enter("sleep 1000 & jobs; kill %1; sh -c 'echo B\"\"EGIN; exec sleep 1000'; echo 'E'ND");
    assert!(terminal.shows("BEGIN").contains("Running"));
    terminal.send(&Command::Stdin(b"\x03".as_slice().into()));
    terminal.enter("echo 'A'LIVE");
    terminal.shows("ALIVE");
    terminal.send(&Command::Restart);
    terminal.enter("echo 'A'GAIN");
    terminal.shows("AGAIN");
}

/// A shell in the background starts programs so (`SIGINT`, `SIGQUIT`), and `nohup` (`SIGHUP`).
#[test]
fn signals_that_the_gateway_ignores_have_their_effects_in_kernels() {
    let test = "terminal::signals_have_their_usual_effects";
    let done = std::process::Command::new("sh")
        .args(["-c", "trap '' HUP INT QUIT USR1; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("test result: ok. 1 passed"), "{said}");
}

#[test]
fn signals_have_their_usual_effects() {
    let look = "grep SigIg[n]: /proc/self/status";
    let ignored = |said: &str| {
        let set = said.split_once("SigIgn:").unwrap().1;
        let set: String = set.trim_start().chars().take(16).collect();
        // Later ones are those of the C library and of real time.
        u64::from_str_radix(&set, 16).unwrap() & ((1 << 31) - 1)
    };
    let confined = common::gateway();
    for gateway in gateway().iter().chain([&confined]) {
        let client = Client::new(gateway);
        let kernel = client.create("bash");
        let (stdout, _) = client.run(&kernel, look).finished();
        assert_eq!(ignored(&stdout), 0);
        let mut terminal = Terminal::open(&client, &kernel);
        terminal.enter(&format!("{look}; echo 'E'ND"));
        assert_eq!(ignored(&terminal.shows("END")), 0);
        for key in [b"\x03", b"\x1c"] {
            terminal.enter("sh -c 'echo B\"\"EGIN; exec sleep 1000'; echo 'D'ONE");
            terminal.shows("BEGIN");
            terminal.send(&Command::Stdin(key.as_slice().into()));
            terminal.enter("echo 'A'LIVE");
            terminal.shows("ALIVE");
        }
    }
}

#[test]
fn backspace_erases_characters_before_programs_that_read_lines() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let mut terminal = Terminal::open(&client, &kernel);
    terminal.enter("stty -echo; echo 'R'EADY; cat");
    terminal.shows("READY");
    terminal.enter("x漢\x7fy");
    assert_eq!(terminal.shows("y").trim(), "xy");
}

#[test]
fn programs_can_make_terminals_of_their_own() {
    if !need("script") {
        return;
    }
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let (stdout, stderr) = client
        .run(
            &kernel,
            "script -qec 'tty; test -t 0 && echo yes' /dev/null </dev/null",
        )
        .finished();
    assert_eq!(stdout.replace('\r', ""), "/dev/pts/0\nyes\n", "{stderr}");
}

#[test]
fn files_that_nobody_receives_keep_no_other_kernel_from_starting() {
    sorna_gateway::raise_open_files();
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    // As many as a program can send in a box.
    let code = format!(
        "{COUNT}\
         hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n\
         print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= 1024)\n\
         resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))\n\
         file = os.open('/dev/null', 0)\n\
         rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [file] * 250))]\n\
         def send():\n    \
             pair = socket.socketpair()\n    \
             pair[0].sendmsg([b'x'], rights)\n    \
             return pair\n\
         sent = count(send)\n\
         print(sent != 'no limit' and sent * 250 > 1000)"
    );
    let sent = client.run(&kernel, &code).finished().0;
    assert_eq!(sent, "True\nTrue\n");
    // A step, another kernel, and a terminal there, which a helper sends.
    let batch = sorna_core::Batch::new()
        .without_build()
        .with_exec("echo step");
    let (_, outcome) = client.batch(&kernel, batch);
    assert_eq!(outcome.finished().0, "step\n");
    let other = client.create("bash");
    assert_eq!(client.run(&other, "echo fine").finished().0, "fine\n");
    let mut terminal = Terminal::open(&client, &other);
    terminal.enter("echo $((6 * 7))!");
    terminal.shows("42!");
}
