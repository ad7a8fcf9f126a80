//! Output that is not text, without a terminal to show it.

use snapbox::str;
use sorna_gateway::{Gateway, GatewayConfig};

use crate::support::{check, sorna, sorna_at};

const CODE: &str = "import _sorna_runner as runner\n\
    print('before')\n\
    runner.record('media', ['image/png', 'data:image/png;base64,iVBORw=='])\n\
    runner.record('media', ['image/svg+xml', '<svg/>'])\n\
    runner.record('html', '<b>bold</b>')\n\
    runner.record('media', ['../x', 'data:;base64,a'])\n\
    runner.record('hologram', 3)\n\
    runner.record('log', 'WARNING', '2017-11-24T00:00:00Z', 'me', 'mind the gap')\n\
    print('after')";

fn run(options: &[&str]) -> (tempfile::TempDir, snapbox::cmd::OutputAssert) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = sorna(directory.path());
    command
        .args(["run", "--local", "-q"])
        .args(options)
        .args(["python3", "-c", CODE]);
    let output = check(command);
    (directory, output)
}

#[test]
fn without_a_directory_media_are_mentioned_even_when_quiet() {
    let (_directory, output) = run(&[]);
    output
        .success()
        .stdout_eq("before\nafter\n")
        .stderr_eq(str![[r#"
∙ Output that cannot be shown here: image/png, 4 bytes. Save it with --media-dir DIR.
∙ Output that cannot be shown here: image/svg+xml, 6 bytes. Save it with --media-dir DIR.
∙ Output that cannot be shown here: text/html, 11 bytes. Save it with --media-dir DIR.
∙ Output that cannot be shown here: ../x, 14 bytes, not decodable. Save it with --media-dir DIR.
∙ Output that cannot be shown here: record of unknown kind "hologram", 16 bytes. Save it with --media-dir DIR.
2017-11-24T00:00:00Z WARNING me: mind the gap

"#]]);
}

#[test]
fn with_a_directory_media_are_saved_under_new_names() {
    let (directory, output) = run(&["--media-dir", "out/media"]);
    output
        .success()
        .stdout_eq("before\nafter\n")
        .stderr_eq("2017-11-24T00:00:00Z WARNING me: mind the gap\n");
    let read = |name: &str| {
        std::fs::read(directory.path().join("out/media").join(name)).expect("it is saved")
    };
    assert_eq!(read("output-1.png"), b"\x89PNG");
    assert_eq!(read("output-2.svg"), b"<svg/>");
    assert_eq!(read("output-3.html"), b"<b>bold</b>");
    assert_eq!(read("output-4.txt"), b"data:;base64,a");
    assert_eq!(read("output-5.json"), br#"["hologram",[3]]"#);
    let left = std::fs::read_dir(directory.path()).expect("a directory");
    assert_eq!(left.count(), 1, "nothing is put elsewhere");
}

#[test]
fn saved_files_are_named_on_standard_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = sorna(directory.path());
    command.args(["run", "--local", "--media-dir", ".", "--images", "kitty"]);
    command.args(["python3", "-c", CODE]);
    check(command).success().stderr_eq(str![[r#"
∙ Client session token: [TOKEN]
✔ Kernel (ID: [KERNEL]) is ready.
∙ Saved ./output-1.png (image/png, 4 bytes, not drawn: standard output is not a terminal).
∙ Saved ./output-2.svg (image/svg+xml, 6 bytes).
∙ Saved ./output-3.html (text/html, 11 bytes).
∙ Saved ./output-4.txt (../x, 14 bytes, not decodable).
∙ Saved ./output-5.json (record of unknown kind "hologram", 16 bytes).
2017-11-24T00:00:00Z WARNING me: mind the gap
✔ Cleaned up the kernel.

"#]]);
}

#[test]
fn logs_are_colored_by_level() {
    let (_directory, output) = run(&["--color", "always", "--media-dir", "out"]);
    output
        .success()
        .stderr_eq("2017-11-24T00:00:00Z \u{1b}[93mWARNING\u{1b}[0m me: mind the gap\n");
}

#[test]
fn a_media_directory_that_cannot_be_created_costs_no_kernel() {
    let (_directory, output) = run(&["--media-dir", "/proc/none"]);
    output
        .code(1)
        .stdout_eq("")
        .stderr_eq("✘ cannot create the media directory: No such file or directory (os error 2)\n");
}

#[test]
fn a_failed_save_is_reported_and_the_program_continues() {
    let directory = tempfile::tempdir().expect("a directory");
    let media = directory.path().join("out");
    let code = format!(
        "import os, _sorna_runner as runner\n\
         os.rmdir({media:?})\n\
         runner.record('html', '<b>')\n\
         print('after', end='')"
    );
    let config = GatewayConfig::new().with_isolate_files(false);
    let gateway = Gateway::spawn(config).expect("a gateway");
    let run = |options: &[&str]| {
        let mut command = sorna_at(directory.path(), &gateway);
        command.args(["run", "-q", "--media-dir", "out"]);
        command.args(options).args(["python3", "-c", &code]);
        check(command)
    };
    run(&[]).code(1).stdout_eq("after").stderr_eq(
        "✘ cannot save output in out: No such file or directory (os error 2) (text/html, 3 bytes)\n",
    );
    run(&["--json"]).code(1).stdout_eq(str![[r#"
...
{"v":1,"event":"failed","message":"cannot save output in out: No such file or directory (os error 2)"}
{"v":1,"event":"media","type":"text/html","content":"<b>"}
{"v":1,"event":"stdout","text":"after"}
...
{"v":1,"event":"finished","exitCode":1}

"#]]);
}

/// A limit on the size of files is as a full disk, which there is not on every machine.
#[test]
fn what_could_not_be_saved_whole_is_no_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let gateway = Gateway::spawn(GatewayConfig::new()).expect("a gateway");
    let code = "import _sorna_runner as runner\n\
        runner.record('html', 'x' * 5000)\n\
        runner.record('html', 'small')";
    let program = sorna_at(directory.path(), &gateway);
    let mut command = sorna_at(directory.path(), &gateway);
    let mut shell = std::process::Command::new("bash");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "bash"])
        .arg(program.get_program())
        .args(["run", "-q", "--media-dir", "out", "python3", "-c", code])
        .current_dir(directory.path())
        .env_clear();
    for (name, value) in command.get_envs() {
        shell.envs(value.map(|value| (name, value)));
    }
    command = shell;
    check(command).code(1).stdout_eq("").stderr_eq(
        "✘ cannot save output in out: File too large (os error 27) (text/html, 5000 bytes)\n",
    );
    let saved = std::fs::read_dir(directory.path().join("out")).expect("a directory");
    let names: Vec<_> = saved.map(|entry| entry.expect("it").file_name()).collect();
    assert_eq!(names, ["output-1.html"]);
}
