//! Creating sessions, finding, changing and ending them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sorna_core::{
    ApiVersion, CreateKernel, Destroy, Execute, ExecuteMode, Info, KernelId, KernelSpec,
    ListSessions, Logs, MatchSessions, Rename, Restart, SessionStatus, SessionToken, StatusHistory,
};

use super::client::{Client, PATIENCE, gateway, gateway_with, text};
use crate::common::wait_until;

#[test]
fn a_session_is_reached_by_name_and_by_id() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let image = "cr.backend.ai/stable/bash:5-ubuntu20.04";
    let body = json!({"name": "first", "image": image, "config": {"resources": {"cpu": 1, "mem": "256m"}}});
    let (status, created) = client.json("POST", "/session", &body);
    let id = created["sessionId"].as_str().unwrap().to_owned();
    let expected = json!({"sessionId": id, "sessionName": "first", "status": "RUNNING", "servicePorts": [], "created": true, "extensions": ["final", "runs", "bytes", "file-modes", "any-size", "files", "interrupt", "keep-alive", "logs", "match", "attach", "terminal-directory", "refusals", "between", "usage", "max-output"]});
    assert_eq!((status, &created), (201, &expected));
    assert_eq!(id.len(), 36);

    for name in ["first", &id] {
        let (status, info) = client.json("GET", &format!("/session/{name}"), &Value::Null);
        assert_eq!(status, 200);
        for key in [
            "domainName",
            "groupId",
            "userId",
            "lang",
            "image",
            "architecture",
            "registry",
            "tag",
            "containerId",
            "occupiedSlots",
            "occupyingSlots",
            "requestedSlots",
            "occupiedShares",
            "environ",
            "resourceOpts",
            "status",
            "statusInfo",
            "statusData",
            "age",
            "creationTime",
            "terminationTime",
            "numQueriesExecuted",
            "lastStat",
            "idleChecks",
        ] {
            assert!(info.get(key).is_some(), "{key}");
        }
        check_types(&info);
        assert_eq!(
            (&info["image"], &info["registry"]),
            (&json!(image), &json!("cr.backend.ai"))
        );
        assert_eq!(
            info["occupiedSlots"],
            "{'cpu': Decimal('1'), 'mem': Decimal('268435456')}"
        );
    }
    let info = client
        .call(&Info::new(KernelId::new("first").unwrap()))
        .unwrap();
    assert_eq!((info.status(), info.status_info()), (Some("RUNNING"), None));
    assert_eq!(info.occupied_slots().unwrap()["mem"], "268435456");

    // Prefixes are matched, but do not name a session.
    let find = |prefix: &str| client.call(&MatchSessions::new(prefix)).unwrap();
    assert_eq!(find("first")[0].id.as_str(), id);
    assert_eq!(find("fir")[0].name, "first");
    assert_eq!(find(&id[..8])[0].status, "RUNNING");
    assert!(find("irst").is_empty() && find("").is_empty());
    let (status, problem) = client.json("GET", "/session/fir", &Value::Null);
    assert_eq!(
        (status, &problem["title"]),
        (404, &json!("Entity not found."))
    );
    let other = "01a21b47-c9f0-799d-b5c3-f19ac4b5e0bc";
    let (status, problem) = client.json("GET", &format!("/session/{other}"), &Value::Null);
    assert_eq!(
        (status, &problem["title"]),
        (404, &json!("No such session."))
    );

    // Of the same key only.
    let pair = sorna_core::Credentials::new(
        sorna_core::AccessKey::new("AKSECOND").unwrap(),
        sorna_core::SecretKey::new("SK").unwrap(),
    );
    let pairs = [gateway.credentials()[0].clone(), pair.clone()];
    let both = gateway_with(|config| config.with_credentials(pairs));
    let mine = Client::new(&both);
    let id = mine.create("mine", "bash");
    let version = sorna_core::ApiVersion::V7_20230615;
    let theirs = Client::with_credentials(&both, pair, version);
    for name in ["mine", &id] {
        let (status, _) = theirs.json("DELETE", &format!("/session/{name}"), &Value::Null);
        assert_eq!(status, 404, "{name}");
    }
    assert_ne!(theirs.create("mine", "bash"), id);
}

/// Each field is of the type that it has from manager 26.9.6: times and counts are whole numbers, and slots are text.
fn check_types(info: &Value) {
    for (name, value) in info.as_object().unwrap() {
        let is_right = match name.as_str() {
            // The last two are extensions: times in ms as well.
            "age" | "numQueriesExecuted" | "idle" | "queryTimeout" => value.is_u64(),
            "lastStat" | "idleChecks" => value.is_object(),
            "statusData" | "terminationTime" => value.is_null(),
            "creationTime" => value.as_str().unwrap().contains('T'),
            _ => value.is_string(),
        };
        assert!(is_right, "{name}: {value}");
    }
    for (name, check) in info["idleChecks"].as_object().unwrap() {
        assert!(check["remaining"].is_f64(), "{name}: {check}");
        assert_eq!(check["remaining_time_type"], "expire_after");
        assert_eq!(check.get("extra"), Some(&Value::Null), "{name}: {check}");
    }
    for (name, metric) in info["lastStat"].as_object().unwrap() {
        let current = metric["current"].as_str().unwrap();
        assert!(current.parse::<u64>().is_ok(), "{name}: {metric}");
        assert!(metric["unit_hint"].is_string(), "{name}: {metric}");
    }
}

#[test]
fn a_session_is_reused_by_any_name_of_its_language() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let reference = "cr.backend.ai/stable/python:3.9-ubuntu20.04";
    for first in ["python", "python3", reference] {
        let id = client.create("same", first);
        for image in ["python", "python3", "local/python3:latest", reference] {
            let body = json!({"name": "same", "image": image});
            let (status, again) = client.json("POST", "/session", &body);
            assert_eq!((status, &again["sessionId"]), (201, &json!(id)), "{image}");
        }
        client.json("DELETE", "/session/same", &Value::Null);
    }
}

#[test]
fn a_name_is_reused_only_if_the_client_agrees() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let id = client.create("same", "bash");
    let create = |more: Value| {
        let mut body = json!({"name": "same", "image": "bash"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        client.json("POST", "/session", &body)
    };
    let (status, again) = create(json!({}));
    assert_eq!((status, &again["sessionId"]), (201, &json!(id)));
    assert_eq!(
        (&again["created"], &again["service_ports"]),
        (&json!(false), &json!([]))
    );
    for (status, problem) in [
        create(json!({"reuseIfExists": false})),
        create(json!({"image": "perl"})),
    ] {
        let kind = "https://api.backend.ai/probs/session-already-exists";
        assert_eq!((status, &problem["type"]), (400, &json!(kind)));
        assert_eq!(problem["data"]["existingSessionId"], id);
    }
    // At once after its end, the name is free.
    let (status, body) = client.json("DELETE", "/session/same", &Value::Null);
    assert_eq!(
        (status, body),
        (200, json!({"stats": {"status": "terminated"}}))
    );
    assert_eq!(client.json("GET", "/session/same", &Value::Null).0, 404);
    assert_ne!(client.create("same", "bash"), id);
    assert_eq!(gateway.stats().kernels, 1);
}

#[test]
fn what_this_gateway_does_not_have_is_refused() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    for (more, status, kind, part) in [
        (
            json!({"image": "nope:1"}),
            404,
            "object-not-found",
            "Unknown image reference: nope:1",
        ),
        (json!({"name": "a b c"}), 400, "invalid-api-params", "name"),
        (json!({"name": null}), 400, "generic-bad-request", "name"),
        (
            json!({"clusterSize": 2}),
            400,
            "invalid-api-params",
            "clusterSize",
        ),
        (
            json!({"type": "batch"}),
            400,
            "invalid-api-params",
            "startupCommand",
        ),
        (
            json!({"config": {"resources": {"mem": "1"}}}),
            400,
            "invalid-api-params",
            "too little for bash (minimum 4m)",
        ),
        (
            json!({"config": {"resources": {"mem": "some"}}}),
            400,
            "invalid-api-params",
            "no size",
        ),
        (
            json!({"starts_at": "10m"}),
            400,
            "invalid-api-params",
            "starts_at",
        ),
        (
            json!({"dependencies": ["x"]}),
            400,
            "invalid-api-params",
            "dependencies",
        ),
        (
            json!({"owner_access_key": "AKOTHER"}),
            403,
            "generic-forbidden",
            "own",
        ),
        (
            json!({"config": {"mounts": ["data"]}}),
            400,
            "invalid-api-params",
            "mount",
        ),
        (
            json!({"config": {"resources": {"cuda.device": 1}}}),
            400,
            "invalid-api-params",
            "cuda.device",
        ),
        (
            json!({"config": {"resources": {"mem": "much"}}}),
            400,
            "invalid-api-params",
            "much",
        ),
        (
            json!({"config": {"environ": {"LD_PRELOAD": "x"}}}),
            400,
            "invalid-api-params",
            "LD_PRELOAD",
        ),
    ] {
        let mut body = json!({"name": "refused", "image": "bash"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (got, problem) = client.json("POST", "/session", &body);
        assert_eq!(got, status, "{more}: {problem}");
        assert_eq!(
            problem["type"],
            format!("https://api.backend.ai/probs/{kind}"),
            "{more}"
        );
        assert!(problem["msg"].as_str().unwrap().contains(part), "{problem}");
    }
    assert_eq!(gateway.stats().kernels_created, 0);
}

#[test]
fn what_a_kernel_compiles_in_an_environment_of_its_client_is_for_no_other() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let code = "import os, sys; runner = sys.modules['_sorna_runner']; \
        print(runner._HAS_COMPILED, os.listdir(os.path.dirname(runner.__file__) + '/__pycache__'))";
    for (name, environ) in [("given", json!({"A": "1"})), ("usual", json!({}))] {
        let body = json!({"name": name, "image": "python3", "config": {"environ": environ}});
        let (status, body) = client.json("POST", "/session", &body);
        assert_eq!(status, 201, "{body}");
        let has_none = || text(&client.run(name, code), "stdout") == "True []\n";
        match name {
            "given" => assert!(has_none()),
            _ => wait_until("it is kept", || !has_none()),
        }
    }
}

#[test]
fn environment_and_limits_are_those_that_were_asked_for() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let body = json!({"name": "limited", "image": "bash", "config": {
        "resources": {"cpu": "1", "mem": "300m"}, "environ": {"GREETING": "it's me", "N": 1},
    }});
    let (status, body) = client.json("POST", "/session", &body);
    assert_eq!(status, 201, "{body}");
    let code = "echo \"$GREETING $N\"; grep Cpus_allowed_list /proc/self/status";
    let result = client.run("limited", code);
    let output = text(&result, "stdout");
    let (greeting, cores) = output.split_once('\n').unwrap();
    assert_eq!(greeting, "it's me 1");
    let cores = cores.split_whitespace().nth(1).unwrap();
    assert!(cores.parse::<u32>().is_ok(), "one core: {cores}");
    let info = client
        .call(&Info::new(KernelId::new("limited").unwrap()))
        .unwrap();
    assert_eq!(
        info.occupied_slots().unwrap()["mem"],
        (300 << 20).to_string()
    );
    assert_eq!(info.environ().unwrap()["GREETING"], "it's me");
}

#[test]
fn a_session_may_be_waited_for_or_not() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let create = |spec: KernelSpec, name: &str| {
        let create = CreateKernel::new(spec, SessionToken::new(name).unwrap());
        client.call(&create).unwrap()
    };
    let queued = create(KernelSpec::new("bash").with_enqueue_only(true), "queued");
    assert_eq!(queued.status, Some(SessionStatus::Pending));
    // A script of a second, for which one that waits for 10 ms does not wait.
    let slow =
        KernelSpec::new("bash").with_bootstrap_script("sleep 1; echo ready > mark; echo noted");
    let early = create(slow.clone().with_max_wait(Duration::from_millis(1)), "slow");
    assert!(matches!(
        early.status,
        Some(SessionStatus::Timeout | SessionStatus::Running)
    ));
    let late = create(slow, "slow");
    assert_eq!(
        (late.status, late.created),
        (Some(SessionStatus::Running), Some(false))
    );
    let result = client.run("slow", "cat mark");
    assert_eq!(text(&result, "stdout"), "ready\n");
    let log = client.call(&Logs::new(late.id.clone())).unwrap();
    assert_eq!(log, "noted\nready\n");
    let history = client.call(&StatusHistory::new(late.id)).unwrap();
    let names: Vec<&str> = history
        .iter()
        .map(|change| change.status.as_str())
        .collect();
    for name in ["PENDING", "SCHEDULED", "PREPARING", "CREATING", "RUNNING"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn a_session_may_be_destroyed_before_it_runs() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let script = "echo begun; sleep 1000";
    for round in 0..5 {
        let body = json!({
            "name": "early", "image": "bash", "enqueueOnly": true, "bootstrap_script": script,
        });
        let (status, body) = client.json("POST", "/session", &body);
        assert_eq!((status, &body["status"]), (201, &json!("PENDING")));
        // In the first rounds there may be no kernel yet.
        std::thread::sleep(Duration::from_millis(round * 20));
        let (status, body) = client.json("DELETE", "/session/early", &Value::Null);
        assert_eq!(status, 200, "{body}");
        assert_eq!(client.json("GET", "/session/early", &Value::Null).0, 404);
    }
    let until = Instant::now() + PATIENCE;
    while gateway.stats().kernels > 0 {
        assert!(Instant::now() < until, "a kernel is left");
        std::thread::sleep(Duration::from_millis(10));
    }
    let query = json!({"query": "{ compute_session_list(limit: 100) { items { status } } }"});
    let (_, body) = client.json("POST", "/admin/gql", &query);
    for session in body["data"]["compute_session_list"]["items"]
        .as_array()
        .unwrap()
    {
        let status = session["status"].as_str().unwrap();
        assert!(["TERMINATED", "CANCELLED"].contains(&status), "{status}");
    }
}

#[test]
fn a_batch_session_ends_with_its_command() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let body = json!({"name": "batch", "image": "bash", "type": "batch", "startupCommand": "echo done; exit 3"});
    let (status, body) = client.json("POST", "/session", &body);
    assert_eq!(status, 201, "{body}");
    let id = body["sessionId"].as_str().unwrap();
    let until = Instant::now() + PATIENCE;
    while client.json("GET", "/session/batch", &Value::Null).0 != 404 {
        assert!(Instant::now() < until, "it has not ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    let log = client.call(&Logs::new(KernelId::new(id).unwrap())).unwrap();
    assert_eq!(log, "done\n");
    let query = json!({"query": "query($id: UUID!) { compute_session(id: $id) { status result } }", "variables": {"id": id}});
    let (_, body) = client.json("POST", "/admin/gql", &query);
    let expected = json!({"status": "TERMINATED", "result": "FAILURE"});
    assert_eq!(body["data"]["compute_session"], expected);
}

#[test]
fn a_restart_keeps_files_and_forgets_variables() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let id = KernelId::new(client.create("again", "bash")).unwrap();
    client.run("again", "x=1; echo kept > file");
    client.call(&Restart::new(id.clone())).unwrap();
    let result = client.run("again", "echo \"<$x>\"; cat file");
    assert_eq!(text(&result, "stdout"), "<>\nkept\n");
    let info = client.call(&Info::new(id)).unwrap();
    assert_eq!(info.status(), Some("RUNNING"));
}

#[test]
fn a_new_name_replaces_the_old_one() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let id = client.create("old-name", "bash");
    client.create("taken", "bash");
    let rename = |name: &str| {
        let name = SessionToken::new(name).unwrap();
        client.call(&Rename::new(KernelId::new(id.clone()).unwrap(), name))
    };
    let error = rename("taken").unwrap_err();
    assert!(
        error.gateway().unwrap().error_code() == Some("session_create_already-exists"),
        "{error}"
    );
    rename("new-name").unwrap();
    assert_eq!(client.json("GET", "/session/old-name", &Value::Null).0, 404);
    assert_eq!(client.json("GET", "/session/new-name", &Value::Null).0, 200);
    // As the official client sends it.
    assert_eq!(
        client
            .json("POST", "/session/new-name/rename?name=newer", &Value::Null)
            .0,
        204
    );
    assert_eq!(
        client
            .json("POST", "/session/newer/rename", &json!({"name": "x"}))
            .0,
        400
    );
    client
        .call(&Destroy::new(KernelId::new("newer").unwrap()))
        .unwrap();
    client.create("newer", "bash");
}

#[test]
fn the_kernels_of_both_dialects_count_together() {
    let gateway = gateway_with(|config| config.with_max_kernels_per_key(1));
    let client = Client::new(&gateway);
    client.create("only", "bash");
    let (status, problem) = client.json(
        "POST",
        "/session",
        &json!({"name": "more", "image": "bash"}),
    );
    let kind = "https://api.backend.ai/probs/quota-exceeded";
    assert_eq!((status, &problem["type"]), (412, &json!(kind)));
    // A session that failed leaves no name behind.
    assert_eq!(client.json("GET", "/session/more", &Value::Null).0, 404);
}

#[test]
fn an_idle_session_ends() {
    let gateway = gateway_with(|config| config.with_idle_timeout(Duration::from_millis(50)));
    let client = Client::new(&gateway);
    let id = client.create("idle", "bash");
    let until = Instant::now() + PATIENCE;
    while client
        .json("GET", &format!("/session/{id}"), &Value::Null)
        .0
        != 404
    {
        assert!(Instant::now() < until, "it has not ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(
        client
            .json("GET", &format!("/session/{id}/logs"), &Value::Null)
            .0,
        200
    );
}

#[test]
fn kernels_of_sorna_v2_are_sessions_of_their_key() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let old = Client::with_version(&gateway, ApiVersion::V2_20170315);
    let create = |token: &str| {
        let token = SessionToken::new(token).unwrap();
        old.call(&CreateKernel::new("bash", token)).unwrap().id
    };
    let id = create("my-kernel");
    let nameless = create("no name of a session");
    let list = || {
        let page = client
            .call(&ListSessions::living().with_order("name"))
            .unwrap();
        let session =
            |it: &sorna_core::SessionSummary| (it.name.clone(), it.id.as_str().to_owned());
        page.sessions.iter().map(session).collect::<Vec<_>>()
    };
    let mut expected = vec![
        ("my-kernel".to_owned(), id.as_str().to_owned()),
        (nameless.as_str().to_owned(), nameless.as_str().to_owned()),
    ];
    expected.sort();
    assert_eq!(list(), expected);
    assert_eq!(
        text(&client.run("my-kernel", "x=1; echo $x"), "stdout"),
        "1\n"
    );
    // It is the same kernel, also for a client that creates it again.
    let start = Execute::start(id.clone(), ExecuteMode::query("echo $x"));
    assert_eq!(old.call(&start).unwrap().stdout(), "1\n");
    assert_eq!(create("my-kernel"), id);
    assert_eq!(client.create("my-kernel", "bash"), id.as_str());
    // Its end is seen on both sides.
    old.call(&Destroy::new(id.clone())).unwrap();
    assert_eq!(
        client.json("GET", "/session/my-kernel", &Value::Null).0,
        404
    );
    let path = format!("/session/{nameless}");
    assert_eq!(client.json("DELETE", &path, &Value::Null).0, 200);
    assert!(old.call(&Info::new(nameless)).unwrap_err().is_not_found());
    assert_eq!(list(), []);
    // Another key sees nothing of it.
    create("my-kernel");
    let ours = client.call(&ListSessions::living()).unwrap();
    assert_eq!(ours.total_count, 1);
}
