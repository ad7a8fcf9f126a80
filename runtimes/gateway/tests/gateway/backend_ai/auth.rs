//! Signatures, versions, error responses and rate limits.

use std::io::Write;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sorna_core::{
    AccessKey, ApiVersion, Authorize, Credentials, HashAlgorithm, SecretKey, Version,
};

use super::client::{Client, Signing, gateway, gateway_with, read_response};

fn iso(now: SystemTime, offset_hours: i64) -> (String, [u8; 8]) {
    let seconds = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let shifted = Duration::from_secs(seconds.checked_add_signed(offset_hours * 3600).unwrap());
    let text = sorna_core::server::iso_date(SystemTime::UNIX_EPOCH + shifted);
    let day = text[..10].replace('-', "");
    let zone = format!("{offset_hours:+03}:00");
    let text = text.replace("+00:00", &zone);
    (text, day.into_bytes().try_into().unwrap())
}

#[test]
fn all_forms_of_a_signature_are_accepted() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let body = br#"{"echo": "hi"}"#;
    let now = SystemTime::now();
    let with_date = |offset| {
        let (date, day) = iso(now, offset);
        Signing {
            date,
            day,
            ..Signing::default()
        }
    };
    let default = Signing::default;
    let cases = [
        ("as it is", default()),
        ("ISO 8601", with_date(0)),
        ("with a zone in which it may be another day", with_date(9)),
        ("with another such zone", with_date(-11)),
        (
            "a substitute of Date",
            Signing {
                date_header: "X-BackendAI-Date",
                ..default()
            },
        ),
        (
            "the old scheme word",
            Signing {
                scheme: "Sorna",
                ..default()
            },
        ),
        (
            "the old version header",
            Signing {
                version_header: "X-Sorna-Version",
                ..default()
            },
        ),
        (
            "the least version",
            Signing {
                version: "v4.20181215",
                ..default()
            },
        ),
        (
            "23.09's version",
            Signing {
                version: "v7.20230615",
                ..default()
            },
        ),
        (
            "a charset",
            Signing {
                media_type: Some("application/json; charset=utf-8"),
                ..default()
            },
        ),
        (
            "no media type",
            Signing {
                media_type: None,
                ..default()
            },
        ),
        (
            "SHA-1",
            Signing {
                hash: HashAlgorithm::Sha1,
                ..default()
            },
        ),
        (
            "SHA-512",
            Signing {
                hash: HashAlgorithm::Sha512,
                ..default()
            },
        ),
    ];
    for (what, signing) in cases {
        let response = client.send("POST", "/auth", body, &signing);
        let answer: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(response.status(), 200, "{what}: {answer}");
        assert_eq!(answer, json!({"authorized": "yes", "echo": "hi"}), "{what}");
        assert_eq!(
            response.headers()["content-type"],
            "application/json; charset=utf-8"
        );
    }
    // With parameters in the query, as of a GET.
    let signing = Signing {
        media_type: Some("text/plain"),
        ..default()
    };
    let response = client.send("GET", "/auth/test?echo=a%20b", b"", &signing);
    assert_eq!(response.body(), br#"{"authorized":"yes","echo":"a b"}"#);
    assert_eq!(
        client.call(&Authorize::new("é")).unwrap().echo,
        Some("é".to_owned())
    );
}

#[test]
fn wrong_signatures_are_problems() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let default = Signing::default;
    let long_ago = iso(SystemTime::now() - Duration::from_secs(16 * 60), 0);
    for (what, target, signing, status, kind, code) in [
        (
            "hashed",
            "/auth",
            Signing {
                hashed: b"{}",
                ..default()
            },
            401,
            "auth-failed",
            "user_auth_unauthorized",
        ),
        (
            "query left out",
            "/auth?echo=1",
            Signing {
                target: Some("/auth"),
                ..default()
            },
            401,
            "auth-failed",
            "user_auth_unauthorized",
        ),
        (
            "old date",
            "/auth",
            Signing {
                date: long_ago.0.clone(),
                day: long_ago.1,
                ..default()
            },
            400,
            "invalid-auth-params",
            "user_auth_invalid-parameters",
        ),
        (
            "another scheme",
            "/auth",
            Signing {
                scheme: "Bearer",
                ..default()
            },
            400,
            "invalid-auth-params",
            "user_auth_invalid-parameters",
        ),
        (
            "unknown version",
            "/auth",
            Signing {
                version: "v9.20250101",
                ..default()
            },
            400,
            "generic-bad-request",
            "backendai_generic_bad-request",
        ),
    ] {
        let response = client.send("POST", target, b"{}", &signing);
        let problem: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(response.status(), status, "{what}: {problem}");
        assert_eq!(
            problem["type"],
            format!("https://api.backend.ai/probs/{kind}"),
            "{what}"
        );
        assert_eq!(problem["error_code"], code, "{what}");
        assert!(
            !response.headers().contains_key("x-ratelimit-limit"),
            "{what}"
        );
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json; charset=utf-8"
        );
    }
    let unknown = Credentials::new(AccessKey::new("AK").unwrap(), SecretKey::new("SK").unwrap());
    let unknown = Client::with_credentials(&gateway, unknown, ApiVersion::V9_20250722);
    let (status, problem) = unknown.json("GET", "/session/x", &Value::Null);
    assert_eq!(
        (status, &problem["msg"]),
        (401, &json!("Access key not found in HMAC"))
    );
}

#[test]
fn paths_are_checked_before_signatures_and_the_hello_needs_none() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let get = |method: &str, target: &str, headers: &str| {
        let mut stream = client.connect();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let response = read_response(&mut stream);
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        (response.status().as_u16(), body)
    };
    let (status, hello) = get("GET", "/", "");
    assert_eq!((status, &hello["version"]), (200, &json!("v9.20250722")));
    assert!(
        hello["manager"]
            .as_str()
            .unwrap()
            .starts_with("sorna-gateway ")
    );
    assert_eq!(get("GET", "/health", "").1["status"], "ok");
    assert_eq!(client.call(&Version::new()).unwrap().version, "v9.20250722");
    let newer = "X-BackendAI-Version: v9.20250722\r\n";
    let (status, problem) = get("GET", "/v2", newer);
    assert_eq!((status, &problem["data"]), (404, &json!("/v2")));
    assert_eq!(
        problem["type"],
        "https://api.backend.ai/probs/url-not-found"
    );
    assert_eq!(get("GET", "/kernel/x", "").0, 404);
    assert_eq!(get("GET", "/session", "").0, 405);
    assert_eq!(get("POST", "/", "Content-Length: 0\r\n").0, 405);
    let (status, problem) = get("GET", "/session/x", newer);
    assert_eq!(
        (status, &problem["msg"]),
        (401, &json!("Unauthorized access"))
    );
    // Sorna's paths, and whatever names its version, are as they were.
    let (status, problem) = get("GET", "/v2", "");
    let kind = "https://api.sorna.io/probs/invalid-auth-params";
    assert_eq!((status, &problem["type"]), (400, &json!(kind)));
    let (status, problem) = get("GET", "/", "X-Sorna-Version: v2.20170315\r\n");
    let kind = "https://api.sorna.io/probs/generic-bad-request";
    assert_eq!((status, &problem["type"]), (400, &json!(kind)));
}

#[test]
fn the_rate_limit_is_in_seconds_and_also_on_errors() {
    let gateway = gateway_with(|config| config.with_max_requests_per_window(3));
    let client = Client::new(&gateway);
    let get = |target: &str| client.send("GET", target, b"", &Signing::default());
    for (target, status, remaining) in [
        ("/auth?echo=1", 200, "2"),
        ("/session/none", 404, "1"),
        ("/events/session?scope=nope", 400, "0"),
        ("/auth?echo=1", 429, "0"),
    ] {
        let response = get(target);
        assert_eq!(response.status(), status, "{target}");
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-ratelimit-limit"), "3");
        assert_eq!(header("x-ratelimit-remaining"), remaining);
        assert_eq!(header("x-ratelimit-window"), "900");
        let reset: u64 = header("x-ratelimit-reset").parse().unwrap();
        assert!((800..=900).contains(&reset), "{reset}");
        if status == 429 {
            let problem: Value = serde_json::from_slice(response.body()).unwrap();
            let kind = "https://api.backend.ai/probs/rate-limit-exceeded";
            assert_eq!(problem["type"], kind);
        }
    }
    assert!(!get("/none").headers().contains_key("x-ratelimit-limit"));
}

#[test]
fn parameters_are_read_from_query_and_body_but_must_be_there() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let (status, problem) = client.json("POST", "/auth", &json!({}));
    assert_eq!(
        (status, &problem["error_code"]),
        (400, &json!("api_parsing_invalid-parameters"))
    );
    let response = client.send("POST", "/auth", b"[", &Signing::default());
    let problem: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(problem["title"], "Malformed request body.");
    let (status, problem) = client.json("GET", "/session/x?owner_access_key=AKOTHER", &Value::Null);
    let kind = "https://api.backend.ai/probs/generic-forbidden";
    assert_eq!((status, &problem["type"]), (403, &json!(kind)));
}

#[test]
fn a_body_is_read_only_after_its_signature_was_checked_and_up_to_a_limit() {
    let gateway = gateway_with(|config| config.with_max_body_size(1000));
    let client = Client::new(&gateway);
    // The body is announced and never sent: the response does not wait for it.
    let mut stream = client.connect();
    let wrong = Signing {
        hashed: b"x",
        ..Signing::default()
    };
    let head = client.head("POST", "/auth", 900, &wrong, "");
    stream.write_all(head.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_response(&mut stream).status(), 401);
    let large = vec![b' '; 1000];
    let response = client.send("POST", "/auth", &large, &Signing::default());
    assert_eq!(response.status(), 400);
    let problem: Value = serde_json::from_slice(response.body()).unwrap();
    assert!(
        problem["msg"].as_str().unwrap().contains("1000 bytes"),
        "{problem}"
    );
}
