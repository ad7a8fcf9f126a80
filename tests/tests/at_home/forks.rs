//! Processes that fork, and whose children fork, in last snippets and in others.

use crate::compare::{compare, compare_in_one_kernel};
use crate::row::{Row, row};

const ROWS: &[Row] = &[
    row(
        "python3",
        "import os\nif os.fork() == 0:\n    if os.fork() == 0: print('grandchild', flush=True); os._exit(0)\n    os.wait(); print('child', flush=True); os._exit(0)\nos.wait(); print('parent', flush=True)",
    ),
    row(
        "python3",
        "import os, threading\nif os.fork() == 0:\n    if os.fork() == 0:\n        t = threading.Thread(target=print, args=('in a thread',)); t.start(); t.join(); print('after it', flush=True); os._exit(0)\n    os.wait(); os._exit(0)\nos.wait(); print('parent', flush=True)",
    ),
    // A descriptor with the number of the channel of the parent.
    row(
        "python3",
        "import fcntl, os\nif os.fork() == 0:\n    null = os.open('/dev/null', os.O_RDONLY); files = [fcntl.fcntl(null, fcntl.F_DUPFD, 100) for _ in range(3)]\n    if os.fork() == 0:\n        for file in files: os.fstat(file)\n        print('open', flush=True); os._exit(0)\n    os.wait(); os._exit(0)\nos.wait(); print('parent', flush=True)",
    ),
    row(
        "python3",
        "import os\ndef fork(n):\n    if n and os.fork() == 0:\n        fork(n - 1); print(n, flush=True); os._exit(n)\n    if n: print('code', os.waitstatus_to_exitcode(os.wait()[1]), flush=True)\nfork(5)",
    ),
    // A daemon.
    row(
        "python3",
        "import os, sys\nr, w = os.pipe()\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        null = os.open('/dev/null', os.O_RDWR)\n        for fd in (0, 1, 2): os.dup2(null, fd)\n        print('nowhere', flush=True); os.write(w, b'daemon'); os._exit(0)\n    os._exit(0)\nos.wait(); print(os.read(r, 9).decode())",
    ),
    row(
        "python3",
        "import multiprocessing as m\ndef leaf(n): print('leaf', n, flush=True)\ndef middle():\n    p = m.Process(target=leaf, args=(1,)); p.start(); p.join(); print('middle', p.exitcode, flush=True)\nm.set_start_method('fork', True); p = m.Process(target=middle); p.start(); p.join(); print(p.exitcode)",
    ),
    row(
        "python3",
        "import multiprocessing as m\ndef square(n): return n * n\ndef middle(queue):\n    with m.Pool(2) as pool: queue.put(pool.map(square, range(5)))\nm.set_start_method('fork', True); q = m.SimpleQueue(); p = m.Process(target=middle, args=(q,)); p.start(); print(q.get()); p.join()",
    ),
    row(
        "python3",
        "import multiprocessing as m, threading\ndef leaf(): t = threading.Thread(target=lambda: print('thread of the leaf', flush=True)); t.start(); t.join()\ndef middle(): p = m.Process(target=leaf); p.start(); p.join()\nm.set_start_method('fork', True); ps = [m.Process(target=middle) for _ in range(3)]; [(p.start(), p.join()) for p in ps]; print('end')",
    ),
    row(
        "python3",
        "open('work.py', 'w').write('''import multiprocessing as m\ndef leaf(n): print('leaf', n, flush=True)\ndef middle(how):\n    p = m.get_context(how).Process(target=leaf, args=(how,)); p.start(); p.join(); print('middle', p.exitcode, flush=True)\n''')\nimport multiprocessing as m, sys; sys.path.insert(0, '.'); import work\nfor how in 'spawn', 'forkserver': p = m.get_context(how).Process(target=work.middle, args=(how,)); p.start(); p.join(); print(how, p.exitcode, flush=True)",
    ),
    row(
        "python3",
        "from concurrent.futures import ProcessPoolExecutor as E\ndef nested(n):\n    with E(1) as e: return list(e.map(abs, [-n, n]))\nwith E(2) as e: print(list(e.map(nested, [1, 2, 3])))",
    ),
    row(
        "python3",
        "import os, subprocess\nif os.fork() == 0:\n    print('before', flush=True); subprocess.run(['sh', '-c', '(echo deep); echo program']); print('after', end='', flush=True); os._exit(0)\nos.wait(); print('.', flush=True)",
    ),
    row(
        "ruby",
        "if fork.nil?\n  puts 'child'\nelse\n  Process.wait\n  puts 'parent'\nend",
    ),
    row(
        "ruby",
        "fork { fork { puts 'grandchild'; $stdout.flush; exit! 3 }; Process.wait; puts \"child #{$?.exitstatus}\"; $stdout.flush; exit! 2 }; Process.wait; puts \"parent #{$?.exitstatus}\"",
    ),
    row(
        "ruby",
        "unless fork\n  unless fork\n    puts 'grandchild'\n  else\n    Process.wait; puts 'child'\n  end\nelse\n  Process.wait; puts \"parent #{$?.success?}\"\nend",
    ),
    row(
        "ruby",
        "unless fork\n  Process.daemon(true, true)\n  File.write('daemon', 'x')\nelse\n  Process.wait; sleep 0.01 until File.exist?('daemon'); puts 'daemon'\nend",
    ),
    row(
        "perl",
        "$| = 1; my $p = fork; if (!$p) { print \"child\\n\" } else { waitpid $p, 0; print \"parent $?\\n\" }",
    ),
    row(
        "perl",
        "$| = 1; if (!fork) { if (!fork) { print \"grandchild\\n\"; exit 3 } wait; print 'child ', $? >> 8, \"\\n\"; exit 2 } wait; print 'parent ', $? >> 8, \"\\n\"",
    ),
    row(
        "perl",
        "$| = 1; unless (fork) { unless (fork) { print \"grandchild\\n\" } else { wait; print \"child\\n\" } } else { wait; print \"parent\\n\" }",
    ),
    row(
        "perl",
        "$| = 1; unless (fork) { die \"in the child\\n\" } wait; print $? >> 8, \"\\n\"",
    ),
    row(
        "php",
        "$p = pcntl_fork(); if (!$p) { echo \"child\\n\"; } else { pcntl_wait($s); echo 'parent ', pcntl_wexitstatus($s), \"\\n\"; }",
    ),
    row(
        "php",
        "if (!pcntl_fork()) { if (!pcntl_fork()) { echo \"grandchild\\n\"; exit(3); } pcntl_wait($s); echo 'child ', pcntl_wexitstatus($s), \"\\n\"; exit(2); } pcntl_wait($s); echo 'parent ', pcntl_wexitstatus($s), \"\\n\";",
    ),
    row(
        "php",
        "if (!pcntl_fork()) { if (!pcntl_fork()) { echo \"grandchild\\n\"; } else { pcntl_wait($s); echo \"child\\n\"; } } else { pcntl_wait($s); echo \"parent\\n\"; }",
    ),
    row(
        "bash",
        "( ( echo grandchild; exit 3 ); echo child $?; exit 2 ); echo parent $?",
    ),
    row(
        "bash",
        "f() { { echo deep; } & wait; echo f; }; f & wait; echo end",
    ),
    row(
        "bash",
        "set -m; ( (sleep 0.1; echo late) & wait ) & wait; echo end",
    ),
];

#[test]
fn python3_forks_as_at_home() {
    compare(ROWS, "python3");
    compare_in_one_kernel(ROWS, "python3");
}

#[test]
fn ruby_forks_as_at_home() {
    compare(ROWS, "ruby");
    compare_in_one_kernel(ROWS, "ruby");
}

#[test]
fn perl_forks_as_at_home() {
    compare(ROWS, "perl");
    compare_in_one_kernel(ROWS, "perl");
}

#[test]
fn php_forks_as_at_home() {
    compare(ROWS, "php");
    compare_in_one_kernel(ROWS, "php");
}

#[test]
fn bash_forks_as_at_home() {
    compare(ROWS, "bash");
    compare_in_one_kernel(ROWS, "bash");
}
