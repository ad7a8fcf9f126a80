//! Output arrives as it is written.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::Duration;

use common::{Client, gateway_with};
use sorna_core::{Continuation, ExecuteMode, ExecutionStatus};

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
    let batch = sorna_core::Batch::new().with_exec("bash f.sh");
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
