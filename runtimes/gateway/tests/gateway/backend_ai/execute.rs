//! Running code.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sorna_core::{Complete, KernelId};

use super::client::{Client, PATIENCE, gateway, gateway_with, text};

#[test]
fn a_query_has_a_run_id_and_an_exit_code() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("query", "python");
    let result = client.execute(
        "query",
        &json!({"mode": "query", "code": "print('hi')\nx = 1", "runId": null}),
    );
    let result = client.finish("query", result);
    let run_id = result["runId"].as_str().unwrap();
    assert_eq!(run_id.len(), 32);
    let expected = json!({
        "status": "finished", "runId": run_id, "exitCode": 0, "options": null, "files": [],
        "console": [["stdout", "hi\n"]],
    });
    assert_eq!(result, expected);
    for (body, run_id) in [
        (
            json!({"mode": "query", "code": "x", "run_id": "mine"}),
            "mine",
        ),
        (
            json!({"mode": "query", "code": "x", "runId": "mine"}),
            "mine",
        ),
        (
            json!({"mode": "query", "code": "x", "run_id": "a", "runId": "b"}),
            "a",
        ),
        (json!({"mode": "query", "run_id": "empty"}), "empty"),
    ] {
        let result = client.finish("query", client.execute("query", &body));
        assert_eq!(
            (&result["runId"], &result["exitCode"]),
            (&json!(run_id), &json!(0))
        );
    }
    for (code, exit_code) in [
        ("1/0", 1),
        ("import sys; sys.exit(3)", 3),
        ("sys.exit()", 0),
        ("sys.exit('bye')", 1),
    ] {
        assert_eq!(client.run("query", code)["exitCode"], exit_code, "{code}");
    }
    assert_eq!(text(&client.run("query", "print(x)"), "stdout"), "1\n");
    let error = client.run("query", "1/0");
    assert!(text(&error, "stderr").contains("ZeroDivisionError"));
}

#[test]
fn a_long_run_is_continued_by_its_id() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("long", "bash");
    let body = json!({"mode": "query", "code": "echo a; sleep 1; echo b; (exit 4)", "runId": null});
    let first = client.execute("long", &body);
    assert_eq!(
        (&first["status"], &first["exitCode"]),
        (&json!("continued"), &Value::Null)
    );
    let run_id = first["runId"].clone();
    let (status, problem) = client.json(
        "POST",
        "/session/long",
        &json!({"mode": "continue", "code": "", "run_id": "other"}),
    );
    assert_eq!(status, 400, "{problem}");
    let last = client.finish("long", first);
    assert_eq!(
        (text(&last, "stdout").as_str(), &last["exitCode"]),
        ("a\nb\n", &json!(4))
    );
    assert_eq!(last["runId"], run_id);
    // Who did not receive the end asks again, under either name of the ID.
    for name in ["run_id", "runId"] {
        let body = json!({"mode": "continue", "code": "", name: run_id});
        let again = client.execute("long", &body);
        assert_eq!(
            (&again["status"], &again["exitCode"]),
            (&json!("finished"), &json!(4))
        );
        assert_eq!(again["console"], json!([]));
    }
    for body in [
        json!({"code": "1"}),
        json!({"mode": "nope"}),
        json!({"mode": "continue", "runId": null}),
    ] {
        let (status, problem) = client.json("POST", "/session/long", &body);
        let kind = "https://api.backend.ai/probs/invalid-api-params";
        assert_eq!((status, &problem["type"]), (400, &json!(kind)), "{body}");
    }
}

#[test]
fn input_is_given_by_run_id() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("input", "python");
    let asked = client.run("input", "n = input('name? '); print('hi', n)");
    assert_eq!(
        (&asked["status"], &asked["options"]),
        (
            &json!("waiting-input"),
            &json!({"is_password": false, "takes_lines": true, "takes_bytes": true})
        )
    );
    assert_eq!(
        (text(&asked, "stdout").as_str(), &asked["exitCode"]),
        ("name? ", &Value::Null)
    );
    let body =
        json!({"mode": "input", "code": "you", "run_id": asked["runId"], "runId": asked["runId"]});
    let last = client.execute("input", &body);
    let last = client.finish("input", last);
    assert_eq!(
        (text(&last, "stdout").as_str(), &last["status"]),
        ("hi you\n", &json!("finished"))
    );
    let asked = client.run("input", "import getpass; getpass.getpass()");
    assert_eq!(asked["options"]["is_password"], true);
}

#[test]
fn bytes_are_carried_for_requests_that_ask_for_them() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("bytes", "bash");
    let code = r"printf 'text\n\377'; cat >&2; exit 3";
    let body = json!({"mode": "query", "code": code, "runId": null, "bytes": true});
    // As far as the next question, by requests that ask for bytes or do not.
    let until_asked = |first: Value, bytes: bool| {
        let mut asked = first;
        let mut console = Vec::new();
        loop {
            console.append(asked["console"].as_array_mut().unwrap());
            if asked["status"] != "continued" && !console.is_empty() {
                assert_eq!(asked["status"], "waiting-input");
                return (Value::from(console), asked["runId"].clone());
            }
            let run_id = &asked["runId"];
            let body = json!({"mode": "continue", "code": "", "run_id": run_id, "bytes": bytes});
            asked = client.execute("bytes", &body);
        }
    };
    let (console, run_id) = until_asked(client.execute("bytes", &body), true);
    let expected = json!([["stdout", "text\n"], ["stdout-bytes", "/w=="]]);
    assert_eq!(console, expected);
    let run_id = &run_id;
    let input = |code: &str, more: Value| {
        let mut body = json!({"mode": "input", "code": code, "run_id": run_id, "runId": run_id});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        client.execute("bytes", &body)
    };
    let first = input("/g0K", json!({"encoding": "base64", "bytes": true}));
    let (console, _) = until_asked(first, true);
    assert_eq!(console, json!([["stderr-bytes", "/g0K"]]));
    // These requests do not ask for bytes.
    let first = input("/g0K", json!({"encoding": "base64"}));
    let (console, _) = until_asked(first, false);
    assert_eq!(console, json!([["stderr", "\u{fffd}\r\n"]]));
    let last = input("\u{4}", json!({}));
    let last = client.finish("bytes", last);
    assert_eq!(
        (&last["status"], &last["exitCode"]),
        (&json!("finished"), &json!(3))
    );
    for body in [
        json!({"mode": "input", "code": "/g0", "run_id": run_id, "encoding": "base64"}),
        json!({"mode": "input", "code": "/g0K", "run_id": run_id, "encoding": "hex"}),
    ] {
        let (status, problem) = client.json("POST", "/session/bytes", &body);
        assert_eq!(status, 400, "{problem}");
    }
}

#[test]
fn another_run_waits_for_the_one_before_it() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("queue", "bash");
    let first = client.execute(
        "queue",
        &json!({"mode": "query", "code": "echo old; sleep 1", "runId": null}),
    );
    assert_eq!(first["status"], "continued");
    // No one continues the first one, and its output is not the second one's.
    let second = client.run("queue", "echo new");
    assert_eq!(
        (text(&second, "stdout").as_str(), &second["status"]),
        ("new\n", &json!("finished"))
    );
    let body = json!({"mode": "continue", "code": "", "run_id": first["runId"]});
    assert_eq!(client.json("POST", "/session/queue", &body).0, 400);
}

#[test]
fn a_run_that_waits_ends_with_its_session() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("doomed", "bash");
    let body = json!({"mode": "query", "code": "sleep 1000", "runId": null});
    assert_eq!(client.execute("doomed", &body)["status"], "continued");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client.json("POST", "/session/doomed", &body));
        // It may also be destroyed before the request arrives, which is no other error.
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(
            client.json("DELETE", "/session/doomed", &Value::Null).0,
            200
        );
        assert_eq!(waiting.join().unwrap().0, 404);
    });
}

#[test]
fn a_batch_reports_every_step_and_loses_nothing() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("batch", "bash");
    let run = |options: Value| {
        let mut reports = Vec::new();
        let body = json!({"mode": "batch", "code": "", "runId": null, "options": options});
        let mut result = client.execute("batch", &body);
        loop {
            result = client.finish("batch", result);
            let status = result["status"].as_str().unwrap().to_owned();
            let report = (
                status.clone(),
                result["exitCode"].clone(),
                text(&result, "stdout"),
            );
            reports.push(report);
            if status == "finished" {
                return reports;
            }
            // The steps that end meanwhile are not lost.
            std::thread::sleep(Duration::from_millis(50));
            let body = json!({"mode": "continue", "code": "", "run_id": result["runId"]});
            result = client.execute("batch", &body);
        }
    };
    let report =
        |status: &str, code: i32, output: &str| (status.to_owned(), json!(code), output.to_owned());
    let all = json!({"clean": "echo c; exit 7", "build": "echo b", "exec": "echo x; exit 3"});
    let expected = [
        report("clean-finished", 7, "c\n"),
        report("build-finished", 0, "b\n"),
        report("finished", 3, "x\n"),
    ];
    assert_eq!(run(all), expected);
    let quick = json!({"clean": null, "build": null, "buildLog": false, "exec": "echo hi"});
    let expected = [
        report("clean-finished", 0, ""),
        report("build-finished", 0, ""),
        report("finished", 0, "hi\n"),
    ];
    assert_eq!(run(quick), expected);
    let failing = json!({"build": "exit 5", "exec": "echo never"});
    let expected = [
        report("clean-finished", 0, ""),
        report("build-finished", 5, ""),
        report("finished", 127, ""),
    ];
    assert_eq!(run(failing), expected);
    let nothing = [
        report("clean-finished", 0, ""),
        report("build-finished", 0, ""),
        report("finished", 0, ""),
    ];
    assert_eq!(run(json!({})), nothing);
}

/// Clients free a session so from a batch that they do not want to continue.
#[test]
fn a_query_with_the_id_of_a_run_lets_it_end() {
    let gateway = gateway_with(|config| config.with_continuation_interval(Duration::from_secs(3)));
    let client = Client::new(&gateway);
    client.create("same", "bash");
    let batch = json!({"clean": "echo c", "build": "", "exec": "echo x; sleep 0.1; exit 93"});
    let body = json!({"mode": "batch", "code": "", "runId": "r1", "options": batch});
    let first = client.execute("same", &body);
    let first = client.finish("same", first);
    assert_eq!(first["status"], "clean-finished");
    let query = |code: &str| json!({"mode": "query", "code": code, "runId": "r1"});
    let last = client.execute("same", &query(""));
    assert_eq!(
        (&last["status"], &last["exitCode"], text(&last, "stdout")),
        (&json!("finished"), &json!(0), "x\n".to_owned())
    );
    assert_eq!(text(&client.run("same", "echo free"), "stdout"), "free\n");

    // What does not end in time goes on.
    let body = json!({"mode": "query", "code": "echo on; sleep 1000", "runId": "r1"});
    client.execute("same", &body);
    let still = client.execute("same", &query("echo too early"));
    assert_eq!(still["status"], "continued");
    let (status, _) = client.json("POST", "/session/same/interrupt", &Value::Null);
    assert_eq!(status, 204);
    let last = client.finish("same", client.execute("same", &query("echo after")));
    assert_eq!(text(&last, "stdout"), "after\n");
}

#[test]
fn an_interrupt_ends_the_run_and_keeps_the_interpreter() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("stop", "python");
    // Also when nothing runs.
    assert_eq!(
        client
            .json("POST", "/session/stop/interrupt", &Value::Null)
            .0,
        204
    );
    let code = "x = 41\nprint('begun', flush=True)\nimport time\nwhile True: time.sleep(0.1)";
    let body = json!({"mode": "query", "code": code, "runId": "loop"});
    let mut result = client.execute("stop", &body);
    while text(&result, "stdout").is_empty() {
        result = client.execute("stop", &json!({"mode": "continue", "runId": "loop"}));
    }
    assert_eq!(
        client
            .json("POST", "/session/stop/interrupt", &Value::Null)
            .0,
        204
    );
    let last = client.finish("stop", result);
    assert_eq!(
        (&last["status"], &last["exitCode"]),
        (&json!("finished"), &json!(130))
    );
    assert!(
        text(&last, "stderr").contains("KeyboardInterrupt"),
        "{last}"
    );
    assert_eq!(text(&client.run("stop", "print(x + 1)"), "stdout"), "42\n");
    // One that waits for input, and one that runs another program.
    let asked = client.run("stop", "input()");
    assert_eq!(asked["status"], "waiting-input");
    assert_eq!(
        client
            .json("POST", "/session/stop/interrupt", &Value::Null)
            .0,
        204
    );
    let last = client.execute(
        "stop",
        &json!({"mode": "continue", "runId": asked["runId"]}),
    );
    assert_eq!(client.finish("stop", last)["exitCode"], 130);
    let code = "print('begun', flush=True); import subprocess; subprocess.run(['sleep', '1000'])";
    let mut result = client.execute(
        "stop",
        &json!({"mode": "query", "code": code, "runId": "sleep"}),
    );
    while text(&result, "stdout").is_empty() {
        result = client.execute("stop", &json!({"mode": "continue", "runId": "sleep"}));
    }
    // The program may not have been started yet, and an interrupt before that ends the run as well.
    assert_eq!(
        client
            .json("POST", "/session/stop/interrupt", &Value::Null)
            .0,
        204
    );
    assert_eq!(client.finish("stop", result)["exitCode"], 130);
    assert_eq!(text(&client.run("stop", "print(x)"), "stdout"), "41\n");
}

#[test]
fn an_interrupt_ends_a_batch() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("stop", "bash");
    let options = json!({"exec": "echo begun; sleep 1000"});
    let mut result = client.execute(
        "stop",
        &json!({"mode": "batch", "code": "", "runId": "b", "options": options}),
    );
    let until = Instant::now() + PATIENCE;
    while text(&result, "stdout").is_empty() {
        assert!(Instant::now() < until, "{result}");
        result = client.execute("stop", &json!({"mode": "continue", "runId": "b"}));
    }
    assert_eq!(
        client
            .json("POST", "/session/stop/interrupt", &Value::Null)
            .0,
        204
    );
    let last = client.finish("stop", result);
    assert_eq!(
        (&last["status"], &last["exitCode"]),
        (&json!("finished"), &json!(130))
    );
}

#[test]
fn the_options_of_an_end_name_the_limit_that_was_exceeded_and_what_is_lost() {
    let gateway = gateway_with(|config| {
        config
            .with_max_files(500)
            .with_exec_timeout(Duration::from_secs(2))
    });
    let client = Client::new(&gateway);
    client.create("limits", "bash");
    for (code, options) in [
        (
            "touch {1..600}; sleep 20",
            json!({"limit": "files", "limitMax": 500, "restarted": true}),
        ),
        (
            "rm -f *; sleep 20",
            json!({"limit": "time", "limitMax": 2000, "restarted": true}),
        ),
        ("echo 'limit: files'; exit 137", json!({"restarted": true})),
        ("echo 'limit: files'; (exit 137)", Value::Null),
    ] {
        let end = client.run("limits", code);
        assert_eq!(end["options"], options, "{end}");
        // The end is kept for clients that have not received it.
        let id = end["runId"].as_str().unwrap();
        let again = client.execute("limits", &json!({"mode": "continue", "runId": id}));
        assert_eq!(again["options"], options, "{again}");
    }
}

#[test]
fn completions_are_suggested() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    client.create("complete", "python");
    let complete = Complete::at_end(KernelId::new("complete").unwrap(), "prin");
    assert_eq!(client.call(&complete).unwrap(), ["print("]);
    let (status, body) = client.json(
        "POST",
        "/session/complete/complete",
        &json!({"code": "no_such_name"}),
    );
    let expected = json!({"result": {"status": "finished", "error": null, "suggestions": []}});
    assert_eq!((status, body), (200, expected));
}
