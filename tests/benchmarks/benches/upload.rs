//! Many files by each driver, beside curl with the same files in the same requests. All use a new connection each time: one that
//! has carried much before is slower, see `large`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sorna_benchmarks::{caution, head, row, take_turns, throughput};
use sorna_core::UploadFile;

#[path = "../shared/execute.rs"]
#[allow(dead_code, reason = "other benchmarks need the rest")]
mod execute;
#[path = "../shared/memory.rs"]
mod memory;
#[path = "../shared/server.rs"]
mod server;
#[path = "../shared/uploads.rs"]
mod uploads;

use execute::{config, kernel};
use server::Server;

const ROUNDS: usize = 11;
/// The number of files, unless the first argument says otherwise.
const FILES: usize = 100;
const SIZE: usize = 1024 * 1024;
/// The number of files in one request, according to the API.
const A_REQUEST: usize = 20;

fn main() {
    if server::asked_for().is_some() {
        return server::serve_each(uploads::serve_one);
    }
    let mut numbers = std::env::args().skip(1);
    let files = numbers.find_map(|argument| argument.parse().ok());
    let files = files.unwrap_or(FILES);
    let directory = tempfile::tempdir().expect("a directory");
    let paths: Vec<_> = (0..files)
        .map(|number| {
            let path = directory.path().join(format!("file-{number}"));
            fs::write(&path, vec![number as u8; SIZE]).expect("a file");
            path
        })
        .collect();
    let server = Server::start("uploads");
    println!("# {files} files of 1 MiB\n");
    caution();
    beside_curl(server.address, directory.path(), &paths);
}

fn list(paths: &[PathBuf]) -> Vec<UploadFile> {
    paths
        .iter()
        .map(|path| {
            let name = path.file_name().expect("a name").to_str().expect("ASCII");
            UploadFile::from_file(name, path, SIZE as u64).expect("a file")
        })
        .collect()
}

fn beside_curl(address: SocketAddr, directory: &Path, paths: &[PathBuf]) {
    let on_tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let requests = directory.join("requests");
    fs::write(&requests, curl_requests(address, paths)).expect("a file");

    let grown = std::cell::RefCell::new([0_u64; 4]);
    let watched = |side: usize, work: &dyn Fn()| {
        let before = memory::resident();
        memory::forget_peak();
        work();
        let grew = memory::peak().saturating_sub(before);
        let most = &mut grown.borrow_mut()[side];
        *most = grew.max(*most);
    };
    let costs = take_turns(
        ROUNDS,
        [
            &mut || curl(&requests),
            &mut || {
                watched(0, &|| {
                    let upload = sorna::tokio::Client::new(config(address)).kernel(kernel());
                    let done = on_tokio.block_on(upload.upload(list(paths)));
                    assert_eq!(done.expect("an upload").files, paths.len());
                });
            },
            &mut || {
                watched(1, &|| {
                    let upload = sorna::smol::Client::new(config(address)).kernel(kernel());
                    let done = smol::block_on(upload.upload(list(paths)));
                    assert_eq!(done.expect("an upload").files, paths.len());
                });
            },
            &mut || {
                watched(2, &|| {
                    let upload = sorna::async_std::Client::new(config(address)).kernel(kernel());
                    let done = async_std::task::block_on(upload.upload(list(paths)));
                    assert_eq!(done.expect("an upload").files, paths.len());
                });
            },
            &mut || {
                watched(3, &|| {
                    let done = sorna::blocking::Client::new(config(address))
                        .kernel(kernel())
                        .upload(list(paths));
                    assert_eq!(done.expect("an upload").files, paths.len());
                });
            },
        ],
    );
    let names = ["tokio", "smol", "async-std", "blocking"];
    let [curl, ours @ ..] = &costs;
    head();
    for (name, ours) in names.iter().zip(ours) {
        let ratio = throughput(ours, curl);
        row(
            &format!("throughput, {name}"),
            "curl",
            ratio,
            "at least 0.9",
        );
    }
    println!("\n| what | measured | to reach |");
    println!("|---|---|---|");
    for (name, grew) in names.iter().zip(*grown.borrow()) {
        let mib = grew as f64 / 1024.0 / 1024.0;
        println!("| memory grows by, {name} | {mib:.1} MiB | at most 8 MiB |");
    }
}

/// The same requests for one curl, which keeps its connection.
fn curl_requests(address: SocketAddr, paths: &[PathBuf]) -> String {
    let requests = paths.chunks(A_REQUEST).map(|paths| {
        let mut request = format!("url = \"http://{address}/v2/kernel/k/upload\"\n");
        for path in paths {
            request += &format!("form = \"src=@{}\"\n", path.display());
        }
        request + "header = \"Expect:\"\nsilent\nfail\nnoproxy = \"*\"\n"
    });
    requests.collect::<Vec<_>>().join("next\n")
}

fn curl(requests: &Path) {
    let status = Command::new("curl").arg("-K").arg(requests).status();
    assert!(status.expect("curl").success());
}
