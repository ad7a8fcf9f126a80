//! The keys of a gateway change while it serves.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::served::Served;
use crate::support::terminal::Terminal;
use crate::support::{check, eventually, here, sorna, wait};
use rustix::process::{Pid, Signal, kill_process};
use sorna_test_tools::need;

const ONE: (&str, &str) = ("AKIAONE", "secret-one");
const TWO: (&str, &str) = ("AKIATWO", "secret-two");
const THREE: (&str, &str) = ("AKIATHREE", "secret-three");

/// A gateway with a keys file, whose log is a file, too.
struct Scene {
    directory: tempfile::TempDir,
    served: Served,
}

impl Scene {
    fn start(pairs: &[(&str, &str)], wrap: impl FnOnce(Command) -> Command) -> Self {
        let directory = here();
        write_keys(directory.path(), pairs);
        let mut command = sorna(directory.path());
        let shared = directory.path().join("shared");
        fs::create_dir(&shared).expect("a directory");
        // Kernels of a gateway that is root are other users.
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).expect("mine");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("mine");
        command.args(["serve", "--keys", "keys", "--allow-write"]);
        command.arg(&shared);
        let mut command = wrap(command);
        let log = File::create(directory.path().join("log")).expect("a file");
        command.stderr(Stdio::from(log));
        let served = Served::start(command);
        Self { directory, served }
    }

    fn shared(&self, name: &str) -> PathBuf {
        self.directory.path().join("shared").join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).expect("text")
    }

    fn hang_up(&self) {
        let id = i32::try_from(self.served.id()).expect("an id");
        kill_process(Pid::from_raw(id).expect("an id"), Signal::HUP).expect("it lives");
    }

    #[track_caller]
    fn logs(&self, words: &str) {
        eventually(&format!("{words:?} in the log"), || {
            self.log().contains(words)
        });
    }

    fn sorna(&self, pair: (&str, &str), arguments: &[&str]) -> Command {
        let mut command = sorna(self.directory.path());
        command
            .env("SORNA_ENDPOINT", &self.served.settings()["SORNA_ENDPOINT"])
            .env("SORNA_ACCESS_KEY", pair.0)
            .env("SORNA_SECRET_KEY", pair.1)
            .args(arguments);
        command
    }

    /// Runs a snippet in a kept session.
    fn run(&self, pair: (&str, &str), code: &str) -> Command {
        self.sorna(
            pair,
            &["run", "-q", "-t", "kept-session", "python3", "-c", code],
        )
    }
}

fn write_keys(directory: &Path, pairs: &[(&str, &str)]) {
    let lines = pairs
        .iter()
        .map(|(access, secret)| format!("{access} {secret}\n"));
    // As editors do it: whoever reads at this moment sees the old file or the new one.
    let new = directory.join("keys.new");
    fs::write(&new, lines.collect::<String>()).expect("a file");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("mine");
    fs::rename(new, directory.join("keys")).expect("the file");
}

#[test]
fn a_revoked_key_loses_its_kernels_and_others_notice_nothing() {
    if !need("python3") {
        return;
    }
    let scene = Scene::start(&[ONE, TWO], |command| command);
    let farewell = scene.shared("farewell");
    let hook =
        format!("import atexit; atexit.register(lambda: open({farewell:?}, 'w').write('bye'))");
    check(scene.run(ONE, &hook)).success();
    check(scene.run(TWO, "x = 6 * 7")).success();
    // A program of the other key runs all the time.
    let (started, go_on) = (scene.shared("started"), scene.shared("go-on"));
    let code = format!(
        "import os, time\nopen({started:?}, 'w').close()\n\
         while not os.path.exists({go_on:?}): time.sleep(0.01)\nprint('went on', x)"
    );
    let mut running = scene.run(TWO, &code).spawn().expect("sorna runs");
    eventually("the program", || started.exists());

    write_keys(scene.directory.path(), &[TWO, THREE]);
    scene.hang_up();
    scene.logs("keys read again added=\"AKIATHREE\" revoked=\"AKIAONE\" changed=\"\"");
    check(scene.run(ONE, "print(1)"))
        .code(1)
        .stderr_eq(snapbox::str![[r#"
✘ the gateway responded with 401 auth-failed[..]
...
"#]]);
    eventually("the hooks", || {
        fs::read_to_string(&farewell).is_ok_and(|text| text == "bye")
    });
    scene.logs("kernel destroyed");
    check(scene.run(THREE, "print('new')"))
        .success()
        .stdout_eq("new\n");
    File::create(&go_on).expect("a file");
    assert!(wait(&mut running).success());
    check(scene.run(TWO, "print(x)"))
        .success()
        .stdout_eq("42\n");

    // What is accepted again begins anew.
    write_keys(scene.directory.path(), &[ONE, TWO]);
    scene.hang_up();
    scene.logs("added=\"AKIAONE\" revoked=\"AKIATHREE\"");
    check(scene.run(ONE, "print('x' in globals())"))
        .success()
        .stdout_eq("False\n");

    let log = scene.log();
    for secret in [ONE.1, TWO.1, THREE.1] {
        assert!(!log.contains(secret), "{log}");
    }
    for line in log.lines().filter(|line| line.contains("kernel created")) {
        assert!(line.contains("key=\"AKIA"), "{line}");
    }
    let requests = log.lines().filter(|line| line.contains("/v2/kernel/"));
    let known = requests.filter(|line| !line.contains("status=401"));
    assert!(known.clone().count() > 0);
    for line in known {
        assert!(line.contains("key=\"AKIA"), "{line}");
    }
}

/// Of those that have something open when their key is revoked: each says why it ends, and that it has not gone well.
#[test]
fn whose_key_is_revoked_meanwhile_is_told() {
    if !need("bash") || !need("python3") {
        return;
    }
    for api in ["sorna", "backend-ai"] {
        let scene = Scene::start(&[ONE, TWO], |command| command);
        check(scene.run(TWO, "x = 42")).success();
        let start = |key, arguments: &[&str]| {
            let mut command = scene.sorna(key, &["--api", api]);
            command.args(arguments);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.stdin(Stdio::piped()).spawn().expect("sorna runs")
        };
        let wait_for = |child: &mut std::process::Child| {
            let mut text = Vec::new();
            let stdout = child.stdout.as_mut().expect("a pipe");
            while !text.ends_with(b"begun\n") {
                let mut byte = [0];
                std::io::Read::read_exact(stdout, &mut byte).expect("output");
                text.push(byte[0]);
            }
        };
        let code = "echo begun; sleep 1000";
        let mut mine = start(ONE, &["run", "-q", "-t", "my-session", "bash", "-c", code]);
        let mut other = start(TWO, &["run", "-q", "-t", "my-session", "bash", "-c", code]);
        wait_for(&mut mine);
        wait_for(&mut other);
        let names = [
            (
                "SORNA_ENDPOINT",
                &scene.served.settings()["SORNA_ENDPOINT"][..],
            ),
            ("SORNA_ACCESS_KEY", ONE.0),
            ("SORNA_SECRET_KEY", ONE.1),
        ];
        let arguments = ["shell", "--api", api, "-t", "my-shell", "bash"];
        let mut terminal = Terminal::open(scene.directory.path(), None, 90, &names, &arguments);
        terminal.types("echo beg''un\r");
        terminal.shows("begun");
        write_keys(scene.directory.path(), &[TWO]);
        scene.hang_up();
        let words = "the kernel was destroyed, as its access key was revoked";
        terminal.shows(words);
        assert_eq!(terminal.ends(), Some(1), "{api}: {}", terminal.transcript());
        let output = mine.wait_with_output().expect("it ends");
        let text = String::from_utf8(output.stderr).expect("text");
        assert!(
            text.contains(words) && output.status.code() == Some(1),
            "{api}: {text}"
        );
        check(scene.run(TWO, "print(x)"))
            .success()
            .stdout_eq("42\n");
        assert_eq!(other.try_wait().expect("a child"), None, "it goes on");
        other.kill().expect("it lives");
        other.wait().expect("it ends");
    }
}

/// Where the end of a temporary kernel is known, nothing is tried or said of it, and where its key is refused, that is said once.
#[test]
fn temporary_kernels_of_revoked_keys_are_left_alone() {
    if !need("python3") {
        return;
    }
    let code = "print('begun', flush=True)\nimport time\ntime.sleep(1000)";
    for api in ["sorna", "backend-ai"] {
        let scene = Scene::start(&[ONE, TWO], |command| command);
        let on = |key, arguments: &[&str]| scene.sorna(key, &[&["--api", api], arguments].concat());
        let begin = |command: &mut Command| {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("sorna runs");
            let mut begun = [0; 6];
            let stdout = child.stdout.as_mut().expect("a pipe");
            std::io::Read::read_exact(stdout, &mut begun).expect("output");
            child
        };
        let running = begin(&mut on(ONE, &["run", "python3", "-c", code]));
        // One that leaves its kernel behind.
        let mut killed = begin(&mut on(ONE, &["run", "python3", "-c", code]));
        killed.kill().expect("it lives");
        killed.wait().expect("it ends");
        write_keys(scene.directory.path(), &[TWO]);
        scene.hang_up();
        let output = running.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).expect("text");
        let (_, text) = text.split_once("is ready.\n").expect("a kernel");
        assert!(
            text.contains("(the kernel was destroyed, as its access key was revoked)"),
            "{text}"
        );
        assert!(!text.contains("could not be destroyed"), "{api}: {text}");
        assert!(!text.contains("sorna destroy"), "{api}: {text}");
        for is_said in [true, false, false] {
            let output = on(ONE, &["run", "python3", "-c", "1"]).output();
            let text = String::from_utf8(output.expect("it runs").stderr).expect("text");
            let words = "which an earlier command had left behind, could not be destroyed";
            assert_eq!(
                text.matches(words).count(),
                usize::from(is_said),
                "{api}: {text}"
            );
            let words = "The access key is refused. If it was revoked,";
            assert_eq!(text.contains(words), is_said, "{api}: {text}");
        }
        check(on(TWO, &["run", "-q", "python3", "-c", "print(1)"]))
            .success()
            .stderr_eq("");
    }
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing_and_the_log_says_why() {
    if !need("python3") {
        return;
    }
    let scene = Scene::start(&[ONE], |command| command);
    check(scene.run(ONE, "x = 42")).success();
    let keys = scene.directory.path().join("keys");
    for (content, words) in [
        (Some("AKIAONE\n"), "keys, line 1: expected an access key"),
        (Some("# nobody\n"), "expected at least one key pair"),
        (
            Some("AKIAONE secret-a\nAKIAONE secret-b\n"),
            "duplicate access key",
        ),
        (None, "cannot read keys: No such file"),
    ] {
        match content {
            Some(content) => fs::write(&keys, content).expect("a file"),
            None => fs::remove_file(&keys).expect("it is there"),
        }
        scene.hang_up();
        scene.logs(words);
        check(scene.run(ONE, "print(x)"))
            .success()
            .stdout_eq("42\n");
    }
    let log = scene.log();
    assert!(
        !log.contains("secret-a") && !log.contains("secret-b"),
        "{log}"
    );
    assert!(log.contains("the keys have not changed"), "{log}");
}

#[test]
fn another_secret_key_is_no_other_key() {
    if !need("python3") {
        return;
    }
    // As for a gateway that shall go on without its terminal.
    let scene = Scene::start(&[ONE], |command| {
        let mut nohup = sorna(command.get_current_dir().expect("a directory"));
        let (program, arguments) = (command.get_program(), command.get_args());
        let mut with = Command::new("nohup");
        with.arg(program).args(arguments);
        with.current_dir(nohup.get_current_dir().expect("a directory"))
            .env_clear();
        for (name, value) in nohup.get_envs() {
            with.envs(value.map(|value| (name, value)));
        }
        nohup = with;
        nohup.stdin(Stdio::null()).stdout(Stdio::piped());
        nohup
    });
    check(scene.run(ONE, "x = 42")).success();
    let changed = (ONE.0, "secret-other");
    write_keys(scene.directory.path(), &[changed]);
    scene.hang_up();
    scene.logs("changed=\"AKIAONE\"");
    check(scene.run(ONE, "print(x)")).code(1);
    check(scene.run(changed, "print(x)"))
        .success()
        .stdout_eq("42\n");
}

#[test]
fn the_unit_of_systemd_serves_and_reloads() {
    let unit = include_str!("../../systemd/sorna.service");
    let value = |name: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.strip_prefix('=')).expect(name)
    };
    assert_eq!(
        (value("Delegate"), value("ExecReload")),
        ("yes", "/bin/kill -HUP $MAINPID")
    );
    let start: Vec<_> = value("ExecStart").split(' ').collect();
    let [
        "/usr/bin/sorna",
        "serve",
        options @ ..,
        "--cgroup",
        _,
        "$SORNA_SERVE",
    ] = &start[..]
    else {
        panic!("{start:?}");
    };
    // As it is, but for the places of an installed one.
    let scene = Scene::start(&[ONE], |mut command| {
        let directory = command.get_current_dir().expect("a directory").to_owned();
        command = sorna(&directory);
        command.arg("serve");
        for option in options {
            command.arg(match *option {
                "/etc/sorna/keys" => "keys",
                "127.0.0.1:8081" => "127.0.0.1:0",
                option => option,
            });
        }
        command
    });
    check(scene.sorna(ONE, &["status"])).success();
    write_keys(scene.directory.path(), &[TWO]);
    scene.hang_up();
    scene.logs("keys read again");
    check(scene.sorna(TWO, &["status"])).success();

    if need("systemd-analyze") {
        let file = scene.directory.path().join("sorna.service");
        fs::write(&file, unit.replace("/usr/bin/sorna", "/bin/true")).expect("a file");
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no"]).arg(file);
        let output = verify.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        // Those before 254 ignore what they do not know.
        let wrong = said
            .lines()
            .filter(|line| !line.contains("DelegateSubgroup"));
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&str>::new());
        assert!(output.status.success());
    }
}

#[test]
fn without_a_file_a_hangup_ends_a_gateway_unless_it_is_ignored() {
    let directory = here();
    let mut served = sorna(directory.path());
    served.args(["serve", "--log", "off"]);
    let mut child = served.spawn().expect("sorna runs");
    let signal = |id: u32, signal| {
        let id = i32::try_from(id).ok().and_then(Pid::from_raw);
        kill_process(id.expect("an id"), signal).expect("it lives");
    };
    let mut first = [0];
    let stdout = child.stdout.as_mut().expect("a pipe");
    std::io::Read::read_exact(stdout, &mut first).expect("settings");
    signal(child.id(), Signal::HUP);
    assert!(wait(&mut child).success());

    let mut command = Command::new("nohup");
    command.arg(served.get_program()).args(served.get_args());
    command.current_dir(directory.path()).env_clear();
    for (name, value) in served.get_envs() {
        command.envs(value.map(|value| (name, value)));
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let served = Served::start(command);
    signal(served.id(), Signal::HUP);
    let mut status = sorna(directory.path());
    status.envs(served.settings()).arg("status");
    check(status).success();
}
