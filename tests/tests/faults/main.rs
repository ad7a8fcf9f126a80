//! Every driver against every fault at every operation.
//!
//! `tests/README.md` explains the test, and contains the table that it prints and compares.

mod any_byte;
mod cell;
mod expected;
mod faults;
mod operations;
mod responses;
mod rows;
mod table;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sorna::{ApiVersion, Dialect};
use sorna_tests::proxy::Times;

use cell::{Cell, DRIVERS, Ground, Report};
use faults::Verdict;
use operations::Operation;
use rows::ROWS;

/// How many cells are tried at the same time: those that mostly compute, and those that mostly wait. Few enough that the
/// first leave time for the second, which have limits.
const BUSY: usize = 8;
const WAITING: usize = 96;

/// After this time all cells together count as hanging; each has a limit of its own.
const LIMIT: Duration = Duration::from_secs(2400);

fn cells(dialect: Dialect) -> Vec<Cell> {
    let mut cells = Vec::new();
    for row in ROWS.iter().filter(|row| row.is_for(dialect)) {
        for operation in Operation::all(dialect) {
            if !operation.is_struck_by(row, dialect) {
                continue;
            }
            for times in [Times::Once, Times::Always] {
                // A fault that is harmless every time is harmless once, too.
                if row.verdict == Verdict::Fine && times == Times::Once {
                    continue;
                }
                for driver in DRIVERS {
                    cells.push(Cell {
                        row,
                        driver,
                        operation,
                        times,
                        number: cells.len(),
                    });
                }
            }
        }
    }
    cells
}

/// Tries the cells, several at a time, and says how long that took.
fn try_all(ground: &Arc<Ground>, cells: &[Cell], at_a_time: usize) -> Vec<(Cell, Report)> {
    let start = std::time::Instant::now();
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = cell.run(ground);
                    reports
                        .lock()
                        .expect("no panic inside")
                        .push((*cell, report));
                }
            });
        }
    });
    eprintln!(
        "{} cells, {at_a_time} at a time: {:?}",
        cells.len(),
        start.elapsed()
    );
    reports.into_inner().expect("no panic inside")
}

#[test]
fn every_driver_survives_every_fault() {
    survives("every_driver_survives_every_fault", ApiVersion::V2_20170315);
}

#[test]
fn every_driver_survives_every_fault_in_backend_ai() {
    survives(
        "every_driver_survives_every_fault_in_backend_ai",
        ApiVersion::V9_20250722,
    );
}

fn survives(name: &str, version: ApiVersion) {
    let _watchdog = sorna_test_tools::watch(name, LIMIT);
    // Each needs all of the machine.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let dialect = version.dialect();
    sorna_gateway::raise_open_files();
    let ground = Arc::new(Ground::new(version));
    // `FAULTS=gzip` tries only the rows whose names contain that, without comparing the table.
    let only = std::env::var("FAULTS").ok();
    let mut all = cells(dialect);
    all.retain(|cell| {
        only.as_ref()
            .is_none_or(|only| cell.row.name.contains(only.as_str()))
    });
    let (waiting, busy): (Vec<Cell>, Vec<Cell>) = all
        .into_iter()
        .partition(|cell| cell.row.verdict == Verdict::Timeout);
    let mut reports = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| try_all(&ground, &waiting, WAITING));
        let mut reports = try_all(&ground, &busy, BUSY);
        reports.extend(waiting.join().expect("no panic inside"));
        reports
    });
    reports.sort_by_key(|(cell, _)| cell.number);

    let mut complaints = Vec::new();
    for (cell, report) in &mut reports {
        let late = cell.executions(&ground);
        if late != report.executions {
            report
                .complaints
                .push(format!("{late} executions in the end"));
        }
        for complaint in &report.complaints {
            complaints.push(format!(
                "{} / {} / {:?} / {:?}: {complaint} ({:?})",
                cell.row.name, cell.driver, cell.operation, cell.times, report.time
            ));
        }
    }
    ground.end();
    if ground.kernels() > 0 {
        complaints.push(format!("{} kernels are left in the end", ground.kernels()));
    }
    let table = table::table(&reports, dialect);
    println!("{table}");
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
    if only.is_none() {
        table::compare(&table, dialect);
    }
}
