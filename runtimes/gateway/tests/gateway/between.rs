//! What happens between executions: output of what they have left behind, and questions of clients.

use std::time::Duration;

use crate::common::{Client, gateway, gateway_with, wait_until};
use sorna_core::{
    Continuation, Execute, ExecuteMode, ExecutionResult, ExecutionStatus, FollowLogs, Info,
    KernelId, Record, RunMark,
};

/// What prints once there is a file, and leaves the snippet behind.
const LATE: &[(&str, &str, &str)] = &[
    (
        "python3",
        "import os, threading, time\ndef late():\n  while not os.path.exists('go'): time.sleep(.005)\n  print('late')\nthreading.Thread(target=late).start()",
        "print('next')",
    ),
    (
        "python3",
        "import asyncio, os\nasync def late():\n  while not os.path.exists('go'): await asyncio.sleep(.005)\n  print('late')\ntask = asyncio.create_task(late())\nawait asyncio.sleep(0)",
        "print('next')",
    ),
    (
        "bash",
        "(until [ -e go ]; do sleep 0.005; done; echo late) & :",
        "echo next",
    ),
];

fn marked(kernel: &KernelId, code: &str, mark: RunMark) -> Execute {
    Execute::start(kernel.clone(), ExecuteMode::query(code)).with_mark(Some(mark))
}

fn run(client: &Client, kernel: &KernelId, code: &str, id: &str) -> ExecutionResult {
    let mark = RunMark::new(id)
        .with_unclaimed(true)
        .with_wait(true)
        .with_earlier_apart(true);
    let mut request = marked(kernel, code, mark);
    let mut result = client.call(&request).unwrap();
    while !result.status.is_end() {
        request = request.proceed(Continuation::Continue);
        let next = client.call(&request).unwrap();
        let mut console = std::mem::take(&mut result.console);
        console.append(next.console.clone());
        result = next;
        result.console = console;
    }
    result
}

fn listen(kernel: &KernelId, id: &str) -> Execute {
    marked(kernel, "", RunMark::of_listening(id))
}

/// Waits until the gateway has this output.
fn await_output(client: &Client, kernel: &KernelId, text: &str) {
    wait_until("it is printed", || {
        let follow = FollowLogs::new(kernel.clone(), 0).with_extension(true);
        client
            .call(&follow)
            .unwrap()
            .console
            .stdout()
            .contains(text)
    });
}

#[test]
fn who_listens_gets_what_is_printed_while_nothing_runs_and_once() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (lang, begin, next) in LATE {
        let kernel = client.create(lang);
        assert_eq!(run(&client, &kernel, begin, "first").console.stdout(), "");
        client.upload(&kernel, &[("go", b"")]).unwrap();
        for _ in 0..2 {
            // The second time, as after a response that is lost.
            let heard = client.call(&listen(&kernel, "one")).unwrap();
            let found = (heard.status.as_str(), &*heard.console.stdout());
            assert_eq!(found, ("finished", "late\n"), "{begin}");
        }
        let after = run(&client, &kernel, next, "second");
        assert_eq!(after.console.stdout(), "next\n", "{begin}");
        assert_eq!(after.console.unclaimed(), None, "{begin}");
    }
}

#[test]
fn what_was_printed_before_is_apart_from_what_begins() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (lang, begin, next) in LATE {
        let kernel = client.create(lang);
        run(&client, &kernel, begin, "first");
        client.upload(&kernel, &[("go", b"")]).unwrap();
        await_output(&client, &kernel, "late\n");
        let (earlier, own) = run(&client, &kernel, next, "second")
            .console
            .split_unclaimed();
        let found = (&*earlier.stdout(), &*own.stdout());
        assert_eq!(found, ("late\n", "next\n"), "{begin}");
    }
}

#[test]
fn who_listens_neither_disturbs_nor_keeps_a_kernel() {
    let gateway = gateway_with(|config| config.with_idle_timeout(Duration::from_secs(2)));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    run(&client, &kernel, "echo", "first");
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| client.call(&listen(&kernel, "one")).unwrap());
        // Whether it has come before does not matter.
        let long = "until [ -e go ]; do sleep 0.005; done; echo end";
        let first = client.call(&marked(&kernel, long, RunMark::new("second")));
        assert_eq!(first.unwrap().status, ExecutionStatus::Continued);
        let heard = listening.join().unwrap();
        assert_eq!(heard.status, ExecutionStatus::Continued);
        assert!(heard.console.is_empty());
    });
    client.upload(&kernel, &[("go", b"")]).unwrap();
    let end = marked(&kernel, "", RunMark::new("second"));
    let end = end.proceed(Continuation::Continue);
    assert_eq!(client.call(&end).unwrap().stdout(), "end\n");
    // It ends although someone listens.
    let error = client.call(&listen(&kernel, "two")).unwrap_err();
    let why = client.call(&Info::new(kernel)).unwrap_err().to_string();
    assert!(why.contains("destroyed after 2 s"), "{why} {error}");
}

#[test]
fn who_listens_is_told_of_output_while_a_program_asks() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (lang, code) in [
        (
            "python3",
            "import os, threading, time\ndef late():\n  while not os.path.exists('go'): time.sleep(.005)\n  print('late')\nthreading.Thread(target=late).start()\nprint(input())",
        ),
        (
            "bash",
            "(until [ -e go ]; do sleep 0.005; done; echo late) & read it; echo $it",
        ),
    ] {
        let kernel = client.create(lang);
        let mut request = marked(&kernel, code, RunMark::new("first"));
        let mut result = client.call(&request).unwrap();
        while result.status != ExecutionStatus::WaitingInput {
            request = request.proceed(Continuation::Continue);
            result = client.call(&request).unwrap();
        }
        client.upload(&kernel, &[("go", b"")]).unwrap();
        let heard = client.call(&listen(&kernel, "one")).unwrap();
        assert_eq!(heard.status, ExecutionStatus::Continued);
        assert!(heard.console.is_empty(), "it is that of the execution");
        let look = Continuation::InputBytes(Vec::new());
        request = request.proceed(look);
        let seen = client.call(&request).unwrap();
        let found = (seen.status.as_str(), &*seen.stdout());
        assert_eq!(found, ("waiting-input", "late\n"), "{lang}");
        request = request.proceed(Continuation::Input("it".to_owned()));
        let mut text = String::new();
        loop {
            let result = client.call(&request).unwrap();
            text += &result.stdout();
            if result.status.is_end() {
                break;
            }
            request = request.proceed(Continuation::Continue);
        }
        assert_eq!(text, "it\n", "{lang}");
    }
}

#[test]
fn questions_are_no_programs() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let first = Execute::QUESTION;
    for (lang, before, question, after) in [
        (
            "python3",
            "import builtins, io, sys\nold, sys.stdout = sys.stdout, io.StringIO()\nx, answer = 7, builtins.exec\nbuiltins.exec = None",
            "assert exec and print\nanswer(str(space['x']))\nraise ValueError",
            "sys.stdout, builtins.exec = old, answer\nprint('ok')",
        ),
        (
            "bash",
            "exec 5>&1 >file; x=7; set -x; trap 'echo trapped' DEBUG",
            "record='[\"value\", [\"application/vnd.sorna.display+json\", \"{\\\"answer\\\": \\\"37\\\"}\"]]'; builtin printf 'r %d\\n%s' ${#record} \"$record\" >&62",
            "{ trap - DEBUG; set +x; exec >&5; } 2>&-; echo ok",
        ),
    ] {
        let kernel = client.create(lang);
        run(&client, &kernel, before, "first");
        let asked = run(&client, &kernel, &format!("{first}\n{question}"), "second");
        let records: Vec<_> = asked.console.iter().collect();
        let [Record::Value(value)] = &records[..] else {
            panic!("{lang}: {records:?}");
        };
        assert_eq!(value.display(), Some(r#"{"answer": "37"}"#), "{lang}");
        let restored = run(&client, &kernel, after, "third");
        assert_eq!(restored.stdout(), "ok\n", "{lang}");
    }
}
