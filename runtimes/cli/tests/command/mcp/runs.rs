//! Tools that run code.

use std::time::Duration;

use serde_json::{Value, json};
use sorna_gateway::GatewayConfig;
use sorna_test_tools::{need, need_original_client};

use super::client::{Called, Client, LONG};
use crate::support::{self, backend_at, gateway, gateway_with, here, sorna_at};

#[test]
fn state_is_kept_and_values_are_returned() {
    let mut client = Client::local(&[]);
    let called = client.run("python3", "x = 20\nprint('one')");
    assert_eq!(called.ended(), ("one\n", &json!(0)));
    assert_eq!(called.text(), "one\n");
    assert_eq!(called.field("value"), &Value::Null);
    let called = client.run("python", "x * 2 + 2");
    assert_eq!(called.ended(), ("", &json!(0)));
    assert_eq!(called.field("value"), "42");
    assert_eq!(called.field("session"), "python3");
    assert_eq!(called.text(), "42");
    // Another session has other variables.
    let other = json!({"language": "python3", "code": "'x' in globals()", "session": "other"});
    assert_eq!(client.call("run_code", other).field("value"), "False");
    let called = client.run("bash", "echo out; echo err >&2; exit 3");
    assert_eq!(called.ended(), ("out\nerr\n", &json!(3)));
    assert!(called.text().contains("Exit code: 3."), "{}", called.text());
    let called = client.run("python3", "pass");
    assert_eq!(called.text(), "[It has ended without output.]");
}

#[test]
fn a_program_that_fails_is_no_error_of_the_tool() {
    let mut client = Client::local(&[]);
    let called = client.run("python3", "1 / 0");
    let (output, code) = called.ended();
    assert!(output.contains("ZeroDivisionError"), "{output}");
    assert_eq!(code, &json!(1));
    assert_eq!(called.result["isError"], false);
    let called = client.run("python3", "import os; os._exit(7)");
    assert_eq!(called.ended().1, &json!(7));
    assert_eq!(called.field("state_lost"), true);
    if need("gcc") {
        let called = client.run("c", "int main(void) { return 4; }");
        assert_eq!(called.ended().1, &json!(4));
    }
}

#[test]
fn programs_get_their_input_and_its_end() {
    let mut client = Client::local(&[]);
    for (language, code) in [
        (
            "python3",
            "import sys; print(repr(input())); print(repr(sys.stdin.read()))",
        ),
        (
            "bash",
            "read -r line; echo \"'$line'\"; rest=$(cat); echo \"'$rest\\n'\"",
        ),
    ] {
        let arguments = json!({"language": language, "code": code, "stdin": "näme\n2\n3\n"});
        let called = client.call("run_code", arguments);
        assert_eq!(
            called.ended().0,
            "'näme'\n'2\\n3\\n'\n".replace(
                "2\\n3\\n",
                match language {
                    "bash" => "2\n3\\n",
                    _ => "2\\n3\\n",
                }
            )
        );
        let called = client.run(
            language,
            match language {
                "bash" => "cat; echo end",
                _ => "try: input()\nexcept EOFError: print('end')",
            },
        );
        assert_eq!(called.ended(), ("end\n", &json!(0)));
    }
    // One that does not stop asking.
    let code = "while True:\n    try: input()\n    except EOFError: pass";
    let called = client.run("python3", code);
    assert!(
        called.text().contains("did not stop asking"),
        "{}",
        called.text()
    );
    assert_eq!(client.run("python3", "1 + 1").field("value"), "2");
}

/// Gateways of Backend.AI interrupt it.
#[test]
fn what_does_not_stop_asking_is_told_on_any_gateway() {
    for at in [sorna_at, backend_at] {
        let directory = here();
        let served = gateway();
        let mut command = at(directory.path(), &served);
        command.arg("mcp");
        let mut client = Client::begin(command, directory, "2025-11-25");
        for code in [
            "while True:\n    try: input()\n    except EOFError: pass",
            "while True:\n    try: input()\n    except BaseException: pass",
        ] {
            let called = client.run("python3", code);
            let text = called.text();
            assert!(text.contains("did not stop asking"), "{text}");
            assert_eq!(called.field("interrupted"), true);
        }
        let called = client.run("python3", "print(input())");
        assert!(
            !called.text().contains("did not stop asking"),
            "{}",
            called.text()
        );
    }
}

#[test]
fn images_are_shown() {
    let Some(python) = need_original_client() else {
        return;
    };
    let venv = python
        .parent()
        .and_then(|bin| bin.parent())
        .expect("a directory");
    let venv = std::path::absolute(venv).expect("a path");
    let mut client = Client::local(&["--venv", venv.to_str().expect("text")]);
    let code = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()\nprint('drawn')";
    let called = client.run("python3", code);
    assert_eq!(called.ended().1, &json!(0), "{}", called.text());
    let images = called.images();
    assert_eq!(images.len(), 1, "{}", called.text());
    assert_eq!(images[0]["mimeType"], "image/png");
    assert!(
        images[0]["data"]
            .as_str()
            .expect("text")
            .starts_with("iVBOR")
    );
    assert_eq!(called.field("images"), 1);
}

#[test]
fn time_limits_stop_programs_and_keep_variables() {
    let mut client = Client::local(&[]);
    client.run("python3", "x = 1");
    let code = "import time\nprint('on its way', flush=True)\ntime.sleep(600)";
    let arguments = json!({"language": "python3", "code": code, "timeout": 0.5});
    let called = client.call("run_code", arguments);
    let (output, _) = called.ended();
    assert!(output.starts_with("on its way\n"), "{output}");
    assert_eq!(called.field("timed_out"), true);
    assert!(called.text().contains("time limit"), "{}", called.text());
    let called = client.run("python3", "x");
    assert_eq!(called.field("value"), "1");
    assert_eq!(called.field("timed_out"), false);
    // One that cannot be interrupted.
    let code = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(1)";
    let arguments = json!({"language": "python3", "code": code, "timeout": 0.2});
    let called = client.call("run_code", arguments);
    assert_eq!(called.field("timed_out"), true, "{}", called.text());
    assert_eq!(called.field("state_lost"), true);
    assert_eq!(
        client.run("python3", "'x' in globals()").field("value"),
        "False"
    );
}

#[test]
fn what_takes_longer_goes_on() {
    let mut client = Client::local(&["--max-wait", "1s"]);
    let code = "import time\nprint('first', flush=True)\nwhile not open('go').read(): time.sleep(0.02)\nprint('last')\n'done'";
    // A busy machine may take longer for a session than a call waits here.
    support::eventually("a session", || {
        let called = client.call("write_file", json!({"path": "go", "content": ""}));
        called.result["isError"] != true && called.field("bytes") == 0
    });
    let called = client.run("python3", code);
    assert_eq!(called.field("status"), "running");
    assert_eq!(called.field("output"), "first\n");
    assert_eq!(called.field("exit_code"), &Value::Null);
    let run = called.field("run").clone();
    assert!(
        called.text().contains(run.as_str().expect("text")),
        "{}",
        called.text()
    );
    // Its session is busy, others are not.
    let busy = client.run("python3", "1");
    assert!(
        busy.error().contains("is busy with run"),
        "{}",
        busy.error()
    );
    assert_eq!(client.run("bash", "echo 1").ended().0, "1\n");
    let sessions = client.call("list_sessions", json!({}));
    let of_python = sessions.field("sessions").as_array().expect("a list");
    let of_python = of_python
        .iter()
        .find(|it| it["session"] == "python3")
        .expect("it is there");
    assert_eq!(of_python["running"], run);
    let called = client.call("wait", json!({"run": run, "timeout": 0}));
    assert_eq!(
        (called.field("status"), called.field("output")),
        (&json!("running"), &json!(""))
    );
    let go = json!({"path": "go", "content": "go", "session": "python3"});
    client.call("write_file", go);
    let called = client.call("wait", json!({"run": run}));
    assert_eq!(called.ended(), ("last\n", &json!(0)));
    assert_eq!(called.field("value"), "'done'");
    // Once more: nothing new.
    let called = client.call("wait", json!({"run": run}));
    assert_eq!(called.ended(), ("", &json!(0)));
}

#[test]
fn programs_are_started_and_interrupted() {
    let mut client = Client::local(&[]);
    client.run("python3", "x = 5");
    let code = "import time\nwhile True: time.sleep(0.01)";
    let started = client.call("start", json!({"language": "python3", "code": code}));
    assert_eq!(started.field("status"), "running");
    let run = started.field("run").clone();
    let called = client.call("interrupt", json!({"run": run}));
    assert!(
        called.ended().0.contains("KeyboardInterrupt"),
        "{}",
        called.text()
    );
    assert_eq!(called.field("interrupted"), true);
    assert_eq!(client.run("python3", "x").field("value"), "5");
    client.call("start", json!({"language": "python3", "code": code}));
    let called = client.call("interrupt", json!({"session": "python3"}));
    assert_eq!(called.field("interrupted"), true);
    let idle = client.call("interrupt", json!({"session": "python3"}));
    assert!(idle.error().contains("Nothing runs"), "{}", idle.error());
    let neither = client.call("interrupt", json!({}));
    assert!(
        neither.error().contains("either a run or a session"),
        "{}",
        neither.error()
    );
}

#[test]
fn an_interrupt_right_after_the_start_is_not_lost() {
    let mut client = Client::local(&[]);
    client.run("python3", "x = 5");
    let code = "import time\nwhile True: time.sleep(0.01)";
    for _ in 0..20 {
        client.begin_call("start", json!({"language": "python3", "code": code}));
        // It may come before the start.
        support::eventually("an interrupt", || {
            let called = client.call("interrupt", json!({"session": "python3"}));
            called.result["isError"] != true
        });
        assert_eq!(client.run("python3", "x").field("value"), "5");
    }
}

#[test]
fn calls_of_a_session_run_one_after_the_other() {
    let mut client = Client::local(&[]);
    client.run("python3", "seen = []");
    let ids: Vec<_> = (0..10)
        .map(|number| {
            let code = format!("seen.append({number}); seen");
            client.begin_call("run_code", json!({"language": "python3", "code": code}))
        })
        .collect();
    let mut last = 0;
    for id in ids {
        let called = client.called(id, "run_code");
        let seen = called
            .field("value")
            .as_str()
            .expect("text")
            .matches(',')
            .count()
            + 1;
        last = last.max(seen);
    }
    assert_eq!(last, 10);
}

/// Also those that come while their session is being made.
#[test]
fn calls_that_come_at_once_run_in_their_order() {
    let mut client = Client::local(&[]);
    for session in ["a", "b", "c"] {
        let ids: Vec<_> = (0..8)
            .map(|number| {
                let code = format!("echo {number} >> all");
                let arguments = json!({"language": "bash", "code": code, "session": session});
                client.begin_call("run_code", arguments)
            })
            .collect();
        for id in ids {
            assert_eq!(client.called(id, "run_code").ended().1, &json!(0));
        }
        let arguments = json!({"language": "bash", "code": "cat all", "session": session});
        let called = client.call("run_code", arguments);
        assert_eq!(called.ended().0, "0\n1\n2\n3\n4\n5\n6\n7\n");
    }
}

#[test]
fn what_a_wait_that_is_cancelled_has_not_shown_comes_with_the_next() {
    let mut client = Client::local(&[]);
    let code = "import time\nprint('first', flush=True)\ntime.sleep(1000)";
    let arguments = json!({"language": "python3", "code": "pass"});
    client.call("run_code", arguments);
    let arguments = json!({"language": "python3", "code": code});
    let started = client.call("start", arguments);
    let run = started.field("run").clone();
    let parameters =
        json!({"name": "wait", "arguments": {"run": run}, "_meta": {"progressToken": 1}});
    let id = client.begin_request("tools/call", parameters);
    client.message(|message| {
        let is_progress = message["method"] == "notifications/progress";
        is_progress && message["params"]["message"] == "first"
    });
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    let called = client.call("interrupt", json!({"run": run}));
    let output = [&started, &called].map(|it| it.field("output").as_str().unwrap_or_default());
    assert!(output.concat().starts_with("first\n"), "{output:?}");
}

#[test]
fn pictures_that_are_none_are_not_shown_and_counted() {
    let mut client = Client::local(&[]);
    let code = "class P:\n  def __init__(self, data): self.data = data\n  def _repr_png_(self): return self.data\n\
                for number in range(40): display(P(b'no picture'))\ndisplay(P(b'\\x89PNG\\r\\n\\x1a\\n'))";
    let called = client.run("python3", code);
    assert_eq!(called.images(), Vec::<&Value>::new());
    let notes = called.field("notes").as_array().expect("notes");
    assert_eq!(notes.len(), 17, "{notes:?}");
    assert_eq!(
        notes[0],
        "image/png of 10 bytes is not shown: it is no whole image."
    );
    assert_eq!(notes[16], "25 more like these are not shown.");
}

#[test]
fn a_call_that_is_cancelled_interrupts_its_program() {
    let mut client = Client::local(&[]);
    let code = "import time\nx = 1\ntry:\n    while True: time.sleep(0.01)\nfinally: x = 2";
    client.run("python3", "x = 0");
    let arguments = json!({"language": "python3", "code": code});
    let parameters =
        json!({"name": "run_code", "arguments": arguments, "_meta": {"progressToken": "p"}});
    let id = client.begin_request("tools/call", parameters);
    // It runs.
    let progress = client.message(|message| message["method"] == "notifications/progress");
    assert_eq!(progress["params"]["progressToken"], "p");
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    // The next one waits for its end.
    let called = client.run("python3", "x");
    assert_eq!(called.field("value"), "2");
    let (status, lines) = client.close();
    assert!(status.success());
    let is_answer = |line: &String| {
        let message: Value = serde_json::from_str(line).expect("JSON");
        message["id"] == id
    };
    assert!(!lines.iter().any(is_answer), "{lines:?}");
}

#[test]
fn progress_is_reported_while_a_program_runs() {
    let mut client = Client::local(&[]);
    let code =
        "import time\nfor i in range(100000):\n    print('step', i, flush=True); time.sleep(0.01)";
    let arguments = json!({"language": "python3", "code": code, "timeout": 3.5});
    let parameters =
        json!({"name": "run_code", "arguments": arguments, "_meta": {"progressToken": 7}});
    let id = client.begin_request("tools/call", parameters);
    let mut before = 0.0;
    for _ in 0..2 {
        let progress = client.message(|message| message["method"] == "notifications/progress");
        let progress = &progress["params"];
        assert_eq!(progress["progressToken"], 7);
        let now = progress["progress"].as_f64().expect("a number");
        assert!(now > before, "{progress}");
        before = now;
        let message = progress["message"].as_str().expect("text");
        assert!(message.starts_with("step "), "{message}");
    }
    assert_eq!(client.called(id, "run_code").field("timed_out"), true);
}

#[test]
fn long_output_is_cut_in_the_middle_and_kept_in_a_file() {
    let mut client = Client::local(&["--max-output", "2k"]);
    let long = "for i in range(20000): print(i)";
    let called = client.run("python3", long);
    let (output, _) = called.ended();
    assert!(output.len() < 2400, "{}", output.len());
    assert!(
        output.starts_with("0\n1\n2\n") && output.ends_with("19998\n19999\n"),
        "{output}"
    );
    assert_eq!(called.field("truncated"), true);
    let path = called.field("saved").as_str().expect("a path").to_owned();
    assert!(
        output.contains("bytes left out") && output.contains(&path),
        "{output}"
    );
    let whole: String = (0..20000).map(|i| format!("{i}\n")).collect();
    let file = client.call(
        "read_file",
        json!({"path": path, "offset": 1000, "length": 50}),
    );
    assert_eq!(file.field("size"), whole.len());
    assert_eq!(file.field("content"), &whole[1000..1050]);
    // What is cut is counted.
    let left_out = output
        .split("[... ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let left_out: usize = left_out.and_then(|it| it.parse().ok()).expect("a number");
    let around = output.find("\n[...").expect("a note") + output.len()
        - output.rfind("...]\n").expect("a note")
        - 5;
    assert_eq!(left_out + around, whole.len());
    // Also what is left out because of a call's own limit.
    let arguments = json!({"language": "python3", "code": "print('é' * 500)", "max_output": 100});
    let called = client.call("run_code", arguments);
    let path = called.field("saved").as_str().expect("a path").to_owned();
    let file = client.call("read_file", json!({"path": path, "encoding": "utf-8"}));
    assert_eq!(file.field("content"), &format!("{}\n", "é".repeat(500)));
    // It is named at the end if it was cut before.
    client.call("write_file", json!({"path": "go", "content": ""}));
    let code = "import time\nprint('x' * 5000, flush=True)\nwhile not open('go').read(): time.sleep(0.02)\nprint('end')";
    let arguments = json!({"language": "python3", "code": code});
    let run = client.call("start", arguments).field("run").clone();
    support::eventually("its output", || {
        let called = client.call("wait", json!({"run": run, "timeout": 0}));
        called.field("truncated") == true
    });
    client.call("write_file", json!({"path": "go", "content": "go"}));
    let called = client.call("wait", json!({"run": run}));
    assert_eq!(called.ended().0, "end\n");
    let path = called.field("saved").as_str().expect("a path");
    assert!(called.text().contains(path), "{}", called.text());
    // As much as is asked for.
    let arguments = json!({"language": "python3", "code": long, "max_output": 1_000_000});
    let called = client.call("run_code", arguments);
    assert_eq!(called.ended().0, whole);
    assert_eq!(called.field("truncated"), false);
}

#[test]
fn what_was_left_out_and_is_in_no_file_can_still_be_had() {
    let mut client = Client::local(&[]);
    let arguments = json!({"language": "bash", "code": "seq 2000"});
    let run = client.call("start", arguments).field("run").clone();
    support::eventually("its end", || {
        let sessions = client.call("list_sessions", json!({}));
        sessions.field("sessions")[0]["running"] == Value::Null
    });
    let few = client.call("wait", json!({"run": run, "max_output": 200}));
    let words = "`wait` for r1 with a larger `max_output` returns more";
    assert!(few.text().contains(words), "{}", few.text());
    let all = client.call("wait", json!({"run": run}));
    let output = all.field("output").as_str().expect("text");
    assert!(output.ends_with("1999\n2000\n"), "{output}");
    assert!(!output.contains("left out"), "{output}");
    assert_eq!(client.call("wait", json!({"run": run})).field("output"), "");
    // Where it cannot be saved, that is said.
    let arguments = json!({"language": "bash", "code": "ln -s /nowhere .output; seq 100000"});
    let called = client.call("run_code", arguments);
    let words = "could not be saved in a file";
    assert!(called.text().contains(words), "{}", called.text());
    assert_eq!(called.field("saved"), &Value::Null);
    let arguments = json!({"run": called.field("run"), "max_output": 1 << 20});
    let all = client.call("wait", arguments);
    let output = all.field("output").as_str().expect("text");
    assert!(output.contains("\n50000\n") && output.ends_with("\n100000\n"));
}

#[test]
fn a_long_value_is_cut_and_kept_as_output_is() {
    let mut client = Client::local(&["--max-output", "2k"]);
    let called = client.run("python3", "'a' * 5000 + 'é' * 5000");
    let value = called.field("value").as_str().expect("text");
    assert!(value.len() < 2400, "{}", value.len());
    assert_eq!(called.field("truncated"), true);
    assert_eq!(called.field("output"), "");
    let path = called.field("saved_value").as_str().expect("a path");
    assert!(
        value.contains("bytes left out") && value.contains(path),
        "{value}"
    );
    let notes = called.field("notes").to_string();
    assert!(
        notes.contains("bytes of the value") && notes.contains(path),
        "{notes}"
    );
    let arguments = json!({"path": path, "length": 100_000});
    let whole = format!("'{}{}'", "a".repeat(5000), "é".repeat(5000));
    assert_eq!(client.call("read_file", arguments).field("content"), &whole);
    // It is the same when it is asked for again, and whole if that is asked for.
    let again = client.call("wait", json!({"run": called.field("run")}));
    assert_eq!(again.field("value"), value);
    let arguments = json!({"language": "python3", "code": "'a' * 5000", "max_output": 2048});
    assert_eq!(client.call("run_code", arguments).field("truncated"), true);
    let arguments = json!({"language": "python3", "code": "'a' * 1000", "max_output": 0});
    let called = client.call("run_code", arguments);
    assert_eq!(called.field("value").as_str().expect("text").len(), 1002);
    assert_eq!(called.field("truncated"), false);
}

#[test]
fn what_is_saved_of_very_long_output_is_said() {
    let mut client = Client::local(&[]);
    let code = "for _ in range(24 << 20 >> 6): print('x' * 63)";
    let called = client.run("python3", code);
    let path = called.field("saved").as_str().expect("a path");
    let words =
        format!("{path} in session python3 has its first 8388608 and its last 8388608 bytes");
    assert!(called.text().contains(&words), "{}", called.text());
    let arguments = json!({"path": path, "offset": 8_388_600, "length": 100});
    let read = client.call("read_file", arguments);
    let content = read.field("content").as_str().expect("text");
    assert!(
        content.contains("[8388608 bytes were not kept]"),
        "{content}"
    );
}

/// One that does not end by an interrupt.
const STUBBORN: &str = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('deaf', flush=True)\nwhile True: time.sleep(0.1)";

#[test]
fn lost_variables_are_told_with_the_next_call() {
    let mut client = Client::local(&[]);
    client.run("python3", "x = 1");
    // No one reads the answer of a call that is cancelled.
    let parameters = json!({
        "name": "run_code",
        "arguments": {"language": "python3", "code": STUBBORN},
        "_meta": {"progressToken": 1},
    });
    let id = client.begin_request("tools/call", parameters);
    client.message(|message| message["params"]["message"] == "deaf");
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    let called = client.run("python3", "'x' in globals()");
    assert_eq!(called.field("value"), "False");
    assert_eq!(called.field("state_lost"), true);
    let words = "the interpreter has ended in r2";
    assert!(called.text().contains(words), "{}", called.text());
    // Once.
    let called = client.run("python3", "1");
    assert_eq!(called.field("state_lost"), &Value::Null);
    assert_eq!(called.text(), "1");
    // Nor that of one for which no one waits, even if the next one is not waited for either.
    let arguments = json!({"language": "python3", "code": STUBBORN, "timeout": 0.2});
    client.call("start", arguments);
    let arguments = json!({"language": "python3", "code": "import os; os._exit(1)"});
    let started = client.call("start", arguments);
    assert_eq!(started.field("state_lost"), true, "{}", started.text());
    let called = client.run("python3", "1");
    assert_eq!(called.field("state_lost"), true);
    // What was told with its own end is not told again.
    let called = client.run("python3", "import os; os._exit(1)");
    assert_eq!(called.field("state_lost"), true);
    let called = client.run("python3", "1");
    assert_eq!(called.field("state_lost"), &Value::Null);
}

#[test]
fn variables_that_were_lost_while_nothing_ran_are_told() {
    let mut client = Client::local(&[]);
    let dies =
        "import os, threading\nthreading.Timer(0.1, lambda: os._exit(3)).start()\nprint('armed')";
    // On a busy machine, the interpreter may end when the next program has begun, which says so as well.
    let is_told = (0..10).any(|_| {
        client.run("python3", dies);
        std::thread::sleep(Duration::from_secs(1));
        let called = client.run("python3", "'threading' in globals()");
        assert_eq!(called.field("state_lost"), true, "{}", called.text());
        called.field("value") == "False" && called.text().contains("were lost before it began")
    });
    assert!(is_told);
    let called = client.run("python3", "1");
    assert_eq!(
        called.field("state_lost"),
        &Value::Null,
        "{}",
        called.text()
    );
}

#[test]
fn calls_that_wait_for_a_session_that_is_closed_have_not_run() {
    let mut client = Client::local(&[]);
    let arguments = |code: &str| json!({"language": "bash", "code": code});
    let started = client.call("start", arguments("sleep 1000"));
    let run = started.field("run").as_str().expect("an ID").to_owned();
    let words = format!("The program has begun, as {run}.");
    assert!(started.text().contains(&words), "{}", started.text());
    let waiting = client.begin_call("run_code", arguments("echo never"));
    client.call("close_session", json!({"session": "bash"}));
    let called = client.called(waiting, "run_code");
    let words = "has ended before the program began: nothing has run";
    assert!(called.error().contains(words), "{}", called.error());
    let called = client.call("wait", json!({"run": run}));
    let words = "was closed while the program ran";
    assert!(called.text().contains(words), "{}", called.text());
    assert_eq!(client.run("bash", "echo 1").ended().0, "1\n");
}

#[test]
fn an_interrupt_whose_call_is_cancelled_leaves_what_is_new() {
    let mut client = Client::local(&[]);
    let code = "import signal, time\nsignal.signal(signal.SIGINT, lambda *_: print('asked', flush=True))\n\
                print('begun', flush=True)\nfor _ in range(3): time.sleep(1)\nprint('done')";
    let arguments = json!({"language": "python3", "code": code});
    let started = client.call("start", arguments);
    let run = started.field("run").clone();
    let output = |called: &Called| called.field("output").as_str().expect("text").to_owned();
    let mut begun = output(&started);
    while !begun.contains("begun") {
        begun += &output(&client.call("wait", json!({"run": run, "timeout": 0.1})));
    }
    let parameters = json!({"name": "interrupt", "arguments": {"run": run}});
    let id = client.begin_request("tools/call", parameters);
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    let mut rest = String::new();
    loop {
        let called = client.call("wait", json!({"run": run}));
        rest += &output(&called);
        if called.field("status") == "ended" {
            break;
        }
    }
    assert!(
        rest.contains("asked\n") && rest.ends_with("done\n"),
        "{rest}"
    );
}

#[test]
fn languages_have_the_names_that_models_use() {
    let mut client = Client::local(&[]);
    let shell = |name: &str| json!({"language": name, "code": "echo $BASH_VERSION | wc -l"});
    for name in ["bash", "sh", "Shell"] {
        let called = client.call("run_code", shell(name));
        assert_eq!(called.ended().0, "1\n", "{name}");
        assert_eq!(called.field("session"), "bash", "{name}");
    }
    assert_eq!(client.run("py", "1").field("session"), "python3");
    let error = client.run("tsx", "1").error().to_owned();
    assert!(error.contains("python3 (python), bash"), "{error}");
}

#[test]
fn wrong_arguments_are_errors_that_say_what_is_right() {
    let mut client = Client::local(&[]);
    for (tool, arguments, words) in [
        (
            "write_file",
            json!({"path": "./", "content": "1"}),
            &["`path` is the work directory itself"][..],
        ),
        (
            "run_code",
            json!({"language": "pyhton", "code": "1"}),
            &["no language `pyhton`", "python3", "bash"],
        ),
        (
            "run_code",
            json!({"code": "1"}),
            &["missing field `language`", "`code`"],
        ),
        (
            "run_code",
            json!({"language": "bash", "code": "1", "cwd": "/"}),
            &["unknown field `cwd`", "`stdin` (optional)"],
        ),
        (
            "run_code",
            json!({"language": "bash", "code": "1", "session": "a b"}),
            &["The name of a session"],
        ),
        (
            "run_code",
            json!({"language": "bash", "code": "1", "timeout": -1}),
            &["`timeout` is in seconds"],
        ),
        (
            "run_code",
            json!({"language": "bash", "code": "1", "timeout": 0}),
            &["more than 0"],
        ),
        (
            "run_code",
            json!({"language": "bash", "code": "1", "max_output": 1e9}),
            &["`max_output`"],
        ),
        (
            "wait",
            json!({"run": "r9"}),
            &["no run `r9`", "No program has run"],
        ),
        (
            "interrupt",
            json!({"session": "x"}),
            &["no session `x`", "Sessions: none."],
        ),
        (
            "list_sessions",
            json!({"all": true}),
            &["unknown field `all`", "no arguments"],
        ),
        (
            "close_session",
            json!({"session": "x"}),
            &["no session `x`"],
        ),
        ("list_files", json!({}), &["There is no session yet"]),
        (
            "run_code",
            json!({"language": "bash", "code": format!("true {}", "x".repeat(2 << 20))}),
            &["The code is too long", "write_file"],
        ),
    ] {
        let called = client.call(tool, arguments);
        let error = called.error();
        for word in words {
            assert!(error.contains(word), "{error}");
        }
    }
    // What is null was left out.
    let arguments = json!({"language": "bash", "code": "echo 1", "session": null, "timeout": null});
    assert_eq!(client.call("run_code", arguments).ended().0, "1\n");
    let called = client.call(
        "run_code",
        json!({"language": "python3", "code": "1", "session": "bash"}),
    );
    assert!(
        called.error().contains("is of language bash"),
        "{}",
        called.error()
    );
    let response = client.ask("tools/call", json!({"name": "rm", "arguments": {}}));
    assert_eq!(response["error"]["code"], -32602);
    let message = response["error"]["message"].as_str().expect("text");
    assert!(
        message.contains("no tool `rm`") && message.contains("run_code"),
        "{message}"
    );
}

#[test]
fn sessions_are_limited_and_end_when_they_are_not_used() {
    let mut client = Client::local(&["--max-sessions", "2", "--idle-timeout", "2s"]);
    let code = |session: &str| json!({"language": "bash", "code": "echo 1", "session": session});
    client.call("run_code", code("a"));
    client.call("run_code", code("b"));
    let called = client.call("run_code", code("c"));
    assert!(
        called.error().contains("2 sessions already"),
        "{}",
        called.error()
    );
    assert!(called.error().contains("a, b"), "{}", called.error());
    client.call("close_session", json!({"session": "a"}));
    client.call("run_code", code("c"));
    support::eventually("the end of all sessions", || {
        let sessions = client.call("list_sessions", json!({}));
        sessions.field("sessions") == &json!([])
    });
    let files = client.call("list_files", json!({}));
    assert!(
        files.error().contains("not used for long"),
        "{}",
        files.error()
    );
    // The next one of the name says once that it has nothing of the old one; not so if that was closed.
    let called = client.call("run_code", code("b"));
    assert_eq!(called.field("state_lost"), true);
    assert!(
        called.text().contains("This is a new one"),
        "{}",
        called.text()
    );
    let called = client.call("run_code", code("a"));
    let lost = called.field("state_lost");
    assert_eq!(lost, &Value::Null, "{}", called.text());
    for session in ["a", "b"] {
        client.call("close_session", json!({"session": session}));
    }
    // A session that is closed takes what runs with it.
    let arguments =
        json!({"language": "bash", "code": format!("sleep {}", LONG.as_secs()), "session": "d"});
    let started = client.call("start", arguments);
    client.call("close_session", json!({"session": "d"}));
    let called = client.call("wait", json!({"run": started.field("run")}));
    assert_eq!(called.ended().1, &Value::Null);
    assert!(
        called.text().contains("The session was closed"),
        "{}",
        called.text()
    );
}

#[test]
fn a_session_of_files_that_was_not_used_is_told_to_be_gone() {
    let mut client = Client::local(&["--idle-timeout", "1s"]);
    let file = json!({"path": "f", "content": "1", "language": "bash"});
    client.call("write_file", file);
    support::eventually("the end of the session", || {
        client.call("list_sessions", json!({})).field("sessions") == &json!([])
    });
    let called = client.run("bash", "cat f");
    assert_eq!(called.field("state_lost"), true, "{}", called.text());
}

#[test]
fn a_gateway_that_cannot_be_reached_is_an_error() {
    let directory = here();
    let served = gateway();
    let secret = served.secret_key().to_owned();
    let mut command = sorna_at(directory.path(), &served);
    command.args(["mcp"]);
    let mut client = Client::begin(command, directory, "2025-11-25");
    assert_eq!(client.run("bash", "echo 1").ended().0, "1\n");
    served.stop();
    let called = client.run("bash", "echo 1");
    let text = match called.result["isError"] == true {
        true => called.error().to_owned(),
        false => called.text().to_owned(),
    };
    assert!(text.contains("the gateway cannot be reached"), "{text}");
    let called = client.call("list_files", json!({}));
    assert!(
        called.error().contains("the gateway cannot be reached"),
        "{}",
        called.error()
    );
    let (status, lines) = client.close();
    assert!(status.success());
    assert!(!lines.iter().any(|line| line.contains(&secret)));
    // One that was never there.
    let directory = here();
    let mut command = support::sorna(directory.path());
    command
        .env("SORNA_ENDPOINT", "http://127.0.0.1:9")
        .env("SORNA_ACCESS_KEY", "AKIA")
        .env("SORNA_SECRET_KEY", "a-key-that-no-one-may-see-in-mcp")
        .arg("mcp");
    let mut client = Client::begin(command, directory, "2025-11-25");
    let called = client.run("bash", "echo 1");
    assert!(
        called.error().matches("cannot be reached").count() == 1,
        "{}",
        called.error()
    );
    assert!(!called.error().contains("no-one-may-see"));
}

#[test]
fn a_session_that_the_gateway_has_ended_is_made_anew() {
    let directory = here();
    let served = gateway();
    let mut command = backend_at(directory.path(), &served);
    command.arg("mcp");
    let mut client = Client::begin(command, directory, "2025-11-25");
    client.run("python3", "x = 1");
    let other = |arguments: &[&str]| {
        let output = backend_at(client.directory(), &served)
            .args(arguments)
            .output();
        let output = output.expect("sorna runs");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let kernel: Value = serde_json::from_slice(&other(&["ps", "--json"])).expect("one line");
    other(&["destroy", kernel["id"].as_str().expect("an ID")]);
    let called = client.run("python3", "x");
    assert!(
        called.text().contains("session is gone"),
        "{}",
        called.text()
    );
    let called = client.run("python3", "'x' in globals()");
    assert_eq!(called.field("value"), "False");
}

#[test]
fn the_limits_of_the_server_hold_on_a_gateway() {
    let directory = here();
    // That of the gateway is less.
    let served =
        gateway_with(GatewayConfig::default().with_exec_timeout(Duration::from_millis(500)));
    let mut command = sorna_at(directory.path(), &served);
    command.args(["mcp", "--max-time", "3s", "--max-mem", "256m"]);
    let mut client = Client::begin(command, directory, "2025-11-25");
    let called = client.run("python3", "import time; time.sleep(1.5); 'done'");
    assert_eq!(called.field("value"), "'done'", "{}", called.text());
    // No call gets more time than the most.
    let code = "x = 1\nimport time\nwhile True: time.sleep(0.01)";
    let arguments = json!({"language": "python3", "code": code, "timeout": 600});
    assert_eq!(client.call("run_code", arguments).field("timed_out"), true);
    assert_eq!(client.run("python3", "x").field("value"), "1");
    let called = client.run("python3", "y = bytearray(1 << 30)");
    assert_ne!(called.ended().1, &json!(0), "{}", called.text());
}

#[test]
fn text_is_never_blank() {
    let mut client = Client::local(&[]);
    for (code, words) in [
        ("print()", "White space only"),
        ("", "ended without output"),
        ("pass", "ended without output"),
    ] {
        let called = client.run("python3", code);
        assert!(called.text().contains(words), "{}", called.text());
        assert_eq!(called.ended().1, 0, "{code}");
    }
}

#[test]
fn a_time_limit_that_a_program_survives_is_told() {
    let mut client = Client::local(&[]);
    let code = "import time\ntry: time.sleep(600)\nexcept KeyboardInterrupt: print('caught')";
    let called = client.call(
        "run_code",
        json!({"language": "python3", "code": code, "timeout": 1}),
    );
    assert_eq!(called.ended(), ("caught\n", &json!(0)));
    assert_eq!(called.field("timed_out"), true);
    let text = called.text();
    assert!(text.contains("interrupted at its time limit"), "{text}");
}
