//! Who keeps whom out.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use sorna::blocking::Client;
use sorna::protocol::Authorize;
use sorna_test_tools::need;

use crate::attack::{
    answer_to, connect, first_of, hold, in_threads, other_key, serve, serve_two_keys, signed,
    signed_with, under_attack, whole_answer_to,
};
use crate::bodies::form;
use crate::support::served::Served;
use crate::support::{eventually, here};

/// More connections than there may be.
const MANY: usize = 4300;

/// A request without its last byte.
fn cut(request: &[u8]) -> Vec<u8> {
    request[..request.len() - 1].to_vec()
}

/// The same request with another signature.
fn forged(request: &[u8], key: &str) -> Vec<u8> {
    let text = std::str::from_utf8(request).expect("text");
    let (before, after) = text.split_once(&format!("{key}:")).expect("a signature");
    [before, key, ":00000000", &after[8..]]
        .concat()
        .into_bytes()
}

#[test]
fn bodies_that_do_not_end_keep_nobody_out() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let served = Served::start(serve(directory.path()));
    let client = served.client();
    let key = &served.settings()["SORNA_ACCESS_KEY"];
    let signed = cut(&signed(&served, &Authorize::new("x"), ""));
    let text = String::from_utf8_lossy(&signed);
    let unknown = text.replacen("credential=", "credential=X", 1);
    let kernel = client.create("bash").expect("a kernel").id().clone();
    let form = [form(client.config(), &kernel), b"5\r\nabc".to_vec()].concat();
    for (what, begun) in [
        ("a valid signature", signed.clone()),
        ("a wrong signature", forged(&signed, key)),
        ("an unknown key", unknown.into_bytes()),
        ("a form with a wrong signature", forged(&form, key)),
        (
            "no key",
            b"POST /v2/kernel/create HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{".to_vec(),
        ),
        (
            "a login",
            b"POST /server/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{".to_vec(),
        ),
        (
            "no such path",
            b"GET /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n".to_vec(),
        ),
        (
            "a chunk",
            b"POST /nope HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n".to_vec(),
        ),
    ] {
        let what = format!("bodies that do not end, with {what}");
        under_attack(&what, &served, || hold(&served, MANY, &begun));
    }
}

#[test]
fn the_connections_of_one_key_leave_room_for_others() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let served = first_of(Served::start(serve_two_keys(directory.path())));
    let other = other_key(&served);
    let kernel = Client::new(other.clone()).create("bash");
    let kernel = kernel.expect("a kernel").id().clone();
    let whole = signed_with(&other, &Authorize::new("x"), "");
    let next = [&whole[..], &cut(&whole)].concat();
    let form = [form(&other, &kernel), b"5\r\nabc".to_vec()].concat();
    for (what, begun) in [
        ("idle connections", &whole),
        ("second requests that do not end", &next),
        ("forms that do not end", &form),
    ] {
        let what = format!("{what} of another key");
        under_attack(&what, &served, || hold(&served, MANY, begun));
    }
}

#[test]
fn those_who_find_no_descriptors_left_are_told_so() {
    if !need("bash") {
        return;
    }
    let directory = here();
    let program = serve(directory.path());
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -n 120; exec \"$0\" \"$@\""]);
    command.arg(program.get_program()).args(program.get_args());
    command.current_dir(directory.path()).env_clear();
    for (name, value) in program.get_envs() {
        command.envs(value.map(|value| (name, value)));
    }
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command.stdout(Stdio::piped());
    let served = Served::start(command);
    let client = served.client();
    let kernel = client.create("bash").expect("a kernel").id().clone();
    // Requests of a known sender, which need not leave.
    let form = [form(client.config(), &kernel), b"5\r\nabc".to_vec()].concat();
    let hold_one = || {
        let mut stream = connect(&served);
        let _ = stream.write_all(&form);
        stream
    };
    let mut held: Vec<_> = (0..100).map(|_| hold_one()).collect();
    let request = signed(&served, &Authorize::new("x"), "Connection: close\r\n");
    eventually("a gateway without descriptors", || {
        held.push(hold_one());
        // Until its signature has been checked it leaves for the next: that comes when the gateway has had time to check it.
        thread::sleep(Duration::from_millis(50));
        answer_to(&served, &request) == "HTTP/1.1 503"
    });
    in_threads(8, || {
        eventually("words", || {
            whole_answer_to(&served, &request).contains("no file descriptors left")
        });
    });
}
