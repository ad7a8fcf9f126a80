//! Output arrives as it is written.

use std::time::Duration;

use crate::common::{Client, gateway, gateway_with};
use sorna_core::{Batch, Continuation, ExecuteMode, ExecutionStatus};

/// Programs that print, and go on until there is a file, in two ways to run something.
const PROGRAMS: &[(&str, &str)] = &[
    (
        "python3",
        "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('go'): time.sleep(.01)\nprint('end')",
    ),
    (
        "bash",
        "echo begun; until [ -e go ]; do sleep 0.01; done; echo end",
    ),
    (
        "nodejs",
        "console.log('begun'); const t = setInterval(() => { if (require('fs').existsSync('go')) { clearInterval(t); console.log('end') } }, 10)",
    ),
];

#[test]
fn output_of_programs_that_go_on_is_sent_at_once() {
    // Without output, a request would be held for longer than the test may take.
    let gateway =
        gateway_with(|config| config.with_continuation_interval(Duration::from_secs(1000)));
    let client = Client::new(&gateway);
    for (language, code) in PROGRAMS {
        let kernel = client.create(language);
        let (start, first) = client.query(&kernel, code);
        assert_eq!(first.status, ExecutionStatus::Continued, "{language}");
        assert_eq!(first.console.stdout(), "begun\n", "{language}");
        client.upload(&kernel, &[("go", b"")]).unwrap();
        let rest = client.call(&start.proceed(Continuation::Continue)).unwrap();
        let outcome = client.finish(&start, rest);
        assert_eq!(outcome.finished().0, "end\n", "{language}");
    }
    // Files as well.
    let kernel = client.create("bash");
    let script = "echo begun >&2; until [ -e go ]; do sleep 0.01; done; echo end";
    client
        .upload(&kernel, &[("f.sh", script.as_bytes())])
        .unwrap();
    let batch = Batch::new().with_exec("bash f.sh");
    let (start, mut first) = client.start(&kernel, ExecuteMode::from(batch));
    while first.status != ExecutionStatus::Continued {
        first = client.call(&start.proceed(Continuation::Continue)).unwrap();
    }
    assert_eq!(first.console.stderr(), "begun\n");
    client.upload(&kernel, &[("go", b"")]).unwrap();
    let rest = client.call(&start.proceed(Continuation::Continue)).unwrap();
    assert_eq!(client.finish(&start, rest).finished().0, "end\n");
}

#[test]
fn clients_that_ask_again_at_once_are_not_flooded() {
    let gateway = gateway_with(|config| config);
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    // These requests are as those of the client of 2017: without a mark.
    let outcome = client.run(
        &kernel,
        "import time\nfor i in range(300): print(i, flush=True); time.sleep(.01)",
    );
    let responses = outcome.responses;
    let (stdout, _) = outcome.finished();
    assert_eq!(stdout.lines().count(), 300);
    // It takes at least 3 s. Less than a second goes by until they come 4 times a second; where the machine is busy, they
    // come more seldom.
    assert!((2..100).contains(&responses), "{responses} responses");
}

#[test]
fn what_a_file_leaves_running_is_heard_to_its_end() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    for (exec, expected) in [
        (
            "(sleep 0.3; echo background) & echo foreground",
            "foreground\nbackground\n",
        ),
        (
            "bash -c 'exec > >(tee log) 2>&1; for i in 1 2 3; do echo line $i; done'",
            "line 1\nline 2\nline 3\n",
        ),
        (
            "python3 -c 'import subprocess; p = subprocess.Popen([\"sed\", \"s/^/> /\"], stdin=subprocess.PIPE); p.stdin.write(b\"1\\n2\\n\")'",
            "> 1\n> 2\n",
        ),
        (
            "perl -e 'if (fork == 0) { select undef, undef, undef, 0.2; print \"child\\n\"; exit } print \"parent\\n\"'",
            "parent\nchild\n",
        ),
        // One that closes its output is not waited for.
        ("sleep 1000 >&- 2>&- & echo alone", "alone\n"),
    ] {
        let batch = Batch::new().with_build("").with_exec(exec);
        let (_, outcome) = client.batch(&kernel, batch);
        assert_eq!(outcome.finished().0, expected, "{exec}");
    }
    // Nor is one that runs on for long. What it prints comes later.
    let server = "(until [ -e go ]; do sleep 0.01; done; echo late; sleep 1000) & echo started";
    let (_, outcome) = client.batch(&kernel, Batch::new().with_build("").with_exec(server));
    assert_eq!(outcome.finished().0, "started\n");
    let next = "touch go; until [ -e end ]; do sleep 0.01; done";
    let (start, mut result) = client.query(&kernel, next);
    while !result.console.stdout().contains("late\n") {
        assert_eq!(result.status, ExecutionStatus::Continued);
        result = client.call(&start.proceed(Continuation::Continue)).unwrap();
    }
    client.upload(&kernel, &[("end", b"")]).unwrap();
    let rest = client.call(&start.proceed(Continuation::Continue)).unwrap();
    client.finish(&start, rest).finished();
    // Nor does it matter how many there are.
    for number in 0..6 {
        let exec = format!("sleep 1000 & echo {number}");
        let (_, outcome) = client.batch(&kernel, Batch::new().with_build("").with_exec(exec));
        assert_eq!(outcome.finished().0, format!("{number}\n"));
    }
}
