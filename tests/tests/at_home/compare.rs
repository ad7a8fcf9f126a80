//! Comparing what comes of programs.

use sorna_test_tools::need;

use crate::home;
use crate::kernel::{self, Place};
use crate::outcome::Outcome;
use crate::row::Row;

/// Runs the rows of a language at home and in temporary kernels, and reports all that differ.
#[track_caller]
pub(crate) fn compare(rows: &[Row], language: &str) {
    compare_with(rows, language, |place| {
        Box::new(|row| kernel::run(place, row.language, row.program))
    });
}

/// The same in one kernel that is kept, one row after another.
#[track_caller]
pub(crate) fn compare_in_one_kernel(rows: &[Row], language: &str) {
    compare_with(rows, language, |place| {
        let kernel = place.client.create(language).unwrap();
        Box::new(move |row| {
            let report = kernel.run(row.program).unwrap();
            Outcome {
                stdout: report.stdout().into_owned(),
                stderr: report.stderr().into_owned(),
                exit_code: report.exit_code().unwrap(),
            }
        })
    });
}

#[track_caller]
fn compare_with(
    rows: &[Row],
    language: &str,
    there: impl FnOnce(&Place) -> Box<dyn Fn(&Row) -> Outcome + '_>,
) {
    let rows = || rows.iter().filter(|row| row.language == language);
    assert!(rows().count() >= 3, "too few programs in {language}");
    if !need(home::command(language)[0]) {
        return;
    }
    let place = Place::start();
    let there = there(&place);
    let mut differences = String::new();
    for row in rows() {
        let at_home = row.of(home::run(row.language, row.program));
        let there = row.of(there(row));
        if at_home != there {
            differences += &format!("{row}\n  at home: {at_home:?}\n  there:   {there:?}\n");
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}
