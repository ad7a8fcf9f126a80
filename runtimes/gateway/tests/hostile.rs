//! Hostile programs, and programs that exceed their limits.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Client, gateway_with, wait_until};
use sorna_core::{ExecutionStatus, Info, KernelId, Limits};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use sorna_test_tools::need_that;

/// The content of files that no kernel may read.
const SECRET: &str = "a-secret-of-another-user";

fn is_isolated() -> bool {
    let gateway = Gateway::bind(GatewayConfig::default()).unwrap();
    need_that(gateway.isolation().landlock.is_some(), "Landlock")
}

fn memory_limit(client: &Client, kernel: &KernelId) -> Option<u64> {
    client
        .call(&Info::new(kernel.clone()))
        .unwrap()
        .max_memory()
}

/// The number of processes whose environment contains the word.
fn processes_with(word: &str) -> usize {
    let holds = |entry: std::fs::DirEntry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(holds)
        .filter(|it| *it)
        .count()
}

fn mark_of(client: &Client, kernel: &KernelId) -> String {
    let (mark, _) = client.run(kernel, "echo -n $SORNA_KERNEL_MARK").finished();
    let (base, _) = mark.split_once('.').unwrap();
    format!("SORNA_KERNEL_MARK={base}.")
}

#[test]
fn a_kernel_cannot_read_or_write_files_of_others() {
    if !is_isolated() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let gateway = common::gateway();
    let client = Client::new(&gateway);
    let victim = client.create("bash");
    client
        .upload(&victim, &[("private", SECRET.as_bytes())])
        .unwrap();
    let (work, _) = client.run(&victim, "echo -n $HOME").finished();

    let kernel = client.create("python3");
    let attempts = format!(
        r#"
import errno, os
here = os.getcwd()
def attempt(name, action):
    try:
        print(name, "->", action())
    except OSError as error:
        refused = isinstance(error, PermissionError) or error.errno == errno.EXDEV
        print(name, "denied" if refused else error)
secret, work = {secret:?}, {work:?}
attempt("read", lambda: open(secret).read())
attempt("kernel", lambda: open(work + "/private").read())
attempt("list", lambda: os.listdir(work))
attempt("runners", lambda: open(os.path.dirname(os.path.dirname(here)) + "/runners/evil", "w"))
attempt("write", lambda: open(secret + "2", "w"))
attempt("tmp", lambda: open("/tmp/sorna-was-here", "w"))
attempt("delete", lambda: os.unlink(secret))
attempt("link", lambda: os.link(secret, "mine"))
os.symlink(secret, "shortcut")
attempt("shortcut", lambda: open("shortcut").read())
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("home", lambda: os.listdir({home:?}))
attempt("mine", lambda: open("fine", "w").write("x"))
"#,
        secret = secret.to_str().unwrap(),
        home = std::env::home_dir().unwrap().to_str().unwrap(),
    );
    let (stdout, stderr) = client.run(&kernel, &attempts).finished();
    assert_eq!(stderr, "");
    let expected = [
        "read", "kernel", "list", "runners", "write", "tmp", "delete", "link", "shortcut",
        "shadow", "home",
    ];
    let expected: String = expected
        .iter()
        .map(|name| format!("{name} denied\n"))
        .collect();
    assert_eq!(stdout, format!("{expected}mine -> 1\n"));
    // Nor by a child process.
    let (stdout, _) = client
        .run(
            &kernel,
            &format!(
                "import subprocess; print(subprocess.run(['cat', {secret:?}], capture_output=True))"
            ),
        )
        .finished();
    assert!(
        !stdout.contains(SECRET) && stdout.contains("denied"),
        "{stdout}"
    );
}

#[test]
fn a_kernel_cannot_inspect_or_signal_the_gateway() {
    if !is_isolated() {
        return;
    }
    let gateway = common::gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let own = std::process::id();
    let snippet = format!(
        "for file in environ mem maps root/etc/hostname cwd/x fd/0; do \
           cat /proc/{own}/$file >got 2>/dev/null && [ -s got ] && echo read $file; done; \
         kill -CONT {own} 2>/dev/null && echo signalled; \
         env | grep -c -e SORNA_ACCESS_KEY -e SORNA_SECRET_KEY -e CARGO"
    );
    let (stdout, _) = client.run(&kernel, &snippet).finished();
    let version = Gateway::bind(GatewayConfig::default())
        .unwrap()
        .isolation()
        .landlock;
    let holds_signals_back = version.is_some_and(|version| version >= 6);
    if need_that(holds_signals_back, "Landlock 6, which holds signals back,") {
        assert_eq!(stdout, "0\n");
    } else {
        assert_eq!(stdout, "signalled\n0\n");
    }
}

#[test]
fn kernels_have_no_privileges() {
    let gateway = common::gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let status = "grep -E 'NoNewPrivs|CapEff|CapPrm|CapBnd' /proc/self/status";
    let (stdout, _) = client.run(&kernel, status).finished();
    assert!(stdout.contains("NoNewPrivs:\t1"), "{stdout}");
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    if own.contains("CapEff:\t0000000000000000") {
        return;
    }
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert!(
            stdout.contains(&format!("{set}:\t0000000000000000")),
            "{stdout}"
        );
    }
}

/// With control groups, if the system has them; and without, where the gateway checks resource use.
const GROUPS: [Option<&str>; 2] = [None, Some("/no/control/groups/here")];

fn in_groups(config: GatewayConfig, groups: Option<&str>) -> GatewayConfig {
    match groups {
        Some(groups) => config.with_cgroup(groups),
        None => config,
    }
}

#[test]
fn a_fork_bomb_is_stopped_and_the_kernel_survives() {
    GROUPS.into_iter().for_each(bomb);
}

fn bomb(groups: Option<&str>) {
    let gateway = gateway_with(|config| in_groups(config.with_max_processes(60), groups));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let mark = mark_of(&client, &kernel);
    // Bounded, so that a faulty gateway does not bring down the machine.
    let bomb =
        "bomb() { [ $1 -lt 9 ] && { bomb $(($1 + 1)) & bomb $(($1 + 1)) & }; sleep 30; }; bomb 0";
    let outcome = client.run(&kernel, bomb);
    assert_eq!(
        outcome.status,
        Some(ExecutionStatus::Finished),
        "{outcome:?}"
    );
    assert!(
        outcome.exit_code().is_some_and(|code| code != 0),
        "{outcome:?}"
    );
    assert!(
        outcome.stderr.contains("60 processes") || outcome.stderr.contains("fork"),
        "{}",
        outcome.stderr
    );
    wait_until("the bomb ends", || processes_with(&mark) <= 2);
    assert_eq!(client.run(&kernel, "echo alive").finished().0, "alive\n");
}

#[test]
fn memory_is_limited_for_one_process_and_for_all_together() {
    GROUPS.into_iter().for_each(hog);
}

fn hog(groups: Option<&str>) {
    let gateway = gateway_with(|config| in_groups(config, groups));
    let client = Client::new(&gateway);
    let limits = Limits::default().with_max_memory(200 << 20);
    let kernel = client.create_with("python3", limits);
    let one = client.run(&kernel, "x = bytearray(1 << 30)\nprint(len(x))");
    assert!(one.stdout.is_empty(), "{one:?}");
    assert!(
        one.stderr.contains("MemoryError") || one.stderr.contains("200 MiB"),
        "{one:?}"
    );
    assert_eq!(
        client.run(&kernel, "print('alive')").finished().0,
        "alive\n"
    );
    // Each process is below the limit; together they exceed it.
    let many = client.run(
        &kernel,
        "import os, time\n\
         for _ in range(6):\n    \
           if os.fork() == 0:\n        \
             x = bytearray(os.urandom(1)) * (80 << 20)\n        \
             time.sleep(30)\n        \
             os._exit(0)\n\
         time.sleep(30)",
    );
    assert!(many.stderr.contains("200 MiB"), "{many:?}");
    assert_eq!(many.exit_code(), Some(137), "{many:?}");
    assert_eq!(
        client.run(&kernel, "print('alive')").finished().0,
        "alive\n"
    );
    assert_eq!(memory_limit(&client, &kernel), Some(200 << 20));
}

#[test]
fn a_client_can_lower_the_memory_limit_and_not_raise_it() {
    let gateway = gateway_with(|config| config.with_max_memory(300 << 20));
    let client = Client::new(&gateway);
    let limit = |wanted: Option<u64>| {
        let limits =
            wanted.map_or_else(Limits::default, |it| Limits::default().with_max_memory(it));
        memory_limit(&client, &client.create_with("bash", limits))
    };
    assert_eq!(limit(None), Some(300 << 20));
    assert_eq!(limit(Some(100 << 20)), Some(100 << 20));
    assert_eq!(limit(Some(1 << 40)), Some(300 << 20));
}

#[test]
fn file_size_is_limited_and_crashes_leave_no_core() {
    let gateway = gateway_with(|config| config.with_max_file_size(100_000));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let (stdout, _) = client
        .run(
            &kernel,
            "head -c 200000 /dev/zero >big 2>/dev/null; stat -c %s big; ulimit -c",
        )
        .finished();
    assert_eq!(stdout, "100000\n0\n");
}

#[test]
fn one_response_holds_limited_output() {
    let gateway = gateway_with(|config| config.with_max_console_size(50_000));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let outcome = client.run(&kernel, "head -c 1000000 /dev/zero | tr '\\0' x");
    assert!(outcome.longest <= 150_000, "{}", outcome.longest);
    assert_eq!(outcome.finished().0.len(), 1_000_000);
}

#[test]
fn the_configuration_can_make_files_accessible_to_kernels() {
    if !is_isolated() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("numbers"), "42\n").unwrap();
    let read = |gateway: &RunningGateway| {
        let client = Client::new(gateway);
        let kernel = client.create("bash");
        let file = data.path().join("numbers");
        let code = format!("cat {0}; echo x >{0}", file.display());
        client.run(&kernel, &code).finished().0
    };
    assert_eq!(read(&common::gateway()), "");
    let readable = |config: GatewayConfig| config.with_readable([data.path()]);
    assert_eq!(read(&gateway_with(readable)), "42\n");
    assert_eq!(content(data.path()), "42\n", "reading is not writing");
    assert_eq!(
        read(&gateway_with(|config| config.with_isolate_files(false))),
        "42\n"
    );
    assert_eq!(content(data.path()), "x\n");
    std::fs::write(data.path().join("numbers"), "42\n").unwrap();
    let writable = |config: GatewayConfig| config.with_writable([data.path()]);
    assert_eq!(read(&gateway_with(writable)), "42\n");
    assert_eq!(content(data.path()), "x\n");
}

#[test]
fn a_kernel_cannot_open_terminals_of_others() {
    if !is_isolated() {
        return;
    }
    let (terminal, _pts) = pty_process::blocking::open().unwrap();
    let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap();
    let code = format!("exec 5<>{}", name.to_str().unwrap());
    let try_it = |gateway: &RunningGateway| {
        let client = Client::new(gateway);
        let kernel = client.create("bash");
        client.run(&kernel, &code).finished().1
    };
    let error = try_it(&common::gateway());
    assert!(error.contains("Permission denied"), "{error}");
    let open = gateway_with(|config| config.with_writable(["/dev/pts"]));
    assert_eq!(try_it(&open), "");
}

fn content(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("numbers")).unwrap()
}

#[test]
fn batches_are_isolated_too() {
    if !is_isolated() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let gateway = gateway_with(|config| config.with_exec_timeout(Duration::from_secs(20)));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let exec = format!("cat {}; echo end", secret.display());
    let batch = sorna_core::Batch::new().without_build().with_exec(exec);
    let (_, outcome) = client.batch(&kernel, batch);
    let (stdout, stderr) = outcome.finished();
    assert_eq!(stdout, "end\n");
    assert!(stderr.contains("denied"), "{stderr}");
}

#[test]
fn deeply_nested_directories_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let gateway = gateway_with(|config| config.with_directory(directory.path()));
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let nest = "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')";
    let _ = client.run(&kernel, nest).finished();
    client.destroy(&kernel);
    let kernels = std::fs::read_dir(
        directory
            .path()
            .read_dir()
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path(),
    );
    let left = kernels
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name() != "runners");
    assert_eq!(left.count(), 0);
}

#[test]
fn no_program_runs_before_it_is_under_its_limits() {
    let gateway = Gateway::bind(GatewayConfig::default()).unwrap();
    if !need_that(gateway.isolation().has_groups, "control groups") {
        return;
    }
    drop(gateway);
    let gateway = common::gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("c");
    let program = r#"
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void tell(const char *who) {
    char line[256] = "";
    FILE *file = fopen("/proc/self/cgroup", "r");
    while (fgets(line, sizeof line, file) && strncmp(line, "0::", 3)) {}
    fclose(file);
    struct rlimit core;
    getrlimit(RLIMIT_CORE, &core);
    printf("%s %d %d\n", who, strstr(line, "/kernel-") != NULL, (int)core.rlim_max);
    fflush(stdout);
}

__attribute__((constructor)) static void first(void) {
    tell("first");
    if (fork() == 0) {
        if (fork() == 0) {
            usleep(100000);
            tell("orphan");
            _exit(0);
        }
        _exit(0);
    }
}

int main(void) { usleep(300000); return 0; }
"#;
    for _ in 0..5 {
        let (stdout, _) = client.run(&kernel, program).finished();
        assert_eq!(stdout, "first 1 0\norphan 1 0\n");
    }
}

#[test]
fn a_batch_that_is_killed_between_its_steps_ends() {
    kill_a_batch("true");
}

#[test]
fn a_batch_that_is_killed_before_its_build_was_reported_ends() {
    // The build has ended, and its output has not been read yet.
    kill_a_batch("printf %030000d 0");
}

fn kill_a_batch(build: &str) {
    let gateway = gateway_with(|config| config.with_max_processes(20).with_max_console_size(1000));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let mark = mark_of(&client, &kernel);
    let (work, _) = client.run(&kernel, "echo -n $HOME").finished();
    let told = "until [ -e go ]; do sleep 0.05; done";
    let many =
        format!("({told}; sleep 0.3; echo >made; for i in $(seq 40); do sleep 60 & done; wait)");
    let batch = sorna_core::Batch::new()
        .with_build(format!("{many} & {told}; {build}"))
        .with_exec("echo exec; cat");
    // The build is still running when this returns. No request follows until all is killed.
    let (start, first) = client.start(&kernel, sorna_core::ExecuteMode::Batch(batch));
    assert_eq!(first.status, ExecutionStatus::Continued);
    std::fs::write(Path::new(&work).join("go"), "").unwrap();
    let made = Path::new(&work).join("made");
    wait_until("the processes", || made.exists());
    wait_until("their end", || processes_with(&mark) <= 1);
    let mut outcome = client.finish(&start, first);
    assert!(!outcome.stdout.contains("exec"));
    outcome.stdout.clear();
    assert_eq!(
        outcome.status,
        Some(ExecutionStatus::Finished),
        "{outcome:?}"
    );
    assert_eq!(outcome.exit_code(), Some(137), "{outcome:?}");
    assert_eq!(outcome.stderr.matches("killed").count(), 1, "{outcome:?}");
    assert!(!outcome.stderr.contains("died"), "{outcome:?}");
    let after = client.run(&kernel, "echo alive");
    assert_eq!(after.stdout, "alive\n", "{after:?}");
}

#[test]
fn a_process_that_hides_is_killed_with_its_kernel() {
    GROUPS.into_iter().for_each(hide);
}

fn hide(groups: Option<&str>) {
    let gateway = gateway_with(|config| in_groups(config, groups));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let word = format!("hidden-{}-{}", std::process::id(), groups.is_some());
    // The process leaves its session, its mark and its directory. Without control groups, it must have
    // been seen as a child of the kernel.
    let hidden = format!("setsid env -i word={word} sh -c 'cd /; exec sleep 1000' &");
    let code = match groups {
        None => format!("({hidden}) ; sleep 1"),
        Some(_) => format!("{hidden} sleep 1"),
    };
    let _ = client.run(&kernel, &code).finished();
    assert_eq!(processes_with(&word), 1);
    client.destroy(&kernel);
    wait_until("its end", || processes_with(&word) == 0);
}

#[test]
fn one_kernel_cannot_have_another_killed() {
    let gateway = gateway_with(|config| in_groups(config.with_max_processes(30), GROUPS[1]));
    let client = Client::new(&gateway);
    let victim = client.create("bash");
    let mark = mark_of(&client, &victim);
    let _ = client.run(&victim, "x=42").finished();
    let attacker = client.create("bash");
    let guess = mark.replace("SORNA_KERNEL_MARK=", "");
    let code = format!(
        "export SORNA_KERNEL_MARK={guess}0.1.; for i in $(seq 40); do (setsid sleep 5 &) ; done; sleep 3"
    );
    let _ = client.run(&attacker, &code).finished();
    let (stdout, stderr) = client.run(&victim, "echo $x").finished();
    assert_eq!((stdout.as_str(), stderr.as_str()), ("42\n", ""));
}

#[test]
fn shared_memory_counts_once_and_unused_stacks_do_not_count() {
    let gateway = common::gateway();
    let client = Client::new(&gateway);
    let kernel = client.create_with("python3", Limits::default().with_max_memory(400 << 20));
    let code = "import os, threading, time\n\
        data = bytearray(os.urandom(1)) * (200 << 20)\n\
        for _ in range(4):\n    \
            if os.fork() == 0:\n        \
                time.sleep(1.5)\n        \
                os._exit(0)\n\
        stop = threading.Event()\n\
        threads = [threading.Thread(target=stop.wait) for _ in range(200)]\n\
        for thread in threads: thread.start()\n\
        time.sleep(1)\n\
        stop.set()\n\
        print('fine')";
    let outcome = client.run(&kernel, code);
    assert_eq!(outcome.finished(), ("fine\n".to_owned(), String::new()));
}
