//! `sorna serve`: a gateway in the foreground.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{check, eventually, here, sorna, wait};
use rustix::process::{Pid, Signal, kill_process};
use sorna_test_tools::{need, need_that};

fn write(directory: &Path, name: &str, content: &str) {
    crate::support::write(directory, &[(name, content)]);
}

/// A gateway, and what it printed.
struct Served {
    child: Child,
    settings: HashMap<String, String>,
}

impl Served {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = sorna(directory);
        command.arg("serve").args(arguments);
        Self::start_with(command)
    }

    fn start_with(mut command: Command) -> Self {
        // Secrets of a file are not printed.
        let has_keys_file = command.get_args().any(|argument| argument == "--keys");
        let printed = if has_keys_file { 1 } else { 3 };
        let mut child = command.spawn().expect("sorna runs");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut settings = HashMap::new();
        // Read to the end: nothing else follows, and the pipe is closed.
        for line in stdout.lines() {
            let line = line.expect("text");
            let (name, value) = line
                .strip_prefix("export ")
                .and_then(|line| line.split_once('='))
                .expect("a setting");
            settings.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!(settings.len(), printed, "{:?}", settings.keys());
        Self { child, settings }
    }

    fn client(&self, directory: &Path) -> Command {
        let mut command = sorna(directory);
        command.envs(&self.settings);
        command
    }

    /// Stops it, and returns its log.
    fn stop(mut self, signal: Signal) -> String {
        let id = i32::try_from(self.child.id()).expect("an id");
        kill_process(Pid::from_raw(id).expect("an id"), signal).expect("it lives");
        let status = wait(&mut self.child);
        assert!(status.success(), "{status}");
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut log).expect("text");
        let secret = self
            .settings
            .iter()
            .find(|(name, _)| name.ends_with("SECRET_KEY"));
        assert!(
            secret.is_none_or(|(_, secret)| !log.contains(secret)),
            "{log}"
        );
        log
    }
}

#[test]
fn a_gateway_is_served_until_it_is_stopped() {
    for signal in [Signal::INT, Signal::TERM] {
        let directory = here();
        let kernels = directory.path().join("kernels");
        std::fs::create_dir(&kernels).expect("a directory");
        let served = Served::start(directory.path(), &["--directory", "kernels"]);
        assert!(served.settings["SORNA_ENDPOINT"].starts_with("http://127.0.0.1:"));
        let mut client = served.client(directory.path());
        client.args([
            "run",
            "-q",
            "-t",
            "kept-session",
            "bash",
            "-c",
            "echo hello",
        ]);
        check(client).success().stdout_eq("hello\n").stderr_eq("");
        assert_ne!(std::fs::read_dir(&kernels).expect("it").count(), 0);
        let log = served.stop(signal);
        for words in [
            "listening",
            "isolation",
            "POST",
            "/v2/kernel/create",
            "201",
            "stopping",
        ] {
            assert!(log.contains(words), "{words}: {log}");
        }
        assert_eq!(std::fs::read_dir(&kernels).expect("it").count(), 0);
    }
}

/// The directories of kernels in that of a gateway.
fn homes(directory: &Path) -> Vec<String> {
    let base = std::fs::read_dir(directory).expect("it").flatten().next();
    let entries = std::fs::read_dir(base.expect("a directory").path()).expect("it");
    let names = entries.map(|entry| entry.expect("it").file_name().into_string());
    let names = names.map(|name| name.expect("text"));
    names.filter(|name| name.starts_with("kernel-")).collect()
}

#[test]
fn kernels_are_kept_in_stock_by_default_or_as_it_is_asked_for() {
    if !need("python3") {
        return;
    }
    // The language that has none is used first.
    let rows: [(&[&str], &str, &str, usize); 3] = [
        (&[], "bash", "python3", 1),
        (
            &["--warm", "python=0", "--warm", "bash=1"],
            "python3",
            "bash",
            1,
        ),
        (
            &[
                "--warm",
                "bash=1",
                "--warm",
                "bash=0",
                "--warm",
                "python3=2",
            ],
            "bash",
            "python3",
            2,
        ),
    ];
    for (arguments, without, with, count) in rows {
        let directory = here();
        let kernels = directory.path().join("kernels");
        std::fs::create_dir(&kernels).expect("a directory");
        let served = Served::start(
            directory.path(),
            &[&["--directory", "kernels", "--log", "off"], arguments].concat(),
        );
        let home = |language: &str| {
            let code = match language {
                "bash" => "echo $HOME",
                _ => "import os; print(os.environ['HOME'])",
            };
            let mut client = served.client(directory.path());
            client.args(["run", "-q", language, "-c", code]);
            let output = client.output().expect("sorna runs");
            let home = String::from_utf8(output.stdout).expect("text");
            let home = home.trim_end().strip_suffix("/work").expect("a directory");
            home.rsplit('/').next().expect("a name").to_owned()
        };
        home(without);
        home(with);
        eventually("a kernel is in stock", || homes(&kernels).len() == count);
        std::thread::sleep(Duration::from_millis(300));
        let stock = homes(&kernels);
        assert_eq!(stock.len(), count, "{arguments:?}");
        assert!(!stock.contains(&home(without)), "{arguments:?}");
        assert!(stock.contains(&home(with)), "{arguments:?}");
        served.stop(Signal::TERM);
        assert_eq!(std::fs::read_dir(&kernels).expect("it").count(), 0);
    }
}

#[test]
fn a_shell_evaluates_the_settings_and_the_gateway_keeps_running() {
    let directory = here();
    let mut shell = Command::new("bash");
    let sorna = sorna(directory.path());
    let script = format!(
        "eval \"$('{}' serve --log off & echo \"export SERVER=$!\")\"; \
         '{0}' run -q bash -c 'echo from a kernel'; kill -INT $SERVER; kill -QUIT $SERVER; \
         '{0}' run -q bash -c 'echo what is typed ends another'; kill $SERVER",
        sorna.get_program().to_str().expect("text")
    );
    shell.args(["-c", &script]).current_dir(directory.path());
    let environment: HashMap<_, _> = sorna.get_envs().collect();
    shell.env_clear();
    for (name, value) in environment {
        shell.envs(value.map(|value| (name, value)));
    }
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    check(shell)
        .success()
        .stdout_eq("from a kernel\nwhat is typed ends another\n")
        .stderr_eq("");
}

#[test]
fn the_settings_are_those_of_the_api_that_is_asked_for() {
    let directory = here();
    for (api, prefix, release) in [
        ("sorna", "SORNA_", "Sorna v2"),
        ("backend-ai", "BACKEND_", "Backend.AI"),
        ("auto", "BACKEND_", "Backend.AI"),
    ] {
        let served = Served::start(directory.path(), &["--api", api]);
        assert!(served.settings.keys().all(|name| name.starts_with(prefix)));
        let mut status = served.client(directory.path());
        status.arg("status");
        let output = status.output().expect("sorna runs");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains(&format!("Gateway: {release}")), "{text}");
        served.stop(Signal::TERM);
    }
}

#[test]
fn keys_come_from_a_file_or_the_environment() {
    let directory = here();
    write(
        directory.path(),
        "keys",
        "# mine\nAKIAONE secret-one\nAKIATWO it's-two\n",
    );
    let served = Served::start(directory.path(), &["--keys", "keys"]);
    assert!(served.settings["SORNA_ENDPOINT"].starts_with("http://127.0.0.1:"));
    for (access, secret, code) in [
        ("AKIAONE", "secret-one", 0),
        ("AKIATWO", "it's-two", 0),
        ("AKIATWO", "secret-one", 1),
    ] {
        let mut client = served.client(directory.path());
        client
            .env("SORNA_ACCESS_KEY", access)
            .env("SORNA_SECRET_KEY", secret);
        client.args(["status"]);
        check(client).code(code);
    }
    let log = served.stop(Signal::TERM);
    assert!(
        log.contains("\"keys\" contains keys and is readable by others; run chmod 600 keys"),
        "{log}"
    );
    assert!(!log.contains("it's-two"), "{log}");
    assert!(!log.contains("secret-one"), "{log}");
    assert!(
        log.contains(r#"status=200"#) && log.contains("AKIATWO"),
        "{log}"
    );

    let closed = directory.path().join("keys");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o600)).expect("mine");
    let served = Served::start(directory.path(), &["--keys", "keys", "--log", "warn"]);
    assert_eq!(served.stop(Signal::TERM), "");

    let mut command = sorna(directory.path());
    command
        .env("SORNA_ACCESS_KEY", "AKIAENV")
        .env("SORNA_SECRET_KEY", "quote'd");
    command.args(["serve", "--log", "off"]);
    let served = Served::start_with(command);
    assert_eq!(served.settings["SORNA_ACCESS_KEY"], "AKIAENV");
    assert_eq!(served.settings["SORNA_SECRET_KEY"], r"'quote'\''d'");
    served.stop(Signal::TERM);
}

#[test]
fn it_listens_on_other_addresses_only_if_allowed() {
    let directory = here();
    let refuse = |arguments: &[&str], words: &str| {
        let mut command = sorna(directory.path());
        command.arg("serve").args(arguments);
        let output = command.output().expect("it runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
        assert!(output.stdout.is_empty());
    };
    let everywhere = ["--listen", "0.0.0.0:0"];
    refuse(&everywhere, "add --allow-remote, and give the keys");
    refuse(
        &[&everywhere[..], &["--allow-remote"]].concat(),
        "give the keys",
    );
    write(directory.path(), "keys", "AKIAONE secret-one\n");
    let arguments = [&everywhere[..], &["--allow-remote", "--keys", "keys"]].concat();
    let served = Served::start(directory.path(), &arguments);
    let log = served.stop(Signal::TERM);
    assert!(log.contains("no TLS"), "{log}");
}

#[test]
fn https_is_served() {
    let directory = here();
    let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("one");
    write(directory.path(), "cert.pem", &identity.cert.pem());
    write(
        directory.path(),
        "key.pem",
        &identity.signing_key.serialize_pem(),
    );
    let arguments = [
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
        "--log",
        "off",
    ];
    let served = Served::start(directory.path(), &arguments);
    assert!(served.settings["SORNA_ENDPOINT"].starts_with("https://"));
    let mut client = served.client(directory.path());
    client.args([
        "run",
        "-q",
        "--ca-file",
        "cert.pem",
        "bash",
        "-c",
        "echo safe",
    ]);
    check(client).success().stdout_eq("safe\n").stderr_eq("");
    served.stop(Signal::TERM);
}

#[test]
fn limits_languages_and_directories_are_passed_on() {
    let directory = here();
    write(directory.path(), "data", "42\n");
    let languages = "[[language]]\nname = \"copy\"\ntools = [\"cat\"]\n\
        program = { source = \"text\", run = [\"{program}\", \"{snippet}/text\"] }\n";
    write(directory.path(), "languages.toml", languages);
    let data = directory.path().join("data");
    let data = data.to_str().expect("text");
    let served = Served::start(
        directory.path(),
        &[
            "--languages",
            "languages.toml",
            "--allow-read",
            data,
            "--max-kernels",
            "1",
            "--exec-timeout",
            "300ms",
            "--max-mem",
            "64m",
            "--log",
            "off",
        ],
    );
    let run = |arguments: &[&str]| {
        let mut client = served.client(directory.path());
        client.args(["run", "-q"]).args(arguments);
        check(client)
    };
    run(&["copy", "-c", "as it is"])
        .success()
        .stdout_eq("as it is");
    run(&["bash", "-c", &format!("cat {data}")])
        .success()
        .stdout_eq("42\n");
    run(&["bash", "-c", "sleep 60"]).code(124);
    run(&["-t", "only-session", "bash", "-c", "true"]).success();
    run(&["bash", "-c", "true"])
        .code(1)
        .stderr_eq(snapbox::str![[r#"
✘ the gateway responded with 412 quota-exceeded[..]
...
"#]]);
    served.stop(Signal::TERM);
}

#[test]
fn wrong_files_are_errors() {
    let directory = here();
    write(
        directory.path(),
        "languages.toml",
        "[[language]]\nname = \"x\"\n",
    );
    write(directory.path(), "empty", "");
    for (arguments, words) in [
        (&["--keys", "none"][..], "cannot read none: No such file"),
        (
            &["--keys", "empty"],
            "empty, line 1: expected at least one key pair",
        ),
        (&["--languages", "languages.toml"], "missing field `tools`"),
        (
            &["--tls-cert", "empty", "--tls-key", "empty"],
            "no certificate",
        ),
        (&["--tls-cert", "empty"], "--tls-key"),
        (
            &["--listen", "somewhere:0"],
            "expected an IP address and a port up to 65535",
        ),
    ] {
        let mut command = sorna(directory.path());
        command.arg("serve").args(arguments);
        let output = command.output().expect("it runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it").to_string();
    let mut command = sorna(directory.path());
    command.args(["serve", "--listen", &address]);
    check(command).code(1).stderr_eq(snapbox::str![[r#"
✘ cannot start the gateway: cannot listen on [ADDRESS]: Address already in use (os error 98)

"#]]);
}

#[test]
fn a_killed_gateway_leaves_no_kernels() {
    let directory = here();
    let kernels = directory.path().join("kernels");
    std::fs::create_dir(&kernels).expect("a directory");
    let served = Served::start(
        directory.path(),
        &["--directory", "kernels", "--log", "off"],
    );
    let mark = format!("sleep 1000; : {}", directory.path().display());
    let mut client = served.client(directory.path());
    let code = format!("sh -c '{mark}'");
    client.args(["run", "-q", "-t", "kept-session", "bash", "-c", &code]);
    let mut run = client.spawn().expect("it runs");
    let runs = || {
        let processes = std::fs::read_dir("/proc").expect("processes").flatten();
        processes
            .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
            .any(|words| words.starts_with(format!("sh\0-c\0{mark}").as_bytes()))
    };
    eventually("the program", runs);
    let mut served = served;
    served.child.kill().expect("it lives");
    served.child.wait().expect("it ends");
    eventually("the end of the program", || !runs());
    eventually("the end of its files", || {
        std::fs::read_dir(&kernels).expect("it").count() == 0
    });
    let status = wait(&mut run);
    assert!(!status.success());
}

#[test]
fn capabilities_of_the_gateway_are_not_those_of_its_kernels() {
    let directory = here();
    let sorna = sorna(directory.path());
    let mut command = Command::new("setpriv");
    command.args([
        "--inh-caps=+net_admin,+sys_ptrace",
        "--ambient-caps=+net_admin",
    ]);
    command
        .arg(sorna.get_program())
        .args(["serve", "--log", "off"]);
    command
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if !need("setpriv") {
        return;
    }
    let status = Command::new("setpriv")
        .args(["--inh-caps=+net_admin", "--ambient-caps=+net_admin", "true"])
        .stderr(Stdio::null())
        .status();
    let has_capabilities = status.expect("it starts").success();
    if !need_that(has_capabilities, "the right to give capabilities") {
        return;
    }
    let served = Served::start_with(command);
    let mut client = served.client(directory.path());
    let code = "grep -c -E '^Cap(Inh|Prm|Eff|Bnd|Amb):.0000000000000000$' /proc/self/status";
    client.args(["run", "-q", "bash", "-c", code]);
    check(client).success().stdout_eq("5\n");
    served.stop(Signal::TERM);
}

#[test]
fn a_certificate_of_an_authority_is_explained() {
    let directory = here();
    let mut parameters = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).expect("names");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    write(directory.path(), "cert.pem", &certificate.pem());
    write(directory.path(), "key.pem", &key.serialize_pem());
    let arguments = [
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
        "--log",
        "off",
    ];
    let served = Served::start(directory.path(), &arguments);
    let mut client = served.client(directory.path());
    client.args(["run", "-q", "--ca-file", "cert.pem", "bash", "-c", "true"]);
    let output = client.output().expect("it runs");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("basicConstraints=critical,CA:FALSE"),
        "{stderr}"
    );
    served.stop(Signal::TERM);
}

#[test]
fn on_a_terminal_the_settings_are_shown_for_both_apis() {
    let directory = here();
    let mut terminal = crate::support::terminal::Terminal::open(
        directory.path(),
        None,
        200,
        &[],
        &["serve", "--log", "off"],
    );
    terminal.shows(
        "# For sorna and other clients of Sorna v2:\r\nexport SORNA_ENDPOINT=http://127.0.0.1:",
    );
    terminal.shows("export SORNA_ACCESS_KEY=");
    terminal.shows("export SORNA_SECRET_KEY=");
    terminal.shows("# For clients of Backend.AI, the official ones and sorna with all its commands:\r\nexport BACKEND_ENDPOINT=http://127.0.0.1:");
    terminal.shows("export BACKEND_ACCESS_KEY=");
    terminal.shows("export BACKEND_SECRET_KEY=");
    terminal.shows("\r\n");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ends(), Some(0));
    let output = sorna(directory.path())
        .args(["serve", "--help"])
        .output()
        .expect("sorna runs");
    let help = String::from_utf8(output.stdout).expect("text");
    for word in ["Backend.AI", "SORNA_ENDPOINT", "BACKEND_"] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn a_log_that_nobody_reads_makes_nothing_wait() {
    let directory = here();
    let mut served = Served::start(directory.path(), &["--log", "info"]);
    let settings = &served.settings;
    let config = sorna::Config::from_lookup(|name| settings.get(name).cloned()).expect("settings");
    let client = sorna::blocking::Client::new(config);
    // More than a pipe takes.
    for _ in 0..6000 {
        client.version().expect("a response");
    }
    let mut stderr = served.child.stderr.take().expect("a pipe");
    let id = i32::try_from(served.child.id()).expect("an id");
    kill_process(Pid::from_raw(id).expect("an id"), Signal::TERM).expect("it lives");
    assert!(wait(&mut served.child).success());
    let mut log = String::new();
    stderr.read_to_string(&mut log).expect("text");
    assert!(log.len() > 60_000, "{}", log.len());

    // What was dropped is counted where someone reads the log again.
    let mut served = Served::start(directory.path(), &["--log", "info"]);
    let settings = &served.settings;
    let config = sorna::Config::from_lookup(|name| settings.get(name).cloned()).expect("settings");
    let client = sorna::blocking::Client::new(config);
    for _ in 0..6000 {
        client.version().expect("a response");
    }
    let mut stderr = BufReader::new(served.child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("were dropped") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).expect("text"), 0, "no end");
    }
    drop(stderr);
    kill_process(
        Pid::from_raw(i32::try_from(served.child.id()).expect("an id")).expect("an id"),
        Signal::TERM,
    )
    .expect("it lives");
    assert!(wait(&mut served.child).success());
}

#[test]
fn kernels_have_namespaces_by_default() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let mut needs = sorna(directory);
    needs.args(["serve", "--isolation", "landlock", "--network", "none"]);
    let output = needs.output().expect("sorna runs");
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("--isolation namespaces"), "{message}");
    let mut none = sorna(directory);
    none.args(["serve", "--isolation", "none", "--require-isolation"]);
    let output = none.output().expect("sorna runs");
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("exclude each other"), "{message}");

    let there = Command::new("unshare").args(["-Ur", "true"]).status();
    if !need_that(there.is_ok_and(|it| it.success()), "user namespaces") {
        return;
    }
    let served = Served::start(directory, &["--require-isolation"]);
    let code = "echo $$; grep -c . /proc/net/dev; tty -s || cat /etc/shadow";
    let mut run = served.client(directory);
    run.args(["run", "-q", "bash", "-c", code]);
    let output = run.output().expect("sorna runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    // One of the first processes of its namespace, and a network with only a loopback device.
    let (id, devices) = stdout.split_once('\n').expect("two lines");
    assert!(id.parse::<u32>().is_ok_and(|id| id < 10), "{output:?}");
    assert_eq!(devices, "3\n", "{output:?}");
    let log = served.stop(Signal::TERM);
    assert!(log.contains("isolation=files: namespaces"), "{log}");
    assert!(log.contains("network: none"), "{log}");
}

#[test]
fn interpreters_end_as_their_languages_do_when_it_is_stopped() {
    let directory = here();
    let out = directory.path().join("out");
    std::fs::create_dir(&out).expect("a directory");
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o777)).expect("a mode");
    let served = Served::start(directory.path(), &["--allow-write", "out"]);
    let hooks = [
        (
            "python3",
            "import atexit; atexit.register(lambda: print('bye', file=open('OUT/python3', 'w')))",
        ),
        ("bash", "trap 'echo; echo bye >OUT/bash' EXIT"),
        (
            "perl",
            "END { print qq(\\n); open my $f, '>', 'OUT/perl'; print $f qq(bye\\n) }",
        ),
        (
            "ruby",
            "at_exit { puts; File.write('OUT/ruby', \"bye\\n\") }",
        ),
        (
            "nodejs",
            "process.on('exit', () => { console.log(); require('fs').writeFileSync('OUT/nodejs', 'bye\\n') })",
        ),
    ];
    let there = hooks.map(|(language, hook)| {
        let command = if language == "nodejs" {
            "node"
        } else {
            language
        };
        if !need(command) {
            return false;
        }
        let hook = hook.replace("OUT", out.to_str().expect("text"));
        let mut client = served.client(directory.path());
        let token = format!("kept-{language}");
        client.args(["run", "-q", "-t", &token, language, "-c", &hook]);
        check(client).success().stdout_eq("").stderr_eq("");
        true
    });
    served.stop(Signal::TERM);
    for ((language, _), there) in hooks.into_iter().zip(there) {
        let left = std::fs::read_to_string(out.join(language));
        assert_eq!(left.is_ok_and(|it| it == "bye\n"), there, "{language}");
    }
}
