//! `sorna jupyter` with the clients that people have, in a virtual environment that `.ci/run` makes.

#![cfg(feature = "jupyter")]

#[path = "../support/mod.rs"]
mod support;

mod gateways;
mod lists;
mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pty_process::blocking;
use snapbox::cmd::cargo_bin;
use sorna_test_tools::{need, need_jupyter};
use tempfile::TempDir;

use support::terminal::Terminal;
use support::{gateway, here, program, sorna, sorna_at, write};

/// Kernels on this machine, in a directory of their own, which is also where clients run.
struct Lab {
    directory: TempDir,
    python: PathBuf,
}

impl Lab {
    /// With kernels of these languages; `None` if something is missing.
    fn with(langs: &[&str]) -> Option<Self> {
        let python = need_jupyter()?;
        let lab = Self {
            directory: here(),
            python,
        };
        let mut install = lab.prepared(sorna(lab.path()));
        let output = install
            .args(["jupyter", "install", "--local"])
            .args(langs)
            .output();
        let output = output.expect("sorna runs");
        assert!(output.status.success(), "{output:?}");
        Some(lab)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn prepared(&self, mut command: Command) -> Command {
        command
            .env("HOME", self.path())
            .env("JUPYTER_DATA_DIR", self.path().join("data"))
            .env("JUPYTER_RUNTIME_DIR", self.path().join("runtime"))
            .env("JUPYTER_CONFIG_DIR", self.path().join("config"))
            .env("IPYTHONDIR", self.path().join("ipython"));
        command
    }

    /// One of the commands of the virtual environment.
    fn client(&self, name: &str, arguments: &[&str]) -> Output {
        let path = self.python.with_file_name(name);
        let mut command = self.prepared(program(&path, self.path()));
        command.args(arguments).output().expect("the client runs")
    }

    /// A script beside this file, which has the path of the command and the settings of a gateway.
    fn script_at_gateway(&self, text: &str) {
        let gateway = gateway();
        let client = self.prepared(sorna_at(self.path(), &gateway));
        write(self.path(), &[("script.py", text)]);
        // The settings of the environment, with another program.
        let variables: Vec<_> = client
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        let mut client = Command::new(&self.python);
        client.current_dir(self.path()).env_clear().envs(variables);
        let output = client
            .arg("script.py")
            .arg(cargo_bin!("sorna"))
            .output()
            .expect("python runs");
        assert!(output.status.success(), "{}", shown(&output));
    }

    /// A script beside this file.
    fn script(&self, text: &str) {
        write(self.path(), &[("script.py", text)]);
        let output = self.client("python", &["script.py"]);
        assert!(output.status.success(), "{}", shown(&output));
    }
}

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

/// A notebook with these cells of code; the first one has the parameters of papermill.
fn notebook(cells: &[&str]) -> String {
    let cell = |(number, code): (usize, &&str)| {
        serde_json::json!({
            "cell_type": "code", "id": format!("cell-{number}"), "execution_count": null, "outputs": [], "source": code,
            "metadata": if number == 0 { serde_json::json!({"tags": ["parameters"]}) } else { serde_json::json!({}) },
        })
    };
    let cells: Vec<_> = cells.iter().enumerate().map(cell).collect();
    let kernel = serde_json::json!({"name": "sorna-local-python3", "display_name": "Python", "language": "python"});
    let metadata = serde_json::json!({"kernelspec": kernel, "language_info": {"name": "python"}});
    serde_json::json!({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells})
        .to_string()
}

#[test]
fn jupyters_own_tests_of_kernels_pass() {
    if !need("node") || !need("R") {
        return;
    }
    if let Some(lab) = Lab::with(&["python3", "bash", "nodejs", "r"]) {
        lab.script(include_str!("kernels.py"));
    }
}

#[test]
fn clients_find_what_they_need() {
    if let Some(lab) = Lab::with(&["python3", "bash"]) {
        lab.script(include_str!("clients.py"));
    }
}

#[test]
fn cells_that_ask_in_vain_lose_nothing() {
    if !need("node") || !need("R") {
        return;
    }
    if let Some(lab) = Lab::with(&["python3", "bash", "r", "nodejs"]) {
        lab.script(include_str!("unanswered.py"));
    }
}

#[test]
fn consoles_are_left_as_the_language_leaves() {
    if !need("node") || !need("R") {
        return;
    }
    if let Some(lab) = Lab::with(&["python3", "bash", "r", "nodejs"]) {
        lab.script(include_str!("leaving.py"));
    }
}

#[test]
fn what_is_completed_can_be_run() {
    if !need("R") {
        return;
    }
    if let Some(lab) = Lab::with(&["python3", "bash", "r"]) {
        lab.script(include_str!("completing.py"));
    }
}

#[test]
fn odd_cells_lose_nothing_without_a_word() {
    if !need("R") {
        return;
    }
    if let Some(lab) = Lab::with(&["python3", "bash", "r"]) {
        lab.script(include_str!("odd.py"));
    }
}

#[test]
fn prompts_are_those_of_requests() {
    if !need("R") {
        return;
    }
    if let Some(lab) = Lab::with(&["python3", "r"]) {
        lab.script(include_str!("asking.py"));
    }
}

#[test]
fn what_is_printed_between_cells_appears() {
    if !need("node") || !need("R") {
        return;
    }
    if let Some(lab) = Lab::with(&["python3", "bash", "r", "nodejs"]) {
        lab.script(include_str!("between.py"));
    }
}

#[test]
fn cells_fail_by_their_own_exception() {
    if let Some(lab) = Lab::with(&["python3"]) {
        lab.script(include_str!("failures.py"));
    }
}

#[test]
fn clients_ask_for_more_than_cells() {
    if !need("R") || !need("gcc") {
        return;
    }
    if let Some(lab) = Lab::with(&["python3", "bash", "r", "c"]) {
        lab.script(include_str!("asked.py"));
    }
}

#[test]
fn notebooks_are_executed() {
    let Some(lab) = Lab::with(&["python3"]) else {
        return;
    };
    let cells = ["alpha = 1", "print('alpha is', alpha)", "6 * 7 + alpha"];
    write(lab.path(), &[("good.ipynb", &notebook(&cells))]);

    let output = lab.client(
        "jupyter-execute",
        &["good.ipynb", "--output=executed.ipynb"],
    );
    assert!(output.status.success(), "{}", shown(&output));
    let executed = std::fs::read_to_string(lab.path().join("executed.ipynb")).expect("a notebook");
    assert!(
        executed.contains("alpha is 1") && executed.contains("\"43\""),
        "{executed}"
    );

    let arguments = ["--execute", "--to", "markdown", "--stdout", "good.ipynb"];
    let output = lab.client("jupyter-nbconvert", &arguments);
    assert!(shown(&output).contains("alpha is 1"), "{}", shown(&output));

    let arguments = ["good.ipynb", "out.ipynb", "-p", "alpha", "5"];
    let output = lab.client("papermill", &arguments);
    assert!(output.status.success(), "{}", shown(&output));
    let executed = std::fs::read_to_string(lab.path().join("out.ipynb")).expect("a notebook");
    assert!(
        executed.contains("alpha is 5") && executed.contains("\"47\""),
        "{executed}"
    );

    let cells = [
        "alpha = 1",
        "raise ValueError(f'no {alpha}')",
        "print('not ' 'run')",
    ];
    write(lab.path(), &[("bad.ipynb", &notebook(&cells))]);
    let output = lab.client("papermill", &["bad.ipynb", "out.ipynb", "-p", "alpha", "7"]);
    assert!(!output.status.success());
    assert!(
        shown(&output).contains("ValueError: no 7"),
        "{}",
        shown(&output)
    );
    let executed = std::fs::read_to_string(lab.path().join("out.ipynb")).expect("a notebook");
    assert!(!executed.contains("not run"), "{executed}");
}

#[test]
fn help_runs_nothing_of_the_users() {
    if let Some(lab) = Lab::with(&["python3"]) {
        lab.script(include_str!("inspected.py"));
    }
}

#[test]
fn files_are_run() {
    let Some(lab) = Lab::with(&["python3"]) else {
        return;
    };
    write(lab.path(), &[("p.py", "print('an' 'swer', 6 * 7)")]);
    let output = lab.client("jupyter-run", &["--kernel=sorna-local-python3", "p.py"]);
    assert!(output.status.success(), "{}", shown(&output));
    assert!(shown(&output).contains("answer 42"), "{}", shown(&output));
}

#[test]
fn cells_run_as_at_home() {
    if let Some(lab) = Lab::with(&["python3"]) {
        lab.script(include_str!("home.py"));
    }
}

#[test]
fn displays_are_those_of_ipykernel() {
    if let Some(lab) = Lab::with(&["python3"]) {
        // The Python that has matplotlib and IPython.
        let prefix = lab.python.parent().and_then(Path::parent);
        let mut install = lab.prepared(sorna(lab.path()));
        install.args(["jupyter", "install", "--local", "python3", "--venv"]);
        let output = install.arg(prefix.expect("a prefix")).output();
        let output = output.expect("sorna runs");
        assert!(output.status.success(), "{output:?}");
        lab.script(include_str!("displays.py"));
    }
}

/// A console of Jupyter, at its first prompt.
fn console(lab: &Lab) -> Terminal {
    let path = lab.python.with_file_name("jupyter-console");
    let command =
        blocking::Command::new(path).args(["--kernel", "sorna-local-python3", "--simple-prompt"]);
    let home = lab.path().to_str().expect("text").to_owned();
    let environment = [
        ("HOME", home.as_str()),
        ("JUPYTER_DATA_DIR", &format!("{home}/data")),
        ("JUPYTER_RUNTIME_DIR", &format!("{home}/runtime")),
        ("IPYTHONDIR", &format!("{home}/ipython")),
    ];
    let mut console = Terminal::of(command, lab.path(), None, 90, &environment);
    console.shows("In [1]:");
    console
}

#[test]
fn the_console_of_jupyter_runs_cells() {
    let Some(lab) = Lab::with(&["python3"]) else {
        return;
    };
    let mut console = console(&lab);
    console.types("6 * 7\n");
    console.shows("Out[1]: 42");
    console.shows("In [2]:");
    console.types("print('an' 'swer', input('name? '))\n");
    console.shows("name? ");
    console.types("née\n");
    console.shows("answer née");
    console.shows("In [3]:");
    console.types("\u{4}");
    console.shows("[y]/n");
    console.types("y\n");
    assert_eq!(console.ends(), Some(0));
}

#[test]
fn the_console_of_jupyter_is_left_by_exit() {
    let Some(lab) = Lab::with(&["python3"]) else {
        return;
    };
    for code in ["exit()\n", "quit\n"] {
        let mut console = console(&lab);
        console.types(code);
        console.shows("Shutting down kernel");
        assert_eq!(console.ends(), Some(0));
    }
}

/// Cells of a gateway that is lost fail, and later ones run where there is one again.
#[test]
fn a_gateway_that_is_lost_is_an_error_of_a_cell() {
    let Some(python) = need_jupyter() else {
        return;
    };
    let lab = Lab {
        directory: here(),
        python,
    };
    let mut install = lab.prepared(sorna(lab.path()));
    let installed = install.args(["jupyter", "install", "bash"]).output();
    assert!(installed.expect("sorna runs").status.success());
    lab.script_at_gateway(include_str!("lost.py"));
}

/// Cells of a kernel that cannot be made say why, and later ones run once that is mended.
#[test]
fn wrong_settings_are_errors_of_cells() {
    if let Some(python) = need_jupyter() {
        let lab = Lab {
            directory: here(),
            python,
        };
        lab.script_at_gateway(include_str!("settings.py"));
    }
}
