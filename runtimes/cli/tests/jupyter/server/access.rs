//! Who is let in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::peer::{House, TOKEN};
use crate::support::{here, sorna, write};

#[test]
fn nothing_is_answered_without_the_token() {
    let house = House::open();
    let id = house.start("bash");
    let channels = format!("GET /api/kernels/{id}/channels?session_id=a");
    for request in [
        "GET /api/kernels",
        "POST /api/kernels",
        "GET /api/status",
        "GET /api/me",
        "GET /api/sessions",
        "GET /api/kernelspecs",
        "GET /kernelspecs/python3/logo-svg.svg",
        "GET /api/nothing",
        &channels,
    ] {
        for line in [
            "",
            "authorization: token wrong\r\n",
            "authorization: Bearer \r\n",
            "cookie: token=x\r\n",
        ] {
            let (status, head, body) = house.raw(request, line, "");
            assert_eq!(status, 403, "{request} {line}: {body}");
            assert!(head.contains("application/json"), "{head}");
            assert!(
                body.contains("\"message\"") && !body.contains(TOKEN),
                "{body}"
            );
        }
    }
    let (status, models) = house.call("GET /api/kernels", "");
    assert_eq!((status, models.as_array().map(Vec::len)), (200, Some(1)));
    // The version is no secret, and tells clients what it is.
    let (status, _, body) = house.raw("GET /api", "", "");
    assert!(status == 200 && body.contains("version"), "{body}");
    for line in [format!("authorization: Bearer {TOKEN}\r\n"), String::new()] {
        let query = if line.is_empty() {
            format!("?token={TOKEN}")
        } else {
            String::new()
        };
        let (status, _, body) = house.raw(&format!("GET /api/kernels{query}"), &line, "");
        assert_eq!(status, 200, "{body}");
    }
    let log = house.log();
    assert!(
        log.contains("/api/kernels") && !log.contains(TOKEN),
        "{log}"
    );
    // The APIs of the gateway are still there.
    let output = sorna(house.directory.path())
        .envs(house.served.settings())
        .args(["run", "bash", "-c", "echo here"])
        .output()
        .expect("sorna runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "here\n");
}

#[test]
fn pages_of_other_origins_are_not_let_in() {
    let house = House::with(|command| command.args(["--jupyter-origin", "https://lab.example"]));
    let id = house.start("bash");
    let token = format!("authorization: token {TOKEN}\r\n");
    let websocket = "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (origin, is_allowed) in [
        ("http://evil.example", false),
        ("null", false),
        ("https://lab.example", true),
        (house.url(), true),
    ] {
        let lines = format!("{token}origin: {origin}\r\n");
        let (status, head, body) = house.raw("GET /api/kernels", &lines, "");
        assert_eq!(
            status,
            if is_allowed { 200 } else { 403 },
            "{origin}: {body}"
        );
        let is_named = head.contains(&format!("access-control-allow-origin: {origin}"));
        assert_eq!(is_named, origin == "https://lab.example", "{head}");
        let lines = format!("origin: {origin}\r\naccess-control-request-method: POST\r\n");
        let (status, _, _) = house.raw("OPTIONS /api/kernels", &lines, "");
        assert_eq!(status, if is_allowed { 204 } else { 403 }, "{origin}");
        if !is_allowed {
            let lines = format!("{token}origin: {origin}\r\n{websocket}");
            let request = format!("GET /api/kernels/{id}/channels?token={TOKEN}");
            let (status, _, body) = house.raw(&request, &lines, "");
            assert_eq!(status, 403, "{origin}: {body}");
        }
    }
}

#[test]
fn tokens_come_from_files_and_are_not_shown() {
    let directory = here();
    let file = directory.path().join("token");
    write(
        directory.path(),
        &[("token", "of-a-file-that-no-one-may-see-9\n")],
    );
    let path = file.to_str().expect("text");
    let house = House::with(|command| command.args(["--jupyter-token", path]));
    assert!(
        !house
            .served
            .settings()
            .contains_key("JUPYTER_GATEWAY_AUTH_TOKEN")
    );
    let line = "authorization: token of-a-file-that-no-one-may-see-9\r\n";
    assert_eq!(house.raw("GET /api/kernels", line, "").0, 200);
    assert_eq!(house.call("GET /api/kernels", "").0, 403);

    // Without one, it is random, and shown.
    let houses = [
        House::with(|command| command.env_remove("SORNA_JUPYTER_TOKEN")),
        House::with(|command| command.env_remove("SORNA_JUPYTER_TOKEN")),
    ];
    let tokens = houses
        .each_ref()
        .map(|it| it.served.settings()["JUPYTER_GATEWAY_AUTH_TOKEN"].clone());
    assert!(tokens[0].len() >= 32 && tokens[0] != tokens[1]);
    let line = format!("authorization: token {}\r\n", tokens[0]);
    assert_eq!(houses[0].raw("GET /api/kernels", &line, "").0, 200);

    for (text, says) in [
        ("", "holds no token"),
        ("two words", "holds no token"),
        ("two-words", "at least 16 characters"),
    ] {
        write(directory.path(), &[("token", text)]);
        let output = sorna(directory.path())
            .args(["serve", "--jupyter", "--jupyter-token", path])
            .output()
            .expect("sorna runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(
            !said.contains("two words") && !said.contains("two-words"),
            "{said}"
        );
        assert!(said.contains("contains a token and is readable"), "{said}");
    }
}

#[test]
fn origins_that_are_none_are_refused() {
    let directory = here();
    for origin in ["nonsense", "https://lab.example/lab"] {
        let output = sorna(directory.path())
            .args(["serve", "--jupyter", "--jupyter-origin", origin])
            .output()
            .expect("sorna runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(origin) && said.contains("https://"), "{said}");
    }
}

#[test]
fn browsers_are_told_what_this_is() {
    let house = House::open();
    for request in [
        "GET /lab".to_owned(),
        format!("GET /lab/tree/a.ipynb?token={TOKEN}"),
        format!("GET /tree?token={TOKEN}"),
    ] {
        let (status, head, body) = house.raw(&request, "", "");
        assert!(
            status == 404 && head.contains("text/html"),
            "{status} {head}"
        );
        assert!(
            body.contains("--gateway-url") && !body.contains(TOKEN),
            "{body}"
        );
    }
}

#[test]
fn it_is_served_over_tls() {
    let directory = here();
    let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("one");
    let (certificate, key) = (identity.cert.pem(), identity.signing_key.serialize_pem());
    write(
        directory.path(),
        &[("cert.pem", &certificate), ("key.pem", &key)],
    );
    let file = |name| directory.path().join(name);
    let house = House::with(|command| {
        command.arg("--tls-cert").arg(file("cert.pem"));
        command.arg("--tls-key").arg(file("key.pem"))
    });
    let address = house.url().strip_prefix("https://").expect("HTTPS");
    let mut roots = RootCertStore::empty();
    roots.add(identity.cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let connect = || {
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let connection = ClientConnection::new(Arc::clone(&config), name).expect("TLS");
        StreamOwned::new(connection, TcpStream::connect(address).expect("it listens"))
    };
    let body = r#"{"name": "bash"}"#;
    let mut stream = connect();
    write!(
        stream,
        "POST /api/kernels HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: token {TOKEN}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a response");
    let (head, model) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 201"), "{answer}");
    let model: serde_json::Value = serde_json::from_str(model).expect("JSON");
    let id = model["id"].as_str().expect("an ID");
    let url = format!("wss://{address}/api/kernels/{id}/channels?token={TOKEN}");
    let (mut socket, _) = tungstenite::client(url, connect()).expect("a WebSocket");
    let request = serde_json::json!({
        "channel": "shell", "content": {"code": "echo safe"},
        "header": {"msg_id": "a", "msg_type": "execute_request"},
    });
    let request = tungstenite::Message::text(request.to_string());
    socket.send(request).expect("it reads");
    loop {
        let message = socket.read().expect("a message");
        if message
            .to_text()
            .expect("JSON")
            .contains(r#""text":"safe\n""#)
        {
            break;
        }
    }
}
