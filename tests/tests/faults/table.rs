//! The table of outcomes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sorna_tests::proxy::Times;

use crate::cell::{Cell, DRIVERS, Report};
use crate::faults::Row;
use crate::operations::{Class, possible};
use crate::rows::ROWS;

const SECTIONS: [(Class, &str); 4] = [
    (Class::Repeatable, "Operations that may be repeated"),
    (Class::OnceOnly, "Execute and restart"),
    (Class::Run, "Whole runs in a temporary kernel"),
    (Class::Terminal, "Terminals"),
];

const BEGIN: &str = "<!-- table: begin -->\n";
const END: &str = "<!-- table: end -->\n";

/// The outcomes as Markdown.
pub(crate) fn table(reports: &[(Cell, Report)]) -> String {
    let mut table = String::new();
    for (class, title) in SECTIONS {
        let _ = writeln!(table, "\n### {title}\n");
        let _ = writeln!(table, "| fault | {} |", DRIVERS.join(" | "));
        let _ = writeln!(table, "|---|{}", "---|".repeat(DRIVERS.len()));
        for row in ROWS {
            let entries = DRIVERS.map(|driver| entry(reports, row, class, driver));
            if entries.iter().any(|entry| !entry.is_empty()) {
                let _ = writeln!(table, "| {} | {} |", row.name, entries.join(" | "));
            }
        }
    }
    table
}

fn entry(reports: &[(Cell, Report)], row: &Row, class: Class, driver: &str) -> String {
    let outcomes = |times: Times| -> String {
        let of_entry = reports.iter().filter(|(cell, _)| {
            cell.row.name == row.name
                && cell.operation.class() == class
                && cell.driver == driver
                && cell.times == times
        });
        // Where the outcome depends on a race, the table shows all possible outcomes.
        let names: BTreeSet<String> = of_entry
            .map(|(cell, report)| {
                let possible = possible(row, times, cell.operation);
                if possible.len() > 1 && report.complaints.is_empty() {
                    let names = possible.iter().map(|(outcome, _)| outcome.name());
                    let names: BTreeSet<String> = names.collect();
                    names.into_iter().collect::<Vec<_>>().join(" or ")
                } else {
                    report.outcome.name()
                }
            })
            .collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let (once, always) = (outcomes(Times::Once), outcomes(Times::Always));
    match (once.is_empty(), always.is_empty()) {
        (true, _) => always,
        (_, true) => once,
        _ if once == always => once,
        _ => format!("{once}; {always}"),
    }
}

/// Compares it with the one in `tests/README.md`; with `UPDATE_TABLE` set, writes it there.
pub(crate) fn compare(table: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).expect("tests/README.md");
    let (before, rest) = readme.split_once(BEGIN).expect("the table begins");
    let (kept, after) = rest.split_once(END).expect("the table ends");
    if std::env::var_os("UPDATE_TABLE").is_some() {
        let new = format!("{before}{BEGIN}{table}\n{END}{after}");
        std::fs::write(path, new).expect("tests/README.md is written");
    } else {
        assert_eq!(
            kept.trim(),
            table.trim(),
            "the table in tests/README.md is another; UPDATE_TABLE=1 puts this one there"
        );
    }
}
