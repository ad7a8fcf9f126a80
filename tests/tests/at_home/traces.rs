//! Which names tracebacks, warnings and backtraces show: only those of the program.

use sorna_test_tools::need;

use crate::compare::compare;
use crate::home;
use crate::kernel::{self, Place};
use crate::row::{Row, row};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("python3", "import traceback\ndef f(): print([frame.filename for frame in traceback.extract_stack()]); print(len(list(traceback.walk_stack(__import__('sys')._getframe()))))\nf()"),
    row("python3", "import inspect\ndef f(): print([(frame.filename, frame.function) for frame in inspect.stack()])\nf()"),
    row("python3", "import warnings; warnings.warn('from here'); warnings.warn('from beyond', stacklevel=9); warnings.warn('old', DeprecationWarning, stacklevel=2)").stderr_lines(&["PROGRAM:1:", "sys:1:"]),
    row("python3", "import asyncio; asyncio.create_task(asyncio.sleep(1))").stderr_lines(&["sys:1:", "RuntimeError"]),
    row("python3", "import logging; logging.warning('x', stack_info=True)").stderr_lines(&["WARNING", "Stack", "  File"]),
    row("python3", "import sys, traceback\ntry: 1 / 0\nexcept ZeroDivisionError:\n    try: {}['x']\n    except KeyError: print([line for line in traceback.format_exc().splitlines() if line.startswith('  File')])"),
    row("python3", "def f(): return\nreturn 5").stderr_lines(&["  File", "SyntaxError"]),
    row("python3", "f = (").stderr_lines(&["  File", "SyntaxError"]),
    row("python3", "import sys\nsys.excepthook = lambda kind, error, trace: print(trace.tb_frame.f_code.co_filename, trace.tb_next)\n1 / 0"),
    row("python3", "class E(Exception): pass\ndef f():\n    try: raise E('a')\n    except E as e: raise ValueError('b') from e\nf()").stderr_lines(&["  File", "E", "ValueError", "The above"]),
    row("python3", "import contextlib, io, warnings\nwith warnings.catch_warnings(record=True) as caught:\n    warnings.simplefilter('always'); warnings.warn('w', stacklevel=4); warnings.warn('v')\nprint([(w.filename, w.lineno) for w in caught])"),
    row("ruby", "puts caller.inspect; def f; puts caller.inspect, caller(1, 1).inspect, caller(0..0).inspect, caller_locations.map(&:lineno).inspect, caller_locations(1).size; end; f"),
    row("ruby", "begin; 1 / 0; rescue => e; puts e.backtrace.inspect, e.full_message(highlight: false), e.backtrace_locations.map(&:lineno).inspect; end"),
    row("ruby", "begin; raise 'a'; rescue; raise 'b'; end").stderr_lines(&["PROGRAM", "\tfrom"]),
    row("ruby", "puts Thread.current.backtrace.last; Thread.new { puts caller.inspect, Thread.current.backtrace.last }.join; puts Exception.ancestors.inspect, Exception.new.backtrace.inspect"),
    row("ruby", "def f(; end").stderr_lines(&["PROGRAM"]),
    row("ruby", "def deep(n) deep(n + 1) end; begin; deep(0); rescue SystemStackError => e; puts e.backtrace.last; end"),
    row("ruby", "def f = warn('careful', uplevel: 0); f; require 'logger'; Kernel.caller; puts Kernel.caller_locations.inspect"),
    row("perl", "use Carp; sub f { confess 'deep' } f(1);"),
    row("perl", "use Carp qw(cluck longmess); sub f { cluck 'c'; print longmess('l') } f('x'); print 1;"),
    row("perl", "use Carp; $SIG{__DIE__} = \\&Carp::confess; sub f { die 'x' } f()"),
    row("perl", "use FindBin; print $0, __LINE__, $FindBin::Script; warn 'w'; die 'd'"),
    row("perl", "package Odd; use overload '\"\"' => sub { \"odd\\n\" }; package main; die bless {}, 'Odd'"),
    row("lua", "print(debug.traceback('t')); local function f() local t = debug.traceback('in f', 2); return t end; print(f()); print(debug.traceback(nil), debug.traceback({}) ~= nil)"),
    row("lua", "print(xpcall(function() error('x') end, debug.traceback)); print(select(2, pcall(error, 'e', 2)))"),
    row("lua", "local co = coroutine.create(function() coroutine.yield() end); coroutine.resume(co); print(debug.traceback(co)); print(debug.traceback(co, 'm'))"),
    row("php", "echo __DIR__ === getcwd() ? 'here' : __DIR__, count(get_included_files()), $_SERVER['SCRIPT_NAME'], \"\\n\"; file_put_contents('lib.php', '<?php echo 5;'); include __DIR__ . '/lib.php'; include 'lib.php';"),
    row("php", "function f() { throw new Exception('x'); } f();").stdout_lines(&[]).stderr_lines(&["#0", "#1"]),
    row("php", "try { (function() { throw new LogicException('a'); })(); } catch (Exception $e) { echo $e->getLine(), count($e->getTrace()) > 0, \"\\n\"; }"),
    row("nodejs", "null.x"),
    row("nodejs", "\nfoo(;"),
    row("nodejs", "let a = 1; let a = 2"),
    row("nodejs", "let s = 'a\nb'"),
    row("nodejs", "return 5"),
    row("nodejs", "throw 'text'"),
    row("nodejs", "throw { a: 1 }"),
    row("nodejs", "throw undefined"),
    row("nodejs", "function f() { g() }\nfunction g() {\n  throw new TypeError('deep') }\nf()"),
    row("nodejs", "console.log(new Error('s').stack); console.trace('t'); const o = {}; Error.captureStackTrace(o); console.log(o.stack)"),
    row("nodejs", "setTimeout(() => { null.y }, 1)"),
    row("nodejs", "setImmediate(() => { throw 7 })"),
    row("nodejs", "process.nextTick(() => { throw new Error('nt') })"),
    row("nodejs", "queueMicrotask(() => { throw new Error('q') })"),
    row("nodejs", "Promise.reject(new Error('r'))"),
    row("nodejs", "Promise.reject(5)"),
    row("nodejs", "new Promise((_, r) => setTimeout(() => r(new Error('later')), 2))"),
    row("nodejs", "(async () => { await null; throw new RangeError('as') })()"),
    row("nodejs", "import('fs').then(() => console.log(new Error('z').stack))"),
    row("nodejs", "const x = import('fs'), e = new Error('after'); console.log(e.stack)"),
    row("nodejs", "eval('1 +')"),
    row("nodejs", "new (require('vm').Script)('foo bar')"),
    row("nodejs", "new Function('x', 'return (')"),
    row("nodejs", "process.on('exit', (c) => console.log('exit', c, new Error('e').stack)); process.exit(3)"),
    row("nodejs", "process.on('uncaughtException', (e) => console.log(e.message, e.stack)); null.x"),
    row("nodejs", "process.on('unhandledRejection', (e) => console.log(e.stack)); Promise.reject(new Error('h'))"),
    row("nodejs", "function deep() { deep() } deep()"),
    row("nodejs", "Error.stackTraceLimit = 1; throw new Error('limited')"),
    row("nodejs", "process.abort()").stderr_lines(&["1: PROGRAM", "1: [eval]", "2: runScript", "3: node:", "4: [eval]", "5: runScript", "6: evalScript"]),
    row("nodejs", "console.log(process.execArgv, setTimeout.name, process.listenerCount('uncaughtException'), process.listenerCount('SIGINT'), Object.getOwnPropertyNames(globalThis).filter((name) => /sorna/i.test(name)))"),
    row("nodejs", "console.log(__filename, __dirname, module.id, module.filename.endsWith('[eval]'), require.main, module.loaded, module.children.length, module.paths.length > 0)"),
    row("r", "f <- function(x) stop('bad'); f(1)"),
    row("r", "f <- function(x) { x(); cat('kept\\n') }; f(function() invisible(tryCatch(stop('e'), error = function(e) cat(conditionMessage(e), '\\n'))))"),
    row("r", "withCallingHandlers(warning('w'), warning = function(w) { cat('mine\\n'); invokeRestart('muffleWarning') }); tryCatch(as.integer('x'), warning = function(w) cat('caught\\n'))"),
    row("bash", "nosuchcommand; cd /nosuch; f() { caller 0; echo \"${FUNCNAME[*]} ${BASH_SOURCE[*]}\"; }; f; echo \"$0 ${BASH_SOURCE[0]} $#\""),
    row("bash", "read -q x; echo $?").stderr_lines(&["read: usage"]),
    row("bash", "echo 'f() { caller; read -q y; }' >lib.sh; . ./lib.sh; f").stderr_lines(&["read: usage"]),
];

/// Programs that show what is on the stack below them, or fail in other ways.
const SHOWING: &[(&str, &str)] = &[
    ("nodejs", "process.abort()"),
    (
        "nodejs",
        "const a = []; process.on('exit', () => process.abort()); null.x",
    ),
    (
        "php",
        "echo $undefined; trigger_error('w', E_USER_WARNING); trigger_error('d', E_USER_DEPRECATED);",
    ),
    (
        "php",
        "function f() { debug_print_backtrace(); print_r(debug_backtrace()); echo (new Exception)->getTraceAsString(), __FILE__; } f(); include 'nosuch.php'; strlen();",
    ),
    (
        "php",
        "set_error_handler(function($n, $m, $file) { echo $file; }); echo $u; throw new Exception('z');",
    ),
    (
        "nodejs",
        "console.log(new Error('s').stack); console.trace('t'); Error.stackTraceLimit = 50; console.log(new Error('s').stack)",
    ),
    (
        "nodejs",
        "Error.prepareStackTrace = (e, s) => s.map(c => c.getFileName()).join('|'); console.log(new Error('x').stack)",
    ),
    (
        "nodejs",
        "process.on('warning', w => console.log(w.stack)); process.emitWarning('w'); setTimeout(() => { console.log(new Error('t').stack); null.x }, 5)",
    ),
    (
        "nodejs",
        "const { AssertionError } = require('assert'); const o = {}; Error.captureStackTrace(o); console.log(o.stack); require('nosuch')",
    ),
    (
        "lua",
        "for i = 1, 20 do local x = debug.getinfo(i); if x then print(i, x.short_src, x.source) end end",
    ),
    ("lua", "print(debug.traceback('m', 1)); error({})"),
    ("lua", "local function f() f() + 1 end"),
    (
        "perl",
        "my $i = 0; while (my @x = caller($i++)) { print \"$x[1]:$x[2] $x[3]\\n\" } require Nosuch;",
    ),
    ("perl", "my $x = ; print 1"),
    (
        "ruby",
        "puts caller(0), binding.source_location.inspect, $0, __FILE__; require 'nosuch'",
    ),
    ("r", "warning('top'); log(-1); as.integer('x'); nosuch(1)"),
    ("r", "x <- 1 +"),
    (
        "bash",
        "PS4='+${BASH_SOURCE}:${LINENO}: '; set -x; true; f() { false; }; f",
    ),
    ("bash", "if then"),
];

#[test]
fn no_file_of_a_runner_is_named() {
    let place = Place::start();
    for (language, program) in SHOWING {
        if !need(home::command(language)[0]) {
            continue;
        }
        let shown = kernel::run(&place, language, program);
        let text = shown.stdout + &shown.stderr;
        assert!(!text.is_empty(), "{language}: {program}");
        assert!(!text.contains("runners/"), "{language}: {program}\n{text}");
    }
}

#[test]
fn python3_shows_names_as_at_home() {
    compare(ROWS, "python3");
}

#[test]
fn ruby_shows_names_as_at_home() {
    compare(ROWS, "ruby");
}

#[test]
fn perl_shows_names_as_at_home() {
    compare(ROWS, "perl");
}

#[test]
fn lua_shows_names_as_at_home() {
    compare(ROWS, "lua");
}

#[test]
fn php_shows_names_as_at_home() {
    compare(ROWS, "php");
}

#[test]
fn r_shows_names_as_at_home() {
    compare(ROWS, "r");
}

#[test]
fn nodejs_shows_names_as_at_home() {
    compare(ROWS, "nodejs");
}

#[test]
fn kept_kernels_of_nodejs_show_where_an_error_is() {
    if !need("node") {
        return;
    }
    let place = Place::start();
    let kernel = place.client.create("nodejs").unwrap();
    for (program, shown) in [
        ("null.x", "\n    at [eval]:1:6\n"),
        (
            "1;\nfoo(;",
            "[eval]:2\nfoo(;\n    ^\n\nSyntaxError: Unexpected token ';'\n",
        ),
        ("let a = `abc", "[eval]:1\nlet a = `abc\n\nSyntaxError: "),
        (
            "import('fs').then(() => { null.x })",
            "\n    at [eval]:1:32\n",
        ),
        (
            "setTimeout(() => { throw new Error('later') }, 1)",
            "([eval]:1:26)\n",
        ),
        ("throw { a: 1 }", "Uncaught { a: 1 }\n"),
        ("throw [1, 'b']", "Uncaught [ 1, 'b' ]\n"),
    ] {
        let report = kernel.run(program).unwrap();
        assert!(
            report.stderr().contains(shown),
            "{program}\n{}",
            report.stderr()
        );
        assert_eq!(report.exit_code(), Some(1), "{program}");
    }
}

#[test]
fn bash_shows_names_as_at_home() {
    compare(ROWS, "bash");
}
