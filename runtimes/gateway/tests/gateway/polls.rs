//! Programs that wait for their standard input by `poll`, `select` or `epoll` are asked as any other; servers, and programs
//! that only look from time to time, are not.

use std::time::Duration;

use crate::common::{Client, Outcome, gateway, gateway_with, running, wait_until};
use sorna_core::{Batch, Continuation, Execute, ExecuteMode, ExecutionStatus, KernelId, Restart};
use sorna_test_tools::need;

/// A tool, a program for it, and what that prints before it asks, and after it has read `line`.
type Row = (&'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const ASKED: &[Row] = &[
    ("python3", "import select, sys\nprint('p: ', end='', flush=True)\nselect.select([sys.stdin], [], [])\nprint(input())", "p: ", "line\n"),
    ("python3", "import select, sys\nprint('p: ', end='', flush=True)\nif select.select([sys.stdin], [], [], 20)[0]: print(sys.stdin.readline())", "p: ", "line\n\n"),
    ("python3", "import select\np = select.poll(); p.register(0, select.POLLIN)\np.poll(); print(input())", "", "line\n"),
    ("python3", "import selectors, sys\ns = selectors.DefaultSelector(); s.register(sys.stdin, selectors.EVENT_READ)\ns.select(30); print(input())", "", "line\n"),
    ("python3", "import select\ne = select.epoll(); e.register(0, select.EPOLLIN)\ne.poll(); print(input())", "", "line\n"),
    ("python3", "import asyncio, sys\nasync def main():\n    r = asyncio.StreamReader()\n    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(r), sys.stdin)\n    print((await r.readline()).decode())\nasyncio.run(main())", "", "line\n\n"),
    ("python3", "import asyncio, sys\nasync def main():\n    loop = asyncio.get_running_loop(); f = loop.create_future()\n    loop.add_reader(0, lambda: f.done() or f.set_result(input()))\n    print(await asyncio.wait_for(f, 30))\nasyncio.run(main())", "", "line\n"),
    ("python3", "import threading, select, time\nt = threading.Thread(target=lambda: (select.select([0], [], []), print(input()))); t.start(); t.join()", "", "line\n"),
    ("python3", "import os, subprocess\nsubprocess.run(['python3', '-c', 'import select; select.select([0], [], []); print(input())'])", "", "line\n"),
    ("python3", "import os, sys\nif hasattr(os, 'splice'): r, w = os.pipe(); n = os.splice(0, w, 100); print(os.read(r, n))\nelse: print(sys.stdin.readline().encode())", "", "b'line\\n'\n"),
    ("node", "const rl = require('readline').createInterface({ input: process.stdin, output: process.stdout });\nrl.question('p: ', n => { console.log(`<${n}>`); process.exit(); });", "p: ", "<line>\n"),
    ("node", "process.stdout.write('p: '); process.stdin.once('data', d => { console.log(String(d)); process.exit(); });", "p: ", "line\n\n"),
    ("node", "process.stdin.on('readable', function read() { const d = process.stdin.read(); if (d) { console.log(String(d)); process.exit(); } });", "", "line\n\n"),
    ("node", "(async () => { const rl = require('readline').createInterface({ input: process.stdin }); for await (const l of rl) { console.log(l); process.exit(); } })();", "", "line\n"),
    ("node", "const rl = require('readline/promises').createInterface({ input: process.stdin, output: process.stdout }); rl.question('p: ').then(n => { console.log(n); process.exit(); });", "p: ", "line\n"),
    ("node", "setTimeout(() => console.log('never'), 60000).unref(); process.stdin.once('data', d => { console.log(String(d)); process.exit(); });", "", "line\n\n"),
    ("bash", "read -t 20 x; echo \"<$x>\"", "", "<line>\n"),
    ("bash", "printf 'p: '; read -t 5 -n 2 x; echo \"<$x>\"", "p: ", "<li>\n"),
    ("bash", "f() { local y; read -r -t 30 y; echo \"$y\"; }; f | cat", "", "line\n"),
    ("bash", "read -t 9 a; read -t 9 -a b <<< 'x y'; echo \"$a ${b[1]}\"", "", "line y\n"),
    ("perl", "$| = 1; print 'p: '; my $r = ''; vec($r, 0, 1) = 1; select($r, undef, undef, undef); print scalar <STDIN>", "p: ", "line\n"),
    ("perl", "use IO::Select; my $s = IO::Select->new(\\*STDIN); $s->can_read; print scalar <STDIN>", "", "line\n"),
    ("perl", "use IO::Poll; my $p = IO::Poll->new; $p->mask(\\*STDIN => POLLIN); $p->poll(10); print scalar <STDIN>", "", "line\n"),
    ("ruby", "$stdout.sync = true; print 'p: '; IO.select([$stdin]); puts gets", "p: ", "line\n"),
    ("ruby", "require 'io/wait'; $stdin.wait_readable(20); puts gets", "", "line\n"),
    ("ruby", "require 'timeout'; puts Timeout.timeout(20) { gets }", "", "line\n"),
    ("ruby", "require 'io/wait'; t = Thread.new { $stdin.wait_readable; puts gets }; t.join", "", "line\n"),
    ("php", "<?php echo 'p: '; $r = [STDIN]; $w = $e = []; stream_select($r, $w, $e, null); echo fgets(STDIN);", "p: ", "line\n"),
    ("php", "<?php $r = [STDIN]; $w = $e = []; if (stream_select($r, $w, $e, 20)) echo fgets(STDIN);", "", "line\n"),
    ("php", "<?php stream_set_blocking(STDIN, false); $r = [STDIN]; $w = $e = null; stream_select($r, $w, $e, 5, 500000); echo stream_get_contents(STDIN);", "", "line\n"),
];
/// Programs that say `ready`, do other things than waiting for input, though they could take it, and end by themselves.
#[rustfmt::skip]
const NOT_ASKED: &[(&str, &str)] = &[
    ("python3", "import socket, select, sys, time\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\nprint('ready', flush=True)\nselect.select([sys.stdin, s], [], [], 2); print('end')"),
    ("python3", "import select, time\ne = select.epoll(); e.register(0, select.EPOLLIN)\nprint('ready', flush=True)\nfor _ in range(10): e.poll(0.2)\nprint('end')"),
    ("python3", "import select\nprint('ready', flush=True)\np = select.poll(); p.register(0, select.POLLIN)\nfor _ in range(400): p.poll(5)\nprint('end')"),
    ("python3", "import select, time\nprint('ready', flush=True)\nfor _ in range(20): select.select([0], [], [], 0); time.sleep(0.1)\nprint('end')"),
    ("python3", "import select, os\nr, w = os.pipe()\nprint('ready', flush=True)\nselect.select([r], [0] if False else [], [], 2)\nprint('end')"),
    ("python3", "import asyncio, sys\nasync def main():\n    s = await asyncio.start_server(lambda r, w: None, '127.0.0.1', 0)\n    asyncio.get_running_loop().add_reader(0, input)\n    print('ready', flush=True); await asyncio.sleep(2); print('end')\nasyncio.run(main())"),
    ("node", "process.stdin.resume(); const s = require('http').createServer(() => {}); s.listen(0, '127.0.0.1', () => console.log('ready')); setTimeout(() => { console.log('end'); process.exit(); }, 2000);"),
    ("node", "process.stdin.on('data', () => {}); process.stdin.pause(); console.log('ready'); setTimeout(() => { console.log('end'); process.exit(); }, 2000);"),
    ("node", "let n = 0; process.stdin.on('data', () => {}); console.log('ready'); setInterval(() => { if (++n == 20) { console.log('end'); process.exit(); } }, 100);"),
    ("bash", "echo ready; for i in {1..20}; do read -t 0.1 x; done; echo end"),
    ("bash", "echo ready; sleep 2 | cat; echo end"),
    ("perl", "$| = 1; print \"ready\\n\"; for (1 .. 20) { my $r = ''; vec($r, 0, 1) = 1; select($r, undef, undef, 0.1); } print \"end\\n\""),
    ("ruby", "require 'socket'; s = TCPServer.new('127.0.0.1', 0); $stdout.sync = true; puts 'ready'; IO.select([$stdin, s], nil, nil, 2); puts 'end'"),
];
/// Runs a program from a file until it ends or asks.
fn run(client: &Client, kernel: &KernelId, tool: &str, program: &str) -> Outcome {
    client
        .upload(kernel, &[("program", program.as_bytes())])
        .unwrap();
    let batch = Batch::new().with_exec(format!("{tool} program"));
    client.batch(kernel, batch).1
}

#[test]
fn programs_that_wait_for_many_files_are_asked() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let mut wrong = String::new();
    for (tool, program, before, after) in ASKED {
        if !need(tool) {
            continue;
        }
        let asked = run(&client, &kernel, tool, program);
        let outputs = (asked.asks(), &*asked.stdout, &*asked.stderr);
        if outputs != (Some(false), *before, "") {
            wrong += &format!("{program}: {outputs:?}\n");
        }
        let answered = client.input(&kernel, "line");
        let outputs = (answered.asks(), &*answered.stdout, &*answered.stderr);
        if outputs != (None, *after, "") {
            wrong += &format!("{program}: {outputs:?} after the answer\n");
            client.call(&Restart::new(kernel.clone())).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn servers_and_programs_that_only_look_are_not_asked() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    for (tool, program) in NOT_ASKED {
        if !need(tool) {
            continue;
        }
        let outcome = run(&client, &kernel, tool, program);
        assert_eq!(outcome.asks(), None, "{program}: {outcome:?}");
        assert_eq!(
            outcome.finished(),
            ("ready\nend\n".to_owned(), String::new()),
            "{program}"
        );
    }
}

/// How many processes have this in their environment.
fn marked(mark: &str) -> usize {
    running(&format!("MARK={mark}"))
}

#[test]
fn what_is_typed_after_the_wait_has_ended_is_for_the_next_reader() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let mut waits = vec!["read -t 1 x; x=$?"];
    if need("python3") {
        waits.push("x=$(python3 -c 'import select; print(select.select([0], [], [], 1)[0])')");
    }
    if need("perl") {
        waits.push(r#"x=$(perl -e 'vec($r, 0, 1) = 1; print scalar select($r, undef, undef, 1)')"#);
    }
    for (number, wait) in waits.into_iter().enumerate() {
        let mark = format!("late-{}-{number}", std::process::id());
        let asked = client.run(&kernel, &format!("{wait}; MARK={mark} cat; echo \"<$x>\""));
        assert_eq!(asked.asks(), Some(false), "{asked:?}");
        wait_until("the program keeps running", || marked(&mark) > 0);
        let read = client.input(&kernel, "late");
        assert_eq!((read.asks(), &*read.stdout), (Some(false), "late\n"));
        let (stdout, _) = client.input(&kernel, "\u{4}").finished();
        assert!(
            matches!(&*stdout, "<142>\n" | "<[]>\n" | "<0>\n"),
            "{stdout:?}"
        );
        assert_eq!(client.run(&kernel, "echo next").finished().0, "next\n");
    }
}

#[test]
fn what_is_typed_after_the_program_has_ended_is_lost_and_never_run() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    for number in 0..3 {
        let mark = format!("ended-{}-{number}", std::process::id());
        let code = format!("MARK={mark} bash -c 'read -t 1 x; echo \"<$x>\"'");
        let asked = client.run(&kernel, &code);
        assert_eq!(asked.asks(), Some(false), "{asked:?}");
        wait_until("the program ends", || marked(&mark) == 0);
        let ended = client.input(&kernel, "echo never").finished();
        assert_eq!(ended, ("<>\n".to_owned(), String::new()));
        let asked = client.run(&kernel, "read x; echo \"<$x>\"");
        assert_eq!(asked.asks(), Some(false), "{asked:?}");
        assert_eq!(client.input(&kernel, "own").finished().0, "<own>\n");
    }
}

#[test]
fn the_time_of_a_program_that_has_gone_on_counts() {
    let gateway = gateway_with(|config| config.with_exec_timeout(Duration::from_secs(2)));
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let mark = format!("clock-{}", std::process::id());
    let code = format!("MARK={mark} bash -c 'read -t 1 x; while :; do sleep 0.1; done'");
    let asked = client.run(&kernel, &code);
    assert_eq!(asked.asks(), Some(false), "{asked:?}");
    wait_until("the program is stopped", || marked(&mark) == 0);
    let stopped = client.input(&kernel, "late");
    assert_eq!(stopped.status, Some(ExecutionStatus::ExecTimeout));
}

/// Looks whether a program still waits, by no bytes of input.
fn look(client: &Client, kernel: &KernelId) -> Outcome {
    let start = Execute::start(kernel.clone(), ExecuteMode::query(""));
    let next = start.proceed(Continuation::InputBytes(Vec::new()));
    let first = client.call(&next).unwrap();
    client.finish(&start, first)
}

#[test]
fn clients_see_that_a_program_has_gone_on_without_input() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let mut programs = vec!["read -t 2 -p 'p: ' x; echo \"<$x>\""];
    if need("python3") {
        programs.push("printf 'p: '; python3 -c 'import select; print(\"<\" + str(select.select([0], [], [], 2)[0] or \"\") + \">\")'");
    }
    if need("perl") {
        programs.push(r#"printf 'p: '; perl -e 'vec($r, 0, 1) = 1; print "<", select($r, undef, undef, 2) || "", ">\n"'"#);
    }
    for program in programs {
        let mut asked = client.run(&kernel, program);
        assert_eq!(asked.stdout.clone() + &asked.stderr, "p: ", "{program}");
        let (mut looks, mut stdout) = (0, String::new());
        while asked.last.as_ref().unwrap().status == ExecutionStatus::WaitingInput {
            assert!(asked.last.unwrap().may_go_on(), "{program}");
            asked = look(&client, &kernel);
            looks += 1;
            stdout += &asked.stdout;
        }
        assert!(looks > 1, "{program}");
        asked.finished();
        assert_eq!(stdout, "<>\n", "{program}");
        // Looking is no answer.
        let asked = client.run(&kernel, "read -t 20 x; echo \"<$x>\"");
        assert!(asked.last.unwrap().may_go_on());
        assert_eq!(look(&client, &kernel).asks(), Some(false));
        assert_eq!(client.input(&kernel, "own").finished().0, "<own>\n");
        let asked = client.run(&kernel, "read x; echo \"<$x>\"");
        assert!(!asked.last.unwrap().may_go_on());
        assert_eq!(client.input(&kernel, "own").finished().0, "<own>\n");
    }
}
