//! Interrupts end what a snippet does, and keep what it has made, in every language that can.

use std::time::Instant;

use serde_json::{Value, json};
use sorna_test_tools::need;

use super::client::{Client, PATIENCE, gateway, text};

/// How a language sets a variable, shows it, and does something long after printing `begun`.
struct Language {
    name: &'static str,
    tool: &'static str,
    set: &'static str,
    show: &'static str,
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
