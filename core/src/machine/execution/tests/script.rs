//! The command of a batch, run by real shells.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Output, Stdio};

use super::super::script::{Marks, command};
use crate::ops::Batch;

/// Runs the command as a kernel runner does.
fn run(batch: &Batch, directory: &std::path::Path) -> Output {
    Command::new("/bin/sh")
        .arg("-c")
        .arg(command(batch, 7))
        .current_dir(directory)
        .env("PYTHONPATH", "")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn here() -> &'static std::path::Path {
    std::path::Path::new("/")
}

#[test]
fn both_steps_run_with_the_mark_in_between() {
    let batch = Batch::new()
        .with_build("printf \"it's %s\" built; echo warned >&2; false || x=1")
        .with_exec("echo $x'ran'; echo \"$_BACKEND_BATCH_MODE\" >&2; exit 3");
    let output = run(&batch, here());
    let mark = Marks::new(7).built + "0\n";
    assert_eq!(text(&output.stdout), format!("it's built{mark}ran\n"));
    assert_eq!(text(&output.stderr), format!("warned\n{mark}1\n"));
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn after_a_build_that_fails_nothing_runs() {
    let batch = Batch::new().with_build("exit 2").with_exec("echo ran");
    let output = run(&batch, here());
    let mark = Marks::new(7).built + "2\n";
    assert_eq!(text(&output.stdout), mark);
    assert_eq!(text(&output.stderr), mark);
    assert_eq!(output.status.code(), Some(127));
    let killed = Batch::new().with_build("kill -9 $$").without_exec();
    let output = run(&killed, here());
    assert!(text(&output.stdout).ends_with(" built 137\n"));
}

#[test]
fn a_signal_that_kills_the_program_is_reported_as_such() {
    for exec in [
        "kill -9 $$",
        "sh -c 'kill -9 $$'",
        "X=9 sh -c 'kill -$X $$'",
    ] {
        let batch = Batch::new().with_build("true").with_exec(exec);
        let output = run(&batch, here());
        assert_eq!(output.status.signal(), Some(9), "{exec}");
    }
    let waited_for = "sh -c 'kill -9 $$'; exit $?";
    let output = run(&Batch::new().without_build().with_exec(waited_for), here());
    assert_eq!(output.status.code(), Some(137));
}

/// The batch in all shells that are here, interrupted as by a kernel runner once it has printed a line: its output from
/// then on, and its end.
fn interrupted(batch: &Batch) -> Vec<(String, ExitStatus)> {
    let shells = ["/bin/sh", "/bin/dash", "/bin/bash"];
    let shells = shells
        .into_iter()
        .filter(|shell| std::fs::exists(shell).unwrap());
    // A test that hangs must end.
    let (_over, is_over) = std::sync::mpsc::channel::<()>();
    #[allow(
        clippy::disallowed_methods,
        reason = "it is the test's, not the core's"
    )]
    std::thread::spawn(move || {
        let waited = is_over.recv_timeout(std::time::Duration::from_secs(120));
        if waited == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("a batch that was interrupted has not ended for 120 s");
            std::process::exit(101);
        }
    });
    let run = |shell: &str| {
        let script = command(batch, 7).replace("/bin/sh", shell);
        let mut child = with_default_signals(shell)
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.ends_with("tail\n") {
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "{line}");
        }
        let pid = child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        // A runner reads to the end: until no process has the pipe any more.
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        // `tail` may find that its name is a new file.
        (rest.replace("tail\n", ""), child.wait().unwrap())
    };
    shells.map(run).collect()
}

/// A program that can be interrupted, also if the tests run in the background of a shell, where interrupts are ignored.
fn with_default_signals(program: &str) -> Command {
    let resets = Command::new("env")
        .args(["--default-signal=INT", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !resets {
        return Command::new(program);
    }
    let mut command = Command::new("env");
    command.args(["--default-signal=INT", program]);
    command
}

fn has_gnu_timeout() -> bool {
    let version = Command::new("timeout").arg("--version").output();
    let has = version.is_ok_and(|version| text(&version.stdout).contains("GNU"));
    if !has {
        assert!(std::env::var_os("CI").is_none(), "there is no GNU timeout");
        println!("SKIPPED: there is no GNU timeout");
    }
    has
}

/// A step that begins once `timeout`, the parent of its shell, knows of it: until then a signal would end `timeout` alone.
/// The program `tail -f /proc/self/comm` prints its own name, so no signal can come before it runs, and then waits.
fn step(command: &str) -> String {
    format!("while ! grep -q '^State:.S' /proc/$PPID/status; do :; done; {command}")
}

#[test]
fn an_interrupt_ends_all_that_a_shell_has_started() {
    if !has_gnu_timeout() {
        return;
    }
    for exec in [
        "tail -f /proc/self/comm; echo on",
        "cd /tmp && tail -f /proc/self/comm; echo on",
        "tail -f /proc/self/comm | cat; echo on",
        "tail -f /proc/self/comm & wait; echo on",
        "sh -c 'tail -f /proc/self/comm; echo on'; echo on",
        "trap '' TERM; tail -f /proc/self/comm; echo on",
        // It ends by itself, in its own way.
        r#"sh -c 'trap "exit 0" INT; tail -f /proc/self/comm'; echo on"#,
    ] {
        for (rest, status) in interrupted(&Batch::new().without_build().with_exec(step(exec))) {
            assert_eq!((rest.as_str(), status.code()), ("", Some(130)), "{exec}");
        }
    }
    let own = step(r#"trap "echo bye; exit 5" INT; tail -f /proc/self/comm; echo on"#);
    for (rest, status) in interrupted(&Batch::new().without_build().with_exec(own)) {
        assert_eq!((rest.as_str(), status.code()), ("bye\n", Some(5)));
    }
}

#[test]
fn an_interrupt_reaches_a_program_directly() {
    for exec in [
        "tail -f /proc/self/comm",
        "X=1 tail -f '/proc/self/comm' </dev/null",
    ] {
        for build in ["", "true"] {
            let batch = Batch::new().with_build(build).with_exec(exec);
            for (rest, status) in interrupted(&batch) {
                assert_eq!((rest.as_str(), status.signal()), ("", Some(2)), "{exec}");
            }
        }
    }
}

#[test]
fn an_interrupt_ends_the_build() {
    if !has_gnu_timeout() {
        return;
    }
    for (build, said, code) in [
        ("tail -f /proc/self/comm", "", 130),
        ("tail -f /proc/self/comm; true", "", 130),
        ("sh -c 'tail -f /proc/self/comm; true'; true", "", 130),
        ("tail -f /proc/self/comm & wait; true", "", 130),
        (
            "trap 'echo bye; exit 4' TERM INT; tail -f /proc/self/comm; true",
            "bye\n",
            4,
        ),
    ] {
        let batch = Batch::new().with_build(step(build)).with_exec("echo on");
        let expected = format!("{said}{}{code}\n", Marks::new(7).built);
        for (rest, status) in interrupted(&batch) {
            assert_eq!((&rest, status.code()), (&expected, Some(127)), "{build}");
        }
    }
}

#[test]
fn a_shell_that_is_terminated_is_reported_as_that() {
    if !has_gnu_timeout() {
        return;
    }
    let terminated = step("kill -TERM $$; echo on");
    for (batch, said, code) in [
        (
            Batch::new().without_build().with_exec(&*terminated),
            String::new(),
            143,
        ),
        (
            Batch::new().with_build(&*terminated).with_exec("echo on"),
            format!("{}143\n", Marks::new(7).built),
            127,
        ),
    ] {
        let output = Command::new("/bin/sh")
            .args(["-c", &command(&batch, 7)])
            .output()
            .unwrap();
        assert_eq!(
            (text(&output.stdout), output.status.code()),
            (said, Some(code))
        );
    }
}

#[test]
fn variables_of_the_user_stay_as_they_are() {
    let batch = Batch::new()
        .with_build("true")
        .with_exec("sh -c 'echo $s$d$p$k$i$t'");
    let output = Command::new("/bin/sh")
        .args(["-c", &command(&batch, 7)])
        .envs(["s", "d", "p", "k", "i", "t"].map(|name| (name, name)))
        .output()
        .unwrap();
    assert!(text(&output.stdout).ends_with("\nsdpkit\n"), "{output:?}");
}

#[test]
fn steps_may_be_skipped() {
    let output = run(&Batch::new().without_build().without_exec(), here());
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(0), "")
    );
    let output = run(&Batch::new().with_build("echo b").with_exec(""), here());
    assert_eq!(
        text(&output.stdout),
        format!("b\n{}0\n", Marks::new(7).built)
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn default_steps_are_left_to_a_runner_of_another_kind() {
    let native = Marks::new(7).native;
    for batch in [
        Batch::new(),
        Batch::new().with_build("echo b"),
        Batch::new().with_exec("echo x"),
    ] {
        let output = run(&batch, here());
        assert_eq!(text(&output.stdout), native, "{batch:?}");
        assert_eq!(output.status.code(), Some(0));
    }
}

/// A runner of Python: its arguments say so, or it is called `bai-krunner`.
fn run_in_python(
    batch: &Batch,
    name: &str,
    arguments: &str,
    directory: &std::path::Path,
) -> Output {
    // The shell of the command gets a parent of that name.
    let parent = format!("exec -a '{name}' bash -c '/bin/sh -c \"$COMMAND\"; exit $?' {arguments}");
    Command::new("bash")
        .arg("-c")
        .arg(parent)
        .current_dir(directory)
        .env("COMMAND", command(batch, 7))
        .env("PYTHONPATH", directory.join("lib/python9.9/site-packages"))
        .env("PATH", format!("{}:/usr/bin:/bin", directory.display()))
        .output()
        .unwrap()
}

#[test]
fn python_has_default_steps() {
    use std::os::unix::fs::PermissionsExt;
    let directory = std::env::temp_dir().join(format!("sorna-script-{}", std::process::id()));
    let site = directory.join("lib/python9.9/site-packages");
    std::fs::create_dir_all(&site).unwrap();
    let python = directory.join("python9.9");
    std::fs::write(&python, "#!/bin/sh\necho python \"$@\"\nexit 5\n").unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = format!("-m ai.backend.kernel python {}", python.display());
    let built = Marks::new(7).built + "0\n";

    let output = run_in_python(&Batch::new(), "python", &arguments, &directory);
    assert_eq!(text(&output.stdout), built);
    let expected = "cannot find the main script (\"main.py\").\n";
    assert_eq!(text(&output.stderr), built.clone() + expected);
    assert_eq!(output.status.code(), Some(127));

    std::fs::write(directory.join("main.py"), "").unwrap();
    let ran = built.clone() + "python main.py\n";
    let output = run_in_python(&Batch::new(), "python", &arguments, &directory);
    assert_eq!(
        (text(&output.stdout), output.status.code()),
        (ran.clone(), Some(5))
    );

    // Not Python's runner, but one that hides its language.
    let output = run_in_python(&Batch::new(), "bai-krunner", "-s", &directory);
    assert_eq!(output.status.code(), Some(127));
    assert!(
        text(&output.stderr).contains("no default way to run"),
        "{output:?}"
    );
    std::fs::write(site.join("sitecustomize.py"), "").unwrap();
    let output = run_in_python(&Batch::new(), "bai-krunner", "-s", &directory);
    assert_eq!((text(&output.stdout), output.status.code()), (ran, Some(5)));

    std::fs::write(directory.join("Makefile"), "all:\n\t@echo made\n").unwrap();
    let only_build = Batch::new().without_exec();
    let output = run(&only_build, &directory);
    assert_eq!(text(&output.stdout), format!("made\n{built}"));
    std::fs::remove_dir_all(&directory).unwrap();
}
