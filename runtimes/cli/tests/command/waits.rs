//! Programs that wait for input and go on without it, or look for it from time to time.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use crate::support::{check_output, here, sorna, write};
use sorna_test_tools::need;

/// A language, its tool, the name of a file, a program that ends although nothing is typed while it reads, and what comes of
/// it: its exit code, standard output and standard error.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    (i32, &'static str, &'static str),
);

#[rustfmt::skip]
const GOES_ON: &[Row] = &[
    ("python3", "python3", "a.py", "import threading, os, time\ndef end():\n    time.sleep(1); print('gone', flush=True); os._exit(5)\nthreading.Thread(target=end).start()\ninput('q? ')", (5, "q? gone\n", "")),
    ("python3", "python3", "a.py", "import signal\ndef late(*_): raise TimeoutError('late')\nsignal.signal(signal.SIGALRM, late); signal.alarm(1)\ntry: input('q? ')\nexcept TimeoutError as error: print(error)", (0, "q? late\n", "")),
    ("python3", "python3", "a.py", "import asyncio, os\nasync def main():\n    try: await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, input), 1)\n    except asyncio.TimeoutError: print('late', flush=True); os._exit(3)\nasyncio.run(main())", (3, "late\n", "")),
    ("python3", "python3", "a.py", "import getpass, threading, os, time\ndef end():\n    time.sleep(1); print('gone', flush=True); os._exit(5)\nthreading.Thread(target=end).start()\ngetpass.getpass('', open('/dev/null', 'w'))", (5, "gone\n", "")),
    ("bash", "bash", "a.sh", "(sleep 1; kill $$) & read -p 'q? ' x; echo no", (143, "", "Terminated\n")),
    ("bash", "bash", "a.sh", "trap 'echo gone; exit 4' USR1; (sleep 1; kill -USR1 $$) & read -sp 'q? ' x; echo no", (4, "gone\n", "")),
    ("bash", "bash", "a.sh", "timeout 1 cat; echo $?", (0, "124\n", "")),
    ("perl", "perl", "a.pl", "$| = 1; $SIG{ALRM} = sub { print \"late\\n\"; exit 4 }; alarm 1; my $x = <STDIN>; print 'no'", (4, "late\n", "")),
    ("perl", "perl", "a.pl", "eval { local $SIG{ALRM} = sub { die \"late\\n\" }; alarm 1; my $x = <STDIN>; alarm 0 }; print \"got $@\"", (0, "got late\n", "")),
    ("ruby", "ruby", "a.rb", "require 'timeout'\nbegin; Timeout.timeout(1) { gets }; rescue Timeout::Error; puts 'late'; end", (0, "late\n", "")),
    ("nodejs", "node", "a.js", "const rl = require('readline').createInterface({ input: process.stdin, output: process.stdout }); rl.question('q? ', () => {}); setTimeout(() => { console.log('late'); rl.close(); }, 1000)", (0, "q? late\n", "")),
    ("nodejs", "node", "a.js", "process.stdin.on('data', () => {}); setTimeout(() => { console.log('late'); process.exit(2); }, 1000)", (2, "late\n", "")),
    ("nodejs", "node", "a.js", "process.stdin.resume(); setTimeout(() => { console.log('late'); process.stdin.destroy(); }, 1000)", (0, "late\n", "")),
    ("ruby", "ruby", "a.rb", "Thread.new { sleep 1; puts 'gone'; $stdout.flush; exit! 3 }; gets", (3, "gone\n", "")),
];

/// `sorna` with a pipe as its standard input that is open and empty.
fn run_with_open_pipe(
    arguments: &[&str],
    program: Option<(&str, &str)>,
) -> snapbox::cmd::OutputAssert {
    let directory = here();
    if let Some((name, program)) = program {
        write(directory.path(), &[(name, program)]);
    }
    let mut command = sorna(directory.path());
    command
        .args(["run", "--local", "-q"])
        .args(arguments)
        .stdin(Stdio::piped());
    let mut child = command.spawn().expect("sorna runs");
    let stdin = child.stdin.take();
    let output = child.wait_with_output().expect("it ends");
    drop(stdin);
    check_output(output)
}

#[test]
fn programs_go_on_while_they_read_and_nothing_is_typed() {
    for (lang, tool, name, program, (code, stdout, stderr)) in GOES_ON {
        if !need(tool) {
            continue;
        }
        run_with_open_pipe(&[lang, "-c", program], None)
            .code(*code)
            .stdout_eq(*stdout)
            .stderr_eq(*stderr);
        run_with_open_pipe(&[lang, name], Some((name, program)))
            .code(*code)
            .stdout_eq(*stdout)
            .stderr_eq(*stderr);
    }
}

#[test]
fn what_is_shown_while_a_program_reads_is_seen_before_anything_is_typed() {
    let programs = [
        (
            "python3",
            "import threading\nthreading.Timer(1, print, ['seen'], {'flush': True}).start()\nprint(input())",
        ),
        ("bash", "(sleep 1; echo seen) & read x; echo $x"),
        ("bash", "(sleep 1; echo seen) & cat"),
    ];
    for (lang, code) in programs {
        if !need(lang) {
            continue;
        }
        let directory = here();
        let mut command = sorna(directory.path());
        command
            .args(["run", "--local", "-q", lang, "-c", code])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("sorna runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        let mut shown = [0; 5];
        let stdout = child.stdout.as_mut().expect("a pipe");
        stdout.read_exact(&mut shown).expect("it is shown");
        assert_eq!(&shown, b"seen\n");
        stdin.write_all(b"line\n").expect("it reads");
        drop(stdin);
        check_output(child.wait_with_output().expect("it ends"))
            .success()
            .stdout_eq("line\n");
    }
}

#[test]
fn what_is_typed_after_a_wait_has_ended_is_read_by_the_next_statement() {
    let programs = [
        "import select, sys; print(len(select.select([sys.stdin], [], [], 1)[0]), flush=True); print(input('next: '))",
        "import select, sys; print(len(select.select([sys.stdin], [], [], 1)[0]), flush=True); print('next:', sys.stdin.readline(), end='')",
        "import select, sys, os; print(len(select.select([sys.stdin], [], [], 1)[0]), flush=True); print('next:', os.read(0, 9).decode(), end='')",
        "import signal\ndef late(*_): raise TimeoutError\nsignal.signal(signal.SIGALRM, late); signal.alarm(1)\ntry: input()\nexcept TimeoutError: print(0, flush=True)\nprint('next:', input())",
    ];
    if !need("python3") {
        return;
    }
    for code in programs {
        let directory = here();
        let mut command = sorna(directory.path());
        command
            .args(["run", "--local", "-q", "python3", "-c", code])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("sorna runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        let mut shown = [0; 2];
        let stdout = child.stdout.as_mut().expect("a pipe");
        stdout.read_exact(&mut shown).expect("it goes on");
        assert_eq!(&shown, b"0\n", "{code}");
        stdin.write_all(b"yes\n").expect("it reads");
        // Open: the end of the input would end a wait, too.
        let output = child.wait_with_output().expect("it ends");
        drop(stdin);
        check_output(output).success().stdout_eq("next: yes\n");
    }
}

/// Programs that wait for less than a second each time, until there is something.
#[rustfmt::skip]
const GLANCES: &[(&str, &str, &str, &str)] = &[
    ("nodejs", "node", "a.js", "setInterval(() => {}, 300); process.stdin.on('data', (data) => { console.log(`<${String(data).trim()}>`); process.exit(); })"),
    ("python3", "python3", "a.py", "import select, sys\nwhile not select.select([sys.stdin], [], [], .5)[0]: pass\nprint('<%s>' % sys.stdin.readline().strip())"),
    ("python3", "python3", "a.py", "import asyncio, sys\nasync def tick():\n    while True: await asyncio.sleep(.3)\nasync def main():\n    loop = asyncio.get_running_loop(); line = loop.create_future()\n    loop.add_reader(0, lambda: line.done() or line.set_result(sys.stdin.readline()))\n    ticking = loop.create_task(tick())\n    print('<%s>' % (await line).strip())\nasyncio.run(main())"),
    ("bash", "bash", "a.sh", "until read -t 0.5 x; do :; done; echo \"<$x>\""),
    ("perl", "perl", "a.pl", "vec($r, 0, 1) = 1; 1 until select($s = $r, undef, undef, 0.4); chomp($x = <STDIN>); print \"<$x>\\n\""),
];

#[test]
fn programs_that_look_for_input_again_and_again_get_it() {
    for (lang, tool, name, program) in GLANCES {
        if !need(tool) {
            continue;
        }
        for in_file in [false, true] {
            let directory = here();
            write(directory.path(), &[(name, program)]);
            let mut command = sorna(directory.path());
            command.args(["run", "--local", "-q", lang]);
            match in_file {
                true => command.arg(name),
                false => command.args(["-c", program]),
            };
            let mut child = command.stdin(Stdio::piped()).spawn().expect("sorna runs");
            let mut stdin = child.stdin.take().expect("a pipe");
            stdin.write_all(b"q\n").expect("it reads");
            let output = child.wait_with_output().expect("it ends");
            drop(stdin);
            check_output(output)
                .success()
                .stdout_eq("<q>\n")
                .stderr_eq("");
        }
    }
}

#[test]
fn what_prints_all_the_time_and_looks_for_input_is_shown_meanwhile() {
    let programs = [
        (
            "python3",
            "python3",
            "import select, sys\nwhile not select.select([sys.stdin], [], [], .1)[0]: print('tick', flush=True)\nprint(input())",
        ),
        (
            "nodejs",
            "node",
            "setInterval(() => console.log('tick'), 100); process.stdin.on('data', (data) => { console.log(String(data).trim()); process.exit(); })",
        ),
        (
            "bash",
            "bash",
            "until read -t 0.1 x; do echo tick; done; echo $x",
        ),
    ];
    for (lang, tool, code) in programs {
        if !need(tool) {
            continue;
        }
        let directory = here();
        let mut command = sorna(directory.path());
        command
            .args(["run", "--local", "-q", lang, "-c", code])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("sorna runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // Most of them after it was noticed that it waits.
        for _ in 0..40 {
            let line = lines.next().expect("it ticks").expect("it is text");
            assert_eq!(line, "tick");
        }
        stdin.write_all(b"stop\n").expect("it reads");
        let rest: Vec<String> = lines.map(|line| line.expect("it is text")).collect();
        drop(stdin);
        assert_eq!(rest.last().map(String::as_str), Some("stop"), "{code}");
        check_output(child.wait_with_output().expect("it ends")).success();
    }
}

#[test]
fn servers_and_programs_whose_input_has_ended_are_left_alone() {
    let programs = [
        // The end comes once, and does not end the program, however often it looks.
        "import select, sys, time\nends = 0\nbegin = time.monotonic()\nwhile time.monotonic() - begin < 5:\n    if select.select([sys.stdin], [], [], .1)[0]: ends = not sys.stdin.readline(); time.sleep(.2)\nprint('end', ends)",
        "import select, sys, time\nends = 0\nbegin = time.monotonic()\nwhile time.monotonic() - begin < 5:\n    if select.select([sys.stdin], [], [], .3)[0]: ends = not sys.stdin.readline(); time.sleep(.2)\nprint('end', ends)",
        "import select, socket, sys, time\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\nends = True\nbegin = time.monotonic()\nwhile time.monotonic() - begin < 3:\n    if select.select([sys.stdin, s], [], [], .1)[0]: ends = False; break\nprint('end', ends)",
    ];
    if !need("python3") {
        return;
    }
    for code in programs {
        let directory = here();
        let mut command = sorna(directory.path());
        command
            .args(["run", "--local", "-q", "python3", "-c", code])
            .stdin(Stdio::null());
        check_output(command.output().expect("sorna runs"))
            .success()
            .stdout_eq("end True\n")
            .stderr_eq("");
    }
}
