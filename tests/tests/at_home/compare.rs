//! Comparing what comes of programs.

use sorna_test_tools::need;

use crate::home;
use crate::kernel::{self, Place};
use crate::row::Row;

/// Runs the rows of a language at home and in temporary kernels, and reports all that differ.
#[track_caller]
pub(crate) fn compare(rows: &[Row], language: &str) {
    let rows = || rows.iter().filter(|row| row.language == language);
    assert!(rows().count() >= 3, "too few programs in {language}");
    if !need(home::command(language)[0]) {
        return;
    }
    let place = Place::start();
    let mut differences = String::new();
    for row in rows() {
        let at_home = row.of(home::run(row.language, row.program));
        let there = row.of(kernel::run(&place, row.language, row.program));
        if at_home != there {
            differences += &format!("{row}\n  at home: {at_home:?}\n  there:   {there:?}\n");
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}
