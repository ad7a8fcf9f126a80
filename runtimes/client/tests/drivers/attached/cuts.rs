//! Connections that break after any byte of an exchange: no line is lost or comes twice, and nothing runs twice.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sorna::ExecutionEvent;
use sorna::blocking::{Execution, Kernel};

use super::lab::{Lab, Way};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToGateway,
    ToClient,
}

/// In which direction a connection is cut, and after how many more bytes.
type Fault = Option<(Direction, usize)>;

/// Passes bytes on, until that many have passed in a direction over all of its connections; then it cuts that one.
struct Cutter {
    endpoint: String,
    fault: Arc<Mutex<Fault>>,
    ends: Arc<AtomicBool>,
    address: SocketAddr,
}

impl Cutter {
    fn start(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let this = Self {
            endpoint: format!("http://{address}"),
            fault: Arc::default(),
            ends: Arc::default(),
            address,
        };
        let (fault, ends) = (Arc::clone(&this.fault), Arc::clone(&this.ends));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let (client, server) = (client.unwrap(), TcpStream::connect(gateway).unwrap());
                for (from, to, direction) in [
                    (&client, &server, Direction::ToGateway),
                    (&server, &client, Direction::ToClient),
                ] {
                    to.set_nodelay(true).unwrap();
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let fault = Arc::clone(&fault);
                    std::thread::spawn(move || pass(from, to, direction, &fault));
                }
            }
        });
        this
    }

    fn arm(&self, direction: Direction, bytes: usize) {
        *self.fault.lock().unwrap() = Some((direction, bytes));
    }

    /// Whether it has cut a connection since it was armed.
    fn has_cut(&self) -> bool {
        self.fault.lock().unwrap().take().is_none()
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, direction: Direction, fault: &Mutex<Fault>) {
    let mut bytes = [0; 4096];
    loop {
        let read = match from.read(&mut bytes) {
            Ok(read) if read > 0 => read,
            _ => break,
        };
        let mut armed = fault.lock().unwrap();
        let cut = match &mut *armed {
            Some((of, left)) if *of == direction => {
                if *left < read {
                    let passed = *left;
                    *armed = None;
                    Some(passed)
                } else {
                    *left -= read;
                    None
                }
            }
            _ => None,
        };
        drop(armed);
        let sent = to.write_all(&bytes[..cut.unwrap_or(read)]);
        if cut.is_some() {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
        if sent.is_err() {
            break;
        }
    }
    // What comes the other way is still passed on.
    let _ = from.shutdown(Shutdown::Read);
    let _ = to.shutdown(Shutdown::Write);
}

/// What a program prints in two pieces; it notes that it ran.
fn code(number: usize) -> String {
    format!("echo {number} >>ran; echo a{number}; sleep 0.012; echo b{number}")
}

/// All output.
fn all(mut execution: Execution) -> Result<String, (String, sorna::Error)> {
    let mut output = String::new();
    loop {
        match execution.next_event() {
            Ok(Some(ExecutionEvent::Console(console))) => {
                output += &console.stdout();
                let before = console.unclaimed().unwrap_or_default();
                assert!(before.is_empty(), "{before:?}");
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                assert_eq!(execution.result().unwrap().exit_code(), Some(0));
                return Ok(output);
            }
            Err(error) => return Err((output, error)),
        }
    }
}

/// An exchange, over the proxy.
type Exchange = fn(&Kernel, usize) -> String;

fn executed(cut: &Kernel, number: usize) -> String {
    all(cut.execute(code(number))).unwrap()
}

fn started_and_attached(cut: &Kernel, number: usize) -> String {
    cut.execute_detached(code(number)).finish().unwrap();
    all(cut.attach()).unwrap()
}

/// Cuts an exchange after each byte in each direction.
fn check(way: Way, exchange: Exchange) {
    let _watchdog = sorna_test_tools::watch("connections are cut", Duration::from_secs(900));
    let lab = Lab::new();
    let direct = lab.kernel(way, "bash");
    for direction in [Direction::ToGateway, Direction::ToClient] {
        let cutter = Cutter::start(lab.address());
        let mut bytes = 0;
        loop {
            // A new client, since one remembers that a WebSocket was refused.
            let kernel = lab.kernel_at(&cutter.endpoint, way, "bash");
            cutter.arm(direction, bytes);
            let output = exchange(&kernel, bytes);
            assert_eq!(
                output,
                format!("a{bytes}\nb{bytes}\n"),
                "{way:?} {direction:?} {bytes}"
            );
            if !cutter.has_cut() {
                break;
            }
            bytes += 1;
        }
        assert!(bytes > 300, "{bytes} bytes are no exchange");
        let ran = direct.run("cat ran; rm ran").unwrap();
        let ran: Vec<usize> = ran
            .stdout()
            .lines()
            .map(|line| line.parse().unwrap())
            .collect();
        assert_eq!(
            ran,
            (0..=bytes).collect::<Vec<_>>(),
            "{way:?} {direction:?}"
        );
    }
    direct.destroy().unwrap();
}

#[test]
fn executions_are_cut_after_any_byte_in_sorna_v2() {
    check(Way::SornaV2, executed);
}

#[test]
fn executions_are_cut_after_any_byte_in_backend_ai() {
    check(Way::Requests, executed);
}

#[test]
fn executions_are_cut_after_any_byte_over_websockets() {
    check(Way::Streamed, executed);
}

#[test]
fn attaching_is_cut_after_any_byte_in_sorna_v2() {
    check(Way::SornaV2, started_and_attached);
}

#[test]
fn attaching_is_cut_after_any_byte_in_backend_ai() {
    check(Way::Requests, started_and_attached);
}

#[test]
fn attaching_is_cut_after_any_byte_over_websockets() {
    check(Way::Streamed, started_and_attached);
}
