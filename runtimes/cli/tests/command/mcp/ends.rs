//! How it ends, and that it leaves nothing behind.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::client::{Client, LONG, files_of, local};
use crate::support::{eventually, here, wait};

/// Processes with this text in their command lines.
fn processes(text: &str) -> usize {
    let all = std::fs::read_dir("/proc").expect("a list").flatten();
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let has = |line: &Vec<u8>| {
        String::from_utf8_lossy(line)
            .replace('\0', " ")
            .contains(text)
    };
    lines.filter(has).count()
}

/// Starts something that no other process has in its command line, and that runs for longer than anything else here.
fn sleeper(client: &mut Client, number: u32) -> String {
    let time = format!("{}.{}{number}", LONG.as_secs(), std::process::id());
    let code = format!("sleep {time} & sleep {time}");
    client.call("start", json!({"language": "bash", "code": code}));
    let text = format!("sleep {time}");
    eventually("a process", || processes(&text) == 2);
    text
}

fn signal(client: &Client, signal: Signal) {
    let id = i32::try_from(client.id()).ok().and_then(Pid::from_raw);
    kill_process(id.expect("an ID"), signal).expect("it is there");
}

#[test]
fn signals_end_it_with_all_that_runs() {
    for (number, name) in [(1, Signal::TERM), (2, Signal::INT), (3, Signal::HUP)] {
        let mut client = Client::local(&[]);
        let text = sleeper(&mut client, number);
        // What is waited for gets its answer.
        let id = client.begin_call("wait", json!({"run": "r1"}));
        client.call("list_sessions", json!({}));
        signal(&client, name);
        let answer = client.called(id, "wait");
        assert!(
            answer.text().contains("The session was closed"),
            "{}",
            answer.text()
        );
        let (status, lines) = client.end();
        assert!(status.success(), "{status}");
        assert_eq!(lines, Vec::<String>::new());
        assert_eq!(processes(&text), 0);
    }
}

#[test]
fn a_signal_while_it_starts_leaves_nothing_behind() {
    for _ in 0..3 {
        let directory = here();
        let mut command = local(directory.path(), &[]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("sorna runs");
        // At the first file, it is not ready to serve yet.
        while files_of(directory.path()).is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("an ID"), Signal::TERM).expect("it is there");
        let status = wait(&mut child);
        assert!(status.success(), "{status}");
        assert_eq!(files_of(directory.path()), Vec::<String>::new());
    }
}

#[test]
fn the_end_of_its_input_ends_it_with_all_that_runs() {
    let mut client = Client::local(&[]);
    let text = sleeper(&mut client, 4);
    let (status, _) = client.close();
    assert!(status.success(), "{status}");
    assert_eq!(processes(&text), 0);
}

#[test]
fn the_end_of_its_output_ends_it_with_all_that_runs() {
    let directory = here();
    let mut command = local(directory.path(), &[]);
    let (output, its_output) = std::io::pipe().expect("a pipe");
    let (its_input, input) = std::io::pipe().expect("a pipe");
    let mut child = command
        .stdin(its_input)
        .stdout(its_output)
        .spawn()
        .expect("sorna runs");
    drop(command);
    {
        use std::io::Write;
        let time = format!("{}.{}5", LONG.as_secs(), std::process::id());
        let begin = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "run_code", "arguments": {"language": "bash", "code": format!("sleep {time}")}}});
        (&input)
            .write_all(format!("{begin}\n{call}\n").as_bytes())
            .expect("it reads");
        let text = format!("sleep {time}");
        eventually("a process", || processes(&text) == 1);
        // No one reads what it writes, though its input is still open.
        drop(output);
        let status = wait(&mut child);
        assert!(status.success(), "{status}");
        assert_eq!(processes(&text), 0);
    }
    assert_eq!(files_of(directory.path()), Vec::<String>::new());
}

/// Its resident memory, in KiB, and the number of its open files and threads.
fn taken(id: u32) -> (u64, usize, usize) {
    let process = Path::new("/proc").join(id.to_string());
    let status = std::fs::read_to_string(process.join("status")).expect("it runs");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory = memory.and_then(|rest| rest.trim().split(' ').next()?.parse().ok());
    // Root alone may look at the open files of a process that has secrets.
    let count = |name| std::fs::read_dir(process.join(name)).map_or(0, Iterator::count);
    (memory.expect("a number"), count("fd"), count("task"))
}

/// Opens and closes so many sessions. What it takes before and after that.
fn open_and_close(sessions: usize) {
    let mut client = Client::local(&[]);
    let run = |client: &mut Client, number: usize| {
        let name = format!("s{number}");
        let arguments = json!({"language": "bash", "code": "echo 1 > f; cat f", "session": name});
        assert_eq!(client.call("run_code", arguments).ended().0, "1\n");
        client.call("close_session", json!({"session": name}));
    };
    let settled = |client: &mut Client| {
        eventually("the end of all sessions", || {
            client.call("list_sessions", json!({})).field("sessions") == &Value::Array(Vec::new())
        });
        let mut least = taken(client.id());
        eventually("the end of all connections", || {
            let now = taken(client.id());
            let is_still = now.1 >= least.1 && now.2 >= least.2;
            least = (now.0, least.1.min(now.1), least.2.min(now.2));
            std::thread::sleep(Duration::from_millis(300));
            is_still
        });
        least
    };
    for number in 0..20 {
        run(&mut client, number);
    }
    let (memory, files, threads) = settled(&mut client);
    for number in 20..20 + sessions {
        run(&mut client, number);
    }
    let after = settled(&mut client);
    // Allocators keep some of what they had, and connections stay open for the next requests: that depends on how busy the machine is,
    // and not on the number of sessions.
    let some = sessions / 4;
    assert!(
        after.0 < memory + 8 * 1024,
        "{memory} KiB, then {} KiB",
        after.0
    );
    assert!(
        after.1 <= files + some,
        "{files} open files, then {}",
        after.1
    );
    assert!(
        after.2 <= threads + some,
        "{threads} threads, then {}",
        after.2
    );
    let tmp = client.directory().join("tmp");
    let left: usize = std::fs::read_dir(&tmp)
        .expect("a list")
        .flatten()
        .map(|entry| std::fs::read_dir(entry.path()).map_or(0, Iterator::count))
        .sum();
    assert!(
        left < 20,
        "{left} entries are left in the gateway's directory"
    );
    let (status, _) = client.close();
    assert!(status.success());
}

#[test]
fn sessions_leave_nothing_behind() {
    open_and_close(100);
}

#[test]
#[ignore = "takes minutes"]
fn a_thousand_sessions_leave_nothing_behind() {
    open_and_close(1000);
}
