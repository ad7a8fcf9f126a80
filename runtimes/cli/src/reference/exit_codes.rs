//! The exit codes, from the manual.

use super::page::check;

const MANUAL: &str = include_str!("../../README.md");

#[test]
fn exit_codes() {
    let section = MANUAL.split_once("\n## Exit codes\n\n").expect("a section");
    let (table, _) = section.1.split_once("\n\n").expect("its table");
    let page = format!(
        "# Exit codes\n\nOf `sorna run`, `lcc`, `lpython` and `sorna attach`. Other commands end with 0, 1 or 2, or by a signal. \
         Generated from the [manual](../../README.md#exit-codes). What a grader makes of them is in \
         [Grade submissions](../howto/autograder.md).\n\n{table}\n"
    );
    check("exit-codes.md", &page);
}
