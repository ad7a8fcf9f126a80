//! A gateway that cannot be reached for a while.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use crate::support::{eventually, gateway, here, sorna_at};

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

/// Both dialects of the protocol.
const DIALECTS: [&str; 2] = ["sorna", "backend-ai"];

/// A server for agents whose way to its gateway can be interrupted.
fn served_by_a_way(served: &sorna_gateway::RunningGateway, api: &str) -> (Way, Client) {
    let directory = here();
    let endpoint = served
        .endpoint()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let (way, address) = Way::to(endpoint.parse().expect("an address"));
    let mut command = sorna_at(directory.path(), served);
    command
        .env("SORNA_ENDPOINT", format!("http://{address}"))
        .args(["mcp", "--api", api]);
    (way, Client::begin(command, directory, "2025-11-25"))
}

/// Starts a program, and waits until it has printed `begun`.
fn begins(client: &mut Client, code: &str, timeout: f64) -> Value {
    let arguments = json!({"language": "bash", "code": code, "timeout": timeout});
    let started = client.call("start", arguments);
    let run = started.field("run").clone();
    let mut output = started.field("output").as_str().expect("text").to_owned();
    while !output.contains("begun") {
        let called = client.call("wait", json!({"run": run, "timeout": 0.1}));
        output += called.field("output").as_str().expect("text");
    }
    run
}

/// Until the client of the gateway has given up, on a machine that is not busy; on one that is, it is still trying.
const LONG: Duration = Duration::from_secs(6);

#[test]
fn a_program_goes_on_while_its_gateway_cannot_be_reached() {
    let served = gateway();
    for api in DIALECTS {
        let (way, mut client) = served_by_a_way(&served, api);
        client.run("bash", "x=1");
        let code = "echo begun; while [ ! -e go ]; do sleep 0.1; done; x=2; echo ended; exit_code() { return 3; }; exit_code";
        let run = begins(&mut client, code, 3000.0);
        way.goes_down();
        thread::sleep(LONG);
        let arguments = json!({"run": run, "timeout": 0});
        assert_eq!(client.call("wait", arguments).field("status"), "running");
        way.comes_up();
        let file = json!({"path": "go", "content": "", "session": run_session(api)});
        client.call("write_file", file);
        let called = client.call("wait", json!({"run": run}));
        assert_eq!(called.field("status"), "ended", "{}", called.text());
        assert_eq!(called.field("output"), "ended\n", "{}", called.text());
        assert_eq!(called.field("exit_code"), 3, "{}", called.text());
        assert_eq!(client.run("bash", "echo $x").ended().0, "2\n");
    }
}

#[test]
fn a_program_that_ends_while_its_gateway_cannot_be_reached_has_its_end() {
    let served = gateway();
    for api in DIALECTS {
        let (way, mut client) = served_by_a_way(&served, api);
        let run = begins(&mut client, "echo begun; sleep 2; echo ended", 3000.0);
        way.goes_down();
        thread::sleep(LONG);
        way.comes_up();
        let called = client.call("wait", json!({"run": run}));
        assert_eq!(called.field("status"), "ended", "{}", called.text());
        assert_eq!(called.field("output"), "ended\n", "{}", called.text());
        assert_eq!(called.field("exit_code"), 0, "{}", called.text());
    }
}

#[test]
fn a_program_is_interrupted_after_an_outage_and_what_runs_next_runs() {
    let served = gateway();
    for api in DIALECTS {
        let (way, mut client) = served_by_a_way(&served, api);
        client.run("bash", "x=1");
        let run = begins(
            &mut client,
            "echo begun; while :; do sleep 0.1; done",
            3000.0,
        );
        way.goes_down();
        thread::sleep(LONG);
        way.comes_up();
        let called = client.call("interrupt", json!({"run": run}));
        assert_eq!(called.field("status"), "ended", "{}", called.text());
        assert_eq!(called.field("interrupted"), true, "{}", called.text());
        assert_eq!(client.run("bash", "echo $x").ended().0, "1\n");
    }
}

#[test]
fn a_program_outlives_a_connection_that_breaks() {
    let served = gateway();
    for api in DIALECTS {
        let (way, mut client) = served_by_a_way(&served, api);
        let code = "echo begun; while [ ! -e go ]; do sleep 0.1; done; echo ended";
        let run = begins(&mut client, code, 3000.0);
        way.goes_down();
        way.comes_up();
        let file = json!({"path": "go", "content": "", "session": run_session(api)});
        client.call("write_file", file);
        let called = client.call("wait", json!({"run": run}));
        assert_eq!(called.ended().0, "ended\n", "{api}: {}", called.text());
    }
}

/// What the session of bash is called.
fn run_session(api: &str) -> &str {
    match api {
        "backend-ai" => "bash-latest",
        _ => "bash",
    }
}

#[test]
fn an_interrupt_is_passed_on_when_the_gateway_is_back_and_nothing_is_lost() {
    let served = gateway();
    for api in DIALECTS {
        let (way, mut client) = served_by_a_way(&served, api);
        client.run("bash", "x=1");
        let code =
            "trap 'echo told; stop=1' INT; echo begun; while [ -z \"$stop\" ]; do sleep 0.1; done";
        let run = begins(&mut client, code, 3000.0);
        way.goes_down();
        let asked = client.begin_call("interrupt", json!({"run": run}));
        thread::sleep(LONG);
        let waited = client.call("wait", json!({"run": run, "timeout": 0}));
        assert!(waited.text().contains("cannot be reached"), "{api}");
        way.comes_up();
        client.called(asked, "interrupt");
        let called = client.call("wait", json!({"run": run}));
        assert_eq!(called.field("status"), "ended", "{api}: {}", called.text());
        assert_eq!(called.field("interrupted"), true, "{api}");
        assert_eq!(
            called.result["structuredContent"]["state_lost"],
            Value::Null,
            "{api}"
        );
        assert_eq!(client.run("bash", "echo $x").ended().0, "1\n", "{api}");
    }
}

#[test]
fn a_session_that_is_closed_while_its_gateway_cannot_be_reached_ends_after_that() {
    let served = gateway();
    for api in DIALECTS {
        let (way, mut client) = served_by_a_way(&served, api);
        begins(&mut client, "echo begun; sleep 1000", 3000.0);
        way.goes_down();
        let session = json!({"session": run_session(api)});
        let called = client.call("close_session", session);
        assert!(
            called.error().contains("has not ended"),
            "{}",
            called.text()
        );
        assert_eq!(served.stats().kernels, 1);
        way.comes_up();
        eventually("its end", || served.stats().kernels == 0);
    }
}

#[test]
fn a_program_does_not_begin_where_its_gateway_is_gone() {
    for api in DIALECTS {
        let served = gateway();
        let directory = here();
        let mut command = sorna_at(directory.path(), &served);
        command.args(["mcp", "--api", api]);
        let mut client = Client::begin(command, directory, "2025-11-25");
        client.run("bash", "x=1");
        served.stop();
        let arguments = json!({"language": "bash", "code": "x=2"});
        let called = client.call("start", arguments);
        let said = called.error();
        assert!(said.contains("Nothing has run"), "{api}: {said}");
    }
}

#[test]
fn a_program_whose_time_is_over_while_its_gateway_cannot_be_reached_ends_after_that() {
    let served = gateway();
    let (way, mut client) = served_by_a_way(&served, "sorna");
    client.run("bash", "x=1");
    let run = begins(
        &mut client,
        "trap '' INT; echo begun; while :; do sleep 0.1; done",
        8.0,
    );
    way.goes_down();
    // Until it is to be ended by force.
    thread::sleep(LONG * 3);
    way.comes_up();
    let called = client.call("wait", json!({"run": run}));
    assert_eq!(called.field("status"), "ended", "{}", called.text());
    assert_eq!(called.field("timed_out"), true, "{}", called.text());
    let lost = called.field("state_lost") == &json!(true);
    let next = client.run("bash", "echo $x");
    assert_eq!(next.ended().0, if lost { "\n" } else { "1\n" });
}
