//! Which descriptors programs get, and the arguments that they find.

use crate::compare::{compare, compare_in_one_kernel};
use crate::row::{Row, row};

/// What a program gives to another one that it starts.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("python3", "import subprocess; subprocess.run(['ls', '/proc/self/fd'], close_fds=False)"),
    row("python3", "import os; os.system('ls /proc/self/fd')"),
    row("python3", "import os, subprocess; a = os.open('/dev/null', os.O_RDONLY); os.set_inheritable(a, True); subprocess.run('ls /proc/self/fd', shell=True, close_fds=False)"),
    row("bash", "ls /proc/self/fd"),
    row("bash", "ls /proc/self/fd | cat; (ls /proc/self/fd)"),
    row("bash", "exec 5</dev/null; ls /proc/self/fd; sh -c 'ls /proc/self/fd'"),
    row("perl", "system('ls', '/proc/self/fd')"),
    row("perl", "print `ls /proc/self/fd`; open my $in, '-|', 'ls /proc/self/fd'; print <$in>"),
    row("perl", "$^F = 9; exec 'ls', '/proc/self/fd'"),
    row("ruby", "system('ls', '/proc/self/fd', close_others: false)"),
    row("ruby", "puts `ls /proc/self/fd`"),
    row("ruby", "Process.wait spawn('ls /proc/self/fd; true', close_others: false)"),
    row("nodejs", "require('child_process').spawnSync('ls', ['/proc/self/fd'], { stdio: 'inherit' })"),
    row("nodejs", "console.log(require('child_process').execSync('ls /proc/self/fd; true').toString())"),
    row("nodejs", "require('child_process').spawn('ls', ['/proc/self/fd'], { stdio: ['ignore', 'inherit', 'inherit'] })"),
    row("lua", "os.execute('ls /proc/self/fd')"),
    row("lua", "local p = io.popen('ls /proc/self/fd; exit 3'); print(p:read('a'), p:close())"),
    row("lua", "local f = io.popen('cat >&2', 'w'); f:write('written\\n'); print(f:close(), os.execute(), os.execute('exit 4'))"),
    row("lua", "print(pcall(os.execute, 'true'), os.execute(7)); io.popen({})").stderr_lines(&["sh", "lua:"]),
];

/// The arguments that a program finds.
#[rustfmt::skip]
const ARGUMENTS: &[Row] = &[
    row("python3", "import sys; print(sys.argv, sys.orig_argv[1:])"),
    row("python3", "import argparse; argparse.ArgumentParser().parse_args(['-x'])"),
    row("python3", "import sys, os; print(os.path.basename(sys.argv[0]), len(sys.argv)); exec('print(sys.argv)')"),
];

#[test]
fn what_python3_starts_gets_the_descriptors_of_home() {
    compare(ROWS, "python3");
}

#[test]
fn what_bash_starts_gets_the_descriptors_of_home() {
    compare(ROWS, "bash");
}

#[test]
fn what_perl_starts_gets_the_descriptors_of_home() {
    compare(ROWS, "perl");
}

#[test]
fn what_ruby_starts_gets_the_descriptors_of_home() {
    compare(ROWS, "ruby");
}

#[test]
fn what_nodejs_starts_gets_the_descriptors_of_home() {
    compare(ROWS, "nodejs");
}

#[test]
fn what_lua_starts_gets_the_descriptors_of_home() {
    compare(ROWS, "lua");
}

#[test]
fn what_kept_kernels_of_lua_start_gets_the_descriptors_of_home() {
    compare_in_one_kernel(ROWS, "lua");
}

#[test]
fn python3_finds_the_arguments_of_home() {
    compare(ARGUMENTS, "python3");
}
