//! `sorna completions`, `sorna man` and `--help`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use snapbox::str;
use sorna_test_tools::need;

use crate::support::{check, here, sorna};

const COMMANDS: &[&str] = &[
    "run",
    "repl",
    "shell",
    "upload",
    "serve",
    "status",
    "langs",
    "info",
    "restart",
    "destroy",
    "ps",
    "logs",
    "attach",
    "ls",
    "download",
    "interrupt",
    "keep-alive",
    "rename",
    "events",
    "complete",
    "login",
    "logout",
    "config",
    "completions",
    "man",
];

/// What it prints. Settings that cannot be read must not matter.
fn print(directory: &Path, arguments: &[&str]) -> String {
    let mut command = sorna(directory);
    let output = command
        .env("SORNA_CONFIG", "/does/not/exist.toml")
        .args(arguments)
        .output()
        .expect("sorna runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    assert_eq!(output.stderr, b"", "{arguments:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Runs a script in a shell, if that is installed; returns what it printed.
fn in_shell(shell: &str, arguments: &[&str], script: &str) -> Option<String> {
    let directory = here();
    if !need(shell) {
        return None;
    }
    let mut child = Command::new(shell)
        .args(arguments)
        .env("HOME", directory.path())
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(script.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shell}: {errors}");
    assert_eq!(errors, "", "{shell}");
    Some(String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn bash_completes() {
    let directory = here();
    // What bash does at the Tab key.
    let press_tab = "\
        complete_at() {
            COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            \"_$1\" \"$1\" \"${!#}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"
            echo \"${COMPREPLY[*]}\"
        }\n";
    let script = print(directory.path(), &["completions", "bash"])
        + press_tab
        + "complete_at sorna sta\ncomplete_at sorna run --loc\ncomplete_at sorna completions z\n";
    if let Some(output) = in_shell("bash", &["--norc", "--noprofile"], &script) {
        assert_eq!(output, "status\n--local\nzsh\n");
    }
    for program in ["lcc", "lpython"] {
        let script = print(directory.path(), &["completions", "bash", program])
            + press_tab
            + &format!("complete_at {program} --loc\n");
        if let Some(output) = in_shell("bash", &["--norc", "--noprofile"], &script) {
            assert_eq!(output, "--local\n");
        }
    }
}

#[test]
fn zsh_loads_its_script() {
    let directory = here();
    let script = "autoload -Uz compinit && compinit -u -D\n".to_owned()
        + &print(directory.path(), &["completions", "zsh"])
        + "\nwhence -w _sorna\n";
    if let Some(output) = in_shell("zsh", &["-f"], &script) {
        assert_eq!(output, "_sorna: function\n");
    }
}

#[test]
fn fish_completes() {
    let directory = here();
    let script = print(directory.path(), &["completions", "fish"]) + "\ncomplete -C 'sorna stat'\n";
    if let Some(output) = in_shell("fish", &["--no-config"], &script) {
        assert!(output.starts_with("status\t"), "{output}");
    }
}

#[test]
fn every_shell_has_a_script() {
    let directory = here();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = print(directory.path(), &["completions", shell]);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn manual_pages_are_printed() {
    let directory = here();
    for (arguments, title, text) in [
        (&["man"][..], ".TH sorna 1", "sorna\\-run(1)"),
        (&["man", "run"], ".TH sorna-run 1", "sorna run c main.c"),
        (&["man", "config"], ".TH sorna-config 1", "[profiles.work]"),
        (&["man", "lcc"], ".TH lcc 1", "lcc main.c mylib.c mylib.h"),
        (&["man", "lpython"], ".TH lpython 1", "lpython \\-c"),
    ] {
        let page = print(directory.path(), arguments);
        assert!(page.contains(title), "{arguments:?}: {page}");
        assert!(page.contains(text), "{arguments:?}: {page}");
    }
}

/// Those of a feature, with commands of their own.
const JUPYTER: &[&str] = match cfg!(feature = "jupyter") {
    true => &[
        "jupyter",
        "jupyter-install",
        "jupyter-list",
        "jupyter-run",
        "jupyter-uninstall",
    ],
    false => &[],
};

const MCP: &[&str] = match cfg!(feature = "mcp") {
    true => &["mcp", "mcp-install"],
    false => &[],
};

#[test]
fn all_manual_pages_are_written() {
    let directory = here();
    let mut command = sorna(directory.path());
    command.args(["man", "--dir", "share/man1"]);
    check(command).success().stdout_eq("").stderr_eq(format!(
        "✔ Wrote {} pages to share/man1.\n",
        COMMANDS.len() + JUPYTER.len() + MCP.len() + 3
    ));
    let mut names: Vec<String> = std::fs::read_dir(directory.path().join("share/man1"))
        .expect("a directory")
        .map(|entry| {
            entry
                .expect("a file")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    let mut expected: Vec<String> = COMMANDS
        .iter()
        .chain(JUPYTER)
        .chain(MCP)
        .map(|command| format!("sorna-{command}.1"))
        .chain(["sorna.1", "lcc.1", "lpython.1"].map(str::to_owned))
        .collect();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn a_page_that_does_not_exist() {
    let directory = here();
    let mut command = sorna(directory.path());
    command.args(["man", "rnu"]);
    check(command).code(2).stderr_eq(str![[r#"
✘ unknown command `rnu`
∙ Did you mean `run`?

"#]]);
    write_fails(directory.path());
}

fn write_fails(directory: &Path) {
    std::fs::write(directory.join("file"), "").expect("a file");
    let mut command = sorna(directory);
    command.args(["man", "--dir", "file"]);
    check(command)
        .code(1)
        .stderr_eq("✘ cannot write the manual pages: File exists (os error 17)\n");
}

#[test]
fn every_command_has_help_with_examples() {
    let directory = here();
    for command in COMMANDS {
        let help = print(directory.path(), &[command, "--help"]);
        assert!(help.contains("Examples:\n  "), "{command}: {help}");
        assert!(help.contains(&format!("sorna {command}")), "{command}");
    }
    let help = print(directory.path(), &["--help"]);
    for command in COMMANDS {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command}: {help}"
        );
    }
}

/// The width of help that does not go to a terminal.
const WIDTH: usize = 100;

#[test]
fn paragraphs_of_help_are_filled() {
    let directory = here();
    for command in COMMANDS {
        let help = print(directory.path(), &[command, "--help"]);
        let (text, _) = help.split_once("\nUsage:").expect("a usage");
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            let next = pair[1].split(' ').next().unwrap_or_default();
            let fits = pair[0].len() + 1 + next.len() <= WIDTH;
            let is_break = pair[0].is_empty() || next.is_empty();
            assert!(is_break || !fits, "{command}: {pair:?}");
            assert!(pair[0].len() <= WIDTH, "{command}: {pair:?}");
        }
    }
}

#[test]
fn commands_without_a_gateway_hide_its_options() {
    let directory = here();
    for command in COMMANDS {
        let talks = !["serve", "completions", "man"].contains(command);
        for page in [[command, "--help"], ["man", command]] {
            let text = print(directory.path(), &page).replace('\\', "");
            assert_eq!(text.contains("--endpoint"), talks, "{page:?}: {text}");
            assert_eq!(text.contains("--verbose"), talks, "{page:?}: {text}");
        }
    }
    // They are still accepted: a script may have them before the command.
    print(directory.path(), &["--endpoint", "http://host", "man"]);
    print(directory.path(), &["man", "-v"]);
}
