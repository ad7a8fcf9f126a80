//! One large file up to our gateway and down again, by each driver, beside curl with the same request.
//!
//! `cargo bench --bench large -- 2048` is for a file of 2048 MiB, which must fit into the system's memory several times.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use sorna::{ApiVersion, UnpackEvent};
use sorna_benchmarks::{caution, head, row, take_turns, throughput};
use sorna_core::{
    Boundary, Config, Download, KernelId, Operation, Signer, UploadFile, UploadFiles,
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
    let of_tokio = sorna::tokio::Client::new(config.clone());
    let of_smol = sorna::smol::Client::new(config.clone());
    let of_async_std = sorna::async_std::Client::new(config.clone());
    let blocking = sorna::blocking::Client::new(config.clone());
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
    let up = take_turns(
        ROUNDS,
        [
            &mut || curl_up(&config, id(), path),
            &mut || {
                watched(0, &|| {
                    let done = on_tokio.block_on(of_tokio.kernel(id()).upload(list()));
                    assert_eq!(done.expect("an upload").files, 1);
                });
            },
            &mut || {
                watched(1, &|| {
                    let done = smol::block_on(of_smol.kernel(id()).upload(list()));
                    assert_eq!(done.expect("an upload").files, 1);
                });
            },
            &mut || {
                watched(2, &|| {
                    let kernel = of_async_std.kernel(id());
                    let done = async_std::task::block_on(kernel.upload(list()));
                    assert_eq!(done.expect("an upload").files, 1);
                });
            },
            &mut || {
                watched(3, &|| {
                    let done = blocking.kernel(id()).upload(list());
                    assert_eq!(done.expect("an upload").files, 1);
                });
            },
        ],
    );
    print("up", &up, *grown.borrow());
    *grown.borrow_mut() = [0; 4];

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
                    on_tokio.block_on(async { received!(of_tokio, await) })
                })
            },
            &mut || watched(1, &|| smol::block_on(async { received!(of_smol, await) })),
            &mut || {
                watched(2, &|| {
                    async_std::task::block_on(async { received!(of_async_std, await) });
                });
            },
            &mut || watched(3, &|| received!(blocking)),
        ],
    );
    print("down", &down, *grown.borrow());
    kernel.destroy().expect("its end");
}

fn print(way: &str, costs: &[Vec<sorna_benchmarks::Cost>; 5], grown: [u64; 4]) {
    let [curl, ours @ ..] = costs;
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
