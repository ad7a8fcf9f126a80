//! Kernels, sessions, and what else there is.

use serde_json::json;

use super::peer::House;
use crate::support::eventually;

#[test]
fn kernels_are_started_listed_and_ended() {
    let house = House::open();
    let (_, specs) = house.call("GET /api/kernelspecs", "");
    assert_eq!(specs["default"], "python3");
    let spec = &specs["kernelspecs"]["bash"];
    assert_eq!(
        (&spec["name"], &spec["spec"]["language"]),
        (&json!("bash"), &json!("bash"))
    );
    assert_eq!(&house.call("GET /api/kernelspecs/bash", "").1, spec);
    let logo = format!(
        "GET {}",
        spec["resources"]["logo-svg"].as_str().expect("a path")
    );
    assert_eq!(house.call(&logo, "").0, 200);
    for path in [
        "/api/kernelspecs/nothing",
        "/kernelspecs/bash/kernel.js",
        "/kernelspecs/nothing/logo-svg.svg",
        "/kernelspecs/..%2f..%2fetc/logo-svg.svg",
    ] {
        assert_eq!(house.call(&format!("GET {path}"), "").0, 404, "{path}");
    }

    let id = house.start("bash");
    let (status, model) = house.call(&format!("GET /api/kernels/{id}"), "");
    assert_eq!(status, 200);
    assert_eq!(
        (
            &model["name"],
            &model["connections"],
            &model["execution_state"]
        ),
        (&json!("bash"), &json!(0), &json!("idle"))
    );
    let time = model["last_activity"].as_str().expect("a time");
    assert!(
        time.len() == "2026-01-01T00:00:00.000000Z".len() && time.ends_with('Z'),
        "{time}"
    );
    // Without a body, it is the usual one; with the ID of one that runs, that.
    let (_, usual) = house.call("POST /api/kernels", "");
    assert_eq!(usual["name"], "python3");
    let (_, same) = house.call("POST /api/kernels", &json!({"kernel_id": id}).to_string());
    assert_eq!(same["id"], json!(id));
    let (_, status) = house.call("GET /api/status", "");
    assert_eq!(status["kernels"], 2);
    assert_eq!(
        house
            .call(&format!("POST /api/kernels/{id}/interrupt"), "")
            .0,
        204
    );
    assert_eq!(house.call(&format!("DELETE /api/kernels/{id}"), "").0, 204);
    for request in [
        "GET /api/kernels/ID",
        "DELETE /api/kernels/ID",
        "POST /api/kernels/ID/interrupt",
        "POST /api/kernels/ID/restart",
        "GET /api/kernels/ID/channels",
    ] {
        let (status, problem) = house.call(&request.replace("ID", &id), "");
        assert_eq!(status, 404, "{request}");
        assert_eq!(problem["message"], format!("Kernel does not exist: {id}"));
    }
    let (_, left) = house.call("GET /api/kernels", "");
    assert_eq!(left.as_array().map(Vec::len), Some(1));
}

/// A kernel that no one uses ends with its idle time, which is noticed without anybody asking.
#[test]
fn kernels_that_are_gone_are_no_longer_listed() {
    let house = House::with(|command| command.args(["--idle-timeout", "1s"]));
    let id = house.start("bash");
    let count = || house.call("GET /api/status", "").1["kernels"].clone();
    assert_eq!(count(), 1);
    eventually("it is gone", || count() == 0);
    assert_eq!(house.call("GET /api/kernels", "").1, json!([]));
    assert_eq!(house.call(&format!("GET /api/kernels/{id}"), "").0, 404);
    assert_eq!(house.call(&format!("DELETE /api/kernels/{id}"), "").0, 404);
}

#[test]
fn what_cannot_be_done_is_said() {
    let house = House::with(|command| command.args(["--max-kernels", "1"]));
    for (request, body, status, says) in [
        (
            "POST /api/kernels",
            r#"{"name": "klingon"}"#,
            404,
            "klingon",
        ),
        ("POST /api/kernels", "[1]", 400, "JSON"),
        ("POST /api/kernels", "{", 400, "JSON"),
        ("POST /api/kernels", r#"{"name": 1}"#, 400, "name"),
        ("POST /api/kernels", r#"{"env": []}"#, 400, "env"),
        ("POST /api/kernels", r#"{"env": {"A": 1}}"#, 400, "env"),
        (
            "POST /api/kernels",
            r#"{"env": {"LD_PRELOAD": "x"}}"#,
            400,
            "LD_PRELOAD",
        ),
        (
            "POST /api/kernels",
            r#"{"kernel_id": "../x"}"#,
            400,
            "kernel_id",
        ),
        ("POST /api/sessions", "", 400, "JSON"),
        ("POST /api/sessions", "{}", 400, "path"),
        ("POST /api/sessions", r#"{"path": "a"}"#, 400, "type"),
        (
            "POST /api/sessions",
            r#"{"path": "a", "type": "notebook", "kernel": {"name": "klingon"}}"#,
            501,
            "klingon",
        ),
        (
            "POST /api/sessions",
            r#"{"path": "a", "type": "notebook", "kernel": {"id": "a-b-c-d-e"}}"#,
            404,
            "a-b-c-d-e",
        ),
        ("PATCH /api/sessions/a-b-c-d-e", "{}", 404, "Session"),
        ("DELETE /api/sessions/a-b-c-d-e", "", 404, "Session"),
        ("PUT /api/kernels", "", 405, "Not Allowed"),
        ("GET /api/contents", "", 404, "contents"),
        ("GET /api/terminals", "", 404, "terminals"),
        ("GET /api/anything/else", "", 404, "Not Found"),
    ] {
        let (code, problem) = house.call(request, body);
        assert_eq!(code, status, "{request} {body}: {problem}");
        let message = problem["message"].as_str().unwrap_or_default();
        assert!(message.contains(says), "{request} {body}: {problem}");
    }
    let id = house.start("bash");
    let (status, problem) = house.call("POST /api/kernels", r#"{"name": "bash"}"#);
    assert_eq!(status, 503, "{problem}");
    let message = problem["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("a key may have 1 kernel at a time")
            && !message.contains("412")
            && !message.contains("quota-exceeded"),
        "{message}"
    );
    // Its place is free once it is gone.
    house.call(&format!("DELETE /api/kernels/{id}"), "");
    house.start("bash");
    for size in [2 << 20, 30 << 20] {
        let large = format!(r#"{{"name": "{}"}}"#, "x".repeat(size));
        let (status, problem) = house.call("POST /api/kernels", &large);
        assert!(
            status == 413 && problem["message"].is_string(),
            "{status} {problem}"
        );
    }
    // What cannot be a request is answered in the same way.
    let lines = format!(
        "authorization: token {}\r\nhost: another\r\n",
        super::peer::TOKEN
    );
    let (status, _, body) = house.raw("GET /api/kernels", &lines, "");
    assert!(
        status == 400 && body.starts_with(r#"{"message":"#),
        "{status} {body}"
    );
}

#[test]
fn variables_are_those_of_kernels() {
    let house = House::open();
    let body = json!({"name": "bash", "env": {"FLAVOR": "vanilla & more", "KERNEL_USERNAME": "u"}});
    let (status, model) = house.call("POST /api/kernels", &body.to_string());
    assert_eq!(status, 201, "{model}");
    let mut channels = house.channels(model["id"].as_str().expect("an ID"), "s", None);
    assert_eq!(channels.run("echo $FLAVOR"), "vanilla & more\n");
}

#[test]
fn sessions_have_their_kernels() {
    let house = House::open();
    let body =
        json!({"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {"name": "bash"}});
    let (status, session) = house.call("POST /api/sessions", &body.to_string());
    assert_eq!(status, 201, "{session}");
    assert_eq!(session["notebook"]["path"], "a.ipynb");
    // The same notebook has the same one.
    let (_, again) = house.call("POST /api/sessions", &body.to_string());
    assert_eq!(again["id"], session["id"]);
    let path = format!("/api/sessions/{}", session["id"].as_str().expect("an ID"));
    let (_, renamed) = house.call(
        &format!("PATCH {path}"),
        r#"{"path": "b.ipynb", "name": "b"}"#,
    );
    assert_eq!(
        (&renamed["path"], &renamed["kernel"]["id"]),
        (&json!("b.ipynb"), &session["kernel"]["id"])
    );
    // With another kernel, the one before ends.
    let (_, changed) = house.call(
        &format!("PATCH {path}"),
        r#"{"kernel": {"name": "python3"}}"#,
    );
    assert_eq!(changed["kernel"]["name"], "python3");
    let (_, kernels) = house.call("GET /api/kernels", "");
    assert_eq!(kernels.as_array().map(Vec::len), Some(1), "{kernels}");
    assert_eq!(
        house.call("GET /api/sessions", "").1[0]["kernel"]["id"],
        kernels[0]["id"]
    );
    // With its kernel, a session ends.
    let id = kernels[0]["id"].as_str().expect("an ID");
    house.call(&format!("DELETE /api/kernels/{id}"), "");
    assert_eq!(house.call("GET /api/sessions", "").1, json!([]));
    assert_eq!(house.call(&format!("GET {path}"), "").0, 404);
    // With a session, its kernel does.
    let (_, session) = house.call("POST /api/sessions", &body.to_string());
    let path = format!("/api/sessions/{}", session["id"].as_str().expect("an ID"));
    assert_eq!(house.call(&format!("DELETE {path}"), "").0, 204);
    assert_eq!(house.call("GET /api/kernels", "").1, json!([]));
}

/// A kernel may have been destroyed by another client of the gateway, or have ended because it was idle.
#[test]
fn kernels_that_are_gone_are_not_listed() {
    let house = House::with(|command| command.args(["--idle-timeout", "500ms"]));
    let id = house.start("bash");
    crate::support::eventually("the idle kernel ends", || {
        house.call("GET /api/kernels", "").1 == json!([])
    });
    assert_eq!(house.call(&format!("GET /api/kernels/{id}"), "").0, 404);
    // One with a client is in use.
    let id = house.start("bash");
    let mut channels = house.channels(&id, "s", None);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(channels.run("echo here"), "here\n");
    drop(channels);
    crate::support::eventually("the kernel that was left ends", || {
        house.call("GET /api/kernels", "").1 == json!([])
    });
}

/// The statuses and models of the responses to a request that is sent many times at once.
fn together(house: &House, request: &str, body: &str) -> Vec<(u16, serde_json::Value)> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| house.call(request, body)))
            .collect();
        let join =
            |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().expect("a response");
        threads.into_iter().map(join).collect()
    })
}

fn ids(models: &serde_json::Value) -> Vec<&str> {
    let models = models.as_array().expect("models").iter();
    models.map(|it| it["id"].as_str().expect("an ID")).collect()
}

#[test]
fn what_many_start_at_once_is_started_once() {
    let house = House::open();
    let id = "01234567-89ab-4def-8123-456789abcdef";
    let body = json!({"name": "bash", "kernel_id": id}).to_string();
    for (status, model) in together(&house, "POST /api/kernels", &body) {
        assert_eq!((status, &model["id"]), (201, &json!(id)), "{model}");
    }
    assert_eq!(ids(&house.call("GET /api/kernels", "").1), [id]);
    // What is ended while it starts is not left.
    let other = id.replace('0', "9");
    let body = json!({"name": "bash", "kernel_id": other}).to_string();
    std::thread::scope(|scope| {
        let start = scope.spawn(|| house.call("POST /api/kernels", &body));
        while house.call(&format!("DELETE /api/kernels/{other}"), "").0 == 404 {}
        assert_eq!(start.join().expect("a response").0, 201);
    });
    assert_eq!(ids(&house.call("GET /api/kernels", "").1), [id]);
    house.call(&format!("DELETE /api/kernels/{id}"), "");

    // All are told why it is not there.
    let body = json!({"name": "klingon", "kernel_id": id}).to_string();
    for (status, problem) in together(&house, "POST /api/kernels", &body) {
        assert_eq!(status, 404, "{problem}");
    }
    let body = json!({"path": "a.ipynb", "type": "notebook", "kernel": {"name": "bash"}});
    let all = together(&house, "POST /api/sessions", &body.to_string());
    let (_, session) = &all[0];
    for (status, model) in &all {
        assert_eq!((*status, &model["id"]), (201, &session["id"]), "{model}");
    }
    let session = session["id"].as_str().expect("an ID");
    assert_eq!(ids(&house.call("GET /api/sessions", "").1), [session]);
    assert_eq!(ids(&house.call("GET /api/kernels", "").1).len(), 1);
    // Changing the kernel of a session several times at once leaves no kernel without a session.
    let path = format!("PATCH /api/sessions/{session}");
    for (status, model) in together(&house, &path, r#"{"kernel": {"name": "bash"}}"#) {
        assert_eq!(status, 200, "{model}");
    }
    assert_eq!(ids(&house.call("GET /api/kernels", "").1).len(), 1);
    let kernel = house.call("GET /api/kernels", "").1[0]["id"].clone();
    let kernel = kernel.as_str().expect("an ID");
    for (status, model) in together(&house, &format!("POST /api/kernels/{kernel}/restart"), "") {
        assert_eq!(status, 200, "{model}");
    }
    let path = format!("DELETE /api/sessions/{session}");
    let ended = together(&house, &path, "");
    let ended = ended.iter().filter(|(status, _)| *status == 204).count();
    assert_eq!(ended, 1);
    assert_eq!(house.call("GET /api/kernels", "").1, json!([]));
}

/// Every reply that contains the state agrees, also while no client is connected.
#[test]
fn the_state_is_that_of_the_kernel() {
    let house = House::open();
    let body = json!({"path": "a.ipynb", "type": "notebook", "kernel": {"name": "bash"}});
    let (_, session) = house.call("POST /api/sessions", &body.to_string());
    assert_eq!(session["kernel"]["execution_state"], "idle", "{session}");
    let id = session["kernel"]["id"].as_str().expect("an ID");
    let (show, restart) = (
        format!("GET /api/kernels/{id}"),
        format!("POST /api/kernels/{id}/restart"),
    );
    for _ in 0..10 {
        for request in [&show, &restart, &show] {
            let (status, model) = house.call(request, "");
            assert_eq!(
                (status, &model["execution_state"]),
                (200, &json!("idle")),
                "{request}"
            );
        }
    }
    let mut channels = house.channels(id, "s", None);
    let request = channels.execute("read line");
    channels.wait("input_request");
    assert_eq!(house.call(&show, "").1["execution_state"], "busy");
    let (_, model) = house.call(&restart, "");
    assert_eq!(model["execution_state"], "idle", "{model}");
    channels.follow(&request);
    assert_eq!(house.call(&show, "").1["execution_state"], "idle");
}
