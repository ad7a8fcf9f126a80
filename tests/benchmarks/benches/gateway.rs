//! The gateway: kernels beside processes, executions beside a bare server's responses.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sorna::blocking::Client;
use sorna_benchmarks::{Cost, Ratio, caution, head, row, take_turns, throughput, wall};
use sorna_core::{Config, Credentials, Execute, ExecuteMode, Operation, Signer};
use sorna_gateway::{Gateway, GatewayConfig};

#[path = "../shared/execute.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod execute;
#[path = "../shared/server.rs"]
mod server;

use execute::{bytes_of, config, message_len};
use server::Server;

const ROUNDS: usize = 21;
/// The number of kernels in a turn.
const KERNELS: usize = 10;
/// The number of executions in a turn, one after the other.
const EXECUTIONS: usize = 100;

fn main() {
    match server::asked_for().as_deref() {
        Some("gateway") => return serve_gateway(),
        Some(_) => return serve_hyper(),
        None => {}
    }
    let gateway = Server::start("gateway");
    let client = Client::new(config(gateway.address));
    println!("# The gateway\n");
    caution();
    head();
    for language in LANGUAGES {
        executions(&client, gateway.address, language);
    }
    kernels(&client);
}

/// The gateway in a separate process, with the keys that all benchmarks use.
fn serve_gateway() {
    let config: Config = config(SocketAddr::from(([127, 0, 0, 1], 1)));
    let keys: &Credentials = config.credentials().expect("it has keys");
    let config = GatewayConfig::new()
        .with_credentials([keys.clone()])
        .with_max_requests_per_window(u64::MAX);
    let gateway = Gateway::spawn(config).expect("a gateway");
    println!("{}", gateway.endpoint().trim_start_matches("http://"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    gateway.stop();
}

/// A hyper server that reads each request and always sends the same bytes.
fn serve_hyper() {
    server::serve_each(|stream| {
        let service = service_fn(async |request: http::Request<hyper::body::Incoming>| {
            request.into_body().collect().await?;
            let response = Response::builder()
                .header("content-type", "application/json; charset=utf-8")
                .header("x-ratelimit-limit", "2000")
                .header("x-ratelimit-remaining", "1999")
                .header("x-ratelimit-reset", "899999")
                .body(Full::new(Bytes::from_static(execute::RESULT.as_bytes())));
            Ok::<_, hyper::Error>(response.expect("a response"))
        });
        http1::Builder::new().serve_connection(TokioIo::new(stream), service)
    });
}

fn kernels(client: &Client) {
    let [ours, bash, setsid] = take_turns(
        ROUNDS,
        [
            &mut || {
                for _ in 0..KERNELS {
                    let kernel = client.create("bash").expect("a kernel");
                    kernel.destroy().expect("its end");
                }
            },
            &mut || {
                for _ in 0..KERNELS {
                    process(&["bash", "--norc", "-c", "read"]);
                }
            },
            // With its own session and its own directory, as a kernel has them.
            &mut || {
                for _ in 0..KERNELS {
                    let directory = tempfile::tempdir().expect("a directory");
                    fs::create_dir(directory.path().join("work")).expect("a directory");
                    process(&["setsid", "bash", "--norc", "-c", "read"]);
                }
            },
        ],
    );
    let what = "a bash kernel, created and destroyed";
    row(
        what,
        "fork and exec of bash",
        wall(&ours, &bash),
        "at most 1.5",
    );
    let against = "the same, with a directory and by setsid";
    row(what, against, wall(&ours, &setsid), "-");
}

/// A process that waits for the end of its standard input.
fn process(words: &[&str]) {
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process");
    drop(child.stdin.take());
    child.wait().expect("its end");
}

fn executions(client: &Client, address: SocketAddr, language: Language) {
    let hyper = Server::start("hyper");
    let kernel = client.create(language.name).expect("a kernel");
    let execute = Execute::start(kernel.id().clone(), ExecuteMode::query(language.code));
    let signer = Signer::new(config(address));
    let request = execute.request(&signer, SystemTime::now());
    // The same bytes may be sent again until their date is too old.
    let request = bytes_of(&request.expect("a request"));
    let mut ours = TcpStream::connect(address).expect("a connection");
    let mut theirs = TcpStream::connect(hyper.address).expect("a connection");
    ours.set_nodelay(true).expect("an option");
    theirs.set_nodelay(true).expect("an option");
    let mut bare = Bare::start(language);
    let [ours, theirs, bare] = take_turns(
        ROUNDS,
        [
            &mut || exchanges(&mut ours, &request),
            &mut || exchanges(&mut theirs, &request),
            &mut || bare.echoes(),
        ],
    );
    kernel.destroy().expect("its end");
    let name = language.name;
    let what = format!(
        "executions of `{}` a second, in a {name} kernel",
        language.code
    );
    let ratio = throughput(&ours, &theirs);
    row(&what, "the answers of a bare hyper server", ratio, "-");
    let ratio = throughput(&ours, &bare);
    let against = format!("a bare {name} that does the same, through two pipes");
    row(&what, &against, ratio, "-");
    let both: Vec<Cost> = theirs
        .iter()
        .zip(&bare)
        .map(|(theirs, bare)| Cost {
            wall: theirs.wall + bare.wall,
            cpu: theirs.cpu + bare.cpu,
        })
        .collect();
    let ratio = throughput(&ours, &both);
    row(&what, "one after the other of both", ratio, "at least 0.5");
    println!(
        "\nOne takes {}, {} and {} µs.\n",
        microseconds(&ours),
        microseconds(&theirs),
        microseconds(&bare)
    );
}

/// What one execution takes.
fn microseconds(turns: &[Cost]) -> Ratio {
    let turns = turns.iter();
    Ratio::of(turns.map(|it| it.wall * 1e6 / EXECUTIONS as f64).collect())
}

fn exchanges(stream: &mut TcpStream, request: &[u8]) {
    let mut buffer = vec![0; 16 * 1024];
    for _ in 0..EXECUTIONS {
        stream.write_all(request).expect("it is sent");
        let mut filled = 0;
        while message_len(&buffer[..filled]).is_none_or(|length| filled < length) {
            filled += stream.read(&mut buffer[filled..]).expect("a response");
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200 "));
        let answer = buffer[..filled].windows(5).any(|part| part == b"hello");
        assert!(answer, "{}", String::from_utf8_lossy(&buffer[..filled]));
    }
}

/// A language, and code that prints a line.
#[derive(Clone, Copy)]
struct Language {
    name: &'static str,
    code: &'static str,
    /// A program that runs each line of its input.
    bare: [&'static str; 3],
}

const LANGUAGES: [Language; 2] = [
    Language {
        name: "bash",
        code: "echo hello world",
        bare: [
            "--norc",
            "-c",
            "while read -r line; do eval \"$line\"; done",
        ],
    },
    Language {
        name: "python3",
        code: "print('hello world')",
        bare: [
            "-u",
            "-c",
            "import sys\nfor line in sys.stdin: exec(compile(line, '<input>', 'exec'))",
        ],
    },
];

/// What every execution needs: an interpreter that reads a line and writes one.
struct Bare {
    child: std::process::Child,
    input: Option<std::process::ChildStdin>,
    output: std::process::ChildStdout,
    line: String,
}

impl Bare {
    fn start(language: Language) -> Self {
        let mut child = Command::new(language.name)
            .args(language.bare)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an interpreter");
        Self {
            input: child.stdin.take(),
            output: child.stdout.take().expect("a pipe"),
            child,
            line: format!("{}\n", language.code),
        }
    }

    fn echoes(&mut self) {
        let mut buffer = [0; 64];
        for _ in 0..EXECUTIONS {
            let input = self.input.as_mut().expect("a pipe");
            input.write_all(self.line.as_bytes()).expect("it is sent");
            let mut filled = 0;
            while !buffer[..filled].ends_with(b"\n") {
                let read = self.output.read(&mut buffer[filled..]).expect("an echo");
                assert!(read > 0, "it has ended");
                filled += read;
            }
            assert_eq!(&buffer[..filled], b"hello world\n");
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
