//! Sessions in the completions of shells.

use std::path::Path;

use sorna_gateway::RunningGateway;
use sorna_test_tools::need;
use tempfile::TempDir;

use crate::support::{backend_at, gateway, here, program, sorna, write};

/// A gateway that only a profile of the settings file names, with three sessions.
struct Lab {
    gateway: RunningGateway,
    directory: TempDir,
    /// The ID of the session `other`.
    id: String,
}

impl Lab {
    fn new() -> Self {
        let (gateway, directory) = (gateway(), here());
        let settings = format!(
            "[profiles.cluster]\napi = \"backend-ai\"\nendpoint = \"{}\"\naccess_key = \"{}\"\nsecret_key = \"{}\"\n",
            gateway.endpoint(),
            gateway.access_key(),
            gateway.secret_key()
        );
        write(
            directory.path(),
            &[(".config/sorna/config.toml", &settings)],
        );
        let mut id = String::new();
        for name in ["training-1", "training-2", "other"] {
            let mut command = backend_at(directory.path(), &gateway);
            command.args(["run", "--json", "-t", name, "bash", "-c", "true"]);
            let output = command.output().expect("sorna runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let (_, rest) = text.split_once(r#""kernel":""#).expect("an ID");
            id = rest.split('"').next().expect("its end").to_owned();
        }
        Self {
            gateway,
            directory,
            id,
        }
    }

    /// What a shell prints that runs this code after the script of completions; `None` if it is not installed.
    fn in_shell(&self, shell: &str, options: &[&str], code: &str) -> Option<String> {
        if !need(shell) {
            return None;
        }
        let directory = self.directory.path();
        let output = sorna(directory)
            .args(["completions", shell])
            .output()
            .expect("sorna runs");
        let script = String::from_utf8(output.stdout).expect("text");
        write(directory, &[("script", &format!("{script}\n{code}"))]);
        let binaries = snapbox::cmd::cargo_bin!("sorna")
            .parent()
            .expect("a directory")
            .to_owned();
        let path = std::env::var("PATH").expect("it is set");
        let output = program(Path::new(shell), directory)
            .args(options)
            .arg("script")
            .env("HOME", directory)
            .env("PATH", format!("{}:{path}", binaries.display()))
            .output()
            .expect("it runs");
        Some(String::from_utf8(output.stdout).expect("text"))
    }

    fn bash(&self, words: &str) -> Option<String> {
        let code = format!(
            "COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _sorna_with_sessions sorna \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\" | LC_ALL=C sort"
        );
        self.in_shell("bash", &["--norc", "--noprofile"], &code)
    }

    fn end(self) {
        self.gateway.stop();
    }
}

#[test]
fn bash_completes_sessions_of_the_gateway_on_the_line() {
    let lab = Lab::new();
    let id = format!("{}\n", lab.id);
    for (words, expected) in [
        (
            "sorna --profile cluster logs tr",
            "training-1\ntraining-2\n",
        ),
        // As bash divides `--profile=cluster`.
        (
            "sorna logs --profile = cluster tr",
            "training-1\ntraining-2\n",
        ),
        (
            "sorna --profile cluster destroy other tr",
            "training-1\ntraining-2\n",
        ),
        (
            "sorna --profile \"'cluster'\" destroy --force tr",
            "training-1\ntraining-2\n",
        ),
        ("sorna run --profile cluster -t ot", "other\n"),
        ("sorna --profile cluster interr", "interrupt\n"),
        (
            &format!("sorna --profile cluster info {}", &lab.id[..8]),
            &id,
        ),
        (
            &format!("sorna --profile cluster run -t {}", &lab.id[..8]),
            &id,
        ),
        // No gateway is known.
        ("sorna logs tr", "\n"),
        ("sorna logs --endpoint http : //127.0.0.1 : 1 tr", "\n"),
    ] {
        if let Some(output) = lab.bash(words) {
            assert_eq!(output, expected, "{words}");
        }
    }
    lab.end();
}

#[test]
fn commands_that_take_no_token_do_not_offer_it() {
    let lab = Lab::new();
    for command in ["info", "restart", "destroy"] {
        if let Some(output) = lab.bash(&format!("sorna {command} -")) {
            assert!(!output.contains("-t\n"), "{output}");
            assert!(!output.contains("--client-token"), "{output}");
            assert!(output.contains("--profile\n"), "{output}");
        }
    }
    lab.end();
}

#[test]
fn fish_completes_sessions_of_the_gateway_on_the_line() {
    let lab = Lab::new();
    let complete = |line: &str| {
        let code = format!("complete -C '{line}'");
        lab.in_shell("fish", &["--no-config"], &code)
    };
    let id = format!("{}\n", lab.id);
    for (line, expected) in [
        (
            "sorna --profile cluster logs tr",
            "training-1\ntraining-2\n",
        ),
        (
            "sorna logs --profile=cluster tr",
            "training-1\ntraining-2\n",
        ),
        ("sorna --profile cluster run -t ot", "other\n"),
        (
            &format!("sorna --profile cluster info {}", &lab.id[..8]),
            &id,
        ),
        ("sorna logs tr", ""),
    ] {
        if let Some(mut output) = complete(line) {
            let mut lines: Vec<_> = output.lines().collect();
            lines.sort_unstable();
            output = lines.iter().map(|line| format!("{line}\n")).collect();
            assert_eq!(output, expected, "{line}");
        }
    }
    lab.end();
}

#[test]
fn zsh_completes_sessions_of_the_gateway_on_the_line() {
    let lab = Lab::new();
    let complete = |words: &str, prefix: &str| {
        let code = format!(
            "line_words=({words}); line_current=$(( $#line_words + 1 )); PREFIX='{prefix}'\n\
             compadd() {{ print -l $names; }}\n_sorna_sessions"
        );
        lab.in_shell("zsh", &["-f"], &code)
    };
    for words in [
        "sorna --profile cluster logs",
        "sorna logs --profile=cluster",
        "sorna logs --profile \"'cluster'\"",
    ] {
        if let Some(output) = complete(words, "") {
            assert_eq!(output, "other\ntraining-2\ntraining-1\n", "{words}");
        }
    }
    if let Some(output) = complete("sorna --profile cluster logs", "x") {
        assert_eq!(output.lines().count(), 6, "{output}");
        assert!(output.contains(&lab.id), "{output}");
    }
    lab.end();
}
