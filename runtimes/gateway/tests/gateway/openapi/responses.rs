//! Real responses, to each operation, are those that the document describes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{Read, Write};

use serde_json::{Value, json};
use sorna_gateway::RunningGateway;

use super::document::{Document, Operation};
use super::reader::{FILE, FORM, Reader};
use crate::backend_ai::client::{Signing, gateway, gateway_with, read_head};
use crate::backend_ai::streams::Socket;

/// Statuses of failures that no test can bring about for each request.
const RARE: [&str; 2] = ["500", "503"];

#[test]
fn responses_are_those_that_are_described() {
    let document = Document::new();
    let gateway = gateway();
    let reader = Reader::new(&document, &gateway);
    sorna_v2(&reader);
    backend_ai(&reader);
    streams(&reader);
    web_server(&reader, &gateway);
    refusals(&document, &reader, &gateway);
    limits(&document);
    document.check_seen(&RARE);
}

fn sorna_v2(reader: &Reader<'_>) {
    reader.get("/v2");
    let echo = json!({"echo": [1, null]});
    assert_eq!(
        reader.json("GET", "/v2/authorize", &echo, 200)["echo"],
        echo["echo"]
    );
    reader.get("/v2/languages");
    let limits = json!({"maxMem": 262_144, "execTimeout": 60_000});
    let create = json!({"lang": "python3", "clientSessionToken": "a-token-of-v2", "limits": limits, "mounts": []});
    let created = reader.json("POST", "/v2/kernel/create", &create, 201);
    let unknown = json!({"lang": "nope", "clientSessionToken": "another-token"});
    reader.json("POST", "/v2/kernel/create", &unknown, 500);
    let other = json!({"lang": "bash", "clientSessionToken": "a-token-of-v2"});
    let other = reader.json("POST", "/v2/kernel/create", &other, 201);
    assert_eq!(other["otherLanguages"], json!(["python3"]));
    assert_eq!(
        reader.get("/v2/kernels?id=a-token-of-v2")["matches"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let kernel = format!("/v2/kernel/{}", created["kernelId"].as_str().unwrap());
    let kinds = RefCell::new(BTreeSet::new());
    let run = |body: Value| {
        let mut request = body.clone();
        loop {
            let response = reader.json("POST", &kernel, &request, 200);
            kinds.borrow_mut().extend(kinds_of(&response["result"]));
            if response["result"]["status"] != "continued" {
                return response["result"].clone();
            }
            request = json!({"mode": body["mode"], "code": "", "bytes": true});
        }
    };
    let code = "import sys, os; print(1); print(2, file=sys.stderr, flush=True); os.write(1, b'\\xff\\n'); 6 * 7";
    let all = json!({"mode": "query", "code": code, "options": {"echo": true}, "bytes": true});
    run(all);
    for kind in ["stdout", "stderr", "stdout-bytes", "value"] {
        assert!(kinds.borrow().contains(kind), "{kind}: {kinds:?}");
    }
    let asked = run(json!({"mode": "query", "code": "input('? ')"}));
    assert_eq!(
        (&asked["status"], &asked["options"]["is_password"]),
        (&json!("waiting-input"), &json!(false))
    );
    let busy = reader.get(&kernel);
    assert_eq!(busy["busy"]["awaitsInput"], true);
    assert_eq!(
        run(json!({"mode": "query", "code": "x"}))["status"],
        "finished"
    );
    assert!(run(json!({"mode": "complete", "code": "pri", "options": {"row": 0, "col": 3, "line": "pri", "post": ""}})).is_array());
    run(json!({"mode": "batch", "options": {"build": "", "exec": "exit 3"}}));
    let attach =
        json!({"mode": "query", "options": {"run": {"id": "r", "request": 0, "attach": true}}});
    reader.json("POST", &kernel, &attach, 409);

    reader.upload(&format!("{kernel}/upload"));
    reader.upload(&format!("{kernel}/upload?size=any"));
    reader.upload(&format!("{kernel}/upload?size=any&room=1"));
    files(reader, &kernel);
    reader.json("POST", &format!("{kernel}/interrupt"), &Value::Null, 204);
    reader.json(
        "POST",
        &format!("{kernel}/keep-alive"),
        &json!({"idleTimeout": 60_000}),
        200,
    );
    reader.get(&format!("{kernel}/logs"));
    let part = reader.get(&format!("{kernel}/logs?from=0&wait=1"));
    assert_eq!(
        kinds_of(&part),
        ["stderr", "stdout", "stdout-bytes"]
            .map(str::to_owned)
            .into()
    );
    reader.upgrade(&format!(
        "{}/pty",
        kernel.replace("/kernel", "/stream/kernel")
    ));
    reader.get(&kernel);
    reader.json("PATCH", &kernel, &Value::Null, 204);
    reader.json("DELETE", &kernel, &Value::Null, 204);
    assert_eq!(reader.get(&format!("{kernel}/logs?from=0"))["ended"], true);
}

/// The kinds of records in a result.
fn kinds_of(result: &Value) -> BTreeSet<String> {
    let records = result["console"].as_array().into_iter().flatten();
    records
        .map(|record| record[0].as_str().unwrap().to_owned())
        .collect()
}

/// Lists and downloads of a kernel or session with the file `a/b.txt`.
fn files(reader: &Reader<'_>, kernel: &str) {
    let list = reader.get(&format!("{kernel}/files?path=a"));
    let list: Value = serde_json::from_str(list["files"].as_str().unwrap()).unwrap();
    assert_eq!(list[0]["filename"], "b.txt");
    reader.document.check_value("Files", &list);
    assert_eq!(
        reader.get(&format!("{kernel}/files?path=none"))["files"],
        ""
    );
    reader.json("GET", &format!("{kernel}/files?path=.."), &Value::Null, 400);
    reader.json(
        "GET",
        &format!("{kernel}/download?files=a&files=a%2Fb.txt"),
        &Value::Null,
        200,
    );
    reader.json(
        "GET",
        &format!("{kernel}/download?files=none"),
        &Value::Null,
        400,
    );
    reader.json(
        "GET",
        &format!("{kernel}/download_single?file=a%2Fb.txt"),
        &Value::Null,
        200,
    );
    reader.json(
        "GET",
        &format!("{kernel}/download_single?file=none"),
        &Value::Null,
        400,
    );
}

fn backend_ai(reader: &Reader<'_>) {
    reader.get("/");
    reader.get("/health");
    for path in ["/auth", "/auth/test"] {
        reader.get(&format!("{path}?echo=x"));
        reader.json("POST", path, &json!({"echo": "x"}), 200);
    }
    let config = json!({"resources": {"cpu": 1, "mem": "256m"}, "environ": {"A": "b"}, "preopen_ports": [8080]});
    let create = json!({"name": "first", "image": "python", "config": config});
    let created = reader.json("POST", "/session", &create, 201);
    assert_eq!(created["servicePorts"][0]["name"], "8080");
    let again = reader.json("POST", "/session", &create, 201);
    assert_eq!(again["created"], false);
    let only_new = json!({"name": "first", "image": "python", "reuseIfExists": false});
    reader.json("POST", "/session", &only_new, 400);
    reader.json(
        "POST",
        "/session",
        &json!({"name": "none", "image": "nope"}),
        404,
    );
    reader.get("/session/_/match?id=fir");
    reader.get("/session/first");

    let session = "/session/first";
    let run = |body: Value| {
        let mut result = reader.json("POST", session, &body, 200)["result"].clone();
        while ["continued", "clean-finished", "build-finished"]
            .contains(&result["status"].as_str().unwrap_or_default())
        {
            let next = json!({"mode": "continue", "run_id": result["runId"]});
            result = reader.json("POST", session, &next, 200)["result"].clone();
        }
        result
    };
    let asked = run(json!({"mode": "query", "code": "print(input())", "runId": "r"}));
    assert_eq!(asked["status"], "waiting-input");
    reader.get(session);
    assert_eq!(
        run(json!({"mode": "input", "code": "x", "runId": "r"}))["status"],
        "finished"
    );
    assert_eq!(
        run(json!({"mode": "batch", "options": {"exec": "exit 3"}}))["exitCode"],
        3
    );
    assert!(run(json!({"mode": "complete", "code": "pri"}))["result"]["suggestions"].is_array());
    reader.json(
        "POST",
        "/session/first/complete",
        &json!({"code": "pri"}),
        200,
    );
    let attach =
        json!({"mode": "query", "options": {"run": {"id": "s", "request": 0, "attach": true}}});
    reader.json("POST", session, &attach, 409);

    reader.upload("/session/first/upload");
    reader.upload("/session/first/upload?size=any&room=1");
    files(reader, session);
    reader.json(
        "POST",
        "/session/first/download",
        &json!({"files": "a"}),
        200,
    );
    reader.json(
        "POST",
        "/session/first/download_single?file=a%2Fb.txt",
        &Value::Null,
        200,
    );
    reader.json("POST", "/session/first/interrupt", &Value::Null, 204);
    reader.json(
        "POST",
        "/session/first/keep-alive",
        &json!({"idleTimeout": 60_000}),
        200,
    );
    reader.get("/session/first/logs");
    reader.get("/session/first/logs?from=0");
    reader.get("/session/first/status-history");
    reader.get("/stream/session/first/apps");
    reader.get("/scaling-groups");
    let query = json!({"query": "query($n: Int) { compute_session_list(limit: $n) { items { name } total_count } }", "variables": {"n": 1}});
    for path in ["/admin/gql", "/admin/graphql"] {
        assert_eq!(
            reader.json("POST", path, &query, 200)["data"]["compute_session_list"]["items"][0]["name"],
            "first"
        );
        assert!(reader.json("POST", path, &json!({"query": "{ nope }"}), 200)["errors"].is_array());
    }
    reader.json(
        "POST",
        "/session/first/rename",
        &json!({"name": "second"}),
        204,
    );
    reader.json("PATCH", "/session/second", &Value::Null, 204);
    reader.json("DELETE", "/session/second", &Value::Null, 200);
}

fn streams(reader: &Reader<'_>) {
    let mut events = reader.client.connect();
    let signing = Signing::default();
    let target = "/events/session?scope=*";
    let head = reader.client.head("GET", target, 0, &signing, "");
    events.write_all(head.as_bytes()).unwrap();
    let (head, mut received) = read_head(&mut events);
    reader.document.check("GET", target, &head.map(|()| ""));

    reader.client.create("live", "python");
    reader.upgrade("/stream/session/live/pty");
    reader.upgrade("/stream/session/live/execute");
    let mut socket = Socket::open(&reader.client, "/stream/session/live/execute").unwrap();
    socket.send(r#"{"mode": "query", "code": "print(1)"}"#);
    loop {
        let message = socket.json();
        reader.document.check_value("StreamedResult", &message);
        if message["status"] == "finished" {
            break;
        }
    }
    let mut socket = Socket::open(&reader.client, "/stream/session/live/execute").unwrap();
    socket.send(r#"{"mode": "input"}"#);
    reader.document.check_value("StreamedError", &socket.json());

    reader.json("DELETE", "/session/live", &Value::Null, 200);
    let mut chunk = [0; 4096];
    while !String::from_utf8_lossy(&received).contains("session_terminated") {
        let read = events.read(&mut chunk).unwrap();
        received.extend(&chunk[..read]);
    }
    let text = String::from_utf8(received).unwrap();
    let target = reader
        .document
        .root
        .pointer("/paths/~1events~1session/get/responses/200/description");
    let described = target.unwrap().as_str().unwrap();
    let mut seen = 0;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("event: ") {
            assert!(described.contains(&format!("`{name}`")), "{name}");
        }
        // The last one may not have arrived as a whole.
        if let Some(data) = line
            .strip_prefix("data: ")
            .filter(|data| data.ends_with('}'))
        {
            let data = serde_json::from_str(data).unwrap();
            reader.document.check_value("SessionEvent", &data);
            seen += 1;
        }
    }
    assert!(seen > 6, "{text}");
}

fn web_server(reader: &Reader<'_>, gateway: &RunningGateway) {
    let cookie_of = |response: &http::Response<Vec<u8>>| {
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        format!("Cookie: {}\r\n", cookie.split(';').next().unwrap())
    };
    let post = |target: &str, body: &Value, extra: &str| {
        let body = body.to_string().into_bytes();
        reader.send("POST", target, ("application/json", &body), extra)
    };
    let login = |password: &str| json!({"username": gateway.access_key(), "password": password});
    post("/server/login-check", &Value::Null, "");
    let right = post("/server/login", &login(gateway.secret_key()), "");
    let cookie = cookie_of(&right);
    post("/server/login-check", &Value::Null, &cookie);
    assert_eq!(post("/server/login", &login("x"), &cookie).status(), 400);
    assert_eq!(
        post("/func/auth", &json!({"echo": "x"}), &cookie).status(),
        200
    );
    let described = reader.send("GET", "/func/", ("application/json", b""), "");
    assert_eq!(described.status(), 200);
    post("/server/logout", &Value::Null, &cookie);
    for _ in 0..10 {
        assert_eq!(post("/server/login", &login("wrong"), "").status(), 200);
    }
    assert_eq!(post("/server/login", &login("wrong"), "").status(), 429);
}

/// Each operation rejects a request that is malformed, of an unknown sender, for another's session, or for none.
fn refusals(document: &Document, reader: &Reader<'_>, gateway: &RunningGateway) {
    let unknown = Reader::unknown(document, gateway);
    for operation in document.operations() {
        let method = operation.method.to_uppercase();
        let (target, media_type, body) = request_of(operation);
        let has = |status: &str| operation.value["responses"].get(status).is_some();
        let twice = reader.send(&method, &target, (media_type, body), "Host: other\r\n");
        assert_eq!(twice.status(), 400, "{target}");
        if has("401") {
            let status = unknown
                .send(&method, &target, (media_type, body), "")
                .status();
            assert_eq!(status, 401, "{method} {target}");
        }
        if has("403") {
            let target = format!("{target}?owner_access_key=another");
            let status = reader
                .send(&method, &target, (media_type, body), "")
                .status();
            assert_eq!(status, 403, "{method} {target}");
        }
        if has("404") && operation.path.contains('{') {
            let status = reader
                .send(&method, &target, (media_type, body), "")
                .status();
            assert_eq!(status, 404, "{method} {target}");
        }
    }
    reader.json("GET", "/events/session?sessionId=none", &Value::Null, 404);
}

/// Each operation counts, and there is no room for more than one kernel.
fn limits(document: &Document) {
    let gateway = gateway_with(|config| config.with_max_kernels_per_key(1));
    let reader = Reader::new(document, &gateway);
    let kernel = |token: &str| json!({"lang": "bash", "clientSessionToken": token});
    reader.json("POST", "/v2/kernel/create", &kernel("first-token"), 201);
    reader.json("POST", "/v2/kernel/create", &kernel("other-token"), 412);
    reader.json(
        "POST",
        "/session",
        &json!({"name": "other", "image": "bash"}),
        412,
    );

    let gateway = gateway_with(|config| config.with_max_requests_per_window(1));
    let reader = Reader::new(document, &gateway);
    reader.get("/v2");
    for operation in document.operations() {
        let (target, media_type, body) = request_of(operation);
        if operation.value["responses"].get("429").is_some() && !target.starts_with("/server") {
            let method = operation.method.to_uppercase();
            let status = reader
                .send(&method, &target, (media_type, body), "")
                .status();
            assert_eq!(status, 429, "{method} {target}");
        }
    }
}

/// A request of an operation, to a kernel that there is not, with a body that it understands.
fn request_of(operation: Operation<'_>) -> (String, &'static str, &'static [u8]) {
    let target = operation.path.replace("{id}", "none");
    let target = target.replace("{session}", "none");
    let (media_type, body): (&'static str, &'static [u8]) = match operation.path {
        path if path.ends_with("/upload") => (FORM, FILE),
        "/v2/kernel/{id}" if operation.method == "post" => {
            ("application/json", br#"{"mode": "query"}"#)
        }
        _ => ("application/json", b""),
    };
    (target, media_type, body)
}
