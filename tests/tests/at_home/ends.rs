//! What runs after the last line: hooks, threads, timers, destructors; and exit codes.

use crate::compare::compare;
use crate::row::{Row, row};

const ROWS: &[Row] = &[
    row("python3", "import atexit; atexit.register(print, 'bye'); print('hi')"),
    row("python3", "import threading, time; threading.Thread(target=lambda: (time.sleep(0.3), print('late'))).start(); print('main')"),
    row("python3", "from concurrent.futures import ThreadPoolExecutor as P; import time; p = P(1); [p.submit(lambda n=n: (time.sleep(0.1), print('job', n))) for n in range(3)]; print('submitted')"),
    row("python3", "import multiprocessing as m, time\ndef f(): time.sleep(0.2); print('child', flush=True)\nm.Process(target=f).start(); print('parent', flush=True)"),
    row("python3", "import atexit, sys; atexit.register(lambda: print('hook')); sys.exit(7)"),
    row("python3", "import atexit; atexit.register(lambda: print('hook')); raise SystemExit('message')"),
    row("python3", "import atexit; atexit.register(lambda: print('hook')); 1 / 0").stderr_lines(&["ZeroDivisionError"]),
    row("python3", "import atexit; atexit.register(lambda: 1 / 0); print('hi')").stderr_lines(&["ZeroDivisionError"]),
    row("python3", "import atexit, subprocess; atexit.register(lambda: subprocess.run(['echo', 'from a program'])); print('before', flush=True)"),
    row("python3", "import atexit, os; atexit.register(lambda: print('hook', flush=True))\nif os.fork() == 0: raise SystemExit(3)\nprint(os.wait()[1], flush=True)"),
    row("python3", "import sys\nclass A:\n    def __del__(self): print('deleted', 1); sys.stderr.write('err'); print('x', end='')\na = A(); a.b = a; c = A(); print('no end', end='')"),
    row("python3", "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertTrue(False)\nunittest.main(argv=['x'])").stderr_lines(&["FAIL", "AssertionError"]),
    row("python3", "import os, sys; sys.stdout.write('lost? no\\n'); os._exit(4)").stdout_lines(&["lost"]),
    row("python3", "import threading; threading.Timer(0.2, print, ['timer']).start(); raise SystemExit(3)"),
    row("python3", "import tempfile, weakref\nclass A: pass\na = A(); weakref.finalize(a, print, 'finalized'); t = tempfile.TemporaryDirectory(); print('x')"),
    row("python3", "import subprocess; p = subprocess.Popen(['sh', '-c', 'sleep 0.3; echo background']); print('main', flush=True)"),
    row("python3", "import os; print('partial', end='', flush=True); os.kill(os.getpid(), 11)"),
    row("python3", "import threading; threading.Thread(target=lambda: 1 / 0, name='t').start()").stderr_lines(&["Exception in thread", "ZeroDivisionError"]),
    row("bash", "trap 'echo bye' EXIT; echo hi"),
    row("bash", "trap 'echo bye $?; exit 9' EXIT; false"),
    row("bash", "(sleep 0.3; echo late) & echo hi"),
    row("bash", "set -e; trap 'echo cleanup >&2' EXIT; false; echo never"),
    row("bash", "set -u; trap 'echo end' EXIT; echo a; f() { return 4; }; f"),
    row("bash", "trap 'echo hook' EXIT; exit 3"),
    row("bash", "trap 'echo term' TERM; kill -TERM $$; echo after"),
    row("bash", "kill -9 $$"),
    row("bash", "trap 'echo hook' EXIT; exec echo replaced"),
    row("bash", "trap 'echo err $?' ERR; trap 'echo exit $?' EXIT; false; true; (exit 5)"),
    row("bash", "trap 'wait; echo all' EXIT; (sleep 0.2; echo background) & echo x"),
    row("perl", "END { print \"bye\\n\" } print \"hi\\n\";"),
    row("perl", "END { print \"code $?\\n\"; $? = 5 } exit 3;"),
    row("perl", "$! = 2; die \"broken\\n\";"),
    row("perl", "die \"plain\\n\";"),
    row("perl", "open(my $f, '<', '/nonexistent') or die \"no file\\n\";"),
    row("perl", "system('exit 3'); $! = 0; die \"x\\n\";"),
    row("perl", "package D; sub new { bless {} } sub DESTROY { print \"destroyed\\n\" } package main; our $d = D->new; my $e = D->new; END { print \"end\\n\" }"),
    row("perl", "my $pid = fork; exit 6 unless $pid; waitpid $pid, 0; print $? >> 8, \"\\n\";"),
    row("perl", "warn \"w\\n\"; END { exit 7 }"),
    row("perl", "kill 'TERM', $$; sleep 5;"),
    row("ruby", "at_exit { puts 'bye' }; puts 'hi'"),
    row("ruby", "puts 'main' if __FILE__ == $0"),
    row("ruby", "at_exit { puts 'end' if $PROGRAM_NAME == __FILE__ }"),
    row("ruby", "require 'minitest/autorun'; class T < Minitest::Test; def test_x; assert_equal 1, 2; end; end").stdout_lines(&["Expected", "  Actual", "1 runs"]),
    row("ruby", "require 'test/unit'; class T < Test::Unit::TestCase; def test_x; assert_equal 1, 1; end; end").stdout_lines(&["1 tests", "100% passed"]),
    row("ruby", "at_exit { exit 4 }; puts 1"),
    row("ruby", "at_exit { warn \"hook #{$!.inspect}\" }; abort 'aborted'"),
    row("ruby", "at_exit { puts \"hook #{$!.inspect}\" }"),
    row("ruby", "at_exit { warn \"hook #{$!.class}\" }; raise 'boom'"),
    row("ruby", "Thread.new { sleep 5; puts 'never' }; ObjectSpace.define_finalizer(Object.new, proc { puts 'finalized' }); puts 'x'"),
    row("ruby", "END { puts 'end' }; exit 2"),
    row("ruby", "trap('EXIT') { puts 'trap' }; t = Thread.new { sleep 0.2; puts 'joined' }; at_exit { t.join }; puts 'main'"),
    row("ruby", "at_exit { raise 'in hook' }; puts 1"),
    row("nodejs", "process.exitCode = 6"),
    row("nodejs", "async function main() { await null; console.log('work'); process.exit(3) } main()"),
    row("nodejs", "process.nextTick(() => process.exit(8)); console.log('now')"),
    row("nodejs", "process.stdout.write('y\\n', () => process.exit(4))"),
    row("nodejs", "queueMicrotask(() => { console.log('q'); process.exit(0) })"),
    row("nodejs", "console.log(path.join('a', 'b'), typeof os.cpus, typeof util.inspect, typeof fs.readFileSync, typeof crypto.createHash)"),
    row("nodejs", "var path = 'mine'; let fs = 1; function os() { return 2 } console.log(path, fs, os())"),
    row("nodejs", "console.log(Object.keys(globalThis).includes('fs')); fs = 5; console.log(fs)"),
    row("nodejs", "process.on('exit', (c) => console.log('exit', c)); process.on('beforeExit', () => console.log('before')); console.log('hi')"),
    row("nodejs", "const test = require('node:test'); const assert = require('node:assert'); test('fails', () => assert.equal(1, 2)); test('works', () => {});").stdout_lines(&["ok", "not ok", "# fail", "# pass"]),
    row("nodejs", "setTimeout(() => console.log('late'), 200); Promise.resolve().then(() => console.log('soon')); console.log('now')"),
    row("nodejs", "setTimeout(() => console.log('never'), 500); Promise.reject(new Error('no')); console.log('now')").stderr_lines(&["Error: no"]),
    row("nodejs", "setTimeout(() => console.log('never'), 500); setTimeout(() => { throw new TypeError('in a timer') }, 10)").stderr_lines(&["TypeError: in a timer"]),
    row("nodejs", "process.on('exit', (c) => console.log('exit', c)); (async () => { throw new Error('async') })()").stderr_lines(&["Error: async"]),
    row("nodejs", "process.on('uncaughtException', (e) => console.log('caught', e.message)); setTimeout(() => { throw new Error('x') }, 10); setTimeout(() => console.log('goes on'), 100)"),
    row("nodejs", "process.on('uncaughtException', (e, origin) => console.log('handled', e.message, origin)); setTimeout(() => console.log('later'), 10); throw new Error('x')"),
    row("nodejs", "process.setUncaughtExceptionCaptureCallback((e) => console.log('captured', e)); setTimeout(() => console.log('later'), 10); throw 'text'"),
    row("nodejs", "process.on('uncaughtException', (e) => { console.log('handled', e); process.exitCode = 4 }); throw undefined"),
    row("nodejs", "process.once('uncaughtException', (e) => console.log('handled', e.message)); null.x"),
    row("nodejs", "process.on('uncaughtException', (e, origin) => console.log('handled', e.message, origin)); (async () => { throw new Error('async') })()"),
    row("nodejs", "process.on('uncaughtExceptionMonitor', (e) => console.log('seen', e.message)); process.on('exit', (c) => console.log('exit', c)); throw new TypeError('x')").stderr_lines(&["TypeError: x"]),
    row("nodejs", "process.on('uncaughtException', (e) => { throw new Error('second ' + e.message) }); throw new Error('first')").stderr_lines(&["Error: second first"]),
    row("nodejs", "process.on('unhandledRejection', (e) => { console.log('rejected', e.message); process.exitCode = 3 }); Promise.reject(new Error('x')); 1"),
    row("nodejs", "process.on('exit', () => { process.exitCode = 9 }); process.exit()"),
    row("nodejs", "let n = 0; process.on('beforeExit', () => { if (n++ < 2) setTimeout(() => console.log('again', n), 10) })"),
    row("nodejs", "const s = require('net').createServer().listen(0, '127.0.0.1', () => console.log('listening')); setTimeout(() => s.close(() => console.log('closed')), 200)"),
    row("nodejs", "process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 5000)"),
    row("nodejs", "const { Worker } = require('worker_threads'); new Worker(`setTimeout(() => console.log('worker'), 200)`, { eval: true }); console.log('main')"),
    row("nodejs", "require('child_process').spawn('sh', ['-c', 'sleep 0.2; echo child'], { stdio: 'inherit' }).on('exit', (c) => { console.log('exit', c); process.exitCode = 4 })"),
    row("nodejs", "process.on('exit', () => console.log('e')); setTimeout(() => process.exit(5), 50); setInterval(() => {}, 10)"),
    row("lua", "setmetatable({}, {__gc = function() print('gc') end}); print('hi')"),
    row("lua", "local x <close> = setmetatable({}, {__close = function() print('closed') end}); print('hi')"),
    row("lua", "t = setmetatable({}, {__gc = function() print('gc') end}); os.exit(3, true)"),
    row("lua", "t = setmetatable({}, {__gc = function() print('never') end}); os.exit(4)"),
    row("lua", "t = setmetatable({}, {__gc = function() io.stderr:write('gc') end}); io.write('no end')"),
    row("lua", "t = setmetatable({}, {__gc = function() print('gc') end}); error('broken', 0)").stderr_lines(&["lua: broken"]),
    row("php", "register_shutdown_function(function() { echo \"bye\\n\"; }); echo \"hi\\n\";"),
    row("php", "class D { function __destruct() { echo \"destroyed\\n\"; } } $d = new D; echo \"hi\\n\";"),
    row("php", "register_shutdown_function(function() { echo \"bye\\n\"; exit(6); }); exit(3);"),
    row("php", "ob_start(function($b) { return strtoupper($b); }); echo \"buffered\\n\";"),
    row("php", "register_shutdown_function(function() { fwrite(STDERR, \"e\\n\"); register_shutdown_function(function() { echo \"second\\n\"; }); }); exit(\"text\\n\");"),
    row("php", "register_shutdown_function(function() { fwrite(STDERR, \"hook\\n\"); exit(8); }); (function(): int { return 'x'; })();").stdout_lines(&[]).stderr_lines(&["hook"]),
    row("r", ".Last <- function() cat('bye\\n'); cat('hi\\n')"),
    row("r", "reg.finalizer(globalenv(), function(e) cat('final\\n'), onexit = TRUE); cat('hi\\n')"),
    row("r", ".Last <- function() cat('bye\\n'); quit(status = 3)"),
    row("r", ".Last <- function() cat('never\\n'); stop('broken')"),
    row("r", ".Last <- function() cat('never\\n'); quit('no', 4, FALSE)"),
];

#[test]
fn python3_ends_as_at_home() {
    compare(ROWS, "python3");
}

#[test]
fn bash_ends_as_at_home() {
    compare(ROWS, "bash");
}

#[test]
fn perl_ends_as_at_home() {
    compare(ROWS, "perl");
}

#[test]
fn ruby_ends_as_at_home() {
    compare(ROWS, "ruby");
}

#[test]
fn nodejs_ends_as_at_home() {
    compare(ROWS, "nodejs");
}

#[test]
fn lua_ends_as_at_home() {
    compare(ROWS, "lua");
}

#[test]
fn php_ends_as_at_home() {
    compare(ROWS, "php");
}

#[test]
fn r_ends_as_at_home() {
    compare(ROWS, "r");
}
