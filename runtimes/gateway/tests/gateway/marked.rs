//! Marked executions: a kernel that is busy, and responses that are lost.

use std::io::Write;
use std::time::{Duration, SystemTime};

use crate::common::{Client, gateway, gateway_with};
use sorna_core::{
    Batch, Continuation, Execute, ExecuteMode, ExecutionResult, ExecutionStatus, KernelId, Restart,
    RunMark,
};

fn marked(kernel: &KernelId, mode: impl Into<ExecuteMode>, id: &str) -> Execute {
    Execute::start(kernel.clone(), mode.into()).with_mark(Some(RunMark::new(id)))
}

fn exec(command: &str) -> ExecuteMode {
    Batch::new().without_build().with_exec(command).into()
}

/// Continues to the end: the requests so far, and all output.
fn rest(client: &Client, last: &Execute, first: ExecutionResult) -> (Execute, ExecutionResult) {
    let (mut request, mut result) = (last.clone(), first);
    while !result.status.is_end() {
        assert_ne!(result.status, ExecutionStatus::WaitingInput);
        request = request.proceed(Continuation::Continue);
        let mut next = client.call(&request).unwrap();
        let mut console = std::mem::take(&mut result.console);
        console.append(std::mem::take(&mut next.console));
        next.console = console;
        result = next;
    }
    (request, result)
}

/// What runs until a file is there, in each way to run something.
fn long() -> [(&'static str, ExecuteMode, &'static str); 5] {
    let c = r#"#include <stdio.h>
        #include <unistd.h>
        int main() { puts("begun"); fflush(stdout); while (access("go", F_OK)) usleep(5000); puts("end"); }"#;
    [
        (
            "python3",
            ExecuteMode::query(
                "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('go'): time.sleep(.005)\nprint('end')",
            ),
            "query",
        ),
        (
            "bash",
            ExecuteMode::query("echo begun; until [ -e go ]; do sleep 0.005; done; echo end"),
            "query",
        ),
        ("c", ExecuteMode::query(c), "query"),
        (
            "bash",
            exec("echo begun; until [ -e go ]; do sleep 0.005; done; echo end"),
            "batch",
        ),
        (
            "python3",
            exec(
                "python3 -uc \"import os, time\nprint('begun')\nwhile not os.path.exists('go'): time.sleep(.005)\nprint('end')\"",
            ),
            "batch",
        ),
    ]
}

#[test]
fn what_runs_is_neither_disturbed_nor_heard_by_others() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (lang, mode, kind) in long() {
        let kernel = client.create(lang);
        let first = marked(&kernel, mode, "first");
        let begun = client.call(&first).unwrap();
        let others = [
            marked(&kernel, "print('other')", "second"),
            marked(&kernel, exec("echo other"), "second"),
            Execute::start(kernel.clone(), ExecuteMode::query("print('other')")),
            Execute::start(kernel.clone(), ExecuteMode::query("")),
            Execute::start(kernel.clone(), exec("echo other")),
        ];
        for other in &others {
            let error = client.call(other).unwrap_err();
            let busy = error.busy().unwrap();
            assert_eq!(busy.mode.as_deref(), Some(kind), "{error}");
            assert!(busy.running_for().is_some() && !busy.awaits_input);
        }
        client.upload(&kernel, &[("go", b"")]).unwrap();
        let (_, end) = rest(&client, &first, begun);
        assert_eq!(end.console.stdout(), "begun\nend\n", "{lang} {kind}");
        let after = client.call(&marked(&kernel, exec("echo after"), "third"));
        let (_, after) = rest(&client, &marked(&kernel, "", "third"), after.unwrap());
        assert_eq!(after.console.stdout(), "after\n");
    }
}

#[test]
fn code_is_never_taken_for_input() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (lang, mode) in [
        ("python3", ExecuteMode::query("print('got', input('? '))")),
        (
            "bash",
            ExecuteMode::query("printf '? '; read x; echo got $x"),
        ),
        ("bash", exec("printf '? '; read x; echo got $x")),
    ] {
        let kernel = client.create(lang);
        let first = marked(&kernel, mode, "first");
        let (mut request, mut result) = (first.clone(), client.call(&first).unwrap());
        let mut output = result.console.stdout().into_owned();
        while result.status != ExecutionStatus::WaitingInput {
            request = request.proceed(Continuation::Continue);
            result = client.call(&request).unwrap();
            output += &result.console.stdout();
        }
        for code in ["print('other')", ""] {
            for other in [
                marked(&kernel, code, "second"),
                Execute::start(kernel.clone(), ExecuteMode::query(code)),
            ] {
                assert!(
                    client
                        .call(&other)
                        .unwrap_err()
                        .busy()
                        .unwrap()
                        .awaits_input
                );
            }
        }
        let answer = request.proceed(Continuation::Input("42".to_owned()));
        let answered = client.call(&answer).unwrap();
        output += &rest(&client, &answer, answered).1.console.stdout();
        assert_eq!(output, "? got 42\n", "{lang}");
    }
}

#[test]
fn a_request_that_comes_once_more_gets_the_same_response_and_does_nothing() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let python = "print('one', flush=True)\nx = input()\nopen('log', 'a').write(x + '\\n')\nprint(open('log').read(), end='')\nprint(x, input())";
    let bash = "echo one; read x; echo $x >>log; cat log; read y; echo $x $y";
    for (lang, mode) in [
        ("python3", ExecuteMode::query(python)),
        ("bash", ExecuteMode::query(bash)),
        ("bash", exec(bash)),
    ] {
        let before = gateway.stats().executions;
        let kernel = client.create(lang);
        let mut request = marked(&kernel, mode, "first");
        let mut answers = ["1", "2"].into_iter();
        let mut output = String::new();
        loop {
            // The response is not read, or not even waited for.
            let mut connection = client.connect();
            let bytes = client.bytes_of(&request, SystemTime::now());
            connection.write_all(&bytes).unwrap();
            drop(connection);
            let result = client.call(&request).unwrap();
            assert_eq!(client.call(&request).unwrap(), result, "{lang}");
            output += &result.console.stdout();
            if result.status.is_end() {
                break;
            }
            request = request.proceed(match result.status {
                ExecutionStatus::WaitingInput => {
                    Continuation::Input(answers.next().unwrap().to_owned())
                }
                _ => Continuation::Continue,
            });
        }
        assert_eq!(output, "one\n1\n1 2\n", "{lang}");
        assert_eq!(gateway.stats().executions, before + 1);
    }
}

#[test]
fn an_end_that_was_not_fetched_is_kept_for_its_client() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (lang, mode, _) in long() {
        let kernel = client.create(lang);
        let first = marked(&kernel, mode, "first");
        let begun = client.call(&first).unwrap();
        client.upload(&kernel, &[("go", b"")]).unwrap();
        // No one continues it. What comes after it shows nothing of it.
        let second = marked(&kernel, exec("echo second"), "second");
        let second = second.with_mark(Some(RunMark::new("second").with_wait(true)));
        let result = loop {
            match client.call(&second) {
                Err(error) => assert!(error.is_busy(), "{error}"),
                Ok(result) => break result,
            }
        };
        let (_, result) = rest(&client, &second, result);
        assert_eq!(result.console.stdout(), "second\n", "{lang}");
        let idle = Execute::start(kernel.clone(), ExecuteMode::query(""));
        assert!(client.call(&idle).unwrap().console.is_empty());
        let (last, end) = rest(&client, &first, begun);
        assert_eq!(end.console.stdout(), "begun\nend\n", "{lang}");
        assert_eq!(end.exit_code(), Some(0));
        assert_eq!(client.call(&last).unwrap().exit_code(), Some(0));
    }
}

#[test]
fn a_client_without_marks_gets_its_end_after_a_marked_execution() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let code = "echo begun; until [ -e go ]; do sleep 0.005; done; echo end";
    let (start, begun) = client.query(&kernel, code);
    assert_eq!(begun.console.stdout(), "begun\n");
    client.upload(&kernel, &[("go", b"")]).unwrap();
    let mark = RunMark::new("second").with_wait(true);
    let second = Execute::start(kernel.clone(), ExecuteMode::query("echo second"));
    let second = second.with_mark(Some(mark));
    let result = loop {
        match client.call(&second) {
            Err(error) => assert!(error.is_busy(), "{error}"),
            Ok(result) => break result,
        }
    };
    let (_, result) = rest(&client, &second, result);
    assert_eq!(result.console.stdout(), "second\n");
    let end = client.call(&start.proceed(Continuation::Continue)).unwrap();
    assert_eq!((&*end.stdout(), end.exit_code()), ("end\n", Some(0)));
}

#[test]
fn output_that_is_too_much_to_be_kept_is_counted() {
    const MUCH: usize = 3 << 20;
    let gateway = gateway_with(|config| config.with_max_console_size(4 << 20));
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = format!("from sorna_kernel import html\nhtml('x' * {MUCH})");
    let first = marked(&kernel, code.as_str(), "first");
    let begun = client.call(&first).unwrap();
    let shown = begun.console.text_len() >= MUCH;
    let again = client.call(&first).unwrap();
    if shown {
        let stderr = again.console.stderr();
        assert!(stderr.contains(" bytes of output were lost"), "{stderr}");
    } else {
        assert_eq!(begun, again);
    }
}

#[test]
fn an_execution_has_its_own_time_limit() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (lang, mode) in [
        ("python3", ExecuteMode::query("while True: pass")),
        ("bash", ExecuteMode::query("sleep 1000")),
        ("c", exec("sleep 1000")),
    ] {
        let kernel = client.create(lang);
        let limit = Some(Duration::from_millis(300));
        let mark = RunMark::new("short").with_time_limit(limit);
        let start = Execute::start(kernel.clone(), mode).with_mark(Some(mark));
        let first = client.call(&start).unwrap();
        let (_, end) = rest(&client, &start, first);
        assert_eq!(end.status, ExecutionStatus::ExecTimeout, "{lang}");
        // The next one has the kernel's again.
        let next = marked(&kernel, exec("sleep 0.4; echo slept"), "long");
        let first = client.call(&next).unwrap();
        assert_eq!(rest(&client, &next, first).1.console.stdout(), "slept\n");
    }
}

#[test]
fn what_a_restart_has_ended_does_not_begin_again() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (lang, mode, _) in long() {
        let kernel = client.create(lang);
        let first = marked(&kernel, mode, "first");
        let mut next = first.clone();
        // What was printed before the restart would come after it.
        while !client
            .call(&next)
            .unwrap()
            .console
            .stdout()
            .contains("begun")
        {
            next = next.proceed(Continuation::Continue);
        }
        let next = next.proceed(Continuation::Continue);
        client.call(&Restart::new(kernel.clone())).unwrap();
        let before = gateway.stats().executions;
        let error = client.call(&next).unwrap_err();
        assert!(error.to_string().contains("restarted"), "{error}");
        let error = client.call(&next).unwrap_err();
        assert!(error.to_string().contains("restarted"), "{error}");
        let unknown = marked(&kernel, "", "other").proceed(Continuation::Continue);
        let error = client.call(&unknown).unwrap_err();
        assert!(error.to_string().contains("not known"), "{error}");
        assert_eq!(gateway.stats().executions, before, "{lang}");
    }
}

#[test]
fn clients_that_mark_their_executions_look_whether_what_reads_has_gone_on() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let programs = [
        ("bash", ExecuteMode::query("read -p 'q? ' x; echo \"<$x>\"")),
        ("bash", exec("cat")),
        (
            "python3",
            ExecuteMode::query("print('<%s>' % input('q? '))"),
        ),
        ("python3", exec("head -n 1")),
    ];
    for (number, (lang, mode)) in programs.into_iter().enumerate() {
        if !sorna_test_tools::need(lang) {
            continue;
        }
        let kernel = client.create(lang);
        for is_marked in [true, false] {
            let id = format!("looks-{number}");
            let start = match is_marked {
                true => marked(&kernel, mode.clone(), &id),
                false => Execute::start(kernel.clone(), mode.clone()),
            };
            let (mut request, mut result) = (start.clone(), client.call(&start).unwrap());
            while result.status != ExecutionStatus::WaitingInput {
                assert!(!result.status.is_end(), "{result:?}");
                request = request.proceed(Continuation::Continue);
                result = client.call(&request).unwrap();
            }
            assert_eq!(result.may_go_on(), is_marked, "{mode:?}");
            // Looking is no answer.
            for _ in 0..3 {
                request = request.proceed(Continuation::InputBytes(Vec::new()));
                result = client.call(&request).unwrap();
                assert_eq!(result.status, ExecutionStatus::WaitingInput, "{mode:?}");
            }
            request = request.proceed(Continuation::Input("line".to_owned()));
            result = client.call(&request).unwrap();
            let mut output = result.console.stdout().into_owned();
            while !result.status.is_end() {
                // `cat` reads more.
                request = request.proceed(match result.status {
                    ExecutionStatus::WaitingInput => Continuation::Input("\u{4}".to_owned()),
                    _ => Continuation::Continue,
                });
                result = client.call(&request).unwrap();
                output += &result.console.stdout();
            }
            assert!(output.contains("line"), "{mode:?}");
        }
    }
}
