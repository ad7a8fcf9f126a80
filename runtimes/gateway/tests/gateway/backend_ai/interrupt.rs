//! Interrupts end what a snippet does, and keep what it has made, in every language that can.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use sorna_core::{KernelId, Restart};
use sorna_test_tools::need;

use super::client::{Client, PATIENCE, gateway, text};

/// How a language sets a variable, shows it, and does something long after printing `begun`.
struct Language {
    name: &'static str,
    tool: &'static str,
    set: &'static str,
    show: &'static str,
    /// Shows the ID of the interpreter's process, and the namespace in which it has that ID.
    id: &'static str,
    long: &'static [&'static str],
    /// Waits for input.
    ask: &'static str,
    /// Prints without end.
    flood: &'static str,
}

const LANGUAGES: &[Language] = &[
    Language {
        name: "python",
        tool: "python3",
        set: "x = 1",
        show: "print(x)",
        id: "import os; print(os.getpid(), os.readlink('/proc/self/ns/pid'))",
        long: &[
            "print('begun')\nwhile True: pass\nprint('never')",
            "import time; print('begun'); time.sleep(1000); print('never')",
            "import subprocess; print('begun'); subprocess.run(['sleep', '1000']); print('never')",
        ],
        ask: "input(); print('never')",
        flood: "while True: print('begun ' * 1000)",
    },
    Language {
        name: "bash",
        tool: "bash",
        set: "x=1; f() { while :; do :; done; echo never; }; g() { for i in 1 2; do f; done; echo never; }",
        show: "echo $x",
        id: "echo $$ $(readlink /proc/$$/ns/pid)",
        long: &[
            "echo begun; for i in 1 2; do while :; do sleep 0.1; done; done; echo never",
            "echo begun; g; echo never",
            "echo begun\nuntil false; do g\necho never; done\necho never",
            "sleeps() { sleep 1000; echo never; }; echo begun; sleeps && echo never || echo never",
            "echo begun; source <(echo 'while :; do f; done; echo never'); echo never",
        ],
        ask: "asks() { read -r answer; echo never; }; asks; echo never",
        flood: "floods() { while :; do echo begun; done; }; floods",
    },
    Language {
        name: "perl",
        tool: "perl",
        set: "my $x = 1",
        show: "print $x",
        id: "print $$, ' ', readlink('/proc/self/ns/pid')",
        long: &[
            "print \"begun\\n\"; while (1) { } print 'never'",
            "print \"begun\\n\"; sleep 1000; print 'never'",
        ],
        ask: "<STDIN>; print 'never'",
        flood: "while (1) { print \"begun\\n\" x 1000 }",
    },
    Language {
        name: "ruby",
        tool: "ruby",
        set: "x = 1",
        show: "puts x",
        id: "puts [Process.pid, File.readlink('/proc/self/ns/pid')].join(' ')",
        long: &[
            "puts 'begun'; loop { }; puts 'never'",
            "puts 'begun'; sleep 1000; puts 'never'",
            "puts 'begun'; system('sleep 1000'); puts 'never'",
        ],
        ask: "gets; puts 'never'",
        flood: "loop { puts 'begun ' * 1000 }",
    },
    Language {
        name: "nodejs",
        tool: "node",
        set: "let x = 1",
        show: "console.log(x)",
        id: "console.log(process.pid, require('fs').readlinkSync('/proc/self/ns/pid'))",
        long: &[
            "console.log('begun'); while (true) {} console.log('never')",
            "console.log('begun'); setTimeout(() => console.log('never'), 1e6)",
            "console.log('begun'); await new Promise((go) => setTimeout(go, 1e6)); console.log('never')",
            "await new Promise((go) => setTimeout(go, 1)); console.log('begun'); while (true) {}",
            "console.log('begun'); await require('timers/promises').setTimeout(1e6); console.log('never')",
            "setInterval(() => console.log('begun'), 10)",
            "console.log('begun'); (function more() { Promise.resolve().then(more) })()",
            "console.log('begun'); (function more() { process.nextTick(more) })()",
            "console.log('begun'); while (true) await new Promise((go) => setTimeout(go, 0))",
            "console.log('begun'); while (true) await require('fs/promises').stat('/')",
            "require('fs').stat('/', () => { console.log('begun'); while (true) {} })",
            "console.log('begun'); require('fs').createReadStream('/dev/zero').on('data', () => {})",
            "require('fs').createReadStream('/dev/zero').on('data', () => { console.log('begun'); while (true) {} })",
            "new (require('worker_threads').Worker)('while (true) {}', { eval: true }).on('online', () => console.log('begun'))",
            "require('http').createServer().listen(0, () => console.log('begun'))",
            "console.log('begun'); require('child_process').exec('sleep 1000', () => console.log('never'))",
        ],
        ask: "process.stdin.on('end', () => console.log('never')); process.stdin.on('data', () => console.log('never'))",
        // Callback after callback: an interrupt may come between two of them.
        flood: "(function more() { console.log('begun '.repeat(1000)); setImmediate(more); })()",
    },
    Language {
        name: "lua",
        tool: "lua",
        set: "x = 1",
        show: "print(x)",
        id: "print(io.open('/proc/self/stat'):read('*l'):match('^%d+'), io.popen('readlink /proc/self/ns/pid'):read())",
        long: &[
            "print('begun') while true do end print('never')",
            "print('begun') os.execute('sleep 1000') print('never')",
        ],
        ask: "io.read() print('never')",
        flood: "while true do print(('begun '):rep(1000)) end",
    },
    Language {
        name: "php",
        tool: "php",
        set: "$x = 1;",
        show: "echo $x;",
        id: "echo getmypid(), ' ', readlink('/proc/self/ns/pid');",
        long: &[
            "echo \"begun\\n\"; while (true); echo 'never';",
            "echo \"begun\\n\"; sleep(1000); echo 'never';",
        ],
        ask: "fgets(STDIN); echo 'never';",
        flood: "while (true) echo str_repeat('begun ', 1000), \"\\n\";",
    },
    Language {
        name: "r",
        tool: "R",
        set: "x <- 1",
        show: "cat(x)",
        id: "cat(Sys.getpid(), Sys.readlink('/proc/self/ns/pid'))",
        long: &[
            "cat('begun\\n'); repeat {}; cat('never')",
            "cat('begun\\n'); Sys.sleep(1000); cat('never')",
        ],
        ask: "readline('? '); cat('never')",
        flood: "repeat cat(strrep('begun ', 1000), '\\n')",
    },
];

#[test]
fn what_runs_is_interrupted_again_and_again_and_variables_are_kept() {
    each(|client, session, language| {
        for (at, code) in language.long.iter().enumerate() {
            for round in 0..2 {
                let run_id = format!("{at}-{round}");
                let last = run_until(client, session, code, &run_id, |seen, _| {
                    seen.contains("begun")
                });
                end(client, session, language, code, last);
            }
        }
    });
}

#[test]
fn what_waits_for_input_is_interrupted_again_and_again_and_variables_are_kept() {
    each(|client, session, language| {
        for round in 0..2 {
            let run_id = format!("ask-{round}");
            let asked = |_: &str, result: &Value| result["status"] == "waiting-input";
            let last = run_until(client, session, language.ask, &run_id, asked);
            end(client, session, language, language.ask, last);
        }
    });
}

#[test]
fn what_prints_without_end_is_interrupted_again_and_again_and_variables_are_kept() {
    each(|client, session, language| {
        for round in 0..2 {
            let run_id = format!("flood-{round}");
            let many = |seen: &str, _: &Value| seen.len() > 100_000;
            let last = run_until(client, session, language.flood, &run_id, many);
            end(client, session, language, language.flood, last);
        }
    });
}

#[test]
fn an_interrupt_that_comes_after_the_end_of_a_snippet_is_not_for_the_next() {
    each(|client, session, language| {
        let id = text(&client.run(session, language.id), "stdout");
        let group = rustix::process::getpgid(Some(process(&id))).expect("a process");
        // As the gateway sends them while it does not know yet that the snippet has ended. A second one ends lua, which takes one
        // until the next snippet.
        let (signal, most) = match language.name {
            "nodejs" => (Signal::URG, 3),
            "lua" => (Signal::INT, 1),
            _ => (Signal::INT, 3),
        };
        for signals in [1, 2, 1, 3] {
            for _ in 0..most.min(signals) {
                rustix::process::kill_process_group(group, signal).expect("a group");
            }
            let next = client.run(session, language.show);
            let name = language.name;
            assert_eq!(text(&next, "stdout").trim(), "1", "{name}: {next}");
            assert_eq!(text(&next, "stderr"), "", "{name}: {next}");
            assert_eq!(next["exitCode"], 0, "{name}: {next}");
        }
    });
}

#[test]
fn the_loss_of_state_while_nothing_runs_is_told_with_the_next_snippet() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = KernelId::new(client.create("lost", "bash")).expect("an ID");
    // On a busy machine, the next snippet may begin before the gateway sees the end, which is then its own.
    let is_told = (0..10).any(|_| {
        let id = text(
            &client.run("lost", "x=1; echo $$ $(readlink /proc/$$/ns/pid)"),
            "stdout",
        );
        rustix::process::kill_process(process(&id), Signal::KILL).expect("a process");
        std::thread::sleep(Duration::from_millis(300));
        let next = client.run("lost", "echo \"<$x>\"");
        if next["options"] == json!({"restarted": true}) {
            return false;
        }
        assert_eq!(next["options"], json!({"restartedBefore": true}), "{next}");
        assert_eq!(text(&next, "stdout"), "<>\n");
        true
    });
    assert!(is_told);
    // Once, and not to who has restarted it.
    assert_eq!(client.run("lost", "echo $$")["options"], Value::Null);
    let id = text(
        &client.run("lost", "echo $$ $(readlink /proc/$$/ns/pid)"),
        "stdout",
    );
    rustix::process::kill_process(process(&id), Signal::KILL).expect("a process");
    client.call(&Restart::new(kernel)).expect("a restart");
    assert_eq!(client.run("lost", "echo $$")["options"], Value::Null);
}

/// Does something in a session of each language that is installed.
fn each(act: impl Fn(&Client, &str, &Language)) {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for language in LANGUAGES {
        if !need(language.tool) {
            continue;
        }
        let session = format!("int-{}", language.name);
        client.create(&session, language.name);
        client.run(&session, language.set);
        act(&client, &session, language);
    }
}

/// The process of an interpreter, by its ID and the namespace of that: both as [`Language::id`] shows them.
fn process(shown: &str) -> Pid {
    let (id, namespace) = shown.trim().split_once([' ', '\t']).expect("two words");
    let is_it = |entry: &fs::DirEntry| {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        // The ID in the innermost namespace comes last.
        let own = ids.and_then(|ids| ids.split_whitespace().last());
        let link = fs::read_link(entry.path().join("ns/pid"));
        own == Some(id) && link.is_ok_and(|link| link.as_os_str() == namespace)
    };
    let processes = fs::read_dir("/proc").expect("the list of processes");
    let entry = processes.flatten().find(is_it);
    let entry = entry.unwrap_or_else(|| panic!("no process {shown}"));
    let id = entry.file_name().to_str().and_then(|id| id.parse().ok());
    id.and_then(Pid::from_raw).expect("the ID of a process")
}

/// Starts a run, and reads its output until a condition holds. Returns the last result.
fn run_until(
    client: &Client,
    session: &str,
    code: &str,
    run_id: &str,
    is_enough: impl Fn(&str, &Value) -> bool,
) -> Value {
    let body = json!({"mode": "query", "code": code, "runId": run_id});
    let mut result = client.execute(session, &body);
    let mut seen = text(&result, "stdout");
    let until = Instant::now() + PATIENCE;
    while !is_enough(&seen, &result) {
        assert_eq!(result["status"], "continued", "{code}: {result}");
        assert!(Instant::now() < until, "{code}: {result}");
        result = client.execute(session, &json!({"mode": "continue", "runId": run_id}));
        seen += &text(&result, "stdout");
    }
    result
}

/// Interrupts the run, and checks how it ends and what it leaves.
fn end(client: &Client, session: &str, language: &Language, code: &str, result: Value) {
    let interrupt = format!("/session/{session}/interrupt");
    assert_eq!(client.json("POST", &interrupt, &Value::Null).0, 204);
    let next = json!({"mode": "continue", "runId": result["runId"]});
    let end = client.finish(session, client.execute(session, &next));
    let name = language.name;
    assert_eq!(end["status"], "finished", "{name}: {code}: {end}");
    assert_ne!(end["exitCode"], 0, "{name}: {code}: {end}");
    assert!(
        text(&end, "stderr").contains("nterrupt"),
        "{name}: {code}: {end}"
    );
    let kept = client.run(session, language.show);
    assert_eq!(text(&kept, "stdout").trim(), "1", "{name}: {code}: {kept}");
    for result in [&end, &kept] {
        assert!(
            !text(result, "stdout").contains("never"),
            "{name}: {code}: {result}"
        );
    }
}
