//! Shared memory and semaphores of kernels that are killed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::{Client, gateway, gateway_with};
use sorna_core::{Continuation, ExecutionStatus, KernelId};

/// Makes a block of shared memory and a semaphore, and prints their names.
const MAKE: &str = "import multiprocessing, time\n\
    from multiprocessing import shared_memory\n\
    lock = multiprocessing.get_context('spawn').Lock()\n\
    memory = shared_memory.SharedMemory(create=True, size=100)\n\
    print(memory.name, 'sem.' + lock._semlock.name.lstrip('/'), flush=True)\n";

/// Starts a program, and returns the paths that it prints.
fn start(client: &Client, kernel: &KernelId, code: &str) -> Vec<PathBuf> {
    let (start, mut result) = client.query(kernel, code);
    let mut stdout = String::new();
    loop {
        stdout += &result.stdout();
        if stdout.ends_with('\n') {
            break;
        }
        assert_eq!(result.status, ExecutionStatus::Continued, "{stdout}");
        result = client.call(&start.proceed(Continuation::Continue)).unwrap();
    }
    let names = stdout.split_whitespace();
    names.map(|name| Path::new("/dev/shm").join(name)).collect()
}

#[track_caller]
fn assert_gone(paths: &[PathBuf]) {
    assert_eq!(paths.len(), 2);
    for path in paths {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[test]
fn a_kernel_that_is_destroyed_leaves_no_shared_memory() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let programs = [
        format!("{MAKE}time.sleep(1000)"),
        format!("{MAKE}while True: pass"),
        // In another process, and with one that ignores signals.
        "import os, signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nif os.fork() == 0:\n    CODE\nos.wait()"
            .replace("CODE", &format!("{MAKE}time.sleep(1000)").replace('\n', "\n    ")),
    ];
    for program in &programs {
        let kernel = client.create("python3");
        let paths = start(&client, &kernel, program);
        client.destroy(&kernel);
        assert_gone(&paths);
    }
}

#[test]
fn a_program_that_is_stopped_leaves_none_in_the_end() {
    let gateway = gateway_with(|config| config.with_exec_timeout(Duration::from_secs(2)));
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = format!("{MAKE}time.sleep(1000)");
    let outcome = client.run(&kernel, &code);
    assert_eq!(outcome.status, Some(ExecutionStatus::ExecTimeout));
    let names = outcome.stdout.split_whitespace();
    let paths: Vec<PathBuf> = names.map(|name| Path::new("/dev/shm").join(name)).collect();
    client.destroy(&kernel);
    assert_gone(&paths);
}

/// Files that are removed at the end of a test, however it ends.
struct Removed(Vec<PathBuf>);

impl Drop for Removed {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[test]
fn what_is_older_or_in_use_stays() {
    let name = format!("sorna-test-{}", std::process::id());
    let older = Path::new("/dev/shm").join(&name);
    if std::fs::write(&older, "older").is_err() {
        return;
    }
    let mut removed = Removed(vec![older.clone()]);
    let gateway = gateway();
    let client = Client::new(&gateway);
    // The second kernel uses what the first has made, where they share the directory.
    let (first, second) = (client.create("python3"), client.create("python3"));
    let paths = start(&client, &first, &format!("{MAKE}time.sleep(1000)"));
    removed.0.extend(paths.clone());
    let shared = paths[0].file_name().unwrap().to_str().unwrap();
    let code = format!(
        "import mmap\nfor name in {name:?}, {shared:?}:\n    try:\n        file = open('/dev/shm/' + name, 'r+b')\n        globals()['m' + str(len(name))] = mmap.mmap(file.fileno(), 0)\n    except OSError: pass\nprint('x y')"
    );
    client.run(&second, &code).finished();
    let is_shared = paths[0].exists();
    client.destroy(&first);
    assert_eq!(paths[0].exists(), is_shared, "it is still in use");
    assert!(!paths[1].exists());
    client.destroy(&second);
    assert!(older.exists(), "it is older than the kernels");
}
