//! `--disk`: files of kernels in memory.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use snapbox::cmd::OutputAssert;
use sorna_test_tools::need_that;

use crate::support::served::Served;
use crate::support::terminal::Terminal;
use crate::support::{check, here, sorna, write};

/// Runs this in bash, where files have room for 16 MiB.
fn run(directory: &Path, options: &[&str], code: &str) -> OutputAssert {
    let mut command = sorna(directory);
    command.args(["run", "--local", "-q", "--disk", "16m"]);
    command.args(options).args(["bash", "-c", code]);
    check(command)
}

/// Whether this machine lets its users make namespaces.
#[track_caller]
fn has_namespaces(directory: &Path) -> bool {
    let mut command = sorna(directory);
    command.args(["run", "--local", "-q", "--require-isolation"]);
    command.args(["bash", "-c", ":"]);
    let output = command.output().expect("sorna runs");
    let reason = String::from_utf8_lossy(&output.stderr).into_owned();
    need_that(
        output.status.success(),
        &format!("user namespaces ({reason})"),
    )
}

#[test]
fn a_local_program_that_fills_its_disk_is_told_so() {
    let directory = here();
    let directory = directory.path();
    if !has_namespaces(directory) {
        return;
    }
    let fill = "stat -fc %T . $TMPDIR; head -c 20M /dev/zero >f; echo $?; stat -c %s f; rm f; echo kept >g; cat g";
    run(directory, &[], fill)
        .success()
        .stdout_eq("tmpfs\ntmpfs\n1\n16[..]\nkept\n")
        .stderr_eq("head: [..]No space left on device\n");
    // Without namespaces, it is killed.
    let wait = "head -c 20M /dev/zero >f; sleep 60";
    run(directory, &["--isolation", "landlock"], wait)
        .code(137)
        .stderr_eq("...\n[..]killed: the kernel exceeded its disk limit of 16 MiB[..]\n...\n");

    let mut terminal = Terminal::start(directory, None, &["--local", "--disk", "16m", "bash"]);
    terminal.shows("Leave with Ctrl-].");
    terminal.types("echo blocks:$(stat -fc %b:%S .)\n");
    terminal.shows("blocks:4096:4096");
    terminal.types("exit\n");
    terminal.rest();
}

#[test]
fn local_files_are_uploaded_into_memory_as_far_as_there_is_room() {
    let directory = here();
    let directory = directory.path();
    if !has_namespaces(directory) {
        return;
    }
    write(
        directory,
        &[
            ("main.sh", "cat data/in; stat -fc %T data\n"),
            ("data/in", "read\n"),
        ],
    );
    let with = |files: &[&str]| {
        let mut command = sorna(directory);
        command.args(["run", "--local", "-q", "--disk", "2m", "bash"]);
        command
            .args(["--exec", "bash main.sh", "main.sh"])
            .args(files);
        check(command)
    };
    with(&["data"]).success().stdout_eq("read\ntmpfs\n");
    for name in ["a", "b", "c"] {
        let large = File::create(directory.join("data").join(name)).expect("a file");
        large.set_len(1 << 20).expect("a size");
    }
    with(&["data"])
        .code(1)
        .stdout_eq("")
        .stderr_eq("...\n[..]disk limit of 2 MiB[..]\n...\n");
}

#[test]
fn files_in_memory_are_listed_and_downloaded() {
    let directory = here();
    let directory = directory.path();
    if !has_namespaces(directory) {
        return;
    }
    let mut command = sorna(directory);
    command.args(["serve", "--disk", "16m", "--require-isolation"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let served = Served::start(command);
    let client = |arguments: &[&str]| {
        let mut command = sorna(directory);
        for (name, value) in served.settings() {
            command.env(name.replace("SORNA", "BACKEND"), value);
        }
        command.args(arguments);
        check(command)
    };
    let code = "mkdir out; echo one >out/a; stat -fc %T out";
    client(&["run", "-q", "-t", "in-memory", "bash", "-c", code])
        .success()
        .stdout_eq("tmpfs\n");
    client(&["ls", "in-memory", "out"])
        .success()
        .stdout_eq("[..] a\n");
    client(&["download", "in-memory", "out", "-o", "here"]).success();
    let read = std::fs::read_to_string(directory.join("here/out/a"));
    assert_eq!(read.expect("a file"), "one\n");
}

#[test]
fn a_disk_is_an_option_for_this_machine() {
    let directory = here();
    let mut command = sorna(directory.path());
    command.args(["run", "--disk", "16m", "bash", "-c", ":"]);
    check(command)
        .code(2)
        .stderr_eq("...\n[..]--local[..]\n...\n");
}
