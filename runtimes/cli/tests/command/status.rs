//! `sorna status`, on gateways that are right and on some that are not.

use snapbox::str;
use sorna_gateway::GatewayConfig;

use crate::support::server::answering;
use crate::support::{check, gateway, gateway_with, here, sorna, sorna_at};

#[test]
fn all_checks_pass() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command.arg("status");
    check(command).success().stderr_eq("").stdout_eq(str![[r#"
∙ Endpoint: http://[ADDRESS] (from SORNA_ENDPOINT)
✔ Gateway: Sorna v2, API v2.20170315
✔ Round trip: [..] ([..] with connection setup, [..] with the check of the keys)
✔ Clock: [..] s [..] the gateway's
✔ Keys: the gateway accepts [..] (from SORNA_ACCESS_KEY)
✔ Rate limit: 999997 of 1000000 requests left, resets in 1[..] min [..] s
∙ Does not work here: ps[..]: Sorna v2 has none of these

"#]]);
    let stats = gateway.stats();
    assert_eq!((stats.requests, stats.connections), (3, 1));
    gateway.stop();
}

#[test]
fn verbose_logs_the_requests_too() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command.args(["status", "-v"]);
    check(command).success().stderr_eq(str![[r#"
∙ GET /v2: 200, attempt 1, [..] ms
∙ GET /v2: 200, attempt 1, [..] ms
∙ GET /v2/authorize: 200, attempt 1, [..] ms

"#]]);
    gateway.stop();
}

#[test]
fn no_gateway_is_listening() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let directory = here();
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
        .env("SORNA_SECRET_KEY", "a-secret-that-must-not-be-shown")
        .args(["status", "--endpoint", &format!("http://{address}")]);
    check(command).code(1).stdout_eq(str![[r#"
∙ Endpoint: http://[ADDRESS] (from --endpoint)
✘ Gateway: could not connect to [ADDRESS]: Connection refused (os error 111)
∙ The endpoint is http://[ADDRESS] (from --endpoint). Check that it is right and that the gateway is running, or use `sorna run --local`.

"#]]);
}

#[test]
fn a_wrong_secret_key() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command.env("SORNA_SECRET_KEY", "wrong").arg("status");
    check(command).code(1).stderr_eq("").stdout_eq(str![[r#"
∙ Endpoint: http://[ADDRESS] (from SORNA_ENDPOINT)
✔ Gateway: Sorna v2, API v2.20170315
✔ Round trip: [..] ([..] with connection setup, [..] with the check of the keys)
✔ Clock: [..] s [..] the gateway's
✘ Keys: the gateway responded with 401 auth-failed: Credential/signature mismatch.
∙ Check that the access key [..] (from SORNA_ACCESS_KEY) and its secret key are valid for http://[ADDRESS] (from SORNA_ENDPOINT).
∙ Does not work here: ps[..]: Sorna v2 has none of these

"#]]);
    gateway.stop();
}

#[test]
fn an_unknown_access_key() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command.env("SORNA_ACCESS_KEY", "AKIAUNKNOWN").arg("status");
    check(command).code(1).stdout_eq(str![[r#"
∙ Endpoint: http://[ADDRESS] (from SORNA_ENDPOINT)
∙ Gateway: responds, but does not report its version (it requires valid keys)
✔ Round trip: [..] ([..] with connection setup, [..] with the check of the keys)
✔ Clock: [..] s [..] the gateway's
✘ Keys: the gateway responded with 401 auth-failed: [..]
∙ Check that the access key AKIAUNKNOWN (from SORNA_ACCESS_KEY) and its secret key are valid for http://[ADDRESS] (from SORNA_ENDPOINT).

"#]]);
    gateway.stop();
}

#[test]
fn a_rejected_date() {
    let address = answering(
        "400 Bad Request\nDate: Thu, 29 Jun 2017 01:23:45 GMT\nContent-Type: application/problem+json",
        r#"{"type": "https://api.sorna.io/probs/invalid-auth-params", "title": "Date/time sync error"}"#,
    );
    let directory = here();
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ENDPOINT", format!("http://{address}"))
        .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
        .env("SORNA_SECRET_KEY", "a-secret-that-must-not-be-shown")
        .arg("status");
    check(command).code(1).stdout_eq(str![[r#"
∙ Endpoint: http://[ADDRESS] (from SORNA_ENDPOINT)
∙ Gateway: responds, but does not report its version
✔ Round trip: [..] ([..] with connection setup, [..] with the check of the keys)
✘ Clock: the gateway responded with 400 invalid-auth-params: Date/time sync error
∙ This machine's clock is probably wrong by more than 15 minutes: it shows [..] GMT, and the gateway's response is dated Thu, 29 Jun 2017 01:23:45 GMT. Set the clock, then try again.

"#]]);
}

#[test]
fn an_odd_date_is_not_a_failure_and_a_gateway_may_report_less() {
    let address = answering(
        "200 OK\nDate: Thu, 29 Jun 2017 01:23:45 GMT\nContent-Type: application/json",
        r#"{"version": "v3.20170615", "authorized": "yes", "echo": "anything"}"#,
    );
    let directory = here();
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ENDPOINT", format!("http://{address}"))
        .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
        .env("SORNA_SECRET_KEY", "a-secret-that-must-not-be-shown")
        .arg("status");
    check(command).success().stdout_eq(str![[r#"
∙ Endpoint: http://[ADDRESS] (from SORNA_ENDPOINT)
∙ Gateway: Sorna v2, API v3.20170615 (this client uses v2.20170315)
✔ Round trip: [..] ([..] with connection setup, [..] with the check of the keys)
∙ Clock: [..] d [..] h ahead of the gateway's by its Date header, which may be wrong; requests are rejected when the difference is more than 15 min
✔ Keys: the gateway accepts AKIAIOSFODNN7EXAMPLE (from SORNA_ACCESS_KEY)
∙ Rate limit: not reported
∙ Does not work here: ps[..]: Sorna v2 has none of these

"#]]);
}

#[test]
fn no_requests_left() {
    let config = GatewayConfig::new().with_max_requests_per_window(1);
    let gateway = gateway_with(config);
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command.arg("status");
    check(command).code(1).stdout_eq(str![[r#"
∙ Endpoint: http://[ADDRESS] (from SORNA_ENDPOINT)
✔ Gateway: Sorna v2, API v2.20170315
✔ Round trip: [..] ([..] with connection setup, [..] with the check of the keys)
✘ Rate limit: the gateway responded with 429 rate-limit-exceeded: [..]
∙ This key has sent too many requests. Try again in [..] s.
∙ Does not work here: ps[..]: Sorna v2 has none of these

"#]]);
    gateway.stop();
}

#[test]
fn settings_are_checked_first() {
    let directory = here();
    let mut command = sorna(directory.path());
    command.arg("status");
    check(command)
        .code(2)
        .stdout_eq("")
        .stderr_eq("✘ no endpoint is set\n...\n");
}

/// What a manager of this release says at `GET /`, and that keys are right.
fn manager(release: &'static str, version: &'static str) -> std::net::SocketAddr {
    crate::support::stub::stub(move |request| {
        Some(match request.path.as_str() {
            "/" => (
                200,
                format!(r#"{{"version": "{version}", "manager": "{release}"}}"#),
            ),
            _ => (
                200,
                r#"{"authorized": "yes", "echo": "sorna status"}"#.into(),
            ),
        })
    })
}

#[test]
fn a_manager_of_backend_ai_and_what_does_not_work_there() {
    let directory = here();
    let status = |release, version| {
        let address = manager(release, version);
        let mut command = crate::support::stub::at(sorna(directory.path()), address);
        command.args(["status", "--api", "auto"]);
        check(command).success().stderr_eq("")
    };
    status("23.09.10", "v7.20230615").stdout_eq(str![[r#"
∙ Endpoint: http://[ADDRESS] (from SORNA_ENDPOINT)
✔ Gateway: Backend.AI, manager 23.09.10, API v7.20230615
✔ Round trip: [..] ([..] with connection setup, [..] with the check of the keys)
∙ Clock: unknown (the gateway sends no Date header)
✔ Keys: the gateway accepts AKIAIOSFODNN7EXAMPLE (from SORNA_ACCESS_KEY)
∙ Rate limit: not reported
∙ Does not work here: run --exec-timeout: Backend.AI has no such limit
∙ Does not work here: `sorna shell`: managers 22.09 to 25.8 lose what is typed into terminals, and close them
∙ Does not work here: output as HTML: managers fail on it, and the program that prints it is stopped
∙ Does not work here: ending the interpreter in a snippet, as os._exit() does: managers never report the end; stop it with Ctrl-C, and destroy the session if it was kept
∙ Does not work here: `sorna complete`: managers have no candidates (observed on 23.09.10, after 30 s, and on 26.9.6)

"#]]);
    status("26.9.6", "v10.20270101").stdout_eq(str![[r#"
...
∙ Gateway: Backend.AI, manager 26.9.6, API v10.20270101 (this client uses v9.20250722)
...
∙ Does not work here: `sorna shell`: managers from 25.9 on show nothing in terminals (observed on 26.9.6)
∙ Does not work here: `sorna restart`: managers from 26.4 on do not restart sessions
...
"#]]);
}

#[test]
fn our_gateway_has_no_defects_of_managers() {
    let gateway = gateway();
    let directory = here();
    let mut command = crate::support::backend_at(directory.path(), &gateway);
    command.arg("status");
    check(command).success().stdout_eq(str![[r#"
∙ Endpoint: http://[ADDRESS] (from BACKEND_ENDPOINT)
✔ Gateway: Backend.AI, manager sorna-gateway [..], API v9.20250722
✔ Round trip: [..] ([..] with connection setup, [..] with the check of the keys)
✔ Clock: [..] s [..] the gateway's
✔ Keys: the gateway accepts [..] (from BACKEND_ACCESS_KEY)
✔ Rate limit: [..] of [..] requests left[..]
∙ Does not work here: run --exec-timeout: Backend.AI has no such limit

"#]]);
    gateway.stop();
}
