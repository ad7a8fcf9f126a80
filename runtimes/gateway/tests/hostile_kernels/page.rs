//! The table, and the page that has it.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::rows;
use crate::system::{KINDS, Kind};

const PAGE: &str = include_str!("../../README.md");
/// What is before and after the table in the page.
const BEGIN: &str = "<!-- table of tests/hostile_kernels: begin -->\n";
const END: &str = "<!-- table of tests/hostile_kernels: end -->\n";

/// What was seen of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// It failed.
    Held,
    Reached,
    /// It worked, and there is no limit that it would exceed.
    NoLimit,
}

impl Cell {
    pub(crate) fn of(reached: bool, has_no_limits: bool) -> Self {
        match (reached, has_no_limits) {
            (true, true) => Self::NoLimit,
            (true, false) => Self::Reached,
            (false, _) => Self::Held,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Reached => "**not held**",
            Self::NoLimit => "no limit",
        }
    }

    fn is_in(self, text: &str) -> bool {
        self.word() == text
    }
}

/// What was seen, for each system and root, or an ordinary user.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<(Kind, bool), BTreeMap<&'static str, Cell>>);

impl Table {
    pub(crate) fn add(&mut self, kind: Kind, is_root: bool, column: BTreeMap<&'static str, Cell>) {
        self.0.insert((kind, is_root), column);
    }
}

/// A cell of the table: for an ordinary user and for root, where they differ.
fn cell(user: &str, root: &str) -> String {
    match user == root {
        true => user.to_owned(),
        false => format!("{user}; root: {root}"),
    }
}

/// The words of a cell for an ordinary user, or for root.
fn of_cell(cell: &str, is_root: bool) -> &str {
    match cell.split_once("; root: ") {
        Some((user, root)) => {
            if is_root {
                root
            } else {
                user
            }
        }
        None => cell,
    }
}

/// The table of the page: the words for each row and column.
fn written() -> BTreeMap<String, Vec<String>> {
    let table = PAGE.split_once(BEGIN).and_then(|it| it.1.split_once(END));
    let lines = table.map_or("", |it| it.0).lines().skip(2);
    lines
        .filter_map(|line| {
            let mut cells = line
                .trim_matches('|')
                .split('|')
                .map(|it| it.trim().to_owned());
            Some((cells.next()?, cells.collect()))
        })
        .collect()
}

/// Fails if the page says something else than was seen, and prints the table to put there; with `UPDATE_TABLE` set, puts it
/// there. What could not be tried here stays as it is in the page.
pub(crate) fn compare(seen: &Table) {
    // An attempt that cannot work shows nothing.
    let alone = [false, true].map(|is_root| seen.0.get(&(Kind::Nothing, is_root)));
    for row in rows::all() {
        let mut cells = alone
            .iter()
            .flatten()
            .flat_map(|it| it.get(row.name))
            .peekable();
        let is_tried = cells.peek().is_some() && alone[1].is_some();
        assert!(
            !is_tried || cells.any(|it| *it == Cell::Reached),
            "it always fails: {}",
            row.name
        );
    }
    let written = written();
    let mut table = "| What a program tries |".to_owned();
    for kind in KINDS {
        write!(table, " {} |", kind.head()).unwrap();
    }
    table += "\n|---|";
    table += &"---|".repeat(KINDS.len());
    table += "\n";
    let mut differences = Vec::new();
    for row in rows::all() {
        write!(table, "| {} |", row.name).unwrap();
        let before = written.get(row.name);
        for (index, kind) in KINDS.into_iter().enumerate() {
            let is_written = before.and_then(|cells| cells.get(index));
            let words = [false, true].map(|is_root| {
                let is_written = is_written.map_or("?", |it| of_cell(it, is_root));
                let found = seen.0.get(&(kind, is_root)).and_then(|it| it.get(row.name));
                if let Some(found) = found.filter(|it| !it.is_in(is_written)) {
                    let who = if is_root { "root" } else { "a user" };
                    differences.push(format!("{kind:?} of {who}: {}: {}", row.name, found.word()));
                }
                found.map_or(is_written, |it| it.word())
            });
            write!(table, " {} |", cell(words[0], words[1])).unwrap();
        }
        table += "\n";
    }
    if std::env::var_os("UPDATE_TABLE").is_some() {
        let (before, rest) = PAGE.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let page = format!("{before}{BEGIN}{table}{END}{after}");
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"), page).unwrap();
        return;
    }
    assert!(
        differences.is_empty() && written.len() == rows::all().count(),
        "the table in runtimes/gateway/README.md differs in:\n{}\n\nWhat was seen:\n\n{BEGIN}{table}{END}",
        differences.join("\n")
    );
}
