//! The command of a batch, run by real shells.

use std::process::{Command, Output};

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
    use std::os::unix::process::ExitStatusExt;
    let batch = Batch::new().without_build().with_exec("kill -9 $$");
    let output = run(&batch, here());
    assert_eq!(output.status.signal(), Some(9));
    assert_eq!(text(&output.stdout), "");
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
