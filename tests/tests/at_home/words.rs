//! What programs say that stumble: the names and messages that the language gives them.

use crate::compare::{compare, compare_in_one_kernel};
use crate::row::{Row, row};

/// Programs that a kernel runs as its only snippet.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("ruby", "nil.foo"),
    row("ruby", "begin; nil.foo; rescue => e; puts e.message; p e; end"),
    row("ruby", "def f\n  nosuch\nend\nf"),
    row("ruby", "[1].frist"),
    row("ruby", "begin; Object.new.instance_eval { zork }; rescue NameError => e; puts e.name, e.detailed_message rescue puts e.class; end"),
    row("ruby", "p RubyVM.keep_script_lines if RubyVM.respond_to?(:keep_script_lines)"),
    row("ruby", "require 'minitest/autorun'; class T < Minitest::Test; def test_x; nosuch; end; end").stdout_lines(&["1 runs", "E"]),
    row("bash", "continue 2>/dev/null; echo after"),
    row("bash", "break; echo after"),
    row("bash", "for i in 1 2; do break 2; done; echo after $i"),
    row("bash", "while true; do break; done; continue; echo x; exit 3"),
    row("bash", "f() { break; }; for i in 1 2; do f; echo $i; done"),
    row("bash", "trap 'echo bye' EXIT; break 3; false"),
    row("bash", "eval 'continue'; return 3; echo x"),
    row("python3", "import sys; print(sys.stdin.name, sys.stdin.mode, sys.stdout.name, sys.stdout.mode, sys.stderr.name)"),
    row("python3", "import sys; print(sys.stdout, sys.stderr)"),
    row("python3", "print(input, open, exit)"),
    row("python3", "import sys; print(sys.stdin.buffer.name, sys.stdout.buffer.name, sys.stdout.buffer.mode, sys.stdin.buffer.raw.name)"),
];

/// Those that say the same in a kernel that is kept.
#[rustfmt::skip]
const KEPT: &[Row] = &[
    row("ruby", "begin; nil.foo; rescue => e; puts e.message; end"),
    row("ruby", "begin; nosuch; rescue NameError => e; p e.name; puts e.message; end"),
    row("ruby", "begin; 1.zork(2); rescue => e; puts e.message; end"),
    row("bash", "for i in 1 2; do continue; echo no; done; echo $i"),
    row("bash", "f() { for i in 1 2; do break; done; echo $i; }; f"),
    row("bash", "while read -r x; do break; done <<< a; echo $x"),
];

#[test]
fn ruby_says_what_it_says_at_home() {
    compare(ROWS, "ruby");
}

#[test]
fn bash_says_what_it_says_at_home() {
    compare(ROWS, "bash");
}

#[test]
fn python3_says_what_it_says_at_home() {
    compare(ROWS, "python3");
}

#[test]
fn kept_kernels_of_ruby_say_what_it_says_at_home() {
    compare_in_one_kernel(KEPT, "ruby");
}

#[test]
fn kept_kernels_of_bash_say_what_it_says_at_home() {
    compare_in_one_kernel(KEPT, "bash");
}
