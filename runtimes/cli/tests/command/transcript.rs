//! The session in the manual is what happens: each of its commands is run again in a terminal, and has to print the same.
//!
//! A line that begins with `$ ` is a command, up to the end of its here-document if it has one; the lines that follow are what
//! is shown. `^C` and `^D` are keys, pressed once the line before is shown; `>>> ` is the prompt of `sorna repl`, and what
//! follows is typed there. IDs stand for those of this run. Where numbers with units and dates are, others may be.

use std::fmt::Write as _;
use std::path::Path;

use sorna_gateway::RunningGateway;
use sorna_test_tools::need;

use crate::support::terminal::{Terminal, screen};
use crate::support::{gateway, here};

const MANUAL: &str = include_str!("../../README.md");
const SECTION: &str = "\n## A session to live in\n";
const PROMPT: &str = ">>> ";

/// A command with all that is shown and typed while it runs.
#[derive(Debug, Default)]
struct Scene {
    command: String,
    acts: Vec<Act>,
}

#[derive(Debug)]
enum Act {
    /// Lines that are shown.
    Shows(Vec<String>),
    /// A key, with Ctrl.
    Key(char),
    /// A line at the prompt.
    Types(String),
}

/// The transcripts of the section: each below its own heading.
fn transcripts() -> Vec<(&'static str, Vec<Scene>)> {
    let (_, section) = MANUAL.split_once(SECTION).expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let parts = section.split("\n### ").skip(1);
    parts
        .map(|part| {
            let (heading, text) = part.split_once('\n').expect("a heading");
            let (_, block) = text.split_once("```console\n").expect("a transcript");
            let (block, _) = block.split_once("\n```").expect("its end");
            (heading, scenes(block))
        })
        .collect()
}

fn scenes(block: &str) -> Vec<Scene> {
    let mut scenes: Vec<Scene> = Vec::new();
    let mut lines = block.lines();
    while let Some(line) = lines.next() {
        if let Some(command) = line.strip_prefix("$ ") {
            let mut command = command.to_owned();
            if command.contains("<< 'END'") {
                for line in lines.by_ref() {
                    let _ = write!(command, "\n{line}");
                    if line == "END" {
                        break;
                    }
                }
            }
            scenes.push(Scene {
                command,
                ..Scene::default()
            });
            continue;
        }
        let acts = &mut scenes.last_mut().expect("a command first").acts;
        match line.strip_prefix(PROMPT).unwrap_or(line) {
            "^C" => acts.push(Act::Key('\x03')),
            "^D" => acts.push(Act::Key('\x04')),
            typed if typed != line => acts.push(Act::Types(typed.to_owned())),
            _ => match acts.last_mut() {
                Some(Act::Shows(lines)) => lines.push(line.to_owned()),
                _ => acts.push(Act::Shows(vec![line.to_owned()])),
            },
        }
    }
    scenes
}

/// What in the manual stands for what in this run.
#[derive(Default)]
struct Ids(Vec<(String, String)>);

impl Ids {
    /// Notes the IDs in a line of the manual, and in the same line of this run.
    fn note(&mut self, manual: &str, actual: &str) {
        let id =
            regex::Regex::new(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[A-Za-z0-9_-]{22}\b");
        let id = id.expect("a pattern");
        for (manual, actual) in id.find_iter(manual).zip(id.find_iter(actual)) {
            if self.0.iter().all(|(known, _)| known != manual.as_str()) {
                let pair = (manual.as_str().to_owned(), actual.as_str().to_owned());
                self.0.push(pair);
            }
        }
    }

    /// A line of the manual, with the IDs of this run.
    fn actual(&self, line: &str) -> String {
        let replace = |line: String, (manual, actual): &(String, String)| {
            line.replace(manual.as_str(), actual)
        };
        self.0.iter().fold(line.to_owned(), replace)
    }
}

/// A line without what differs from run to run.
fn rule(line: &str) -> String {
    let mut line = line.trim_end().to_owned();
    for (pattern, name) in [
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[DATE]"),
        (r"(\d+(\.\d+)? (ms|s|min|h)\b ?)+", "[TIME] "),
        (r"\d+(\.\d+)? (bytes|KiB|MiB)\b", "[SIZE]"),
    ] {
        let pattern = regex::Regex::new(pattern).expect("a pattern");
        line = pattern.replace_all(&line, name).trim_end().to_owned();
    }
    line
}

/// The lines that are shown. What a command received at the last moment before it was interrupted may be shown again by the
/// next one, as the manual says; that is left out.
fn without_repeated(shown: &str) -> Vec<&str> {
    let mut is_repeated = false;
    let is_new = |line: &&str| {
        is_repeated |= line.starts_with("∙ Output that earlier executions");
        let was_repeated = is_repeated;
        is_repeated &= !line.starts_with("∙ That was the output of earlier");
        !was_repeated && !line.is_empty()
    };
    shown.lines().filter(is_new).collect()
}

/// Waits until the prompt reads keys, which it shows as it likes; returns what was shown before.
fn at_prompt(terminal: &mut Terminal) -> String {
    let shown = terminal.shown("\x1b[?2004h");
    terminal.shows(PROMPT.trim_end());
    shown
}

/// Runs a command, and returns what is wrong with the manual.
fn perform(
    directory: &Path,
    gateway: &RunningGateway,
    is_backend: bool,
    scene: &Scene,
    ids: &mut Ids,
) -> String {
    let command = ids.actual(&scene.command);
    let mut terminal = Terminal::in_shell(directory, gateway, is_backend, &command);
    let mut wrong = String::new();
    let mut compare = |expected: &[String], shown: &str, ids: &mut Ids| {
        let shown = screen(&shown.replace("\r\n", "\n"));
        let shown = without_repeated(&shown);
        for (expected, shown) in expected.iter().zip(&shown) {
            ids.note(expected, shown);
        }
        let expected: Vec<String> = expected.iter().map(|line| ids.actual(line)).collect();
        let same = expected.len() == shown.len()
            && expected
                .iter()
                .zip(&shown)
                .all(|(expected, shown)| rule(expected) == rule(shown));
        if !same {
            let _ = write!(
                wrong,
                "$ {command}\nin the manual:\n{}\nshown:\n{}\n\n",
                expected.join("\n"),
                shown.join("\n")
            );
        }
    };
    let none = Vec::new();
    let mut expected = &none;
    let acts = scene.acts.iter();
    for act in acts {
        match act {
            Act::Shows(lines) => {
                expected = lines;
                continue;
            }
            Act::Key('\x03') => {
                let last = expected.last().expect("a line before the key");
                let shown = terminal.shown(last);
                compare(expected, &shown, ids);
                terminal.types("\x03");
                terminal.shows("^C");
            }
            Act::Key(key) => {
                let shown = at_prompt(&mut terminal);
                compare(expected, &shown, ids);
                terminal.types(&key.to_string());
                terminal.shows("\x1b[?2004l");
            }
            Act::Types(line) => {
                let shown = at_prompt(&mut terminal);
                compare(expected, &shown, ids);
                terminal.types(line);
                terminal.types("\r");
                terminal.shows("\x1b[?2004l");
            }
        }
        expected = &none;
    }
    let rest = terminal.rest();
    compare(expected, &rest, ids);
    wrong
}

#[test]
fn the_session_in_the_manual_is_what_happens() {
    if !need("python3") {
        return;
    }
    let transcripts = transcripts();
    assert_eq!(transcripts.len(), 2, "one for each dialect");
    let mut all = String::new();
    for (heading, scenes) in transcripts {
        assert!(scenes.len() > 8, "{heading}: {} commands", scenes.len());
        let (gateway, directory) = (gateway(), here());
        let is_backend = heading.contains("Backend.AI");
        let mut ids = Ids::default();
        let mut wrong = String::new();
        for scene in &scenes {
            wrong += &perform(directory.path(), &gateway, is_backend, scene, &mut ids);
        }
        if !wrong.is_empty() {
            let _ = write!(all, "\n{heading}:\n\n{wrong}");
        }
        let kernels = gateway.stats().kernels;
        assert_eq!(kernels, 0, "the last command destroys it\n{all}");
        gateway.stop();
    }
    assert!(all.is_empty(), "{all}");
}
