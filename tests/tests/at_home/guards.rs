//! What a program knows of its place: whether it is the main program, and what is below it on the stack.

use sorna_test_tools::need;

use crate::compare::{compare, compare_in_one_kernel};
use crate::home;
use crate::kernel::{self, Place};
use crate::row::{Row, row};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("python3", "print('main' if __name__ == '__main__' else 'module')"),
    row("python3", "import sys; print(sys._getframe().f_code.co_name, sys._getframe().f_lineno, len(sys.argv), '__file__' in globals())"),
    row("python3", "import inspect; print(len(inspect.stack()))"),
    row("ruby", "puts caller.inspect, __method__.inspect, ARGV.inspect, __FILE__ == $0 ? 'main' : 'library'"),
    row("ruby", "puts caller_locations.size; at_exit { puts caller.size }"),
    row("ruby", "def f = caller.size; puts f; puts [1].map { f }.inspect"),
    row("perl", "sub main { print 'main: ', join('|', (caller 0)[0 .. 3]), '|', scalar(my @below = caller 1), \"\\n\" } main() unless caller; warn 'w'; die 'd'"),
    row("perl", "print __FILE__ eq $0 ? 'main' : 'library', \"|@ARGV|\", __LINE__, \"\\n\"; print STDERR \"e\\n\"; exit 3"),
    row("perl", "use strict; use warnings; my $i = 0; $i++ while caller $i; print $i; my $x; print \"$x\\n\"; print map { [caller]->[0] // 'none' } 1"),
    row("perl", "my $x = ;"),
    row("php", "echo $undefined; var_dump(debug_backtrace(), __FILE__, __LINE__, PHP_SAPI, $argc, get_included_files(), count(get_defined_vars()));"),
    row("php", "if (!debug_backtrace()) echo \"main\\n\"; echo realpath($_SERVER['argv'][0]) === __FILE__ ? 'file' : 'none'; function f() { throw new Exception('x'); } f();"),
    row("php", "set_exception_handler(function ($e) { echo get_class($e), count($e->getTrace()), \"\\n\"; }); trigger_error('w', E_USER_WARNING); throw new LogicException('q');"),
    row("php", "f("),
    row("php", "namespace A; function f() { debug_print_backtrace(); } f(); return;"),
    row("r", "if (sys.nframe() == 0) cat('main\\n') else cat('library\\n'); print(sys.calls()); print(search()); traceback()"),
    row("r", "f <- function() { print(sys.calls()); warning('in f'); parent.frame() }; f(); g <- function(x) stop('bad'); g(1)"),
    row("r", "x <- 1; x; ls(); print(length(commandArgs(TRUE))); warning('top'); cat('a\\n'); )"),
    row("r", "if (interactive()) cat('asks\\n') else cat('runs\\n'); quit(status = 5)"),
    row("lua", "if not pcall(debug.getlocal, 4, 1) then print('main') else print('library') end"),
    row("lua", "if ... then print('library') else print('main') end local n = 1 while debug.getinfo(n) do n = n + 1 end print(n)"),
    row("lua", "for i = 0, 8 do local x = debug.getinfo(i, 'Sl') print(i, x and x.what, x and x.currentline) end local a = 5 print(debug.getlocal(1, 1), debug.setlocal(1, 1, 6), a)"),
    row("lua", "local function f() error('deep', 2) end f()"),
    row("lua", "print(pcall(debug.getlocal, 99, 1)) print(debug.getinfo(print).what, debug.getinfo(2, 'n') ~= nil, debug.getinfo(3)) debug.getlocal(99, 1)"),
    row("nodejs", "console.log(require.main === module ? 'main' : 'library', require.main, process.mainModule, module.id, __filename, module.parent)"),
    row("nodejs", "require('fs').writeFileSync('lib.js', 'module.exports = require.main === module'); console.log(require('./lib.js'))"),
    row("nodejs", "console.log(require.resolve.paths('x')[0].endsWith('node_modules'), module.filename.endsWith('[eval]'), typeof exports, module.loaded, process.argv.length)"),
    row("bash", "[[ ${BASH_SOURCE[0]} == \"$0\" ]] && echo main; (return 0 2>/dev/null) && echo sourced; type -t read; read -q; read -t x y"),
    row("bash", "echo ${#FUNCNAME[@]} $#; caller; f() { read -q; }; f; type -t f read"),
    row("bash", "read -r x <<<'1 2'; echo \"$x $LINENO\"; read -N; type read"),
];

/// The same in a kernel that is kept, as far as the language has a way.
#[rustfmt::skip]
const KEPT_ROWS: &[Row] = &[
    row("perl", "sub main { print 'main: ', join('|', (caller 0)[0 .. 3]), '|', scalar(my @below = caller 1), \"\\n\" } main() unless caller; warn 'w'; print __FILE__ eq $0 ? 'file' : 'none'"),
    row("perl", "my $i = 0; $i++ while caller $i; print $i; sub deep { my $i = 0; $i++ while caller $i; $i } print deep(), sub { deep() }->(), eval { deep() }, map { [caller]->[0] // 'none' } 1"),
    row("perl", "use Carp; sub inner { Carp::cluck('c'); print join '|', map { $_ // 'none' } (caller 1)[3, 2], scalar caller(0) } sub outer { inner(@_) } outer(1, 'x'); print Carp::longmess('m')"),
    row("perl", "sub f { package DB; my @frame = caller(1); print \"$frame[3]: @DB::args\\n\" } sub g { f() } g(3, 4); print caller() ? 'library' : 'main'; die 'd'"),
    row("php", "if (!debug_backtrace()) echo \"main\\n\"; function f1($x) { return count(debug_backtrace()) . \\debug_backtrace(limit: 1)[0]['function']; } echo f1(1), array_map('f1', [2])[0];"),
    row("php", "class A1 { function f() { $t = debug_backtrace(); return [$t[0]['object'] === $this, $t[0]['class'], $t[0]['type'], isset(debug_backtrace(0)[0]['object'])]; } function debug_backtrace() { return 'own'; } } var_dump((new A1)->f(), (new A1)->debug_backtrace());"),
    row("php", "debug_print_backtrace(); echo count(debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, 5)), \"debug_backtrace()\", PHP_EOL; (function () { $t = debug_backtrace(); echo count($t), $t[0]['line'] ?? 'none', $t[0]['function']; })();"),
    row("r", "if (sys.nframe() == 0) cat('main\\n') else cat('library\\n'); print(sys.calls()); print(sys.parents()); print(length(sys.frames())); traceback()"),
    row("r", "f <- function(n) { print(sys.calls()); print(sys.call(1)); print(identical(sys.frame(1), environment())); print(sys.parents()); parent.frame() }; print(f(1)); do.call('f', list(2))"),
    row("r", "g <- function(type = c('a', 'b')) match.arg(type); g(); h <- function(...) { print(match.call()); k <- function() c(sys.parent(), sys.nframe()); k() }; h(1, b = 2); sapply(1:2, function(i) sys.nframe())"),
    row("r", "f <- function() { warning('w1'); cat('after\\n') }; f(); print(getOption('warn')); g <- function() for (i in 1:3) warning(paste('x', i)); g(); as.integer('z')"),
    row("r", "h <- function() for (i in 1:60) warning(i); h(); print(length(warnings())); for (i in 1:12) warning('t'); suppressWarnings(warning('no'))"),
    row("r", "options(warn = 1); k <- function() { warning('now'); cat('then\\n') }; k(); options(warn = 0); tryCatch(warning('caught'), warning = function(w) conditionMessage(w))"),
    row("r", "local(print(sys.nframe())); tryCatch(stop('x'), error = function(e) print(conditionCall(e))); r <- function(n) if (n > 0) r(n - 1) else length(sys.calls()); print(r(4)); print(eval(quote(sys.nframe())))"),
];

#[test]
fn kept_kernels_of_perl_know_their_place_as_at_home() {
    compare_in_one_kernel(KEPT_ROWS, "perl");
}

#[test]
fn kept_kernels_of_php_know_their_place_as_at_home() {
    compare_in_one_kernel(KEPT_ROWS, "php");
}

#[test]
fn kept_kernels_of_r_know_their_place_as_at_home() {
    compare_in_one_kernel(KEPT_ROWS, "r");
}

#[test]
fn snippets_that_are_too_long_for_an_argument_know_their_place() {
    let place = Place::start();
    let padding = "#".repeat(140_000);
    #[rustfmt::skip]
    let rows = [
        row("perl", "print __FILE__ eq $0 ? 'main' : 'library', \"|@ARGV|\", __LINE__, scalar(caller) // 'none', \"\\n\"; sub f { die 'd' } warn 'w'; f(1)"),
        row("perl", "use strict; use warnings; my $i = 0; $i++ while caller $i; print $i; eval { die [1] }; print ref $@; warn 'here'"),
        row("perl", "print defined &Sorna::put ? 'runner' : 'none'; exit 4"),
        row("php", "if (!debug_backtrace()) echo \"main\\n\"; function f() { debug_backtrace()[1] ?? print('one'); } f(); echo $argc, json_encode($argv), count(get_defined_vars()); exit(3);"),
        row("php", "echo count(glob(sys_get_temp_dir() . '/Command*')), readline_add_history('x') ? 'y' : 'n', __LINE__;"),
        row("php", "echo (function () { return count((new Exception)->getTrace()); })(), \"\\n\"; register_shutdown_function(fn () => print(count(debug_backtrace())));"),
    ];
    for row in rows {
        if need(home::command(row.language)[0]) {
            let program = format!("{}\n{padding}", row.program);
            let there = row.of(kernel::run(&place, row.language, &program));
            assert_eq!(there, row.of(home::run(row.language, row.program)), "{row}");
        }
    }
}

#[test]
fn python3_knows_its_place_as_at_home() {
    compare(ROWS, "python3");
}

#[test]
fn ruby_knows_its_place_as_at_home() {
    compare(ROWS, "ruby");
}

#[test]
fn perl_knows_its_place_as_at_home() {
    compare(ROWS, "perl");
}

#[test]
fn php_knows_its_place_as_at_home() {
    compare(ROWS, "php");
}

#[test]
fn r_knows_its_place_as_at_home() {
    compare(ROWS, "r");
}

#[test]
fn lua_knows_its_place_as_at_home() {
    compare(ROWS, "lua");
}

#[test]
fn nodejs_knows_its_place_as_at_home() {
    compare(ROWS, "nodejs");
}

#[test]
fn bash_knows_its_place_as_at_home() {
    compare(ROWS, "bash");
}
