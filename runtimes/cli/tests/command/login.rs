//! `sorna login` and `sorna logout`, and commands in between.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use snapbox::str;
use sorna_gateway::RunningGateway;

use crate::support::server::answering_in_turn;
use crate::support::terminal::Terminal;
use crate::support::{check, check_output, eventually, gateway, here, sorna, wait, write};

const HELLO: (&str, &str) = (
    "200 OK\nContent-Type: application/json",
    r#"{"version": "v7.20230615", "manager": "23.09.10"}"#,
);

/// `sorna` for users who log in here.
fn web(directory: &Path, endpoint: &str) -> Command {
    let mut command = sorna(directory);
    command.envs(environment(endpoint));
    command
}

fn environment(endpoint: &str) -> [(&str, &str); 2] {
    [
        ("BACKEND_ENDPOINT", endpoint),
        ("BACKEND_ENDPOINT_TYPE", "session"),
    ]
}

fn run(directory: &Path, gateway: &RunningGateway, arguments: &[&str]) -> Output {
    let mut command = web(directory, gateway.endpoint());
    command.args(arguments).output().expect("sorna runs")
}

/// The output of a command that succeeds.
#[track_caller]
fn output(directory: &Path, gateway: &RunningGateway, arguments: &[&str]) -> String {
    let output = run(directory, gateway, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Logs in with these lines on standard input.
fn log_in(mut command: Command, user: &str, lines: &str) -> Output {
    let mut child = command
        .args(["login", "--user", user, "--password-stdin"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("sorna runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may have ended already.
    let _ = stdin.write_all(lines.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[track_caller]
fn logged_in(directory: &Path, gateway: &RunningGateway) {
    let line = format!("{}\n", gateway.secret_key());
    let output = log_in(
        web(directory, gateway.endpoint()),
        gateway.access_key(),
        &line,
    );
    assert!(output.status.success(), "{output:?}");
}

/// The files that keep sessions.
fn kept(directory: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(directory.join(".state/sorna/logins"));
    let files = files.into_iter().flatten().flatten();
    files.map(|file| file.path()).collect()
}

fn mode(path: &Path) -> u32 {
    let metadata = std::fs::symlink_metadata(path).expect("it exists");
    metadata.permissions().mode() & 0o777
}

/// The cookie in the only file.
fn cookie(directory: &Path) -> String {
    let files = kept(directory);
    let text = std::fs::read_to_string(&files[0]).expect("a file");
    let content: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    content["cookie"].as_str().expect("a cookie").to_owned()
}

#[test]
fn in_a_terminal_the_password_is_asked_for_and_not_shown() {
    let gateway = gateway();
    let directory = here();
    let environment = environment(gateway.endpoint());
    let arguments = ["--color", "never", "login"];
    let mut terminal = Terminal::open(directory.path(), None, 90, &environment, &arguments);
    terminal.shows("User: ");
    terminal.types(&format!("{}\n", gateway.access_key()));
    terminal.shows("Password: ");
    assert!(!terminal.shows_typing());
    terminal.types(&format!("{}\n", gateway.secret_key()));
    let user = gateway.access_key();
    terminal.shows(&format!("Logged in to {} as {user}.", gateway.endpoint()));
    assert_eq!(terminal.ends(), Some(0));
    assert!(terminal.shows_typing(), "the terminal is restored");

    let files = kept(directory.path());
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(mode(&files[0]), 0o600);
    assert_eq!(mode(files[0].parent().expect("a folder")), 0o700);
    let shown = terminal.transcript();
    assert!(shown.contains(user), "{shown}");
    assert!(!shown.contains(gateway.secret_key()) && !shown.contains(&cookie(directory.path())));
}

#[test]
fn ctrl_c_at_the_password_leaves_a_terminal_that_shows_what_is_typed() {
    let gateway = gateway();
    let directory = here();
    let environment = environment(gateway.endpoint());
    let arguments = ["login", "--user", "me"];
    let mut terminal = Terminal::open(directory.path(), None, 90, &environment, &arguments);
    terminal.shows("Password: ");
    assert!(!terminal.shows_typing());
    terminal.types("\x03");
    assert_eq!(terminal.ends(), Some(130));
    assert!(terminal.shows_typing());
    assert!(kept(directory.path()).is_empty());
}

/// A web server that wants a one-time password, and then gives this session.
fn with_otp() -> SocketAddr {
    answering_in_turn(&[
        HELLO,
        (
            "200 OK\nContent-Type: application/json",
            r#"{"authenticated": false, "data": {"type": "https://api.backend.ai/probs/require-totp-authentication", "title": "Two-Factor Authentication needed.", "details": "You must authenticate using Two-Factor Authentication."}}"#,
        ),
        (
            "200 OK\nContent-Type: application/json\nSet-Cookie: AIOHTTP_SESSION=5f0c; HttpOnly; Path=/",
            r#"{"authenticated": true, "data": {"access_key": "AKIAWEB", "role": "user", "status": "active"}}"#,
        ),
    ])
}

#[test]
fn a_one_time_password_is_asked_for_if_the_server_requires_one() {
    let directory = here();
    let endpoint = format!("http://{}", with_otp());
    let environment = environment(&endpoint);
    let arguments = ["login", "--user", "me@example.com"];
    let mut terminal = Terminal::open(directory.path(), None, 90, &environment, &arguments);
    terminal.shows("Password: ");
    terminal.types("hunter2\n");
    terminal.shows("One-time password: ");
    assert!(!terminal.shows_typing());
    terminal.types("123456\n");
    terminal.shows("as me@example.com.");
    assert_eq!(terminal.ends(), Some(0));
    let shown = terminal.transcript();
    assert!(
        !shown.contains("hunter2") && !shown.contains("123456"),
        "{shown}"
    );
    assert_eq!(cookie(directory.path()), "5f0c");
}

#[test]
fn a_pipe_has_the_passwords_on_its_lines() {
    let directory = here();
    let login = |lines: &str| {
        let endpoint = format!("http://{}", with_otp());
        log_in(web(directory.path(), &endpoint), "me@example.com", lines)
    };
    check_output(login("hunter2\r\n123456\nnot read")).success();
    check_output(login("hunter2\n")).code(1).stderr_eq(str![[r#"
✘ the login was rejected: Two-Factor Authentication needed: You must authenticate using Two-Factor Authentication.
∙ The one-time password is missing: type it when asked, or give it as the second line with --password-stdin.

"#]]);
    check_output(login(""))
        .code(2)
        .stderr_eq("✘ the password is empty\n");

    let mut command = web(directory.path(), "http://127.0.0.1:1");
    command.args(["login", "--user", "me"]);
    check(command).code(2).stderr_eq(str![[r#"
✘ the password cannot be asked for: standard input is no terminal
∙ To pass it by a pipe, use --user NAME --password-stdin.

"#]]);
}

#[test]
fn rejected_logins_keep_nothing() {
    let gateway = gateway();
    let directory = here();
    let command = web(directory.path(), gateway.endpoint());
    let rejected = log_in(command, gateway.access_key(), "a-wrong-one\n");
    check_output(rejected).code(1).stderr_eq(
        "✘ the login was rejected: Credential/signature mismatch: User credential mismatch.\n\
         ∙ Check name and password. After several attempts that fail, the server blocks the user for a while.\n",
    );
    assert!(kept(directory.path()).is_empty());
}

#[test]
fn the_password_is_not_sent_to_what_is_no_web_server() {
    let directory = here();
    let received = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let bodies = std::sync::Arc::clone(&received);
    let address = crate::support::stub::stub(move |request| {
        bodies.lock().expect("no panic").push(request.body.clone());
        Some((200, r#"{"version": "v2.20170315"}"#.to_owned()))
    });
    let command = web(directory.path(), &format!("http://{address}"));
    check_output(log_in(command, "me", "hunter2\n"))
        .code(1)
        .stderr_eq(str![[r#"
✘ the endpoint is not a web server of Backend.AI: [..]
∙ The endpoint is http://[ADDRESS] (from BACKEND_ENDPOINT). It must be that of a web server; for a manager or gateway, the endpoint type is api, and there are keys.

"#]]);
    let received = received.lock().expect("no panic").concat();
    assert!(!String::from_utf8_lossy(&received).contains("hunter2"));
}

#[test]
fn commands_need_no_keys_after_a_login() {
    let gateway = gateway();
    let here_ = here();
    let directory = here_.path();
    check(web_with(directory, &gateway, &["ps"]))
        .code(2)
        .stderr_eq(str![[r#"
✘ not logged in to http://[ADDRESS]
∙ Log in with `sorna login`.

"#]]);
    // What needs no login is checked all the same.
    check(web_with(directory, &gateway, &["status"]))
        .code(1)
        .stdout_eq(str![[r#"
∙ Endpoint: http://[ADDRESS] (from BACKEND_ENDPOINT)
✔ Gateway: Backend.AI, manager [..]
✘ Login: not logged in to http://[ADDRESS]
∙ Log in with `sorna login`.

"#]]);
    logged_in(directory, &gateway);
    let user = gateway.access_key();

    let shown = output(directory, &gateway, &["config"]);
    let line = shown.lines().find(|line| line.starts_with("login "));
    let line = line.expect("a line");
    assert!(
        line.contains(user) && line.contains("  kept in "),
        "{shown}"
    );
    let shown = output(directory, &gateway, &["status"]);
    let login = format!("Login: {user}, access key {user}, role user, status active\n");
    assert!(shown.contains(&login), "{shown}");
    assert!(
        shown.contains("Session: the gateway accepts it\n"),
        "{shown}"
    );

    write(directory, &[("main.py", "print('from a file')")]);
    let arguments = ["run", "-q", "-t", "by-cookie", "python", "main.py"];
    assert_eq!(output(directory, &gateway, &arguments), "from a file\n");
    assert_eq!(output(directory, &gateway, &["ps", "-q"]), "by-cookie\n");
    std::fs::remove_file(directory.join("main.py")).expect("removed");
    output(directory, &gateway, &["download", "by-cook", "main.py"]);
    assert!(directory.join("main.py").exists());

    // A terminal, and events.
    let environment = environment(gateway.endpoint());
    let arguments = ["shell", "-t", "by-cookie", "python"];
    let mut terminal = Terminal::open(directory, None, 90, &environment, &arguments);
    terminal.shows("Leave with");
    eventually("raw mode", || !terminal.shows_typing());
    terminal.types("print(6 * 7)\r");
    terminal.shows("\n42\r\n");
    terminal.types("\x1d");
    assert_eq!(terminal.ends(), Some(0));
    let mut events = web_with(directory, &gateway, &["events", "--json", "by-cookie"]);
    let mut events = events.spawn().expect("sorna runs");
    let mut stderr = BufReader::new(events.stderr.take().expect("a pipe"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("text");
    assert_eq!(line, "∙ Waiting for events (Ctrl-C ends it).\n");
    output(directory, &gateway, &["destroy", "by-cookie"]);
    assert!(wait(&mut events).success());
    let seen = events.wait_with_output().expect("output").stdout;
    let seen = String::from_utf8(seen).expect("text");
    assert!(seen.contains("\"session_terminated\""), "{seen}");
    assert_eq!(gateway.stats().kernels, 0);
    gateway.stop();
}

fn web_with(directory: &Path, gateway: &RunningGateway, arguments: &[&str]) -> Command {
    let mut command = web(directory, gateway.endpoint());
    command.args(arguments);
    command
}

#[test]
fn a_session_that_has_ended_says_how_to_begin_another() {
    let gateway = gateway();
    let directory = here();
    logged_in(directory.path(), &gateway);
    let copy = std::fs::read(&kept(directory.path())[0]).expect("a file");
    check(web_with(directory.path(), &gateway, &["logout"]))
        .success()
        .stderr_eq("✔ Logged out of http://[ADDRESS].\n");
    assert!(kept(directory.path()).is_empty());
    check(web_with(directory.path(), &gateway, &["logout"]))
        .success()
        .stderr_eq("∙ Not logged in to http://[ADDRESS].\n");

    // As if the server had ended it.
    logged_in(directory.path(), &gateway);
    std::fs::write(&kept(directory.path())[0], copy).expect("written");
    check(web_with(directory.path(), &gateway, &["ps"]))
        .code(1)
        .stderr_eq(str![[r#"
✘ the gateway responded with 401 auth-failed: Unauthorized access
∙ Your session at http://[ADDRESS] (from BACKEND_ENDPOINT) has probably ended. Log in again with `sorna login`.

"#]]);
    check(web_with(directory.path(), &gateway, &["status"]))
        .code(1)
        .stdout_eq(str![[r#"
...
✘ Login: the session has ended
∙ Your session at http://[ADDRESS] (from BACKEND_ENDPOINT) has probably ended. Log in again with `sorna login`.

"#]]);
    logged_in(directory.path(), &gateway);
    output(directory.path(), &gateway, &["ps"]);
    gateway.stop();
}

#[test]
fn logging_out_of_a_server_that_is_gone_removes_the_session_and_says_so() {
    let gateway = gateway();
    let directory = here();
    logged_in(directory.path(), &gateway);
    let endpoint = gateway.endpoint().to_owned();
    gateway.stop();
    let mut command = web(directory.path(), &endpoint);
    command.arg("logout");
    check(command).code(1).stderr_eq(str![[r#"
✘ the session was removed here, but may live on at the server: [..]
∙ The endpoint is http://[ADDRESS] (from BACKEND_ENDPOINT). [..]

"#]]);
    assert!(kept(directory.path()).is_empty());
}

#[test]
fn a_session_that_others_can_read_or_that_is_none_is_not_used() {
    let gateway = gateway();
    let directory = here();
    logged_in(directory.path(), &gateway);
    let file = kept(directory.path()).remove(0);
    let permit = |mode| {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("permitted");
    };
    for mode in [0o640, 0o604, 0o620] {
        permit(mode);
        check(web_with(directory.path(), &gateway, &["ps"]))
            .code(2)
            .stderr_eq(str![[r#"
✘ [DIR]/.state/sorna/logins/[..].json keeps a session, but others can read or write it
∙ Someone may have copied it: end the session with `sorna logout`, then log in again with `sorna login`.

"#]]);
    }
    check(web_with(directory.path(), &gateway, &["logout"]))
        .success()
        .stderr_eq("✔ Logged out of http://[ADDRESS].\n");

    // One of another endpoint, a link, and something else.
    logged_in(directory.path(), &gateway);
    let text = std::fs::read_to_string(&file).expect("a file");
    for other in [text.replace("127.0.0.1", "127.0.0.2"), "{}".to_owned()] {
        std::fs::write(&file, other).expect("written");
        check(web_with(directory.path(), &gateway, &["ps"]))
            .code(2)
            .stderr_eq(str![[r#"
✘ [DIR]/.state/sorna/logins/[..].json is not a session that `sorna login` has kept
∙ Log in again with `sorna login`, which replaces it.

"#]]);
    }
    std::fs::write(directory.path().join("copy"), text).expect("written");
    std::fs::remove_file(&file).expect("removed");
    std::os::unix::fs::symlink(directory.path().join("copy"), &file).expect("a link");
    check(web_with(directory.path(), &gateway, &["ps"]))
        .code(2)
        .stderr_eq(NO_FILE);
    // A login replaces what is there, and leaves what a link pointed to.
    logged_in(directory.path(), &gateway);
    assert_eq!(mode(&file), 0o600);
    assert!(directory.path().join("copy").exists());
    output(directory.path(), &gateway, &["ps"]);
    gateway.stop();
}

const NO_FILE: &str = "\
✘ [DIR]/.state/sorna/logins/[..].json is not a regular file, so not a session that `sorna login` has kept
∙ Remove it with `sorna logout`, then log in again with `sorna login`.
";

#[test]
fn logging_out_removes_what_is_no_session_and_says_so() {
    let gateway = gateway();
    let directory = here();
    logged_in(directory.path(), &gateway);
    let file = kept(directory.path()).remove(0);
    let original = std::fs::read(&file).expect("a file");
    let copy = directory.path().join("copy");
    std::fs::write(&copy, &original).expect("written");
    let logs_out = |text: &str| {
        check(web_with(directory.path(), &gateway, &["logout"]))
            .code(1)
            .stderr_eq(format!(
                "✘ [DIR]/.state/sorna/logins/[..].json is {text}; it was removed\n\
                 ∙ If you were logged in to http://[ADDRESS], the session may live on at the server until it expires.\n"
            ));
        assert!(kept(directory.path()).is_empty());
        check(web_with(directory.path(), &gateway, &["logout"])).success();
    };
    let none = "not a session that `sorna login` has kept";
    for content in [&b""[..], b"{}", b"\xff\xfe", b"[1", &original[..10]] {
        write_private(&file, content);
        check(web_with(directory.path(), &gateway, &["ps"]))
            .code(2)
            .stderr_eq("✘ [DIR]/.state/sorna/logins/[..].json is not a session that `sorna login` has kept\n∙ Log in again with `sorna login`, which replaces it.\n");
        logs_out(none);
    }
    let other = format!("not a regular file, so {none}");
    std::os::unix::fs::symlink(&copy, &file).expect("a link");
    check(web_with(directory.path(), &gateway, &["ps"]))
        .code(2)
        .stderr_eq(NO_FILE);
    logs_out(&other);
    assert_eq!(std::fs::read(&copy).expect("a file"), original);
    std::os::unix::fs::symlink(directory.path(), &file).expect("a link");
    logs_out(&other);
    std::fs::create_dir(&file).expect("a directory");
    check(web_with(directory.path(), &gateway, &["ps"]))
        .code(2)
        .stderr_eq(NO_FILE);
    let line = format!("{}\n", gateway.secret_key());
    let login = log_in(
        web(directory.path(), gateway.endpoint()),
        gateway.access_key(),
        &line,
    );
    check_output(login).code(2).stderr_eq(NO_FILE);
    logs_out(&other);

    // What is in a directory may be needed.
    std::fs::create_dir(&file).expect("a directory");
    std::fs::write(file.join("mine"), "").expect("written");
    check(web_with(directory.path(), &gateway, &["logout"]))
        .code(2)
        .stderr_eq(str![[r#"
✘ [DIR]/.state/sorna/logins/[..].json is a directory with files in it, which is not removed
∙ Remove it yourself if nothing in it is needed, then log in again with `sorna login`.

"#]]);
    assert!(file.join("mine").exists());
    gateway.stop();
}

fn write_private(path: &Path, content: &[u8]) {
    std::fs::write(path, content).expect("written");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("permitted");
}

#[test]
fn keys_beside_a_web_server_are_not_used_and_that_is_shown() {
    let gateway = gateway();
    let directory = here();
    let command = |arguments: &[&str]| {
        let mut command = web_with(directory.path(), &gateway, arguments);
        command.env("BACKEND_ACCESS_KEY", "AKIAUNUSED");
        command.env("BACKEND_SECRET_KEY", "not-shown");
        command
    };
    check(command(&["ps"])).code(2).stderr_eq(str![[r#"
✘ not logged in to http://[ADDRESS]
∙ Log in with `sorna login`. BACKEND_ACCESS_KEY is not used there: keys are for endpoints of type api.

"#]]);
    let line = format!("{}\n", gateway.secret_key());
    check_output(log_in(command(&[]), gateway.access_key(), &line)).success();
    check(command(&["config"])).success().stdout_eq(str![[r#"
...
login          [..]
access_key     (not used)[..]from BACKEND_ACCESS_KEY; with endpoint type session, users log in
secret_key     (not used)[..]from BACKEND_SECRET_KEY; with endpoint type session, users log in
...
"#]]);
    check(command(&["status"])).success().stdout_eq(str![[r#"
...
∙ Keys: BACKEND_ACCESS_KEY is not used there: keys are for endpoints of type api.
...
"#]]);
    gateway.stop();
}

#[test]
fn a_profile_can_be_that_of_a_web_server() {
    let gateway = gateway();
    let directory = here();
    let profiles = format!(
        "default_profile = \"lab\"\n[profiles.lab]\nendpoint = \"http://127.0.0.1:1\"\n\
         access_key = \"AKIALAB\"\nsecret_key = \"lab-secret\"\n\
         [profiles.web]\nendpoint = \"{}\"\nendpoint_type = \"session\"\n\
         [profiles.odd]\nendpoint = \"{}\"\nendpoint_type = \"session\"\napi = \"sorna\"\n",
        gateway.endpoint(),
        gateway.endpoint(),
    );
    write(
        directory.path(),
        &[(".config/sorna/config.toml", &profiles)],
    );
    std::fs::set_permissions(
        directory.path().join(".config/sorna/config.toml"),
        PermissionsExt::from_mode(0o600),
    )
    .expect("permitted");
    let command = |arguments: &[&str]| {
        let mut command = sorna(directory.path());
        command.args(arguments);
        command
    };
    check(command(&["ps", "--profile", "web"]))
        .code(2)
        .stderr_eq(str![[r#"
✘ not logged in to http://[ADDRESS]
∙ Log in with `sorna login --profile web`.

"#]]);
    let line = format!("{}\n", gateway.secret_key());
    let login = log_in(command(&["--profile", "web"]), gateway.access_key(), &line);
    check_output(login).success();
    check(command(&["ps", "--profile", "web"])).success();
    check(command(&["login"])).code(2).stderr_eq(str![[r#"
✘ the endpoint type is api (the default), not session
∙ To log in to a web server of Backend.AI, set BACKEND_ENDPOINT_TYPE=session, or endpoint_type = "session" in the profile. With keys there is no need to log in.

"#]]);
    let sorna_v2 = "✘ the API is sorna (--api), but the endpoint type is session\n...\n";
    check(command(&["ps", "--profile", "web", "--api", "sorna"]))
        .code(2)
        .stderr_eq(sorna_v2);
    check(command(&["ps", "--profile", "odd"]))
        .code(2)
        .stderr_eq("✘ the API is sorna (profile `odd` in [..], line 12), but the endpoint type is session\n...\n");
    // The type belongs to the endpoint: that of the profile is not for one in the environment.
    let mut other = command(&["config", "--profile", "web"]);
    other.env("BACKEND_ENDPOINT", "https://manager.example.com");
    let shown = other.output().expect("sorna runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(!shown.contains("endpoint_type"), "{shown}");
    // A variable alone overrides the profile.
    let mut other = command(&["config", "--profile", "web"]);
    other.env("BACKEND_ENDPOINT_TYPE", "api");
    check(other)
        .success()
        .stdout_eq("...\nendpoint_type  api[..]from BACKEND_ENDPOINT_TYPE\n...\n");
    gateway.stop();
}
