//! A gateway that cannot be reached for a while.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::client::Client;
use crate::support::{gateway, here, sorna_at};

/// The way to a gateway, which can be interrupted.
#[derive(Clone, Default)]
struct Way(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_down: bool,
    open: Vec<TcpStream>,
}

impl Way {
    /// Opens one, at this address.
    fn to(gateway: SocketAddr) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let way = Self::default();
        let passed = way.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut state = passed.0.lock().expect("no panic");
                if state.is_down {
                    continue;
                }
                let Ok(server) = TcpStream::connect(gateway) else {
                    continue;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let [from, to] = [from, to].map(|it| it.try_clone().expect("a socket"));
                    state.open.push(from.try_clone().expect("a socket"));
                    thread::spawn(move || pass(from, to));
                }
            }
        });
        (way, address)
    }

    fn goes_down(&self) {
        let mut state = self.0.lock().expect("no panic");
        state.is_down = true;
        for stream in state.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn comes_up(&self) {
        self.0.lock().expect("no panic").is_down = false;
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) -> Option<()> {
    let mut buffer = [0; 4096];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        to.write_all(&buffer[..read]).ok()?;
    }
    to.shutdown(Shutdown::Both).ok()
}

#[test]
fn a_program_that_no_one_could_stop_is_interrupted_when_its_gateway_is_back() {
    let directory = here();
    let served = gateway();
    let endpoint = served
        .endpoint()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let (way, address) = Way::to(endpoint.parse().expect("an address"));
    let mut command = sorna_at(directory.path(), &served);
    command
        .env("SORNA_ENDPOINT", format!("http://{address}"))
        .arg("mcp");
    let mut client = Client::begin(command, directory, "2025-11-25");
    client.run("bash", "x=1");
    let arguments = json!({
        "language": "bash", "code": "echo begun; while :; do sleep 0.1; done", "timeout": 3000,
    });
    let started = client.call("start", arguments);
    let run = started.field("run").clone();
    let mut output = started.field("output").as_str().expect("text").to_owned();
    while !output.contains("begun") {
        let called = client.call("wait", json!({"run": run, "timeout": 0.1}));
        output += called.field("output").as_str().expect("text");
    }
    way.goes_down();
    // Until its client has given up, on a machine that is not busy; on one that is, the program is still attended to.
    thread::sleep(Duration::from_secs(6));
    let arguments = json!({"run": run, "timeout": 0});
    assert_eq!(client.call("wait", arguments).field("status"), "running");
    way.comes_up();
    let called = client.call("interrupt", json!({"run": run}));
    assert_eq!(called.field("status"), "ended", "{}", called.text());
    assert_eq!(called.field("interrupted"), true, "{}", called.text());
    // What runs next, runs.
    assert_eq!(client.run("bash", "echo $x").ended().0, "1\n");
}
