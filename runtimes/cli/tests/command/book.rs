//! The commands of the book are run: each page's in order, by one bash in a terminal, in a home directory of the page's own.
//!
//! In a block of `console`, a line that begins with `$ ` is a command, with the lines after it that belong to it: those after
//! a backslash, and its here-document. The lines that follow are what is shown. Among these, `^C`, `^D` and `^]` are keys,
//! pressed once the line before is shown, and what follows the prompts `>>> `, `~ $ ` and `name? ` is typed there. A block after
//! "Save this as `NAME`:" is that file. A command may fail only if the page shows its exit code next, by `echo $?`.
//!
//! What differs from run to run (IDs, keys, times, sizes, ports) may differ. `[..]` is any text in a line, and `...` any
//! lines. With `UPDATE_BOOK` set, what was shown is written to the pages, but for commands to which something is typed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pty_process::blocking::Command;
use regex::Regex;
use snapbox::cmd::cargo_bin;
use sorna_test_tools::{need, need_that, watch};

use crate::support::terminal::{Terminal, screen};
use crate::support::{here, sorna};

/// What ends the output of a command, and its exit code.
const MARK: char = '\x1e';

/// The book, unless this is a package of the command without it.
fn book() -> Option<PathBuf> {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("book");
    book.exists().then_some(book)
}

/// Where something is typed.
#[derive(Debug)]
struct Prompt {
    text: &'static str,
    /// Whether it is of a program that reads keys, and marks where it begins and ends to do so.
    reads_keys: bool,
}

const PROMPTS: [Prompt; 3] = [
    Prompt {
        text: ">>> ",
        reads_keys: true,
    },
    Prompt {
        text: "~ $ ",
        reads_keys: true,
    },
    Prompt {
        text: "name? ",
        reads_keys: false,
    },
];

/// A part of a page.
#[derive(Debug)]
enum Part {
    File { name: String, content: String },
    Command(Scene),
}

/// A command with all that is shown and typed while it runs.
#[derive(Debug, Default)]
struct Scene {
    command: String,
    /// The lines of the page with its output: from, and to before.
    lines: (usize, usize),
    acts: Vec<Act>,
}

#[derive(Debug)]
enum Act {
    Shows(Vec<String>),
    /// A key, with Ctrl, or a line; at a prompt, unless a program runs.
    Types {
        prompt: Option<&'static Prompt>,
        what: String,
    },
}

fn parts(page: &str) -> Vec<Part> {
    let saved = Regex::new(r"Save this as `([^`]+)`:$").expect("a pattern");
    let here_document = Regex::new(r"<<-? ?'?(\w+)'?").expect("a pattern");
    let lines: Vec<&str> = page.lines().collect();
    let mut parts = Vec::new();
    let (mut at, mut before) = (0, "");
    while at < lines.len() {
        let line = lines[at];
        at += 1;
        let Some(kind) = line.strip_prefix("```") else {
            before = if line.is_empty() { before } else { line };
            continue;
        };
        let length = lines[at..].iter().position(|line| line.starts_with("```"));
        let end = at + length.expect("the block's end");
        if let Some(name) = saved.captures(before) {
            let content = lines[at..end].join("\n") + "\n";
            let name = name[1].to_owned();
            parts.push(Part::File { name, content });
        } else if kind == "console" {
            while at < end {
                let mut scene = Scene::default();
                let command = lines[at].strip_prefix("$ ").expect("a command first");
                command.clone_into(&mut scene.command);
                at += 1;
                while scene.command.ends_with('\\') {
                    let _ = write!(scene.command, "\n{}", lines[at]);
                    at += 1;
                }
                if let Some(delimiter) = here_document.captures(command) {
                    while scene.command.lines().last() != Some(&delimiter[1]) {
                        let _ = write!(scene.command, "\n{}", lines[at]);
                        at += 1;
                    }
                }
                scene.lines.0 = at;
                while at < end && !lines[at].starts_with("$ ") {
                    scene.add(lines[at]);
                    at += 1;
                }
                scene.lines.1 = at;
                parts.push(Part::Command(scene));
            }
        }
        at = end + 1;
        before = "";
    }
    parts
}

impl Scene {
    fn add(&mut self, line: &str) {
        let mut prompts = PROMPTS.iter();
        let prompt = prompts.find(|prompt| line.starts_with(prompt.text));
        let rest = prompt.map_or(line, |prompt| &line[prompt.text.len()..]);
        if prompt.is_some() || key(line).is_some() {
            let what = rest.to_owned();
            self.acts.push(Act::Types { prompt, what });
        } else if let Some(Act::Shows(lines)) = self.acts.last_mut() {
            lines.push(line.to_owned());
        } else {
            self.acts.push(Act::Shows(vec![line.to_owned()]));
        }
    }

    fn is_typed_to(&self) -> bool {
        let mut acts = self.acts.iter();
        acts.any(|act| matches!(act, Act::Types { .. }))
    }
}

/// What a key with this name sends.
fn key(name: &str) -> Option<&'static str> {
    match name {
        "^C" => Some("\x03"),
        "^D" => Some("\x04"),
        "^]" => Some("\x1d"),
        _ => None,
    }
}

/// A line without what differs from run to run.
fn rule(line: &str) -> String {
    let mut line = line.to_owned();
    for (pattern, name) in [
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "[ID]"),
        (r"\b[0-9a-f]{32}\b", "[TOKEN]"),
        (
            r"(^|[^A-Za-z0-9_-])[A-Za-z0-9_-]{22}($|[^A-Za-z0-9_-])",
            "$1[ID]$2",
        ),
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+Z?)?", "[DATE]"),
        (r#""(wall|cpu)Ms":\d+(\.\d+)?"#, "\"$1\":[TIME]"),
        (r#""peakMemory":\d+"#, "\"peakMemory\":[SIZE]"),
        (r#""outputBytes":\d+"#, "\"outputBytes\":[SIZE]"),
        (r"\b(\d+(\.\d+)? (ms|s|min|h)\b ?)+", "[TIME] "),
        (r"\d+(\.\d+)? (bytes|KiB|MiB)", "[SIZE]"),
        (r"(127\.0\.0\.1|localhost):\d+", "$1:[PORT]"),
        (r"\bAKIA[A-Z0-9]{16}\b", "[KEY]"),
        (r"sorna-gateway \d+\.\d+\.\d+", "sorna-gateway [VERSION]"),
        (r"on \S+ \(process \d+\)", "on [HOST]"),
        (r"\d+ of \d+ requests", "[REQUESTS]"),
        (r"(ahead of|behind) the gateway", "[BY]"),
    ] {
        let pattern = Regex::new(pattern).expect("a pattern");
        line = pattern.replace_all(&line, name).into_owned();
    }
    line.trim_end().to_owned()
}

/// Whether this was shown, but for what may differ.
fn is_as_expected(expected: &[String], shown: &[String]) -> bool {
    let mut pattern = "^".to_owned();
    for line in expected {
        pattern += &match line.as_str() {
            "..." => "(.*\n)*".to_owned(),
            line => regex::escape(&rule(line)).replace(r"\[\.\.\]", ".*") + "\n",
        };
    }
    let shown: String = shown.iter().map(|line| rule(line) + "\n").collect();
    let pattern = Regex::new(&(pattern + "$")).expect("a pattern");
    pattern.is_match(&shown)
}

/// The lines that a user sees, at home in `/home/me` and with `sorna` in `/usr/bin`. What a command received at the last
/// moment before it was interrupted may be shown again by the next one, as the manual says; that is left out, as is what is
/// said on machines without namespaces.
fn seen(shown: &str, home: &Path) -> Vec<String> {
    let binaries = cargo_bin!("sorna").parent().expect("a directory");
    let shown = screen(&shown.replace("\r\n", "\n"))
        .replace(&home.display().to_string(), "/home/me")
        .replace(&binaries.display().to_string(), "/usr/bin");
    let mut is_repeated = false;
    let is_new = |line: &&str| {
        is_repeated |= line.starts_with("∙ Output that earlier executions");
        let was_repeated = is_repeated;
        is_repeated &= !line.starts_with("∙ That was the output of earlier");
        !was_repeated && !line.contains(": no namespaces: ")
    };
    let lines = shown.lines().map(str::trim_end).filter(is_new);
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let first = lines.iter().position(|line| !line.is_empty());
    lines.drain(..first.unwrap_or(lines.len()));
    lines
}

/// Waits until the terminal shows this line, of which the longest text is looked for that does not differ.
fn waits_for(terminal: &mut Terminal, line: &str) -> String {
    let parts = line.split("[..]").map(str::trim);
    terminal.shown(parts.max_by_key(|part| part.len()).expect("a part"))
}

/// Does what the page says while a command runs; returns what is wrong with the page, what is shown last, and the exit code.
fn perform(terminal: &mut Terminal, scene: &Scene, home: &Path) -> (String, Vec<String>, String) {
    let mut wrong = String::new();
    let mut compare = |expected: &[String], shown: &[String]| {
        if !is_as_expected(expected, shown) {
            let (expected, shown) = (expected.join("\n"), shown.join("\n"));
            let command = &scene.command;
            let _ = writeln!(
                wrong,
                "$ {command}\non the page:\n{expected}\nshown:\n{shown}\n"
            );
        }
    };
    let none = Vec::new();
    let mut expected = &none;
    for act in &scene.acts {
        let (prompt, what) = match act {
            Act::Shows(lines) => {
                expected = lines;
                continue;
            }
            Act::Types { prompt, what } => (prompt, what),
        };
        let mut shown = String::new();
        match prompt {
            Some(prompt) if prompt.reads_keys => {
                shown += &terminal.shown("\x1b[?2004h");
                terminal.shows(prompt.text.trim_end());
            }
            Some(prompt) => {
                let before = terminal.shown(prompt.text);
                shown += before.strip_suffix(prompt.text).expect("its end");
            }
            None => shown += &waits_for(terminal, expected.last().expect("a line before it")),
        }
        compare(expected, &seen(&shown, home));
        expected = &none;
        terminal.types(key(what).unwrap_or(what));
        if key(what).is_none() {
            terminal.types("\r");
        }
        match prompt {
            Some(prompt) if prompt.reads_keys => match what.as_str() {
                "^]" => {}
                _ => terminal.shows("\x1b[?2004l"),
            },
            _ => terminal.shows(what),
        }
    }
    let mut rest = terminal.shown(&MARK.to_string());
    rest.pop();
    let rest = seen(&rest, home);
    compare(expected, &rest);
    let mut code = terminal.shown(&MARK.to_string());
    code.pop();
    (wrong, rest, code)
}

/// A shell that runs these commands, and marks the end of each.
fn shell(directory: &Path, commands: &[&Scene], first_path: Option<&Path>) -> Terminal {
    // Each command has a process group of its own, as in a shell that someone uses: Ctrl-C is for that one.
    let mut script = "set -m\ntrap : INT\n\
        _end() { local code=$?; printf '\\036%d\\036' \"$code\"; return \"$code\"; }\n"
        .to_owned();
    for scene in commands {
        script += &scene.command;
        script += "\n_end\n";
    }
    let file = directory.join("commands");
    std::fs::write(&file, script).expect("a file");
    let (home, temporary) = (directory.join("home"), directory.join("tmp"));
    std::fs::create_dir(&temporary).expect("a directory");
    let mut path = std::env::var("PATH").expect("it is set");
    let binaries = cargo_bin!("sorna").parent().expect("a directory");
    for first in std::iter::once(binaries).chain(first_path) {
        path = format!("{}:{path}", first.display());
    }
    let state = home.join(".local/state");
    // Otherwise it is mentioned once where a release build is tested.
    std::fs::create_dir_all(state.join("sorna")).expect("a directory");
    std::fs::write(state.join("sorna/installing-was-mentioned"), "").expect("a file");
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let environment = [
        ("HOME", text(&home)),
        ("PATH", path),
        ("TMPDIR", text(&temporary)),
        ("XDG_STATE_HOME", text(&state)),
        ("NO_COLOR", "1".to_owned()),
        ("CI", "1".to_owned()),
    ];
    let environment: Vec<_> = environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let command = Command::new("bash").arg("--norc").arg(&file);
    Terminal::of(command, &home, None, 300, &environment)
}

/// Whether this machine isolates programs as the pages show it.
#[track_caller]
fn has_namespaces(directory: &Path) -> bool {
    let mut command = sorna(directory);
    command.args([
        "run",
        "--local",
        "-q",
        "--require-isolation",
        "bash",
        "-c",
        ":",
    ]);
    let status = command.status().expect("sorna runs");
    need_that(status.success(), "user namespaces")
}

/// Runs a page, unless a program is missing that it needs.
fn run(name: &str, programs: &[&str], first_path: Option<&Path>) {
    let Some(book) = book() else { return };
    if !programs.iter().all(|program| need(program)) {
        return;
    }
    let directory = here();
    if !has_namespaces(directory.path()) {
        return;
    }
    let _watchdog = watch(format!("{name} of the book"), Duration::from_secs(600));
    let page = std::fs::read_to_string(book.join(name)).expect("the page");
    let parts = parts(&page);
    let home = directory.path().join("home");
    std::fs::create_dir(&home).expect("a directory");
    for part in &parts {
        if let Part::File { name, content } = part {
            let path = home.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, content).expect("a file");
        }
    }
    let commands = parts.iter().filter_map(|part| match part {
        Part::Command(scene) => Some(scene),
        Part::File { .. } => None,
    });
    let commands: Vec<&Scene> = commands.collect();
    assert!(!commands.is_empty(), "{name} has commands");
    let mut terminal = shell(directory.path(), &commands, first_path);
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    let (mut wrong, number) = (String::new(), lines.len());
    for (index, scene) in commands.iter().enumerate() {
        let (difference, shown, code) = perform(&mut terminal, scene, &home);
        if !difference.is_empty() && !scene.is_typed_to() {
            let (from, to) = scene.lines;
            // The lines after it are counted from the end, so that it does not matter how many there are.
            let after = number - to;
            let from = lines.len() - after - (to - from);
            lines.splice(from..lines.len() - after, shown);
        }
        wrong += &difference;
        let next = commands.get(index + 1);
        let is_shown = next.is_some_and(|next| next.command.starts_with("echo $?"));
        if code != "0" && !is_shown {
            let _ = writeln!(wrong, "$ {}\nfails with {code}\n", scene.command);
        }
    }
    let rest = seen(&terminal.rest(), &home);
    if !rest.is_empty() {
        let _ = writeln!(wrong, "shown at the end:\n{}", rest.join("\n"));
    }
    if !wrong.is_empty() && std::env::var_os("UPDATE_BOOK").is_some() {
        std::fs::write(book.join(name), lines.join("\n") + "\n").expect("a page");
    }
    assert!(wrong.is_empty(), "{name}:\n\n{wrong}");
}

/// A test for each page that has commands, and what they need; and one that none is missing.
macro_rules! pages {
    ($($(#[$condition:meta])* $name:ident: $page:literal, $programs:expr;)+) => {
        $(
            $(#[$condition])*
            #[test]
            fn $name() {
                run($page, &$programs, None);
            }
        )+

        #[test]
        fn every_page_with_commands_is_run() {
            let Some(book) = book() else { return };
            let mut run = vec![$($page,)+ "howto/notebook.md"];
            run.sort_unstable();
            assert_eq!(with_commands(&book), run);
        }
    };
}

/// The pages that have commands, by their paths.
fn with_commands(book: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![book.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|it| it == "md") {
                let page = std::fs::read_to_string(&path).expect("a page");
                let path = path.strip_prefix(book).expect("its start");
                if page.contains("```console\n") {
                    found.push(path.to_str().expect("text").to_owned());
                }
            }
        }
    }
    found.sort_unstable();
    found
}

pages! {
    start: "README.md", ["python3"];
    snippet: "tutorial/1-snippet.md", ["python3"];
    project: "tutorial/2-project.md", ["python3", "gcc"];
    session: "tutorial/3-session.md", ["python3"];
    cluster: "tutorial/4-cluster.md", ["python3"];
    autograder: "howto/autograder.md", ["python3"];
    ci: "howto/ci.md", ["python3"];
    class: "howto/class.md", ["python3", "openssl"];
    #[cfg(feature = "mcp")]
    agent: "howto/agent.md", ["python3"];
    service: "howto/service.md", ["python3", "openssl"];
    own_gateway: "howto/own-gateway.md", ["awk"];
    may_have_run: "explanation/retries.md", ["python3"];
    isolation: "explanation/isolation.md", ["python3"];
    protocol: "explanation/protocol.md", ["python3", "curl"];
}

/// It needs a command with Jupyter, in its virtual environment.
#[cfg(feature = "jupyter")]
#[test]
fn notebook() {
    let Some(python) = sorna_test_tools::need_jupyter() else {
        return;
    };
    run("howto/notebook.md", &[], python.parent());
}
