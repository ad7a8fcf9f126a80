//! `files::collect` leaves out what git leaves out.

#![cfg(feature = "tree")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use sorna::files::{FilesError, Skip, collect};
use sorna_test_tools::need;

const DIRECTORIES: &[&str] = &["", "d/", "d/d/", "d/a/", "da/", "e.c/d/"];

const NAMES: &[&str] = &[
    "b", "c", "ab", "abc", "a.c", "x1", "a-b", "a b", "a ", "[a]", "]", "!a", "#a", "é", "B",
    "{a,b}",
];

/// Pieces of lines. Whole classes are more likely to be valid than their characters one by one.
const PIECES: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "ab",
    "*",
    "**",
    "***",
    "?",
    "/",
    "/",
    "**/",
    "/**",
    "!",
    "[a-c]",
    "[!a]",
    "[^b]",
    "[]a]",
    "[\\]a]",
    "[a-]",
    "[c-a]",
    "[[:alpha:]]",
    "[[:punct:]]",
    "[",
    "]",
    "-",
    "\\",
    "\\*",
    "#",
    " ",
    ".",
    "{a,b}",
    "1",
    "é",
    "x",
];

/// Whether git reads this line otherwise than its manual says, which we follow. It compares what is before the
/// first wildcard by itself, and so takes `**` in `ab**/c` for the beginning of a pattern.
fn is_odd(line: &str) -> bool {
    let line = line.strip_prefix('!').unwrap_or(line);
    let line = line.strip_prefix('/').unwrap_or(line);
    let plain = line.find(['*', '?', '[', '\\']).unwrap_or(line.len());
    let (before, rest) = line.split_at(plain);
    let after = rest.trim_start_matches('*');
    !before.is_empty()
        && !before.ends_with('/')
        && rest.len() - after.len() > 1
        && after.starts_with('/')
}

fn files() -> BTreeSet<String> {
    let files = DIRECTORIES.iter().flat_map(|directory| {
        let names = NAMES.iter();
        names.map(move |name| format!("{directory}{name}"))
    });
    files.collect()
}

fn git(directory: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("XDG_CONFIG_HOME", directory);
    git
}

/// The files that git does not ignore.
fn kept_by_git(directory: &Path) -> BTreeSet<String> {
    let mut check = git(directory);
    check.args(["check-ignore", "--no-index", "-z", "--stdin"]);
    check.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut check = check.spawn().expect("git runs");
    let mut kept = files();
    let paths: String = kept.iter().map(|path| format!("{path}\0")).collect();
    let mut stdin = check.stdin.take().expect("a pipe");
    // It is short enough for the pipe's buffer.
    stdin.write_all(paths.as_bytes()).expect("git reads");
    drop(stdin);
    let output = check.wait_with_output().expect("git ends");
    let ignored = String::from_utf8(output.stdout).expect("text");
    for path in ignored.split_terminator('\0') {
        assert!(kept.remove(path), "{path}");
    }
    kept
}

fn kept_by_us(directory: &Path) -> BTreeSet<String> {
    let files = match collect(directory, [directory], Skip::default()) {
        Ok(files) => files,
        Err(FilesError::Empty(_)) => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    // Git knows no directories.
    let files = files.iter().filter(|file| !file.is_directory());
    let names = files.map(|file| file.name().to_owned());
    // A rule may bring back hidden files, among them the rules themselves.
    names
        .filter(|name| !name.starts_with('.'))
        .filter(|name| !name.contains("/."))
        .collect()
}

#[test]
fn files_are_left_out_as_by_git() {
    if !need("git") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    for file in files() {
        let path = directory.join(file);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        std::fs::write(path, "").expect("a file");
    }
    let made = git(directory)
        .args(["init", "-q"])
        .status()
        .expect("git runs");
    assert!(made.success());

    let line = prop::collection::vec(select(PIECES), 1..6).prop_map(|pieces| pieces.concat());
    let line = line.prop_filter("git reads it otherwise", |line| !is_odd(line));
    let rules = prop::collection::vec(line, 0..4).prop_map(|lines| lines.join("\n"));
    let config = Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    };
    let test = |(outer, inner): (String, String)| {
        std::fs::write(directory.join(".gitignore"), &outer).expect("a file");
        std::fs::write(directory.join("d/.gitignore"), &inner).expect("a file");
        prop_assert_eq!(kept_by_us(directory), kept_by_git(directory));
        Ok(())
    };
    let result = TestRunner::new(config).run(&(rules.clone(), rules), test);
    if let Err(error) = result {
        panic!("{error}");
    }
}
