//! Pieces of work whose instructions valgrind counts, for `.ci/instructions`. With a name, does
//! that piece of work once; without one, lists the names.
//!
//! Valgrind's processor has no instructions for SHA, so the count for a signature is mostly SHA-256
//! in software. It shows whether more is hashed or built than before, and nothing about time.

use std::hint::black_box;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::Response;
use sorna_core::terminal::{Command, Message};
use sorna_core::{
    AccessKey, ApiVersion, Boundary, Config, Credentials, Execute, ExecuteMode, KernelId,
    Operation, SecretKey, Signer, UploadFile, UploadFiles,
};

#[path = "../../shared/results.rs"]
mod results;

const NAMES: [&str; 5] = [
    "sign-execute",
    "parse-small-result",
    "parse-10000-records",
    "terminal-messages",
    "multipart-head",
];

/// The function whose instructions are counted, with all that it calls.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

/// Does it once to warm up, which computes keys and grows the heap, and once for the count.
fn measure<T>(mut work: impl FnMut() -> T) {
    drop(black_box(work()));
    let mut result = None;
    measured(&mut || result = Some(work()));
    drop(black_box(result));
}

fn main() {
    let Some(name) = std::env::args().nth(1) else {
        println!("{}", NAMES.join("\n"));
        return;
    };
    let keys = Credentials::new(
        AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
        SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a key"),
    );
    let endpoint = "http://127.0.0.1:8081".parse().expect("an endpoint");
    let signer = Signer::new(Config::new(endpoint, keys));
    let kernel = KernelId::new("zuF1OzMIhFknyjUl7Apbvg").expect("an id");
    let now = UNIX_EPOCH + Duration::from_secs(1_498_699_425);
    let execute = Execute::start(kernel.clone(), ExecuteMode::query("x".repeat(270)));
    let read =
        |body: &Bytes| execute.read_response(ApiVersion::default(), Response::new(body.clone()));

    match name.as_str() {
        "sign-execute" => measure(|| execute.request(&signer, now)),
        "parse-small-result" => {
            let body = Bytes::from_static(
                br#"{"result": {"status": "finished", "console": [["stdout", "hello world\n"],
                    ["stderr", "and more"]], "options": {"exitCode": 0}, "files": []}}"#,
            );
            measure(|| read(&body).expect("a result"));
        }
        "parse-10000-records" => {
            let [.., (_, body)] = results::all();
            measure(|| read(&body).expect("a result"));
        }
        "terminal-messages" => measure(|| {
            let out = Message::Out(Bytes::from_static(b"\x1b[1mhello\x1b[0m world\r\n")).encode();
            let typed = Command::Stdin(Bytes::from_static(b"ls -l\n")).encode();
            let size = Command::Resize { rows: 24, cols: 80 }.encode();
            (
                Message::decode(&out),
                Command::decode(&typed),
                Command::decode(&size),
            )
        }),
        "multipart-head" => {
            let file = UploadFile::from_bytes("a \"quoted\" näme.txt", &b"content"[..]);
            let files = vec![file.expect("a file")];
            let upload = UploadFiles::new(kernel, files, Boundary::from_random([0xd3; 16]));
            measure(|| upload.prepare(Default::default()));
        }
        other => panic!("there is no work named {other}"),
    }
}
