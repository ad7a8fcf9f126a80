//! Settings: where they come from, and errors in them. More than 500 lines: half of them are the output that
//! the tests expect, and all share the same profiles.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use snapbox::cmd::OutputAssert;
use snapbox::str;
use tempfile::TempDir;

use crate::support::{check, gateway, sorna, write};

const PROFILES: &str = r#"default_profile = "work"

[profiles.work]
endpoint = "https://work.example.com"
access_key = "AKIAWORK"
secret_key = "work-secret"
ca_file = "ca.pem"

[profiles.home]
endpoint = "http://127.0.0.1:1"
access_key = "AKIAHOME"
secret_key = "home-secret"
"#;

/// A directory with this settings file, which other users cannot read.
fn with(settings: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    write(directory.path(), &[(".config/sorna/config.toml", settings)]);
    permit(directory.path(), 0o600);
    directory
}

fn permit(directory: &Path, mode: u32) {
    let path = directory.join(".config/sorna/config.toml");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permitted");
}

fn config(directory: &TempDir, arguments: &[&str]) -> Command {
    let mut command = sorna(directory.path());
    command.arg("config").args(arguments);
    command
}

fn run(directory: &TempDir, arguments: &[&str]) -> OutputAssert {
    let mut command = sorna(directory.path());
    command.args(arguments);
    check(command)
}

#[test]
fn nothing_is_set() {
    let directory = tempfile::tempdir().expect("a directory");
    check(config(&directory, &[]))
        .success()
        .stderr_eq("")
        .stdout_eq(str![[r#"
file        [DIR]/.config/sorna/config.toml  the default; it does not exist
profile     (not set)
endpoint    (not set)
access_key  (not set)
secret_key  (not set)
ca_file     (not set)
api         sorna[..]  the default

"#]]);
}

#[test]
fn the_default_profile() {
    let directory = with(PROFILES);
    check(config(&directory, &[]))
        .success()
        .stderr_eq("")
        .stdout_eq(str![[r#"
file        [DIR]/.config/sorna/config.toml  the default
profile     work[..]  from line 1 of the file
endpoint    https://work.example.com[..]  from profile `work`, line 4
access_key  AKIAWORK[..]  from profile `work`, line 5
secret_key  (set)[..]  from profile `work`, line 6
ca_file     [DIR]/.config/sorna/ca.pem[..]  from profile `work`, line 7
api         sorna[..]  the default

"#]]);
}

#[test]
fn the_command_line_goes_first_then_the_environment_then_the_profile() {
    let directory = with(PROFILES);
    let mut command = config(&directory, &["--endpoint", "https://flag.example.com"]);
    command
        .env("SORNA_PROFILE", "home")
        .env("SORNA_ENDPOINT", "https://variable.example.com")
        .env("SORNA_ACCESS_KEY", "AKIAVARIABLE")
        .env("SORNA_SECRET_KEY", "variable-secret");
    check(command).success().stderr_eq("").stdout_eq(str![[r#"
file        [DIR]/.config/sorna/config.toml  the default
profile     home[..]  from SORNA_PROFILE
endpoint    https://flag.example.com[..]  from --endpoint
access_key  AKIAVARIABLE[..]  from SORNA_ACCESS_KEY
secret_key  (set)[..]  from SORNA_SECRET_KEY
ca_file     (not set)
api         sorna[..]  the default

"#]]);
}

#[test]
fn the_environment_overriding_a_selected_profile_draws_a_warning() {
    let directory = with(PROFILES);
    let mut command = config(&directory, &["--profile", "home"]);
    command
        .env("SORNA_ENDPOINT", "https://variable.example.com")
        .env("SORNA_CA_FILE", "/variable.pem");
    check(command)
        .success()
        .stderr_eq("∙ SORNA_ENDPOINT from the environment overrides profile `home`.\n")
        .stdout_eq(str![[r#"
file        [DIR]/.config/sorna/config.toml  the default
profile     home[..]  from --profile
endpoint    https://variable.example.com[..]  from SORNA_ENDPOINT
access_key  AKIAHOME[..]  from profile `home`, line 11
secret_key  (set)[..]  from profile `home`, line 12
ca_file     /variable.pem[..]  from SORNA_CA_FILE
api         sorna[..]  the default

"#]]);
}

#[test]
fn another_file() {
    let directory = with(PROFILES);
    write(
        directory.path(),
        &[(
            "other.toml",
            "[profiles.work]\nendpoint = \"http://other\"\n",
        )],
    );
    let mut command = config(&directory, &["--profile", "work"]);
    command.env("SORNA_CONFIG", "other.toml");
    check(command).success().stdout_eq(str![[r#"
file        other.toml    from SORNA_CONFIG
profile     work          from --profile
endpoint    http://other  from profile `work`, line 2
access_key  (not set)
secret_key  (not set)
ca_file     (not set)
api         sorna[..]  the default

"#]]);
    run(&directory, &["config", "--config", "missing.toml"])
        .code(2)
        .stderr_eq(str![[r#"
✘ no such settings file: missing.toml (--config)
∙ Check --config, or create the file: see `sorna config --help`.

"#]]);
}

#[test]
fn the_path_is_printed_without_reading_the_file() {
    let directory = with("this is not TOML");
    run(&directory, &["config", "--path"])
        .success()
        .stdout_eq("[DIR]/.config/sorna/config.toml\n")
        .stderr_eq("");
}

#[test]
fn a_file_with_keys_that_others_can_read_draws_a_warning() {
    let directory = with(PROFILES);
    permit(directory.path(), 0o640);
    run(&directory, &["config"]).success().stderr_eq(str![[r#"
∙ "[DIR]/.config/sorna/config.toml" contains keys and is readable by others; run chmod 600 [DIR]/.config/sorna/config.toml

"#]]);
    // Without keys there is nothing to hide.
    let directory = with("[profiles.work]\nendpoint = \"https://work.example.com\"\n");
    permit(directory.path(), 0o644);
    run(&directory, &["config"]).success().stderr_eq("");
}

#[test]
fn an_unencrypted_endpoint_beyond_this_machine_draws_a_warning() {
    let directory = tempfile::tempdir().expect("a directory");
    let warns = |endpoint| {
        let output = config(&directory, &["--endpoint", endpoint])
            .output()
            .expect("it runs");
        assert!(output.status.success());
        String::from_utf8(output.stderr)
            .expect("text")
            .contains("is not encrypted")
    };
    assert!(warns("http://cluster.example:8081"));
    assert!(!warns("https://cluster.example"));
    for loopback in [
        "http://127.0.0.1:8081",
        "http://localhost",
        "http://[::1]:1",
    ] {
        assert!(!warns(loopback));
    }
    // Before the code leaves this machine, and even when quiet.
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ACCESS_KEY", "AK")
        .env("SORNA_SECRET_KEY", "SK");
    let quiet = [
        "run",
        "-q",
        "--endpoint",
        "http://sorna.invalid",
        "bash",
        "-c",
        "1",
    ];
    let output = command.args(quiet).output().expect("it runs");
    let words = String::from_utf8(output.stderr).expect("text");
    assert!(
        words.contains("http://sorna.invalid is not encrypted"),
        "{words}"
    );
}

#[test]
fn there_is_no_default_endpoint() {
    let directory =
        with("[profiles.keys]\naccess_key = \"AKIAKEYS\"\nsecret_key = \"keys-secret\"\n");
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ACCESS_KEY", "AK")
        .env("SORNA_SECRET_KEY", "SK")
        .arg("status");
    check(command).code(2).stdout_eq("").stderr_eq(str![[r#"
✘ no endpoint is set
∙ Set SORNA_ENDPOINT or use --endpoint URL. `sorna run --local` needs none of this; `sorna serve` starts a gateway on this machine, and prints what to set.

"#]]);
    run(&directory, &["status", "--profile", "keys"])
        .code(2)
        .stdout_eq("")
        .stderr_eq(str![[r#"
✘ no endpoint is set
∙ Set SORNA_ENDPOINT or use --endpoint URL, or add `endpoint` to the profile `keys` in [DIR]/.config/sorna/config.toml. `sorna run --local` needs none of this; `sorna serve` starts a gateway on this machine, and prints what to set.

"#]]);
}

#[test]
fn white_space_around_settings_is_not_part_of_them() {
    let gateway = gateway();
    let directory = with(&format!(
        "[profiles.test]\nendpoint = \"{}\\n\"\naccess_key = \"\"\"\n{}\n\"\"\"\nsecret_key = \"{}\\r\\n\"\n",
        gateway.endpoint(),
        gateway.access_key(),
        gateway.secret_key()
    ));
    for name in ["test", "test\n", " test\r\n", "\u{a0}test\t"] {
        run(&directory, &["status", "--profile", name]).success();
        let mut command = sorna(directory.path());
        command.env("SORNA_PROFILE", name).arg("status");
        check(command).success();
    }
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ENDPOINT", format!("{}\n", gateway.endpoint()))
        .env("SORNA_ACCESS_KEY", format!(" {}\n", gateway.access_key()))
        .env("SORNA_SECRET_KEY", format!("{}\r\n", gateway.secret_key()))
        .arg("status");
    check(command).success();
    gateway.stop();
}

#[test]
fn white_space_around_a_profile_s_name_is_not_part_of_it() {
    let directory = with("default_profile = \" a \"\n[profiles.\" a \"]\n[profiles.b]\n");
    for arguments in [&[][..], &["--profile", "a"], &["--profile", " a"]] {
        let stdout = "...\nprofile     a  [..]\n...\n";
        check(config(&directory, arguments))
            .success()
            .stdout_eq(stdout);
    }
    check(config(&directory, &["--profile", " live "]))
        .code(2)
        .stderr_eq(str![[r#"
✘ unknown profile `live` (--profile) in [DIR]/.config/sorna/config.toml
∙ Profiles: a, b.

"#]]);
    let directory = with("[profiles.\" a \"]\n[profiles.a]\n");
    check(config(&directory, &[])).code(2).stderr_eq(str![[r#"
✘ [DIR]/.config/sorna/config.toml, line [..]: [..] is there twice

"#]]);
}

#[test]
fn a_line_end_within_the_secret_key_is_reported_without_the_key() {
    let directory = with(PROFILES);
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ENDPOINT", "https://host")
        .env("SORNA_ACCESS_KEY", "AKIAVARIABLE")
        .env("SORNA_SECRET_KEY", "variable-\nsecret")
        .arg("status");
    check(command).code(2).stderr_eq(str![[r#"
✘ the secret key contains a line end or another invisible character
∙ Check SORNA_SECRET_KEY.

"#]]);
}

#[test]
fn an_invisible_character_within_a_key_is_reported_before_anything_is_sent() {
    let directory = with(PROFILES);
    for invisible in ['\u{a0}', '\u{200b}', '\u{feff}', '\u{2060}', '\u{ad}', '\t'] {
        let mut command = sorna(directory.path());
        command
            .env("BACKEND_ENDPOINT", "http://127.0.0.1:1")
            .env("BACKEND_ACCESS_KEY", "AKIAVARIABLE")
            .env("BACKEND_SECRET_KEY", format!("variable{invisible}secret"))
            .arg("ps");
        check(command).code(2).stderr_eq(str![[r#"
✘ the secret key contains a line end or another invisible character
∙ Check BACKEND_SECRET_KEY.

"#]]);
    }
    let mut command = sorna(directory.path());
    command
        .env("BACKEND_ENDPOINT", "http://127.0.0.1:1")
        .env("BACKEND_ACCESS_KEY", "AKIA\u{200b}VARIABLE")
        .env("BACKEND_SECRET_KEY", "variable-secret")
        .arg("ps");
    check(command).code(2).stderr_eq(str![[r#"
✘ the access key must be printable ASCII[..]
...
"#]]);
}

#[test]
fn an_endpoint_without_a_scheme() {
    let directory = tempfile::tempdir().expect("a directory");
    for (endpoint, meant) in [
        ("127.0.0.1:8081", ": did you mean http://[ADDRESS]?"),
        (
            "sorna.example.com",
            ": did you mean https://sorna.example.com?",
        ),
        ("user:password@host", "."),
    ] {
        check(config(&directory, &["--endpoint", endpoint]))
            .code(2)
            .stderr_eq(format!(
                "✘ the endpoint must start with https:// or http://\n∙ Check --endpoint{meant}\n"
            ));
    }
}

#[test]
fn a_profile_selects_the_gateway() {
    let gateway = gateway();
    let directory = with(&format!(
        "[profiles.test]\nendpoint = {:?}\naccess_key = {:?}\nsecret_key = {:?}\n",
        gateway.endpoint(),
        gateway.access_key(),
        gateway.secret_key()
    ));
    run(
        &directory,
        &[
            "run",
            "--profile",
            "test",
            "-q",
            "python3",
            "-c",
            "print(42)",
        ],
    )
    .success()
    .stdout_eq("42\n")
    .stderr_eq("");
    assert_eq!(gateway.stats().kernels_created, 1);
    gateway.stop();
}

#[test]
fn half_a_pair_of_keys_is_not_completed_from_another_source() {
    let directory = with(PROFILES);
    let mut command = sorna(directory.path());
    command
        .env("SORNA_ACCESS_KEY", "AKIAVARIABLE")
        .args(["run", "python3", "-c", "1"]);
    check(command).code(2).stderr_eq(str![[r#"
✘ SORNA_ACCESS_KEY is set, but SORNA_SECRET_KEY is not
∙ Both keys must come from the same source: set both there, or neither. `sorna config` shows all settings.

"#]]);
    let directory = with(
        "default_profile = \"half\"\n[profiles.half]\nsecret_key = \"secret\"\nendpoint = \"http://127.0.0.1:1\"\n",
    );
    run(&directory, &["run", "python3", "-c", "1"])
        .code(2)
        .stderr_eq(str![[r#"
✘ secret_key is set, but access_key is not (profile `half` in [DIR]/.config/sorna/config.toml, line 3)
∙ Both keys must come from the same source: set both there, or neither. `sorna config` shows all settings.

"#]]);
}

#[test]
fn nothing_is_set_but_there_are_profiles() {
    let directory = with(PROFILES.trim_start_matches("default_profile = \"work\"\n"));
    run(&directory, &["run", "python3", "-c", "1"])
        .code(2)
        .stderr_eq(str![[r#"
✘ no endpoint is set
∙ Set SORNA_ENDPOINT, SORNA_ACCESS_KEY and SORNA_SECRET_KEY (for a manager of Backend.AI, BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY), or choose a profile of [DIR]/.config/sorna/config.toml with --profile (home, work). `sorna run --local` needs none of this; `sorna serve` starts a gateway on this machine, and prints what to set.

"#]]);
}

#[test]
fn an_unknown_profile() {
    let directory = with(PROFILES);
    run(&directory, &["config", "--profile", "wrok"])
        .code(2)
        .stderr_eq(str![[r#"
✘ unknown profile `wrok` (--profile) in [DIR]/.config/sorna/config.toml
∙ Did you mean `work`?

"#]]);
    let mut command = config(&directory, &[]);
    command.env("SORNA_PROFILE", "production");
    check(command).code(2).stderr_eq(str![[r#"
✘ unknown profile `production` (SORNA_PROFILE) in [DIR]/.config/sorna/config.toml
∙ Profiles: home, work.

"#]]);
    let directory = tempfile::tempdir().expect("a directory");
    run(&directory, &["config", "--profile", "work"])
        .code(2)
        .stderr_eq(str![[r#"
✘ unknown profile `work` (--profile): there is no settings file
∙ Add a table [profiles.work] to the settings file, or do not select a profile.

"#]]);
}

#[test]
fn errors_in_the_file_name_the_line() {
    for (settings, words) in [
        (
            "[profiles.work]\n\nendpont = \"x\"\n",
            "✘ [DIR]/.config/sorna/config.toml, line 3: unknown key `endpont` in profile `work`\n∙ Did you mean `endpoint`?\n",
        ),
        (
            "[profiles.work]\ncolour = \"x\"\n",
            "✘ [DIR]/.config/sorna/config.toml, line 2: unknown key `colour` in profile `work`\n∙ Known keys: endpoint, endpoint_type, access_key, secret_key, ca_file, api, domain, group.\n",
        ),
        (
            "\n[work]\nendpoint = \"x\"\n",
            "✘ [DIR]/.config/sorna/config.toml, line 2: unknown setting `work`\n∙ Write a profile as [profiles.work].\n",
        ),
        (
            "default_profil = \"x\"\n",
            "✘ [DIR]/.config/sorna/config.toml, line 1: unknown setting `default_profil`\n∙ Did you mean `default_profile`?\n",
        ),
        (
            "[profiles.work]\nsecret_key = 12345678\n",
            "✘ [DIR]/.config/sorna/config.toml, line 2: `secret_key` must be a quoted string\n",
        ),
        (
            "[profiles.work]\nsecret_key = \"\"\n",
            "✘ [DIR]/.config/sorna/config.toml, line 2: `secret_key` is empty: set a value or remove it\n",
        ),
        (
            "[profiles]\nwork = \"x\"\n",
            "✘ [DIR]/.config/sorna/config.toml, line 2: `work` must be a table: profiles are written [profiles.NAME]\n",
        ),
    ] {
        let directory = with(settings);
        run(&directory, &["config"])
            .code(2)
            .stdout_eq("")
            .stderr_eq(words);
    }
}

#[test]
fn a_syntax_error_does_not_show_a_key() {
    let directory = with("[profiles.work]\nsecret_key = topsecret\n");
    let output = config(&directory, &[]).output().expect("sorna runs");
    let words = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2));
    assert!(words.contains("config.toml, line 2: "), "{words}");
    assert!(!words.contains("topsecret"), "{words}");
}

#[test]
fn values_that_the_client_rejects() {
    let directory = with(
        "default_profile = \"work\"\n[profiles.work]\nendpoint = \"user:password@host\"\naccess_key = \"a b\"\nsecret_key = \"x\"\n",
    );
    run(&directory, &["config"])
        .code(2)
        .stdout_eq(str![[r#"
file        [DIR]/.config/sorna/config.toml  the default
profile     work[..]  from line 1 of the file
endpoint    (not usable)[..]  from profile `work`, line 3
access_key  a b[..]  from profile `work`, line 4
secret_key  (set)[..]  from profile `work`, line 5
ca_file     (not set)
api         sorna[..]  the default

"#]])
        .stderr_eq(str![[r#"
✘ the endpoint must start with https:// or http://
∙ Check profile `work` in [DIR]/.config/sorna/config.toml, line 3.

"#]]);
    run(&directory, &["config", "--endpoint", "https://host"])
        .code(2)
        .stderr_eq(str![[r#"
✘ the access key must be printable ASCII without spaces, `:` or `,`, and not empty
∙ Check profile `work` in [DIR]/.config/sorna/config.toml, line 4.

"#]]);
}

#[test]
fn secrets_are_never_shown() {
    let directory = with(PROFILES);
    for arguments in [
        &["config"][..],
        &["config", "--profile", "home"],
        &["status", "--profile", "home", "-v"],
        &["run", "--profile", "home", "-v", "python3", "-c", "1"],
    ] {
        let mut command = sorna(directory.path());
        let output = command.args(arguments).output().expect("sorna runs");
        for stream in [output.stdout, output.stderr] {
            let words = String::from_utf8(stream).expect("text");
            assert!(!words.contains("-secret"), "{arguments:?}: {words}");
        }
    }
}

#[test]
fn an_env_file_is_not_read() {
    let directory = tempfile::tempdir().expect("a directory");
    write(
        directory.path(),
        &[(".env", "SORNA_ACCESS_KEY=AKIA\nSORNA_SECRET_KEY=secret\n")],
    );
    run(&directory, &["config"])
        .success()
        .stdout_eq("...\naccess_key  (not set)\nsecret_key  (not set)\n...\n");
}

#[test]
fn local_cannot_be_used_with_another_gateway() {
    let directory = with(PROFILES);
    for (option, value) in [("--endpoint", "http://host"), ("--profile", "work")] {
        run(
            &directory,
            &["run", option, value, "--local", "python3", "-c", "1"],
        )
        .code(2)
        .stderr_eq(format!("✘ --local cannot be used with {option}\n"));
    }
}

/// Both families are set; which keys sign the requests is shown by `config`.
#[test]
fn the_api_chooses_among_the_keys_of_both_families() {
    let directory = with(
        "[profiles.old]\nendpoint = \"http://127.0.0.1:1\"\napi = \"sorna\"\n\
         [profiles.new]\nendpoint = \"http://127.0.0.1:1\"\napi = \"backend-ai\"\n",
    );
    let url = "http://127.0.0.1:3";
    let at = ["--endpoint", url];
    for (arguments, has_endpoints, key) in [
        (&["--api", "sorna"][..], false, "AKIASORNA"),
        (&["--api", "backend-ai"], false, "AKIABACKEND"),
        (&["--api", "auto"], false, "AKIABACKEND"),
        (&[], false, "AKIABACKEND"),
        (&["--api", "sorna"], true, "AKIASORNA"),
        (&["--api", "backend-ai"], true, "AKIABACKEND"),
        (&[], true, "AKIABACKEND"),
    ] {
        for at in [&at[..], &[]] {
            let mut command = config(&directory, &[arguments, at].concat());
            command
                .env("BACKEND_ACCESS_KEY", "AKIABACKEND")
                .env("BACKEND_SECRET_KEY", "backend-secret")
                .env("SORNA_ACCESS_KEY", "AKIASORNA")
                .env("SORNA_SECRET_KEY", "sorna-secret");
            if has_endpoints {
                command
                    .env("BACKEND_ENDPOINT", "http://127.0.0.1:5")
                    .env("SORNA_ENDPOINT", "http://127.0.0.1:4");
            }
            let output = command.output().expect("sorna runs");
            let text = String::from_utf8(output.stdout).expect("text");
            assert!(
                text.contains(key),
                "{arguments:?} {at:?} {has_endpoints}: {text}"
            );
            let endpoint = match (at.is_empty(), has_endpoints) {
                (false, _) => url,
                (true, true) if key == "AKIASORNA" => "http://127.0.0.1:4",
                (true, true) => "http://127.0.0.1:5",
                (true, false) => continue,
            };
            assert!(text.contains(endpoint), "{arguments:?}: {text}");
        }
    }
    for (profile, key) in [("old", "AKIASORNA"), ("new", "AKIABACKEND")] {
        let mut command = config(&directory, &["--profile", profile]);
        command
            .env("BACKEND_ACCESS_KEY", "AKIABACKEND")
            .env("BACKEND_SECRET_KEY", "backend-secret")
            .env("SORNA_ACCESS_KEY", "AKIASORNA")
            .env("SORNA_SECRET_KEY", "sorna-secret");
        let output = command.output().expect("sorna runs");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains(key), "{profile}: {text}");
    }
    // Endpoints of the environment do not count beside that of the command line, only keys.
    let mut command = config(&directory, &["--api", "sorna", "--endpoint", url]);
    command
        .env("BACKEND_ENDPOINT", "http://127.0.0.1:5")
        .env("BACKEND_ACCESS_KEY", "AKIABACKEND")
        .env("BACKEND_SECRET_KEY", "backend-secret")
        .env("SORNA_ACCESS_KEY", "AKIASORNA")
        .env("SORNA_SECRET_KEY", "sorna-secret");
    let output = command.output().expect("sorna runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        text.contains("AKIASORNA") && !text.contains("AKIABACKEND"),
        "{text}"
    );
}
