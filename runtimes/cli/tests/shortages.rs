//! `sorna serve` where the system runs out of something, and as the first process of a container.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use sorna::UploadFile;
use sorna_test_tools::{need, need_that};
use support::served::Served;
use support::{eventually, here, sorna};

/// Whether commands can be run with namespaces of their own.
fn unshares(options: &str) -> bool {
    let mut command = Command::new("unshare");
    command.args([options, "true"]).stderr(Stdio::null());
    let works = command.status().is_ok_and(|status| status.success());
    need_that(works, "namespaces for users (unshare)")
}

/// `sorna serve` in a shell with namespaces of its own, after some commands.
fn serve_after(directory: &Path, options: &[&str], commands: &str, arguments: &[&str]) -> Command {
    let sorna = sorna(directory);
    let mut command = Command::new("unshare");
    command.args(options).args(["sh", "-c"]);
    command.arg(format!("{commands} exec \"$@\"")).arg("sh");
    command.arg(sorna.get_program());
    command.args(["serve", "--log", "off"]).args(arguments);
    command.current_dir(directory).env_clear();
    for (name, value) in sorna.get_envs() {
        command.envs(value.map(|value| (name, value)));
    }
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What the command line says of a failure in both APIs.
fn said(served: &Served, directory: &Path, arguments: &[&str]) -> Vec<String> {
    let of = |prefix: &str| {
        let mut command = sorna(directory);
        for (name, value) in served.settings() {
            command.env(name.replace("SORNA", prefix), value);
        }
        let output = command.args(arguments).output().expect("sorna runs");
        assert!(
            !output.status.success(),
            "{arguments:?} in {prefix}: {output:?}"
        );
        String::from_utf8(output.stderr).expect("text")
    };
    vec![of("SORNA"), of("BACKEND")]
}

#[test]
fn a_full_disk_is_said_to_be_full() {
    if !unshares("-Urm") {
        return;
    }
    let directory = here();
    let kernels = directory.path().join("kernels");
    fs::create_dir(&kernels).expect("a directory");
    let mount = "mount -t tmpfs -o size=600k,nr_inodes=60 none kernels || exit 1;";
    let arguments = ["--directory", "kernels"];
    let command = serve_after(directory.path(), &["-Urm"], mount, &arguments);
    let served = Served::start(command);
    let inside = format!("/proc/{}/root{}", served.id(), kernels.display());
    let homes = || {
        let base = fs::read_dir(&inside).expect("it").next().expect("one");
        let names = fs::read_dir(base.expect("one").path()).expect("it");
        names
            .filter(|name| {
                let name = name.as_ref().expect("one").file_name();
                name.to_string_lossy().starts_with("kernel-")
            })
            .count()
    };

    let client = served.client();
    let kernel = client.create("bash").expect("a kernel");
    let file = UploadFile::from_bytes("large", vec![b'x'; 900_000]).expect("a file");
    let error = kernel.upload(vec![file]).expect_err("no space");
    let error = error.to_string();
    assert!(
        error.contains("503") && error.contains("no space left on the disk of"),
        "{error}"
    );
    let listed = kernel.run("ls -A . ..").expect("it runs");
    assert!(!listed.stdout().contains("large"), "{:?}", listed.stdout());
    assert!(!listed.stdout().contains(".tmp"), "{:?}", listed.stdout());

    let fill = "i=0; while touch f$i; do i=$((i + 1)); done 2>/dev/null; echo full";
    let filled = kernel.run(fill).expect("it runs");
    assert_eq!(filled.stdout(), "full\n", "{filled:?}");
    let before = homes();
    for text in said(&served, directory.path(), &["run", "bash", "-c", "true"]) {
        assert!(text.contains("no inodes left on the disk of"), "{text}");
        assert!(text.contains("--directory"), "{text}");
    }
    assert_eq!(homes(), before);
    // There is space again.
    kernel.run("rm f*").expect("it runs");
    client.create("bash").expect("a kernel");
}

#[test]
fn a_disk_without_inodes_is_said_to_have_none() {
    if !unshares("-Urm") {
        return;
    }
    let directory = here();
    fs::create_dir(directory.path().join("kernels")).expect("a directory");
    let mount = "mount -t tmpfs -o size=60m,nr_inodes=80 none kernels || exit 1;";
    let arguments = ["--directory", "kernels"];
    let command = serve_after(directory.path(), &["-Urm"], mount, &arguments);
    let served = Served::start(command);
    let kernel = served.client().create("bash").expect("a kernel");
    let fill = "i=0; while touch f$i; do i=$((i + 1)); done 2>/dev/null; echo full";
    let filled = kernel.run(fill).expect("it runs");
    assert_eq!(filled.stdout(), "full\n", "{filled:?}");
    for text in said(&served, directory.path(), &["run", "bash", "-c", "true"]) {
        assert!(text.contains("no inodes left on the disk of"), "{text}");
    }
    let file = UploadFile::from_bytes("small", vec![b'x']).expect("a file");
    let error = kernel
        .upload(vec![file])
        .expect_err("no inodes")
        .to_string();
    assert!(error.contains("no inodes left"), "{error}");
}

#[test]
fn a_download_for_which_there_is_no_space_says_so() {
    if !unshares("-Urm") {
        return;
    }
    let directory = here();
    fs::create_dir(directory.path().join("kernels")).expect("a directory");
    let mount = "mount -t tmpfs -o size=6m none kernels || exit 1;";
    let arguments = ["--directory", "kernels"];
    let command = serve_after(directory.path(), &["-Urm"], mount, &arguments);
    let served = Served::start(command);
    let sorna_with = |arguments: &[&str]| {
        let mut command = sorna(directory.path());
        for (name, value) in served.settings() {
            command.env(name.replace("SORNA", "BACKEND"), value);
        }
        command.args(arguments);
        command.output().expect("sorna runs")
    };
    let fill = "mkdir d; head -c 4M /dev/zero > d/f; echo done";
    let filled = sorna_with(&["run", "-t", "work", "bash", "-c", fill]);
    assert!(filled.status.success(), "{filled:?}");
    let failed = sorna_with(&["download", "work", "d"]);
    assert!(!failed.status.success(), "{failed:?}");
    let text = String::from_utf8(failed.stderr).expect("text");
    assert!(text.contains("no space left on the disk of"), "{text}");
    // The message names the cause, and nothing is left half-made.
    assert!(!directory.path().join("d").exists());
    let shorter = sorna_with(&["run", "-t", "work", "bash", "-c", "truncate -s 1M d/f"]);
    assert!(shorter.status.success(), "{shorter:?}");
    let done = sorna_with(&["download", "work", "d"]);
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn a_directory_that_is_missing_or_forbids_programs_is_named() {
    let directory = here();
    let missing = directory.path().join("missing");
    let mut command = sorna(directory.path());
    command.env("TMPDIR", &missing).arg("serve");
    let failed = command.output().expect("sorna runs");
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let text = String::from_utf8(failed.stderr).expect("text");
    let place = missing.display().to_string();
    for part in [&place, "No such file or directory", "--directory", "TMPDIR"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    if !unshares("-Urm") || !need("gcc") {
        return;
    }
    fs::create_dir(directory.path().join("kernels")).expect("a directory");
    let mount = "mount -t tmpfs -o noexec none kernels || exit 1;";
    let command = serve_after(
        directory.path(),
        &["-Urm"],
        mount,
        &["--directory", "kernels"],
    );
    let served = Served::start(command);
    let kernel = served.client().create("c").expect("a kernel");
    let result = kernel.run("int main(void) { return 0; }").expect("it runs");
    assert_eq!(result.exit_code(), Some(126), "{result:?}");
    let text = result.stderr();
    for part in ["kernels/sorna-gateway-", "noexec", "--directory"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_gateway_that_may_start_no_more_processes_says_so() {
    // Root's processes are not limited.
    let is_root = rustix::process::geteuid().is_root();
    if !need_that(!is_root || setpriv(), "an ordinary user, or setpriv") {
        return;
    }
    let directory = here();
    let sorna = sorna(directory.path());
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(directory.path(), open).expect("it is ours");
    let mut command = Command::new("sh");
    // A user who has no other processes.
    let user = if is_root {
        "setpriv --reuid 1899999999 --regid 1899999999 --clear-groups"
    } else {
        ""
    };
    let limit = "prlimit --nproc=70:70 --pid $$ || exit 1;";
    command.args([
        "-c",
        &format!("exec {user} sh -c '{limit} exec \"$@\"' sh \"$@\""),
        "sh",
    ]);
    command
        .arg(sorna.get_program())
        .args(["serve", "--log", "off"]);
    command
        .args(["--isolation", "landlock", "--directory"])
        .arg(directory.path());
    command.current_dir(directory.path()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if !is_root {
        eprintln!("SKIPPED: other processes of this user count as well");
        return;
    }
    let served = Served::start(command);
    let client = served.client();
    let mut kernels = Vec::new();
    let error = loop {
        match client.create("bash") {
            Ok(kernel) => kernels.push(kernel),
            Err(error) => break error.to_string(),
        }
        assert!(kernels.len() < 120);
    };
    assert!(
        error.contains("503") && error.contains("no process can be started"),
        "{error}"
    );
    assert!(error.contains("ulimit -u"), "{error}");
    for kernel in kernels {
        kernel.destroy().expect("it ends");
    }
    client.create("bash").expect("a kernel");
}

/// Whether there is a program that starts others as another user.
fn setpriv() -> bool {
    let found = Command::new("setpriv").arg("--version").output();
    found.is_ok_and(|found| found.status.success())
}

#[test]
fn a_gateway_that_may_open_too_few_files_does_not_start() {
    for (limit, arguments) in [
        (110, &["serve"][..]),
        (64, &["run", "--local", "python3", "-c", "1"]),
        (40, &["run", "-q", "--local", "bash", "-c", ":"]),
    ] {
        let directory = here();
        let mut command = Command::new("sh");
        let program = sorna(directory.path());
        command
            .args(["-c", &format!("ulimit -n {limit}; exec \"$@\""), "sh"])
            .arg(program.get_program())
            .args(arguments)
            .stdin(Stdio::null())
            .current_dir(directory.path());
        let failed = command.output().expect("sorna runs");
        let text = String::from_utf8(failed.stderr).expect("text");
        assert_eq!(failed.status.code(), Some(1), "{text}");
        let expected = format!("may open {limit} files at once, and a gateway needs 120");
        assert!(text.contains(&expected), "{text}");
        assert!(text.contains("ulimit -n"), "{text}");
    }
}

#[test]
fn a_gateway_without_descriptors_says_so() {
    let directory = here();
    let command = serve_after(directory.path(), &["-r"], "ulimit -n 120;", &[]);
    let served = Served::start(command);
    let client = served.client();
    let mut kernels = Vec::new();
    let error = loop {
        match client.create("bash") {
            Ok(kernel) => kernels.push(kernel),
            Err(error) => break error.to_string(),
        }
        assert!(kernels.len() < 120);
    };
    assert!(error.contains("no file descriptors left"), "{error}");
    assert!(error.contains("ulimit -n"), "{error}");
    // It goes on, and there is room again.
    for kernel in &kernels {
        assert_eq!(kernel.run("echo 1").expect("it runs").stdout(), "1\n");
    }
    kernels.pop().expect("one").destroy().expect("it ends");
    client.create("bash").expect("a kernel");
}

#[test]
fn the_first_process_of_a_container_reaps_orphans() {
    if !unshares("-Urpf") {
        return;
    }
    let directory = here();
    let options = ["-Urpf", "--mount-proc", "--kill-child"];
    // In namespaces, kernels have a first process of their own.
    let level = ["--isolation", "landlock"];
    let mut served = Served::start(serve_after(directory.path(), &options, "", &level));
    served.descend();
    let first = served.id();
    let zombies = || {
        let children = format!("/proc/{first}/task/{first}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let stats = children
            .split_whitespace()
            .filter_map(|id| fs::read_to_string(format!("/proc/{id}/stat")).ok());
        stats.filter(|stat| stat.contains(") Z ")).count()
    };
    let client = served.client();
    let kernel = client.create("bash").expect("a kernel");
    let forks = "for i in 1 2 3 4 5; do (setsid sleep 0.1 &); done; sleep 0.5";
    kernel.run(forks).expect("it runs");
    eventually("the orphans have ended", || zombies() > 0);
    eventually("they are reaped", || zombies() == 0);
    // The statuses of its own are not taken.
    for _ in 0..5 {
        let result = kernel.run("sleep 1; bash -c 'exit 3'").expect("it runs");
        assert_eq!(result.exit_code(), Some(3));
    }
    kernel.run("(setsid sleep 1000 &)").expect("it runs");
    kernel.destroy().expect("it ends");
    eventually("nothing is left", || zombies() == 0);
}

#[test]
fn the_first_process_of_a_container_isolates_kernels_and_waits_for_their_helpers() {
    if !unshares("-Urpf") {
        return;
    }
    let directory = here();
    let options = ["-Urpf", "--mount-proc", "--kill-child"];
    let level = ["--isolation", "namespaces", "--require-isolation"];
    let mut served = Served::start(serve_after(directory.path(), &options, "", &level));
    served.descend();
    let first = served.id();
    let children = || {
        let children = format!("/proc/{first}/task/{first}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        children.split_whitespace().count()
    };
    let client = served.client();
    let before = children();
    let kernel = client.create("bash").expect("a kernel");
    for _ in 0..3 {
        kernel.run("(setsid true &)").expect("it runs");
        let result = kernel.run("sleep 1; exit 3").expect("it runs");
        assert_eq!(result.exit_code(), Some(3));
    }
    kernel.run("(setsid sleep 1000 &)").expect("it runs");
    kernel.destroy().expect("it ends");
    // A box may have been in stock before.
    eventually("nothing is left", || children() <= before);
}
