//! `--local`: how programs are isolated from this machine, and what is said of it.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use snapbox::cmd::{OutputAssert, cargo_bin};
use snapbox::str;
use sorna_test_tools::need_that;

use crate::support::terminal::{Terminal, screen};
use crate::support::{check, here, program, sorna, write};

const NO_NETWORK: &str = "Programs have no network with --local: allow that of this machine with --network host, or connections among the program's own processes with --network loopback.";

fn run(directory: &Path, arguments: &[&str]) -> OutputAssert {
    let mut command = sorna(directory);
    command.args(["run", "--local", "-q"]).args(arguments);
    check(command)
}

fn stderr_of(mut command: Command) -> (String, Option<i32>) {
    let output = command.output().expect("sorna runs");
    let stderr = String::from_utf8(output.stderr).expect("text");
    (stderr, output.status.code())
}

/// Whether this machine lets its users make namespaces.
#[track_caller]
fn has_namespaces(directory: &Path) -> bool {
    let mut command = sorna(directory);
    command.args(["run", "--local", "-q", "--require-isolation"]);
    command.args(["bash", "-c", ":"]);
    let (stderr, code) = stderr_of(command);
    need_that(code == Some(0), &format!("user namespaces ({stderr})"))
}

#[test]
fn a_program_that_fails_without_a_network_is_told_how_to_get_one() {
    let directory = here();
    if !has_namespaces(directory.path()) {
        return;
    }
    for (lang, code) in [
        (
            "python3",
            "import socket; socket.create_connection(('192.0.2.1', 80), 5)",
        ),
        (
            "python3",
            "import urllib.request as r; r.urlopen('http://name.example')",
        ),
        ("bash", "echo >/dev/tcp/192.0.2.1/80"),
        (
            "bash",
            "getent hosts name.example || echo 'Could not resolve host' >&2; exit 6",
        ),
        (
            "perl",
            "use IO::Socket::INET; IO::Socket::INET->new('192.0.2.1:80') or die $@",
        ),
        (
            "nodejs",
            "require('net').connect(80, '192.0.2.1').on('error', e => { console.log(e.code); process.exit(1) })",
        ),
        (
            "ruby",
            "require 'socket'; TCPSocket.new('name.example', 80)",
        ),
    ] {
        if lang != "python3"
            && lang != "bash"
            && lang != "perl"
            && !sorna_test_tools::has(tool(lang))
        {
            continue;
        }
        for api in ["sorna", "backend-ai"] {
            let mut command = sorna(directory.path());
            command.args(["run", "--local", "-q", "--api", api, lang, "-c", code]);
            let (stderr, exit) = stderr_of(command);
            assert!(
                stderr.contains(NO_NETWORK),
                "{api} {code}: {exit:?} {stderr}"
            );
            assert_ne!(exit, Some(0), "{api} {code}");
        }
    }
    let mut command = program(cargo_bin!("lpython"), directory.path());
    write(
        directory.path(),
        &[(
            "main.py",
            "import socket\nsocket.create_connection(('192.0.2.1', 80))\n",
        )],
    );
    command.args(["--local", "-q", "main.py"]);
    assert!(stderr_of(command).0.contains(NO_NETWORK));
}

fn tool(lang: &str) -> &str {
    match lang {
        "nodejs" => "node",
        other => other,
    }
}

#[test]
fn a_program_that_copes_without_a_network_is_told_nothing() {
    let directory = here();
    run(
        directory.path(),
        &[
            "bash",
            "-c",
            "{ echo >/dev/tcp/192.0.2.1/80; } 2>&1; exit 0",
        ],
    )
    .success()
    .stderr_eq("");
    // Nor is one that has one, and fails for another reason.
    run(
        directory.path(),
        &[
            "--network",
            "host",
            "bash",
            "-c",
            "echo 'Network is unreachable' >&2; exit 3",
        ],
    )
    .code(3)
    .stderr_eq("Network is unreachable\n");
}

#[test]
fn the_network_is_the_one_that_is_asked_for() {
    let directory = here();
    if !has_namespaces(directory.path()) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let connect = format!("echo >/dev/tcp/127.0.0.1/{port}");
    let with = |network: &str, code: &str| {
        let mut command = sorna(directory.path());
        command.args([
            "run",
            "--local",
            "-q",
            "--network",
            network,
            "bash",
            "-c",
            code,
        ]);
        stderr_of(command)
    };
    assert_eq!(with("host", &connect), (String::new(), Some(0)));
    let (stderr, code) = with("loopback", &connect);
    assert!(stderr.contains("Connection refused"), "{stderr}");
    assert_eq!(code, Some(1));
    let own = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname()); print('met')";
    run(
        directory.path(),
        &["--network", "loopback", "python3", "-c", own],
    )
    .success()
    .stdout_eq("met\n");
    let (stderr, code) = with("none", &connect);
    assert!(stderr.contains(NO_NETWORK), "{stderr}");
    assert_eq!(code, Some(1));
    let (stderr, _) = with("loopback", "echo >/dev/tcp/192.0.2.1/80");
    assert!(
        stderr.contains("The program has only a loopback device of its own"),
        "{stderr}"
    );
}

#[test]
fn a_terminal_tells_at_its_end_that_there_was_no_network() {
    let directory = here();
    if !has_namespaces(directory.path()) {
        return;
    }
    let mut terminal = Terminal::start(directory.path(), None, &["--local", "bash"]);
    terminal.shows("Leave with Ctrl-].");
    terminal.types("echo >/dev/tcp/192.0.2.1/80; echo the-''end\n");
    terminal.shows("the-end");
    terminal.types("exit\n");
    let rest = screen(&terminal.rest()).replace('\n', "");
    assert!(rest.contains(&NO_NETWORK.replace('\n', "")), "{rest}");
}

#[test]
fn who_has_just_built_the_command_is_told_once_how_to_install_it() {
    const HINT: &str = "cargo install --locked --path runtimes/cli";
    let directory = here();
    let built = directory.path().join("release");
    std::fs::create_dir_all(built.join(".fingerprint")).expect("a directory");
    let path = built.join("sorna");
    std::fs::copy(cargo_bin!("sorna"), &path).expect("a copy");
    let run = |options: &[&str]| {
        let arguments = [
            &["run", "--local"],
            options,
            &["bash", "-c", "echo the-''end"],
        ]
        .concat();
        let command = pty_process::blocking::Command::new(&path).args(arguments);
        let mut terminal = Terminal::of(command, directory.path(), None, 200, &[]);
        let screen = screen(&terminal.rest());
        assert!(screen.contains("the-end"), "{screen}");
        screen.contains(HINT)
    };
    assert!(!run(&["-q"]), "it is no failure");
    assert!(run(&[]));
    assert!(!run(&[]), "it is said once");
    // Programs do not need it.
    let mut command = program(&path, directory.path());
    command.env("XDG_STATE_HOME", directory.path().join("another"));
    let output = command
        .args(["run", "--local", "bash", "-c", "echo the-end"])
        .output();
    let output = output.expect("it runs");
    assert!(!String::from_utf8_lossy(&output.stderr).contains(HINT));
}

#[test]
fn files_are_opened_to_programs_by_options() {
    let directory = here();
    write(
        directory.path(),
        &[("data/in.txt", "content\n"), ("out/.keep", "")],
    );
    let (data, out) = (directory.path().join("data"), directory.path().join("out"));
    // A gateway that is root runs kernels as another user.
    for (path, mode) in [(directory.path(), 0o755), (&data, 0o755), (&out, 0o777)] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }
    let (data, out) = (data.display().to_string(), out.display().to_string());
    let read = format!("cat {data}/in.txt");
    run(directory.path(), &["bash", "-c", &read]).code(1);
    run(
        directory.path(),
        &["--allow-read", &data, "bash", "-c", &read],
    )
    .success()
    .stdout_eq("content\n");
    let copy = format!("cp {data}/in.txt {out}/copy.txt; ! touch {data}/new 2>/dev/null");
    let allowed = ["--allow-read", &data, "--allow-write", &out];
    run(
        directory.path(),
        &[&allowed[..], &["bash", "-c", &copy]].concat(),
    )
    .success();
    let copied = std::fs::read_to_string(Path::new(&out).join("copy.txt"));
    assert_eq!(copied.expect("it was copied"), "content\n");
}

#[test]
fn the_level_is_the_one_that_is_asked_for() {
    let directory = here();
    if !has_namespaces(directory.path()) {
        return;
    }
    // In a box, the first process is one of its own.
    let first = "tr '\\0' ' ' </proc/1/cmdline | grep -c sorna-box; exit 0";
    for (level, count) in [("namespaces", "1\n"), ("landlock", "0\n"), ("none", "0\n")] {
        run(
            directory.path(),
            &["--isolation", level, "bash", "-c", first],
        )
        .success()
        .stdout_eq(count)
        .stderr_eq("");
    }
}

#[test]
fn where_namespaces_are_forbidden_that_is_said_and_can_be_refused() {
    let directory = here();
    if !has_namespaces(directory.path()) {
        return;
    }
    // In a namespace in which no more may be made.
    let within = |options: &[&str]| {
        let mut command = Command::new("unshare");
        let sorna = cargo_bin!("sorna").display().to_string();
        let line = "echo 0 >/proc/sys/user/max_user_namespaces; exec \"$@\"";
        command.args(["-r", "sh", "-c", line, "sh", &sorna, "run", "--local", "-q"]);
        command.args(options).args(["bash", "-c", "echo done"]);
        command.current_dir(directory.path());
        let output = command.output().expect("unshare");
        let stdout = String::from_utf8(output.stdout).expect("text");
        let stderr = String::from_utf8(output.stderr).expect("text");
        (stdout, stderr, output.status.code())
    };
    let (stdout, stderr, code) = within(&[]);
    assert_eq!((stdout.as_str(), code), ("done\n", Some(0)), "{stderr}");
    assert!(
        stderr.starts_with("∙ The program has the network of this machine, and sees its processes: no namespaces: unshare"),
        "{stderr}"
    );
    assert!(
        stderr.ends_with(
            "Use --isolation landlock to accept that, or --require-isolation to refuse it.\n"
        ),
        "{stderr}"
    );
    let (stdout, stderr, code) = within(&["--isolation", "landlock"]);
    assert_eq!(
        (stdout.as_str(), stderr.as_str(), code),
        ("done\n", "", Some(0))
    );
    for refusal in [
        &["--require-isolation"][..],
        &["--network", "none"],
        &["--network", "loopback"],
    ] {
        let (stdout, stderr, code) = within(refusal);
        assert_eq!((stdout.as_str(), code), ("", Some(1)), "{stderr}");
        assert!(stderr.contains("no namespaces: unshare"), "{stderr}");
    }
}

#[test]
fn options_that_contradict_each_other_are_errors() {
    let directory = here();
    run(directory.path(), &["--isolation", "landlock", "--network", "none", "bash", "-c", ":"])
        .code(2)
        .stderr_eq(str![[r#"
✘ --network none and loopback need --isolation namespaces: otherwise kernels have the network of this machine

"#]]);
    run(
        directory.path(),
        &[
            "--isolation",
            "none",
            "--require-isolation",
            "bash",
            "-c",
            ":",
        ],
    )
    .code(2)
    .stderr_eq(str![[r#"
✘ --require-isolation and --isolation none exclude each other: leave out one of them

"#]]);
    for option in [
        &["--network", "host"][..],
        &["--disk", "1m"],
        &["--allow-read", "/tmp"],
        &["--allow-write", "/tmp"],
        &["--isolation", "none"],
        &["--require-isolation"],
    ] {
        let mut command = sorna(directory.path());
        command.args(["run"]).args(option);
        command.args(["bash", "-c", ":"]);
        let (stderr, code) = stderr_of(command);
        let name = option[0];
        let expected =
            format!("✘ {name} needs --local; for a gateway, set it with `sorna serve {name}`\n");
        assert_eq!((stderr, code), (expected, Some(2)));
    }
}

#[test]
fn what_is_opened_to_programs_must_be_there() {
    let directory = here();
    let missing = "No such file or directory (os error 2)\n";
    for option in ["--allow-read", "--allow-write"] {
        let expected = format!("✘ {option} nonexist: {missing}");
        run(directory.path(), &[option, "nonexist", "bash", "-c", ":"])
            .code(2)
            .stderr_eq(expected.clone());
        let mut command = sorna(directory.path());
        command.args(["serve", option, "nonexist"]);
        assert_eq!(stderr_of(command), (expected, Some(2)));
        let expected = format!(
            "✘ {option} ~/x: {missing}∙ Shells do not expand `~` in quotes or after `=`: use $HOME in its place.\n"
        );
        run(directory.path(), &[option, "~/x", "bash", "-c", ":"])
            .code(2)
            .stderr_eq(expected);
    }
}

#[test]
fn what_is_opened_to_programs_may_be_relative() {
    let directory = here();
    write(
        directory.path(),
        &[("notes.txt", "notes\n"), ("d/in.txt", "content\n")],
    );
    for (path, mode) in [("", 0o755), ("d", 0o755)] {
        use std::os::unix::fs::PermissionsExt;
        let path = directory.path().join(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }
    let here = directory.path().display();
    let code = format!("cd {here}; cat notes.txt d/in.txt");
    for place in ["d", "./d", "d/", "d/../d", "."] {
        let options = ["--allow-read", "notes.txt", "--allow-read", place];
        let arguments = [&options[..], &["bash", "-c", &code]].concat();
        run(directory.path(), &arguments)
            .success()
            .stdout_eq("notes\ncontent\n");
    }
}

#[test]
fn a_program_that_tried_to_connect_and_ends_well_gets_a_remark() {
    let directory = here();
    if !has_namespaces(directory.path()) {
        return;
    }
    let code = "echo 'Warning: fetch failed' >&2";
    let mut command = sorna(directory.path());
    command.args(["run", "--local", "bash", "-c", code]);
    let (stderr, exit) = stderr_of(command);
    assert!(stderr.contains(NO_NETWORK), "{stderr}");
    assert_eq!(exit, Some(0));
    run(directory.path(), &["bash", "-c", code])
        .success()
        .stderr_eq("Warning: fetch failed\n");
}

#[test]
fn what_is_closed_to_the_user_of_programs_is_named() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let directory = here();
    let out = directory.path().join("out");
    std::fs::create_dir(&out).expect("a directory");
    std::fs::set_permissions(&out, PermissionsExt::from_mode(0o755)).expect("a mode");
    let is_root = std::fs::metadata(&out).expect("it is there").uid() == 0;
    if !is_root || !has_namespaces(directory.path()) {
        return;
    }
    let expected = "∙ The program runs as another user, who cannot write to [DIR]/out: allow it with `chmod o+rwx [DIR]/out`, or run the gateway as a user other than root.\n";
    run(
        directory.path(),
        &["--allow-write", "out", "bash", "-c", ":"],
    )
    .success()
    .stderr_eq(expected);
    run(
        directory.path(),
        &["--allow-read", "out", "bash", "-c", ":"],
    )
    .success()
    .stderr_eq("");
}
