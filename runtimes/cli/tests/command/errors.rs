//! Errors of `sorna`, and its advice.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use snapbox::cmd::OutputAssert;
use snapbox::str;
use sorna_gateway::GatewayConfig;

use crate::support::server::{answering, answering_under_tls};
use crate::support::{check, gateway, gateway_with, here, sorna, sorna_at, stub, write};

fn run_in(directory: &std::path::Path, arguments: &[&str]) -> OutputAssert {
    let mut command = sorna(directory);
    command.arg("run").args(arguments);
    check(command)
}

#[test]
fn nothing_is_set() {
    let directory = here();
    run_in(directory.path(), &["python3", "-c", "1"])
        .code(2)
        .stderr_eq(str![[r#"
✘ no endpoint is set
∙ Set SORNA_ENDPOINT, SORNA_ACCESS_KEY and SORNA_SECRET_KEY (for a manager of Backend.AI, BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY), or write a profile into [DIR]/.config/sorna/config.toml (see `sorna config --help`). `sorna run --local` needs none of this; `sorna serve` starts a gateway on this machine, and prints what to set.

"#]]);
    run_in(
        directory.path(),
        &["--endpoint", "https://host", "python3", "-c", "1"],
    )
    .code(2)
    .stderr_eq(str![[r#"
✘ no access key and secret key are set
∙ Set SORNA_ENDPOINT, SORNA_ACCESS_KEY and SORNA_SECRET_KEY (for a manager of Backend.AI, BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY), or write a profile into [DIR]/.config/sorna/config.toml (see `sorna config --help`). `sorna run --local` needs none of this; `sorna serve` starts a gateway on this machine, and prints what to set.

"#]]);
}

#[test]
fn an_endpoint_that_is_not_a_url() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command
        .env("SORNA_ENDPOINT", "localhost:8081")
        .args(["run", "python3", "-c", "1"]);
    check(command).code(2).stderr_eq(str![[r#"
✘ the endpoint must start with https:// or http://
∙ Check SORNA_ENDPOINT: did you mean http://localhost:8081?

"#]]);
}

#[test]
fn a_wrong_secret_key() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command
        .env("SORNA_SECRET_KEY", "not-the-secret")
        .env("SORNA_ACCESS_KEY", gateway.access_key())
        .args(["run", "-q", "python3", "-c", "1"]);
    let access_key = gateway.access_key().to_owned();
    let output = command.output().expect("sorna runs");
    let words = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        words.contains("401 auth-failed: Credential/signature mismatch."),
        "{words}"
    );
    assert!(
        words.contains(&format!(
            "Check that the access key {access_key} (from SORNA_ACCESS_KEY) and its secret key are valid for {} (from SORNA_ENDPOINT).",
            gateway.endpoint()
        )),
        "{words}"
    );
    assert!(!words.contains("not-the-secret"), "{words}");
    assert_eq!(gateway.stats().kernels_created, 0);
    gateway.stop();
}

#[test]
fn an_unreachable_endpoint() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let directory = here();
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ENDPOINT", format!("http://{address}"))
        .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
        .env(
            "SORNA_SECRET_KEY",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        )
        .args(["run", "-q", "python3", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ could not connect to [ADDRESS]: Connection refused (os error 111)
∙ The endpoint is http://[ADDRESS] (from SORNA_ENDPOINT). Check that it is right and that the gateway is running, or use `sorna run --local`.

"#]]);
}

#[test]
fn an_unknown_language() {
    let directory = here();
    run_in(directory.path(), &["--local", "-q", "cobol", "-c", "1"])
        .code(1)
        .stderr_eq(str![[r#"
✘ the gateway responded with 500 kernel-creation-failed: Kernel creation has failed: unknown language "cobol" (known: [..])
∙ List this machine's languages with `sorna langs --local`.

"#]]);
    let address = answering(
        "500 Internal Server Error\nContent-Type: application/problem+json",
        r#"{"type": "https://api.sorna.io/probs/kernel-creation-failed", "title": "Kernel creation has failed."}"#,
    );
    let mut command = at(directory.path(), &format!("http://{address}"));
    command.args(["run", "-q", "cobol", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ the gateway responded with 500 kernel-creation-failed: Kernel creation has failed.
∙ Check the name of the language, and that it is installed on the gateway.

"#]]);
}

#[test]
fn a_language_whose_tools_are_missing() {
    let address = stub::stub(|request| {
        let body = if request.path.ends_with("/languages") {
            let list =
                r#"{"languages": [{"name": "fortran", "missing": "gfortran is not on the PATH"}]}"#;
            return Some((200, list.to_owned()));
        } else {
            r#"{"type": "https://api.sorna.io/probs/kernel-creation-failed", "title": "No."}"#
        };
        Some((500, body.to_owned()))
    });
    let directory = here();
    let mut command = stub::at(sorna(directory.path()), address);
    command.args(["run", "-q", "fortran", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ the gateway responded with 500 kernel-creation-failed: No.
∙ The gateway cannot run fortran at present: gfortran is not on the PATH.

"#]]);
}

#[test]
fn a_misspelled_language() {
    let directory = here();
    run_in(directory.path(), &["--local", "-q", "pyton3", "-c", "1"])
        .code(1)
        .stderr_eq(str![[r#"
✘ the gateway responded with 500 kernel-creation-failed: Kernel creation has failed: unknown language "pyton3" (known: [..])
∙ Did you mean python3?

"#]]);
}

#[test]
fn an_endpoint_with_a_path() {
    let gateway = gateway();
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command
        .env("SORNA_ENDPOINT", format!("{}/api", gateway.endpoint()))
        .args(["run", "-q", "python3", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ the gateway responded with 400 generic-bad-request: [..]
∙ The endpoint has a path (/api), but gateways are usually at the root. Try http://[ADDRESS].

"#]]);
    gateway.stop();
}

#[test]
fn an_endpoint_with_the_wrong_scheme() {
    let directory = here();
    let run = |endpoint: String| {
        let mut command = at(directory.path(), &endpoint);
        command.args(["run", "-q", "python3", "-c", "1"]);
        check(command).code(1)
    };
    let plain = gateway();
    run(plain.endpoint().replace("http:", "https:")).stderr_eq(str![[r#"
✘ could not set up TLS with [ADDRESS][..]
∙ The gateway may not use TLS. Try http://[ADDRESS].

"#]]);
    plain.stop();
    let address = answering_under_tls("200 OK", "", &directory.path().join("ca.pem"));
    run(format!("http://{address}")).stderr_eq(str![[r#"
✘ [..][ADDRESS][..]
∙ [..]require[..] TLS[..]ry https://[ADDRESS].
...
"#]]);
}

#[test]
fn files_that_cannot_be_sent() {
    let directory = here();
    write(directory.path(), &[("below/a.c", ""), ("b.c", "")]);
    run_in(directory.path(), &["--local", "c", "missing.c"])
        .code(2)
        .stderr_eq("✘ cannot read missing.c: No such file or directory (os error 2)\n");
    write(directory.path(), &[("hidden/.c", "")]);
    for command in [&[][..], &["--exec", "ls"]] {
        run_in(
            directory.path(),
            &[&["--local", "c", "hidden"], command].concat(),
        )
        .code(2)
        .stderr_eq(str![[r#"
✘ there is nothing to upload in hidden: it is empty, or all its files are hidden or ignored
∙ With --no-ignore, files that are hidden or ignored are uploaded, too.

"#]]);
    }
    std::os::unix::fs::symlink("/etc/passwd", directory.path().join("out.c")).expect("a link");
    for arguments in [["--local", "c", "out.c"], ["--local", "c", "."]] {
        run_in(directory.path(), &arguments)
            .code(2)
            .stderr_eq("✘ [..]out.c is a link to /etc/passwd, which is outside .: copy its target, or leave the link out\n");
    }
    std::os::unix::fs::symlink("..", directory.path().join("below/up")).expect("a link");
    run_in(directory.path(), &["--local", "c", "below"])
        .code(2)
        .stderr_eq("✘ the link below/up leads back to a directory that contains it\n");
    let name = std::ffi::OsStr::from_bytes(b"\xff.c");
    std::fs::create_dir(directory.path().join("odd")).expect("a directory");
    std::fs::write(directory.path().join("odd").join(name), "").expect("a file");
    run_in(directory.path(), &["--local", "c", "odd"])
        .code(2)
        .stderr_eq("✘ the name of odd/\u{fffd}.c is not Unicode, which an upload needs\n");
    std::fs::write(directory.path().join("a\\b.c"), "").expect("a file");
    run_in(directory.path(), &["--local", "c", "a\\b.c"])
        .code(2)
        .stderr_eq("✘ [..]has a backslash: put `/` between directories\n");
    run_in(directory.path(), &["--local", "c", "/dev/null"])
        .code(2)
        .stderr_eq("✘ /dev/null is no file that could be uploaded, but a pipe or a device\n...\n");
    run_in(&directory.path().join("below"), &["--local", "c", "../b.c"])
        .code(2)
        .stderr_eq(str![[r#"
✘ ../b.c is outside .: files are uploaded by their path below that directory, so go to a directory that holds them all

"#]]);
}

#[test]
fn wrong_command_lines() {
    let directory = here();
    run_in(directory.path(), &["python3"]).code(2);
    run_in(directory.path(), &["python3", "a.py", "-c", "1"]).code(2);
    run_in(
        directory.path(),
        &["--local", "-t", "my-session", "python3", "-c", "1"],
    )
    .code(2);
    run_in(directory.path(), &["-t", "short", "python3", "-c", "1"])
        .code(2)
        .stderr_eq(str![[r#"
✘ a client session token must have 8 to 80 characters and no control characters; this one has 5 characters

"#]]);
    check(sorna(directory.path())).code(2);
}

#[test]
fn names_of_sessions_are_checked_by_the_api_that_is_spoken() {
    let directory = here();
    for (variables, length, limits) in [
        ("SORNA", 0, "8 to 80"),
        ("BACKEND", 0, "4 to 64"),
        ("BACKEND", 3, "4 to 64"),
    ] {
        let mut command = sorna(directory.path());
        for (name, value) in [
            ("ENDPOINT", "http://127.0.0.1:1"),
            ("ACCESS_KEY", "AKIA"),
            ("SECRET_KEY", "x"),
        ] {
            command.env(format!("{variables}_{name}"), value);
        }
        command.args(["run", "-t", &"n".repeat(length), "python", "-c", "1"]);
        let text = match variables {
            "SORNA" => format!(
                "a client session token must have {limits} characters and no control characters; this one has"
            ),
            _ => format!("the name of a session must have {limits} characters; this one has"),
        };
        check(command)
            .code(2)
            .stderr_eq(format!("✘ {text} {length} characters\n"));
    }
    let mut command = sorna(directory.path());
    command.args(["rename", "some-session", ""]);
    check(command).code(2).stderr_eq(str![[r#"
✘ the name of a session must have 4 to 64 characters; this one has 0 characters

"#]]);
}

#[test]
fn a_redirect_names_the_endpoint_to_set() {
    let head = "301 Moved Permanently\nLocation: https://user:hidden@api.example.com/x";
    let address = answering(head, "<html>Moved</html>");
    let directory = here();
    for variables in ["SORNA", "BACKEND"] {
        let mut command = sorna(directory.path());
        let endpoint = format!("http://{address}");
        for (name, value) in [
            ("ENDPOINT", endpoint.as_str()),
            ("ACCESS_KEY", "AKIA"),
            ("SECRET_KEY", "x"),
        ] {
            command.env(format!("{variables}_{name}"), value);
        }
        command.args(["run", "-q", "python", "-c", "1"]);
        check(command).code(1).stderr_eq(format!(
            "✘ the gateway responded with 301 Moved Permanently to https://api.example.com\n\
             ∙ The endpoint is http://[ADDRESS] (from {variables}_ENDPOINT). Requests are signed for it, so redirects are not followed. If https://api.example.com is to be trusted, make it the endpoint.\n"
        ));
    }
}

#[test]
fn settings_of_sorna_v2_that_lead_to_a_manager_of_backend_ai() {
    let captures = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../core/tests/data/captures-backend-ai"
    );
    let recorded = format!("{captures}/26.9.6/35-v2-signed.response.http");
    let recorded = std::fs::read_to_string(recorded)
        .expect("a file")
        .replace("\r\n", "\n");
    let (_, body) = recorded.split_once("\n\n").expect("a body");
    // What managers respond to a version that they do not speak.
    let version = r#"{"type": "https://api.backend.ai/probs/generic-bad-request", "title": "Unsupported API version."}"#;
    for (head, body) in [("404 Not Found", body), ("400 Bad Request", version)] {
        let endpoint = format!("http://{}", answering(head, body));
        let directory = here();
        let mut command = at(directory.path(), &endpoint);
        command.args(["run", "-q", "python", "-c", "1"]);
        check(command).code(1).stderr_eq(str![[r#"
✘ the gateway responded with 40[..]
∙ This is a manager of Backend.AI, which does not speak Sorna v2. Use --api backend-ai, put api = "backend-ai" into the profile, or set BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY in place of SORNA_ENDPOINT and its keys.

"#]]);
        let mut command = at(directory.path(), &endpoint);
        command.arg("status");
        check(command).code(1).stdout_eq(str![[r#"
...
∙ This is a manager of Backend.AI, which does not speak Sorna v2. Use --api backend-ai[..]

"#]]);
    }
}

/// `sorna` with any keys, at this endpoint.
fn at(directory: &std::path::Path, endpoint: &str) -> std::process::Command {
    let mut command = sorna(directory);
    command
        .env("SORNA_ENDPOINT", endpoint)
        .env("SORNA_ACCESS_KEY", "AKIAIOSFODNN7EXAMPLE")
        .env("SORNA_SECRET_KEY", "not-shown");
    command
}

#[test]
fn wrong_keys_of_a_profile() {
    let gateway = gateway();
    let directory = here();
    let profile = format!(
        "[profiles.test]\nendpoint = {:?}\naccess_key = {:?}\nsecret_key = \"wrong\"\n",
        gateway.endpoint(),
        gateway.access_key(),
    );
    write(directory.path(), &[("test.toml", &profile)]);
    let path = directory.path().join("test.toml");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("permitted");
    let mut command = sorna(directory.path());
    command
        .args(["run", "--config", "test.toml", "--profile", "test"])
        .args(["-q", "python3", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ the gateway responded with 401 auth-failed: Credential/signature mismatch.
∙ Check that the access key [..] (from profile `test` in test.toml, line 3) and its secret key are valid for http://[ADDRESS] (from profile `test` in test.toml, line 2).

"#]]);
    gateway.stop();
}

#[test]
fn a_wrong_clock() {
    let address = answering(
        "400 Bad Request\nDate: Thu, 29 Jun 2017 01:23:45 GMT\nContent-Type: application/problem+json",
        r#"{"type": "https://api.sorna.io/probs/invalid-auth-params", "title": "Date/time sync error"}"#,
    );
    let directory = here();
    let mut command = at(directory.path(), &format!("http://{address}"));
    command.args(["run", "-q", "python3", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ the gateway responded with 400 invalid-auth-params: Date/time sync error
∙ This machine's clock is probably wrong by more than 15 minutes: it shows [..] GMT, and the gateway's response is dated Thu, 29 Jun 2017 01:23:45 GMT. Set the clock, then try again.

"#]]);
}

#[test]
fn too_many_kernels() {
    let config = GatewayConfig::new().with_max_kernels_per_key(0);
    let gateway = gateway_with(config);
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command.args(["run", "-q", "python3", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ the gateway responded with 412 quota-exceeded: [..]
∙ The access key [..] (from SORNA_ACCESS_KEY) has reached a limit for all of its kernels: destroy some (`sorna destroy ID`), or wait until idle ones end.

"#]]);
    gateway.stop();
}

#[test]
fn too_many_requests() {
    let config = GatewayConfig::new().with_max_requests_per_window(0);
    let gateway = gateway_with(config);
    let directory = here();
    let mut command = sorna_at(directory.path(), &gateway);
    command.args(["run", "-q", "python3", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ the gateway responded with 429 rate-limit-exceeded: [..]
∙ This key has sent too many requests. Try again when the rate limit resets, within 15 minutes.

"#]]);
    gateway.stop();
}

#[test]
fn a_certificate_of_an_unknown_authority() {
    let directory = here();
    let authority = directory.path().join("ca.pem");
    let address = answering_under_tls("200 OK", "", &authority);
    let run = |arguments: &[&str]| {
        let mut command = at(directory.path(), &format!("https://{address}"));
        command
            .args(["run", "-q", "python3", "-c", "1"])
            .args(arguments);
        check(command).code(1)
    };
    run(&[]).stderr_eq(str![[r#"
✘ could not set up TLS with [ADDRESS]: its certificate is not trusted; add the CA that issued it: invalid peer certificate: unknown issuer
∙ The endpoint is https://[ADDRESS] (from SORNA_ENDPOINT). If the gateway uses a private certificate, give its authority's PEM file with --ca-file, SORNA_CA_FILE, or ca_file in a profile.

"#]]);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("one");
    crate::support::write(directory.path(), &[("other.pem", &other.cert.pem())]);
    run(&["--ca-file", "other.pem"]).stderr_eq(str![[r#"
✘ could not set up TLS with [ADDRESS][..]: invalid peer certificate: [..]
∙ The endpoint is https://[ADDRESS] (from SORNA_ENDPOINT). The authorities of the system and of other.pem (from --ca-file) are trusted.

"#]]);
}

#[test]
fn a_certificate_of_a_known_authority() {
    let directory = here();
    let authority = directory.path().join("ca.pem");
    let address = answering_under_tls("401 Unauthorized", "", &authority);
    let mut command = at(directory.path(), &format!("https://{address}"));
    command
        .env("SORNA_CA_FILE", &authority)
        .args(["run", "-q", "python3", "-c", "1"]);
    check(command).code(1).stderr_eq(str![[r#"
✘ the gateway responded with 401 Unauthorized: (empty)
...
"#]]);
}

#[test]
fn misspelled_options_get_a_suggestion() {
    let directory = here();
    for (arguments, tip) in [
        (&["runn"][..], "a similar subcommand exists: 'run'"),
        (
            &["run", "--locla", "c"],
            "a similar argument exists: '--local'",
        ),
        (
            &["--profil", "x", "run"],
            "a similar argument exists: '--profile'",
        ),
    ] {
        let mut command = sorna(directory.path());
        command.args(arguments);
        check(command)
            .code(2)
            .stderr_eq(format!("...\n  tip: {tip}\n...\n"));
    }
}

#[test]
fn a_file_where_the_language_should_be() {
    let directory = here();
    write(directory.path(), &[("script", "")]);
    for (arguments, meant) in [
        (&["print.py"][..], Some("python3 print.py")),
        (&["-t", "main.c", "-q", "main.rs"], Some("rust main.rs")),
        (&["script"], Some("LANG script")),
        (&["print.py", "python3"], Some("python3 print.py")),
        (&["--local", "script", "bash"], Some("--local LANG script")),
        (&["-e", "a.py", "python3"], None),
    ] {
        let mut command = sorna(directory.path());
        let output = command
            .arg("run")
            .args(arguments)
            .output()
            .expect("it runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        match meant {
            Some(meant) => {
                let tip = format!("the first argument is the language: sorna run {meant}\n");
                assert!(stderr.contains(&tip), "{arguments:?}: {stderr}");
            }
            None => assert!(!stderr.contains("tip"), "{arguments:?}: {stderr}"),
        }
    }
}

#[test]
fn tips_that_cannot_help_are_left_out() {
    let directory = here();
    for (arguments, helps) in [
        (&["shell", "bash", "-x"][..], false),
        (&["serve", "-x"], false),
        (&["run", "c", "-x"], true),
    ] {
        let mut command = sorna(directory.path());
        let output = command.args(arguments).output().expect("it runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert_eq!(stderr.contains("use '-- -x'"), helps, "{stderr}");
    }
}

#[test]
fn a_misspelled_command_gets_a_suggestion() {
    let directory = here();
    for (wrong, meant) in [
        ("rnu", Some("run")),
        ("statsu", Some("status")),
        ("destory", Some("destroy")),
        ("xyzzy", None),
    ] {
        let mut command = sorna(directory.path());
        let output = command.arg(wrong).output().expect("it runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        let tip = meant.map(|meant| format!("a similar subcommand exists: '{meant}'"));
        match tip {
            Some(tip) => assert!(stderr.contains(&tip), "{wrong}: {stderr}"),
            None => assert!(!stderr.contains("tip"), "{wrong}: {stderr}"),
        }
    }
}

#[test]
fn a_missing_ca_file_is_an_error_even_without_tls() {
    let directory = here();
    let gateway = gateway();
    let mut command = crate::support::sorna_at(directory.path(), &gateway);
    command.args(["status", "--ca-file", "none.pem"]);
    crate::support::check(command)
        .code(2)
        .stderr_eq(snapbox::str![[r#"
✘ cannot read the CA file none.pem (--ca-file): No such file or directory (os error 2)

"#]]);
    gateway.stop();
}

#[test]
fn what_is_no_file_is_told_so() {
    let directory = here();
    write(directory.path(), &[("main.py", "1")]);
    let place = directory.path().to_str().expect("text");
    for (script, named) in [
        ("sorna run python3 <(echo 'print(1)')", "/dev/fd/"),
        ("sorna run --local python3 main.py <(echo 1)", "/dev/fd/"),
        ("sorna run python3 /dev/null", "/dev/null"),
        ("mkfifo pipe; sorna run bash pipe", "pipe"),
    ] {
        let mut command = crate::support::program(std::path::Path::new("bash"), directory.path());
        let program = snapbox::cmd::cargo_bin!("sorna");
        let function = format!("sorna() {{ '{}' \"$@\"; }}; {script}", program.display());
        command.args(["-c", &function]);
        let output = command.output().expect("bash runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        let says = |words: &str| assert!(text.contains(words), "{script} in {place}: {text}");
        says(&format!("✘ {named}"));
        says(
            "is no file that could be uploaded, but a pipe or a device\n∙ Code can come from standard input",
        );
    }
    let upload = ["upload", "some-kernel", "/dev/null"];
    let mut command = sorna(directory.path());
    command.args(upload);
    check(command).code(2).stderr_eq(str![[r#"
✘ /dev/null is no file that could be uploaded, but a pipe or a device
∙ Save what comes out of it in a file first.

"#]]);
}

#[test]
fn a_snippet_has_no_arguments() {
    let directory = here();
    for arguments in [
        &["python3", "-c", "1", "--", "a", "b"][..],
        &["--local", "bash", "-c", "1", "-c", "2", "--", "a"],
        &["-t", "a-session", "node", "-c", "1", "--", "-x"],
    ] {
        let output = run_in(directory.path(), arguments).code(2);
        let text = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(
            text.contains("what follows `--` are arguments of files, and a snippet has none: write the values into it, or save it as a file"),
            "{text}"
        );
    }
}
