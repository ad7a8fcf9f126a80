//! One large file up to our gateway and down again, by each driver, beside curl with the same request. All use new connections,
//! because one that has carried much before is slower. A loop that only copies the file to a socket shows both.
//!
//! `cargo bench --bench large -- 2048` is for a file of 2048 MiB, which must fit into the system's memory several times. The
//! gateway sends at most 1 GiB, so that what comes down is the beginning of a larger one.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use sorna::{ApiVersion, UnpackEvent};
use sorna_benchmarks::{Cost, caution, head, row, take_turns, throughput};
use sorna_core::{
    Boundary, Config, Download, KernelId, Operation, Segment, Signer, UploadFile, UploadFiles,
};
use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel};

#[path = "../shared/execute.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod execute;
#[path = "../shared/memory.rs"]
mod memory;
#[path = "../shared/server.rs"]
#[allow(dead_code, reason = "others need the rest")]
mod server;

use server::Server;

const ROUNDS: usize = 5;
const MIB: u64 = 1 << 20;
const SIZE: u64 = 2048 * MIB;
/// The largest file to download: with what is around it in an archive, it is within the gateway's limit.
const MOST_DOWN: u64 = 1023 * MIB;
const NAMES: [&str; 4] = ["tokio", "smol", "async-std", "blocking"];

fn main() {
    if server::asked_for().is_some() {
        return serve();
    }
    let mut numbers = std::env::args().skip(1);
    let size = numbers.find_map(|argument| argument.parse::<u64>().ok());
    let size = size.map_or(SIZE, |mib| mib * MIB);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("large");
    let mut file = File::create(&path).expect("a file");
    let block: Vec<u8> = (0..MIB).map(|number| (number % 251) as u8).collect();
    for _ in 0..size / MIB {
        file.write_all(&block).expect("room");
    }
    drop(file);
    let gateway = Server::start("gateway");
    println!("# One file of {} MiB\n", size / MIB);
    caution();
    head();
    transfers(gateway.address, &path, size);
}

/// The gateway in a separate process, with the keys that all benchmarks use.
fn serve() {
    let keys = execute::config(SocketAddr::from(([127, 0, 0, 1], 1)));
    let keys = keys.credentials().expect("it has keys").clone();
    let config = GatewayConfig::new()
        .with_credentials([keys])
        .with_isolation(IsolationLevel::Landlock)
        .with_max_file_size(8 << 30)
        .with_max_upload_file_size(8 << 30)
        .with_max_disk(64 << 30);
    let gateway = Gateway::spawn(config).expect("a gateway");
    println!("{}", gateway.endpoint().trim_start_matches("http://"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    gateway.stop();
}

fn transfers(address: SocketAddr, path: &Path, size: u64) {
    let config = execute::config(address).with_version(ApiVersion::V9_20250722);
    let on_tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let of_tokio = || sorna::tokio::Client::new(config.clone());
    let of_smol = || sorna::smol::Client::new(config.clone());
    let of_async_std = || sorna::async_std::Client::new(config.clone());
    let of_threads = || sorna::blocking::Client::new(config.clone());
    let blocking = of_threads();
    let kernel = blocking.create("bash").expect("a kernel");
    let id = || kernel.id().clone();

    let grown = RefCell::new([0_u64; 4]);
    let watched = |side: usize, work: &dyn Fn()| {
        let before = memory::resident();
        memory::forget_peak();
        work();
        let grew = memory::peak().saturating_sub(before);
        let most = &mut grown.borrow_mut()[side];
        *most = grew.max(*most);
    };
    let list = || vec![UploadFile::from_file("large", path, size).expect("a file")];
    let connect = || TcpStream::connect(address).expect("a connection");
    let kept = Cell::new(None);
    let up = take_turns(
        ROUNDS,
        [
            &mut || curl_up(&config, id(), path),
            &mut || drop(loop_up(connect(), &config, id(), list())),
            &mut || {
                let socket = kept.take().unwrap_or_else(connect);
                kept.set(Some(loop_up(socket, &config, id(), list())));
            },
            &mut || {
                watched(0, &|| {
                    let done = on_tokio.block_on(of_tokio().kernel(id()).upload(list()));
                    assert_eq!(done.expect("an upload").files, 1);
                });
            },
            &mut || {
                watched(1, &|| {
                    let done = smol::block_on(of_smol().kernel(id()).upload(list()));
                    assert_eq!(done.expect("an upload").files, 1);
                });
            },
            &mut || {
                watched(2, &|| {
                    let kernel = of_async_std().kernel(id());
                    let done = async_std::task::block_on(kernel.upload(list()));
                    assert_eq!(done.expect("an upload").files, 1);
                });
            },
            &mut || {
                watched(3, &|| {
                    let done = of_threads().kernel(id()).upload(list());
                    assert_eq!(done.expect("an upload").files, 1);
                });
            },
        ],
    );
    let [curl, on_new, on_kept, ours @ ..] = &up;
    for (loops, connection) in [(on_new, "new"), (on_kept, "kept")] {
        let what = format!("bytes a second up, a loop, {connection} connection");
        row(&what, "curl", throughput(loops, curl), "-");
    }
    print("up", curl, ours, *grown.borrow());
    *grown.borrow_mut() = [0; 4];

    // What is there is too large for the gateway, so it is replaced.
    let beginning = path.with_file_name("beginning");
    let size = size.min(MOST_DOWN);
    let content = File::open(path).expect("the file").take(size);
    let mut file = File::create(&beginning).expect("a file");
    std::io::copy(&mut { content }, &mut file).expect("room");
    let list = vec![UploadFile::from_file("large", &beginning, size).expect("a file")];
    assert_eq!(
        blocking.kernel(id()).upload(list).expect("an upload").files,
        1
    );

    macro_rules! received {
        ($client:expr $(, $await:tt)?) => {{
            let mut stream = $client.kernel(id()).download(["large"]);
            let mut seen = 0;
            while let Some(event) = stream.next_event()$(.$await)?.expect("an event") {
                if let UnpackEvent::Data(bytes) = event {
                    seen += bytes.len() as u64;
                }
            }
            assert_eq!(seen, size);
        }};
    }
    let down = take_turns(
        ROUNDS,
        [
            &mut || curl_down(&config, id(), size),
            &mut || {
                watched(0, &|| {
                    on_tokio.block_on(async { received!(of_tokio(), await) })
                })
            },
            &mut || watched(1, &|| smol::block_on(async { received!(of_smol(), await) })),
            &mut || {
                watched(2, &|| {
                    async_std::task::block_on(async { received!(of_async_std(), await) });
                });
            },
            &mut || watched(3, &|| received!(of_threads())),
        ],
    );
    let [curl, ours @ ..] = &down;
    print("down", curl, ours, *grown.borrow());
    kernel.destroy().expect("its end");
}

fn print(way: &str, curl: &[Cost], ours: &[Vec<Cost>; 4], grown: [u64; 4]) {
    for ((name, ours), grew) in NAMES.iter().zip(ours).zip(grown) {
        let ratio = throughput(ours, curl);
        row(
            &format!("bytes a second {way}, {name}"),
            "curl",
            ratio,
            "at least 0.95",
        );
        let mib = grew as f64 / MIB as f64;
        println!("| memory grows by, {way}, {name} | - | {mib:.1} MiB | at most 8 MiB |");
    }
}

/// The line, the headers and the body of a request, for curl.
fn curl(operation: &impl Operation, config: &Config) -> Command {
    let signer = Signer::new(config.clone());
    let request = operation
        .request(&signer, SystemTime::now())
        .expect("a request");
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--noproxy",
            "*",
            "-H",
            "Expect:",
        ])
        .args(["-X", request.method().as_str()]);
    for (name, value) in request.headers() {
        let value = value.to_str().expect("ASCII");
        // curl makes its own boundaries and lengths.
        let is_form = name == "content-type" && value.starts_with("multipart");
        if !is_form && name != "content-length" {
            command.arg("-H").arg(format!("{name}: {value}"));
        }
    }
    if let Some(body) = request.body().as_bytes().filter(|body| !body.is_empty()) {
        let body = str::from_utf8(body).expect("JSON");
        command.arg("--data-binary").arg(body);
    }
    command.arg(request.uri().to_string());
    command
}

fn curl_up(config: &Config, kernel: KernelId, path: &Path) {
    let file = UploadFile::from_bytes("large", "x").expect("a file");
    let boundary = Boundary::from_random([7; 16]);
    let upload = UploadFiles::new(kernel, vec![file], boundary).with_any_size(true);
    let mut command = curl(&upload, config);
    command.arg("-F").arg(format!("src=@{}", path.display()));
    let output = command.output().expect("curl");
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{answer}");
}

/// The same request by a loop, in pieces as large as those of curl.
fn loop_up(
    mut socket: TcpStream,
    config: &Config,
    kernel: KernelId,
    files: Vec<UploadFile>,
) -> TcpStream {
    let upload =
        UploadFiles::new(kernel, files, Boundary::from_random([7; 16])).with_any_size(true);
    let request = upload.request(&Signer::new(config.clone()), SystemTime::now());
    let (head, body) = request.expect("a request").into_parts();
    socket.set_nodelay(true).expect("it is connected");
    let target = head.uri.path_and_query().expect("a target");
    let mut text = format!("{} {target} HTTP/1.1\r\n", head.method);
    for (name, value) in &head.headers {
        text += &format!("{name}: {}\r\n", value.to_str().expect("ASCII"));
    }
    text += "\r\n";
    socket.write_all(text.as_bytes()).expect("it is sent");
    let mut piece = vec![0; 64 << 10];
    for segment in body.segments() {
        let path = match segment {
            Segment::Bytes(bytes) => {
                socket.write_all(bytes).expect("it is sent");
                continue;
            }
            file => file.path().expect("a file"),
        };
        let mut file = File::open(path).expect("the file");
        loop {
            match file.read(&mut piece).expect("the file") {
                0 => break,
                read => socket.write_all(&piece[..read]).expect("it is sent"),
            }
        }
    }
    // It has no body.
    let mut answer = vec![0; 4096];
    let read = socket.read(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    socket
}

fn curl_down(config: &Config, kernel: KernelId, size: u64) {
    let download = Download::new(kernel, vec!["large".to_owned()]);
    let mut command = curl(&download, config);
    command.args(["-o", "/dev/null", "-w", "%{size_download}"]);
    let output = command.output().expect("curl");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let received: u64 = String::from_utf8_lossy(&output.stdout)
        .parse()
        .expect("a size");
    assert!(received > size, "{received} bytes");
}
