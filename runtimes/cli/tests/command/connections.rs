//! Connections that fail: what `sorna` says about them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use snapbox::str;

use crate::support::stub::environment;
use crate::support::{check, here, sorna};

/// A server that runs this script for one connection after the other; it ends with the test program.
fn serve(script: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            script(stream.expect("a connection"));
        }
    });
    address
}

/// Reads once, sends this, and closes the connection.
fn sending(bytes: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| {
        let _ = stream.read(&mut [0; 16 * 1024]);
        let _ = stream.write_all(bytes);
    })
}

/// Resets each connection: it is closed with what came unread.
fn resetting() -> SocketAddr {
    serve(|stream| {
        let _ = stream.peek(&mut [0]);
    })
}

fn run(endpoint: &str, options: &[&str]) -> Command {
    let directory = here();
    let mut command = sorna(directory.path());
    command
        .current_dir("/")
        .envs(environment(endpoint))
        .args(["run", "python3", "-c", "1"])
        .args(options);
    command
}

/// What `--json` reports: the texts of the failure and of advice, and what became of the kernel.
fn events(endpoint: &str) -> Vec<String> {
    let output = run(endpoint, &["--json"]).output();
    let stdout = String::from_utf8(output.expect("it runs").stdout).expect("text");
    let lines = stdout.lines().map(serde_json::from_str);
    let events: Vec<Value> = lines.collect::<Result<_, _>>().expect("JSON");
    let texts = events.iter().filter_map(|event| {
        let text = event["message"].as_str().or(event["result"].as_str())?;
        Some(text.to_owned())
    });
    texts.collect()
}

const ALERT: &[u8] = b"\x15\x03\x01\x00\x02\x02\x28";

#[test]
fn a_gateway_that_stops_in_the_middle_of_a_run_gets_no_advice_about_tls() {
    let answered = AtomicUsize::new(0);
    let address = serve(move |mut stream| {
        let _ = stream.read(&mut [0; 16 * 1024]);
        if answered.fetch_add(1, Ordering::Relaxed) == 0 {
            let body = r#"{"kernelId": "k1"}"#;
            let head = format!(
                "HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + body).as_bytes());
            let _ = stream.read(&mut [0; 16 * 1024]);
        }
    });
    check(run(&format!("http://{address}"), &["-q"]))
        .code(1)
        .stderr_eq(str![[r#"
✘ [..][ADDRESS] closed the connection without a response
∙ http://[ADDRESS] (from SORNA_ENDPOINT) has responded before. The gateway or the network on the way to it may have failed since. Try again when `sorna status` succeeds.
✘ The kernel k1 could not be destroyed: [ADDRESS] closed the connection without a response
∙ It ends when the gateway's idle timeout has passed.

"#]]);
}

#[test]
fn a_connection_that_ends_in_the_tls_handshake() {
    for (address, what) in [(sending(b""), "closed"), (resetting(), "reset")] {
        let output = run(&format!("https://{address}"), &["-q"]).output();
        let stderr = String::from_utf8(output.expect("it runs").stderr).expect("text");
        let text = format!("the connection was {what} during the handshake");
        assert!(stderr.contains(&text), "{stderr}");
        let advice = format!(
            "The server closed or reset the connection during the TLS handshake: it may not use TLS (try http://{address}), or a proxy or firewall on the way may have closed the connection."
        );
        assert!(stderr.contains(&advice), "{stderr}");
        assert!(!stderr.contains("certificate"), "{stderr}");
    }
}

#[test]
fn a_server_that_refuses_the_tls_handshake() {
    let address = sending(ALERT);
    check(run(&format!("https://{address}"), &["-q"]))
        .code(1)
        .stderr_eq(str![[r#"
✘ could not set up TLS with [ADDRESS]: it refused the handshake: received fatal alert: [..]
∙ The endpoint is https://[ADDRESS] (from SORNA_ENDPOINT). The server refused the TLS handshake: it may require another host name, or a TLS version or client certificate that sorna does not offer.

"#]]);
}

#[test]
fn what_speaks_another_protocol_has_created_no_kernel() {
    let address = sending(ALERT);
    assert_eq!(
        events(&format!("http://{address}")),
        [
            format!("{address} expects TLS"),
            format!("The gateway requires TLS. Try https://{address}."),
            "none".to_owned(),
        ]
    );
    let address = sending(b"SSH-2.0-OpenSSH_9.2\r\n");
    assert_eq!(
        events(&format!("http://{address}")),
        [
            format!("{address} is an SSH server"),
            format!(
                "The endpoint is http://{address} (from SORNA_ENDPOINT). Check its host and port: what is there is no gateway that speaks HTTP/1.1."
            ),
            "none".to_owned(),
        ]
    );
}

#[test]
fn without_a_response_that_can_be_read_there_may_be_a_kernel() {
    for address in [sending(b""), resetting(), sending(b"\xff\xfe\xfd\r\n\r\n")] {
        let events = events(&format!("http://{address}"));
        let [_, advice, kernel, result] = &events[..] else {
            panic!("{events:?}");
        };
        assert!(
            advice.contains(&format!("ry https://{address}.")),
            "{events:?}"
        );
        assert!(kernel.contains("may have created a kernel"), "{events:?}");
        assert_eq!(result, "unknown");
    }
}

#[test]
fn a_proxy_that_does_not_answer() {
    let directory = here();
    for address in [sending(b""), resetting(), sending(ALERT)] {
        let proxy = format!("http://{address}");
        for endpoint in ["http://gateway.example", "https://gateway.example"] {
            let mut command = sorna(directory.path());
            command
                .envs(environment(endpoint))
                .envs([("HTTP_PROXY", &proxy), ("HTTPS_PROXY", &proxy)])
                .arg("status");
            let output = command.output().expect("it runs");
            let stdout = String::from_utf8(output.stdout).expect("text");
            let text = format!("the proxy {address} made no connection to gateway.example:");
            assert!(stdout.contains(&text), "{stdout}");
            assert!(stdout.contains("Check HTTPS_PROXY"), "{stdout}");
        }
    }
}
