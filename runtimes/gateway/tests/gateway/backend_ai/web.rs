//! The face of a web server: logging in, and requests below `/func` in a session.

use std::io::Write;

use serde_json::{Value, json};
use sorna_core::{AccessKey, Credentials, SecretKey};
use sorna_gateway::RunningGateway;

use super::client::{Client, Signing, gateway, gateway_with, read_response};

/// A browser, or whatever keeps a cookie.
struct Browser {
    client: Client,
    host: String,
    cookie: Option<String>,
}

impl Browser {
    fn new(gateway: &RunningGateway) -> Self {
        Self {
            client: Client::new(gateway),
            host: gateway.endpoint().replace("http://", ""),
            cookie: None,
        }
    }

    /// A request with these headers besides, whole lines.
    fn send(
        &self,
        method: &str,
        target: &str,
        extra: &str,
        body: &[u8],
    ) -> http::Response<Vec<u8>> {
        let cookie = self.cookie.as_ref();
        let cookie = cookie.map_or_else(String::new, |cookie| {
            format!("Cookie: a=b; AIOHTTP_SESSION={cookie}\r\n")
        });
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n{cookie}Content-Type: application/json\r\n\
             Content-Length: {}\r\n{extra}\r\n",
            self.host,
            body.len(),
        );
        let mut stream = self.client.connect();
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        read_response(&mut stream)
    }

    fn json(&self, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let response = self.send(method, target, "", body.to_string().as_bytes());
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(response.body()).unwrap_or_default(),
        )
    }

    fn log_in(&mut self, user: &str, password: &str) -> (u16, Value) {
        let body = json!({"username": user, "password": password}).to_string();
        let response = self.send("POST", "/server/login", "", body.as_bytes());
        if let Some(set) = response.headers().get("set-cookie") {
            let set = set.to_str().unwrap();
            let (pair, attributes) = set.split_once("; ").unwrap();
            assert_eq!(
                attributes,
                "HttpOnly; SameSite=Strict; Max-Age=604800; Path=/"
            );
            let value = pair.strip_prefix("AIOHTTP_SESSION=").unwrap();
            assert_eq!(value.len(), 43);
            self.cookie = Some(value.to_owned());
        }
        let status = response.status().as_u16();
        (status, serde_json::from_slice(response.body()).unwrap())
    }
}

fn rejected() -> Value {
    json!({"authenticated": false, "data": {
        "type": "https://api.backend.ai/probs/auth-failed",
        "title": "Credential/signature mismatch.",
        "details": "User credential mismatch.",
    }})
}

#[test]
fn a_user_logs_in_is_known_and_logs_out() {
    let gateway = gateway();
    let mut browser = Browser::new(&gateway);
    let check = |browser: &Browser| browser.json("POST", "/server/login-check", &Value::Null);
    let no_one = json!({"authenticated": false, "data": null});
    assert_eq!(check(&browser), (200, no_one.clone()));

    let user = json!({"access_key": gateway.access_key(), "role": "user", "status": "active"});
    let known = json!({"authenticated": true, "data": user});
    let login = browser.log_in(gateway.access_key(), gateway.secret_key());
    assert_eq!(login, (200, known.clone()));
    assert_eq!(check(&browser), (200, known));
    let (status, again) = browser.log_in(gateway.access_key(), gateway.secret_key());
    assert_eq!(
        (status, &again["title"]),
        (400, &json!("You have already logged in."))
    );

    let auth = browser.json("POST", "/func/auth", &json!({"echo": "hi"}));
    assert_eq!(auth, (200, json!({"authorized": "yes", "echo": "hi"})));

    let other = Browser {
        cookie: browser.cookie.clone(),
        ..Browser::new(&gateway)
    };
    let response = browser.send("POST", "/server/logout", "", b"");
    assert_eq!(response.status(), 200);
    let set = response.headers()["set-cookie"].to_str().unwrap();
    assert_eq!(set, "AIOHTTP_SESSION=\"\"; Max-Age=0; Path=/");
    // For anyone else who has the cookie, too.
    assert_eq!(check(&other), (200, no_one));
    let (status, problem) = other.json("POST", "/func/auth", &json!({"echo": "hi"}));
    assert_eq!(
        (status, &problem["title"]),
        (401, &json!("Unauthorized access"))
    );
    assert_eq!(problem["type"], "https://api.backend.ai/probs/auth-failed");
    // To log out twice is no error.
    assert_eq!(other.send("POST", "/server/logout", "", b"").status(), 200);
}

#[test]
fn a_user_whose_key_is_withdrawn_is_logged_out() {
    let one = Credentials::new(
        AccessKey::new("AKIAONE").unwrap(),
        SecretKey::new("secret-one").unwrap(),
    );
    let two = Credentials::new(
        AccessKey::new("AKIATWO").unwrap(),
        SecretKey::new("secret-two").unwrap(),
    );
    let changed = Credentials::new(
        one.access_key().clone(),
        SecretKey::new("secret-new").unwrap(),
    );
    for (left, status) in [(None, 401), (Some(changed), 401), (Some(one.clone()), 200)] {
        let gateway = gateway_with(|config| config.with_credentials([one.clone(), two.clone()]));
        let (mut first, mut second) = (Browser::new(&gateway), Browser::new(&gateway));
        first.log_in("AKIAONE", "secret-one");
        second.log_in("AKIATWO", "secret-two");
        gateway
            .keys()
            .replace(left.into_iter().chain([two.clone()]));
        let echo = |browser: &Browser| {
            let answer = browser.json("POST", "/func/auth", &json!({"echo": "hi"}));
            answer.0
        };
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while echo(&first) != status {
            assert!(std::time::Instant::now() < until, "still logged in");
        }
        assert_eq!(echo(&second), 200);
    }
}

#[test]
fn the_session_comes_before_everything_but_hello() {
    let gateway = gateway();
    let mut browser = Browser::new(&gateway);
    let (status, hello) = browser.json("GET", "/func/", &Value::Null);
    assert_eq!((status, &hello["version"]), (200, &json!("v9.20250722")));
    for (method, path) in [
        ("GET", "/func/session/x"),
        ("GET", "/func/nope"),
        ("GET", "/func/health"),
        ("GET", "/func/events/session"),
        ("POST", "/func/admin/gql"),
        ("GET", "/func/stream/session/x/pty"),
    ] {
        let (status, _) = browser.json(method, path, &Value::Null);
        assert_eq!(status, 401, "{path}");
    }
    // The cookie stands for a signature only below /func, and a signature for no cookie.
    browser.log_in(gateway.access_key(), gateway.secret_key());
    assert_eq!(browser.json("POST", "/auth", &json!({"echo": "hi"})).0, 401);
    let client = Client::new(&gateway);
    let signed = client.send("POST", "/func/auth", b"{}", &Signing::default());
    assert_eq!(signed.status(), 401);

    for (method, path, expected) in [
        ("GET", "/func/session/x", 404),
        ("GET", "/func/nope", 404),
        ("PUT", "/func/session", 405),
        ("GET", "/server/login", 405),
        ("POST", "/server/nope", 404),
        ("GET", "/func/stream/session/x/pty", 404),
    ] {
        let (status, problem) = browser.json(method, path, &Value::Null);
        assert_eq!(status, expected, "{path}: {problem}");
    }
    let unknown = "X-BackendAI-Version: v9.20990101\r\n";
    let response = browser.send("POST", "/func/auth", unknown, br#"{"echo": "hi"}"#);
    assert_eq!(response.status(), 400);
}

#[test]
fn wrong_logins_are_rejected_and_too_many_block_the_user() {
    let pair = |access: &str, secret: &str| {
        Credentials::new(
            AccessKey::new(access).unwrap(),
            SecretKey::new(secret).unwrap(),
        )
    };
    let pairs = [pair("AKIAONE", "secret-one"), pair("AKIATWO", "secret-two")];
    let gateway = gateway_with(|config| config.with_credentials(pairs));
    let mut browser = Browser::new(&gateway);
    for (user, password) in [("AKIANONE", "secret-one"), ("AKIATWO", "secret-one")] {
        assert_eq!(browser.log_in(user, password), (200, rejected()));
    }
    assert_eq!(browser.cookie, None);
    for (body, missing) in [
        (json!({"password": "x"}), "username"),
        (json!({"username": "x"}), "password"),
    ] {
        let (status, problem) = browser.json("POST", "/server/login", &body);
        let title = format!("You must provide the {missing} field.");
        assert_eq!((status, &problem["title"]), (400, &json!(title)));
    }
    // Clients of 26.x do so over plain HTTP.
    let encoded = "X-BackendAI-Encoded: true\r\n";
    let response = browser.send("POST", "/server/login", encoded, b"AAAA:aaaa");
    let problem: Value = serde_json::from_slice(response.body()).unwrap();
    let title = problem["title"].as_str().unwrap();
    assert!(
        response.status() == 400 && title.contains("use TLS"),
        "{problem}"
    );
    let large = json!({"username": "x".repeat(4096), "password": "x"});
    assert_eq!(browser.json("POST", "/server/login", &large).0, 400);

    for _ in 0..10 {
        assert_eq!(browser.log_in("AKIAONE", "wrong"), (200, rejected()));
    }
    let blocked = browser.log_in("AKIAONE", "secret-one");
    let problem = json!({
        "type": "https://api.backend.ai/probs/too-many-requests",
        "title": "Too many failed login attempts",
    });
    assert_eq!(blocked, (429, problem));
    // Others are not, and neither are signatures.
    assert_eq!(browser.log_in("AKIATWO", "secret-two").0, 200);
    let client = Client::new(&gateway);
    assert_eq!(client.json("POST", "/auth", &json!({"echo": "hi"})).0, 200);
}

#[test]
fn sessions_of_two_users_are_apart_and_each_has_a_rate_limit() {
    let pair = |access: &str| {
        let secret = SecretKey::new("the-secret").unwrap();
        Credentials::new(AccessKey::new(access).unwrap(), secret)
    };
    let gateway = gateway_with(|config| {
        config
            .with_credentials([pair("AKIAONE"), pair("AKIATWO")])
            .with_max_requests_per_window(3)
    });
    let [mut one, mut two] = [Browser::new(&gateway), Browser::new(&gateway)];
    one.log_in("AKIAONE", "the-secret");
    two.log_in("AKIATWO", "the-secret");
    let create = json!({"name": "mine-alone", "image": "bash"});
    assert_eq!(one.json("POST", "/func/session", &create).0, 201);
    assert_eq!(
        one.json("GET", "/func/session/mine-alone", &json!({})).0,
        200
    );
    assert_eq!(
        two.json("GET", "/func/session/mine-alone", &json!({})).0,
        404
    );
    let response = one.send("GET", "/func/session/mine-alone", "", b"");
    assert_eq!(response.headers()["x-ratelimit-remaining"], "0");
    assert_eq!(
        one.json("GET", "/func/session/mine-alone", &json!({})).0,
        429
    );
    assert_eq!(
        two.json("POST", "/func/auth", &json!({"echo": "hi"})).0,
        200
    );
}
