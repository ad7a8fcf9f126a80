//! Downloads from managers of Backend.AI, which send little at once.

use serde_json::Value;

use crate::support::stub::{self, Request};
use crate::support::{check, here, sorna};

/// An archive in tar's format with one file, as a download has it.
fn archive(path: &str, content: &str) -> String {
    // Managers leave the directories out of it.
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut head = vec![0; 512];
    let mut put =
        |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644");
    put(124, &format!("{:011o}", content.len()));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = String::from_utf8(head).expect("ASCII") + content;
    tar += &"\0".repeat(512 - content.len() % 512 + 1024);
    format!("--b\r\nContent-Type: application/octet-stream\r\n\r\n{tar}\r\n--b--\r\n")
}

/// A manager that sends no directory, as if all had too much, and these files.
fn manager_with(files: &'static [&'static str]) -> std::net::SocketAddr {
    stub::stub(move |request: &Request| {
        let query = request.path.split_once('?').map_or("", |(_, query)| query);
        let of_query = |name: &str| {
            let mut fields = query.split('&').filter_map(|field| field.split_once('='));
            let field = fields.find(|(key, _)| *key == name);
            field.map_or_else(String::new, |(_, value)| value.replace("%2F", "/"))
        };
        Some(match request.path.split('?').next().unwrap_or_default() {
            "/" => (
                200,
                r#"{"version": "v9.20250722", "manager": "26.9.6"}"#.to_owned(),
            ),
            path if path.ends_with("/files") => {
                let folder = of_query("path");
                let below = |file: &&str| -> Option<(String, bool)> {
                    let rest = match folder.as_str() {
                        "." => file,
                        folder => file.strip_prefix(folder)?.strip_prefix('/')?,
                    };
                    let (name, more) = rest.split_once('/').unwrap_or((rest, ""));
                    Some((name.to_owned(), !more.is_empty()))
                };
                let mut names: Vec<_> = files.iter().filter_map(below).collect();
                names.dedup();
                let listed = names.iter().map(|(name, is_directory)| {
                    let kind = match (is_directory, name.as_str()) {
                        (true, _) => 'd',
                        (false, "link") => 'l',
                        _ => '-',
                    };
                    serde_json::json!({"mode": format!("{kind}rwxr-xr-x"), "size": 1, "ctime": 0, "mtime": 0, "atime": 0, "filename": name})
                });
                let listed: Vec<_> = listed.collect();
                let listed = serde_json::to_string(&listed).expect("JSON");
                let body = serde_json::json!({"result": true, "errors": "", "files": listed, "abspath": "/home/work"});
                (200, body.to_string())
            }
            _ => {
                let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                let wanted = match &body["files"] {
                    Value::Array(names) => names[0].as_str().unwrap_or_default().to_owned(),
                    _ => of_query("files"),
                };
                match files.contains(&wanted.as_str()) {
                    true => (200, archive(&wanted, &format!("content of {wanted}"))),
                    false => (
                        500,
                        r#"{"type": "https://api.backend.ai/probs/internal-server-error"}"#
                            .to_owned(),
                    ),
                }
            }
        })
    })
}

#[test]
fn directories_that_are_too_large_are_downloaded_file_by_file() {
    let address = manager_with(&["up/one", "up/two", "up/deep/down/three", "up/link"]);
    let directory = here();
    let mut command = stub::at(sorna(directory.path()), address);
    command.args([
        "download",
        "--api",
        "auto",
        "7c548299-6be3-4613-8cf0-f11deb896755",
        "up",
        "missing",
        "-o",
        "here",
    ]);
    check(command).code(1).stdout_eq("").stderr_eq(
        "∙ Left out up/link: it is a symbolic link.\n\
         ✔ Downloaded 3 files to here.\n\
         ✘ missing does not exist\n\
         ∙ `sorna ls [..]` lists the files.\n",
    );
    for file in ["up/one", "up/two", "up/deep/down/three"] {
        let path = directory.path().join("here").join(file);
        let content = std::fs::read_to_string(path).expect("a file");
        assert_eq!(content, format!("content of {file}"));
    }
}
