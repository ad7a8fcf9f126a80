//! The table of outcomes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sorna::Dialect;
use sorna_tests::proxy::Times;

use crate::cell::{Cell, DRIVERS, Report};
use crate::expected::possible;
use crate::faults::Row;
use crate::operations::Class;
use crate::rows::ROWS;

const CLASSES: [(Class, &str); 6] = [
    (Class::Repeatable, "Operations that may be repeated"),
    (Class::OnceOnly, "Execute and restart"),
    (Class::Run, "Whole runs in a temporary kernel"),
    (Class::Terminal, "Terminals"),
    (Class::Download, "Downloads"),
    (Class::Events, "Events"),
];

/// The outcomes as Markdown.
pub(crate) fn table(reports: &[(Cell, Report)], dialect: Dialect) -> String {
    match dialect {
        Dialect::SornaV2 => by_driver(reports),
        _ => by_class(reports, dialect),
    }
}

/// A section for each class, with a column for each driver.
fn by_driver(reports: &[(Cell, Report)]) -> String {
    let mut table = String::new();
    for (class, title) in CLASSES {
        let rows = ROWS.iter().filter_map(|row| {
            let entries =
                DRIVERS.map(|driver| entry(reports, row, class, driver, Dialect::SornaV2));
            let has_any = entries.iter().any(|entry| !entry.is_empty());
            has_any.then(|| (row.name, entries.join(" | ")))
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(table, "\n### {title}\n");
        let _ = writeln!(table, "| fault | {} |", DRIVERS.join(" | "));
        let _ = writeln!(table, "|---|{}", "---|".repeat(DRIVERS.len()));
        for (name, entries) in rows {
            let _ = writeln!(table, "| {name} | {entries} |");
        }
    }
    table
}

/// A column for each class. Drivers are named where they differ.
fn by_class(reports: &[(Cell, Report)], dialect: Dialect) -> String {
    let mut table = String::new();
    let columns = [
        "repeatable",
        "once only",
        "runs",
        "terminals",
        "downloads",
        "events",
    ];
    let _ = writeln!(table, "| fault | {} |", columns.join(" | "));
    let _ = writeln!(table, "|---|{}", "---|".repeat(columns.len()));
    for row in ROWS.iter().filter(|row| row.is_for(dialect)) {
        let entries = CLASSES.map(|(class, _)| {
            let all = DRIVERS.map(|driver| entry(reports, row, class, driver, dialect));
            if all.iter().all(|one| *one == all[0]) {
                return all[0].clone();
            }
            let named = DRIVERS.iter().zip(all);
            let named = named.map(|(driver, entry)| format!("{driver}: {entry}"));
            named.collect::<Vec<_>>().join(", ")
        });
        let _ = writeln!(table, "| {} | {} |", row.name, entries.join(" | "));
    }
    table
}

fn entry(
    reports: &[(Cell, Report)],
    row: &Row,
    class: Class,
    driver: &str,
    dialect: Dialect,
) -> String {
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
                let possible = possible(row, times, cell.operation, dialect);
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
pub(crate) fn compare(table: &str, dialect: Dialect) {
    let name = match dialect {
        Dialect::SornaV2 => "table",
        _ => "table of Backend.AI",
    };
    let (begin, end) = (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->\n"),
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).expect("tests/README.md");
    let (before, rest) = readme.split_once(&begin).expect("the table begins");
    let (kept, after) = rest.split_once(&end).expect("the table ends");
    if std::env::var_os("UPDATE_TABLE").is_some() {
        let new = format!("{before}{begin}\n{}\n\n{end}{after}", table.trim());
        std::fs::write(path, new).expect("tests/README.md is written");
    } else {
        assert_eq!(
            kept.trim(),
            table.trim(),
            "the table in tests/README.md is another; UPDATE_TABLE=1 puts this one there"
        );
    }
}
