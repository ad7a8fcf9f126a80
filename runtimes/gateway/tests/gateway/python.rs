//! python3 kernels, over a real socket.

use crate::common::{Client, gateway};
use sorna_core::Record;

#[test]
fn state_is_kept_between_queries() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let first = client.run(&kernel, "x = 20\ndef f(): return x + 1");
    assert_eq!(first.exit_code(), Some(0));
    assert_eq!(first.finished(), (String::new(), String::new()));
    let (stdout, _) = client.run(&kernel, "x *= 2\nprint(f())").finished();
    assert_eq!(stdout, "41\n");
    let (stdout, _) = client.run(&kernel, "1 + 1").finished();
    assert_eq!(stdout, "", "the last value is not shown");
}

#[test]
fn the_namespace_holds_only_names_of_the_user() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python");
    let (stdout, stderr) = client
        .run(
            &kernel,
            "print(__name__, sorted(n for n in dir() if not n.startswith('__')))\n\
             import sys, os, __main__\n\
             __main__.y = 3\n\
             print(y, sys.argv, sys.stdin.fileno(), os.path.basename(os.getcwd()))\n\
             print(os.environ['HOME'] == os.getcwd(), sys.path[0] == '')\n\
             import pickle\n\
             class C: pass\n\
             print(type(pickle.loads(pickle.dumps(C()))) is C)",
        )
        .finished();
    assert_eq!(stderr, "");
    assert_eq!(stdout, "__main__ []\n3 [''] 0 work\nTrue True\nTrue\n");
}

#[test]
fn input_and_passwords_are_asked_for() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let asked = client.run(&kernel, "name = input('name? ')\nprint('hi', name)");
    assert_eq!(
        (asked.asks(), asked.stdout.as_str()),
        (Some(false), "name? ")
    );
    // With and without a line end.
    assert_eq!(client.input(&kernel, "Bob").finished().0, "hi Bob\n");
    client.run(&kernel, "print(repr(input()))");
    assert_eq!(client.input(&kernel, "é 😀\n").finished().0, "'é 😀'\n");
    client.run(&kernel, "print(repr(input()))");
    assert_eq!(client.input(&kernel, "").finished().0, "''\n");

    let asked = client.run(
        &kernel,
        "import getpass\nprint(getpass.getpass('pw: ')[::-1])",
    );
    assert_eq!((asked.asks(), asked.stderr.as_str()), (Some(true), "pw: "));
    assert_eq!(client.input(&kernel, "secret").finished().0, "terces\n");
}

#[test]
fn every_way_to_read_standard_input_asks() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let asked = client.run(&kernel, "import sys\nprint(repr(sys.stdin.readline()))");
    assert_eq!(asked.asks(), Some(false));
    assert_eq!(client.input(&kernel, "a").finished().0, "'a\\n'\n");
    client.run(&kernel, "print(repr(sys.stdin.read()))");
    assert_eq!(client.input(&kernel, "all\nof").asks(), Some(false));
    assert_eq!(client.input(&kernel, "it\n").asks(), Some(false));
    assert_eq!(
        client.input(&kernel, "\u{4}").finished().0,
        "'all\\nof\\nit\\n'\n"
    );
    client.run(
        &kernel,
        "print(sys.stdin.readlines(), sys.stdin.buffer.read())",
    );
    assert_eq!(client.input(&kernel, "1").asks(), Some(false));
    assert_eq!(client.input(&kernel, "\u{4}").asks(), Some(false));
    assert_eq!(client.input(&kernel, "2").asks(), Some(false));
    assert_eq!(
        client.input(&kernel, "\u{4}").finished().0,
        "['1\\n'] b'2\\n'\n"
    );
    client.run(&kernel, "for line in sys.stdin: print('>', line, end='')");
    assert_eq!(client.input(&kernel, "1").stdout, "> 1\n");
    let ended = client.input(&kernel, "\u{4}");
    assert_eq!(ended.finished(), (String::new(), String::new()));
    client.run(&kernel, "input()");
    let (_, stderr) = client.input(&kernel, "\u{4}").finished();
    assert!(
        stderr.ends_with("EOFError: EOF when reading a line\n"),
        "{stderr}"
    );

    // Programs that it starts.
    let asked = client.run(
        &kernel,
        "import subprocess\nsubprocess.run(['sh', '-c', 'echo ask; read x; echo got $x'])\nprint('end')",
    );
    assert_eq!(
        (asked.asks(), asked.stdout.as_str()),
        (Some(false), "ask\n")
    );
    assert_eq!(client.input(&kernel, "it").finished().0, "got it\nend\n");
}

#[test]
fn exceptions_are_shown_and_the_kernel_survives() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let outcome = client.run(
        &kernel,
        "kept = 1\ndef f():\n    raise ValueError('no')\nf()",
    );
    assert_eq!(outcome.exit_code(), Some(1));
    let (stdout, stderr) = outcome.finished();
    assert_eq!(stdout, "");
    assert!(
        stderr.starts_with("Traceback (most recent call last):\n"),
        "{stderr}"
    );
    assert!(stderr.contains("File \"<input-1>\", line 3, in f\n    raise ValueError('no')\n"));
    assert!(stderr.ends_with("ValueError: no\n"), "{stderr}");
    assert!(!stderr.contains("python3.py"), "{stderr}");

    let (_, stderr) = client.run(&kernel, "if").finished();
    assert!(stderr.contains("SyntaxError"), "{stderr}");
    assert!(!stderr.contains("python3.py"), "{stderr}");

    let outcome = client.run(&kernel, "import sys\nsys.exit(3)");
    assert_eq!(outcome.exit_code(), Some(3));
    let outcome = client.run(&kernel, "sys.exit('bye')");
    assert_eq!(
        (outcome.exit_code(), outcome.stderr.as_str()),
        (Some(1), "bye\n")
    );
    client.run(&kernel, "exit()").finished();
    client.run(&kernel, "print(kept, input('? '))");
    assert_eq!(client.input(&kernel, "x").finished().0, "1 x\n");
}

#[test]
fn the_streams_keep_the_programs_order() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import sys, os, subprocess\n\
        print('a'); print('b', file=sys.stderr); print('c')\n\
        subprocess.run('echo d; echo e >&2', shell=True)\n\
        print('f', end=''); os.system('echo g')\n\
        sys.stdout.buffer.write('ü'.encode()[:1]); sys.stdout.buffer.write('ü'.encode()[1:])\n\
        print(file=sys.stderr); print('h')\n";
    let console = client.console(&kernel, code);
    let records: Vec<String> = console
        .iter()
        .map(|record| match record {
            Record::Stdout(text) => format!("o{text}"),
            Record::Stderr(text) => format!("e{text}"),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        records,
        ["oa\n", "eb\n", "oc\nd\n", "ee\n", "ofg\nü", "e\n", "oh\n"]
    );
}

#[test]
fn output_of_forks_and_threads_and_odd_text_is_kept() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import os, sys\n\
        print('before', flush=False)\n\
        pid = os.fork()\n\
        if pid == 0:\n    print('child')\n\
        else:\n    os.waitpid(pid, 0)\n    print('parent')\n";
    assert_eq!(
        client.run(&kernel, code).finished().0,
        "before\nchild\nparent\n"
    );
    let code = "from multiprocessing import get_context\n\
        def work(n): print('work', n, flush=True); return n * n\n\
        with get_context('fork').Pool(1) as pool: print(pool.map(work, [2, 3]))\n";
    assert_eq!(
        client.run(&kernel, code).finished().0,
        "work 2\nwork 3\n[4, 9]\n"
    );
    let (stdout, _) = client
        .run(&kernel, "print('\\udcff', 'a\\0b', '😀')")
        .finished();
    // A byte, as in names of files, which this client does not take.
    assert_eq!(stdout, "\u{fffd} a\0b 😀\n");
    // As at home.
    let outcome = client.run(&kernel, "print('\\ud800')");
    assert_eq!(outcome.exit_code(), Some(1));
    let (stdout, stderr) = outcome.finished();
    assert_eq!(stdout, "");
    assert!(stderr.contains("UnicodeEncodeError"), "{stderr}");
    // What a thread prints after the end belongs to the next query.
    let code = "import threading, time\n\
        def late():\n    while not os.path.exists('go'): time.sleep(.01)\n    print('late', end='')\n\
        t = threading.Thread(target=late); t.start()\n\
        print('end')";
    assert_eq!(client.run(&kernel, code).finished().0, "end\n");
    client.upload(&kernel, &[("go", b"")]).unwrap();
    assert_eq!(client.run(&kernel, "t.join()").finished().0, "late");
}

#[test]
fn a_dead_interpreter_is_replaced() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "x = 1\nprint('last words')\nimport ctypes\nctypes.string_at(0)";
    let outcome = client.run(&kernel, code);
    assert_eq!(outcome.exit_code(), Some(139));
    let (stdout, stderr) = outcome.finished();
    assert_eq!(stdout, "last words\n");
    assert_eq!(stderr, "kernel process died with signal 11; restarted\n");
    let (_, stderr) = client.run(&kernel, "print(x)").finished();
    assert!(stderr.contains("NameError"), "{stderr}");
    let outcome = client.run(
        &kernel,
        "import os\nprint('a', end='', flush=True)\nos._exit(4)",
    );
    assert_eq!(
        (outcome.exit_code(), outcome.stdout.as_str()),
        (Some(4), "a")
    );
    assert_eq!(
        client.run(&kernel, "print('again')").finished().0,
        "again\n"
    );
}

#[test]
fn signal_handlers_may_raise_at_any_time() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import signal, threading, time, os\n\
        def ring(*_): raise TimeoutError('ring')\n\
        signal.signal(signal.SIGALRM, ring)\n\
        def alarm():\n    while not os.path.exists('go'): time.sleep(.01)\n    os.kill(os.getpid(), signal.SIGALRM)\n\
        threading.Thread(target=alarm).start()\n\
        try: input(os.getcwd())\n\
        except TimeoutError as e: print('gave up:', e); open('rang', 'w').close()\n\
        print(input('again? '))";
    let asked = client.run(&kernel, code);
    assert_eq!(asked.asks(), Some(false));
    client.upload(&kernel, &[("go", b"")]).unwrap();
    let rang = std::path::Path::new(&asked.stdout).join("rang");
    crate::common::wait_until("the signal arrives", || rang.exists());
    // The first request for input is over: this is typed ahead for the second, as at home.
    let (stdout, _) = client.input(&kernel, "late").finished();
    assert_eq!(stdout, "gave up: ring\nagain? late\n");

    // Between queries, the exception of a handler belongs to no snippet. On a busy machine it may come within one.
    let sets = |code| {
        let outcome = client.run(&kernel, code);
        let is_own = outcome.stderr.contains("TimeoutError: ring\n");
        assert!(outcome.exit_code() == Some(0) || is_own, "{outcome:?}");
    };
    sets("signal.setitimer(signal.ITIMER_REAL, .001)\nprint('set')");
    for _ in 0..50 {
        // Some of the signals arrive together with the next snippet.
        sets("signal.setitimer(signal.ITIMER_REAL, .001)");
    }
    // The last signal may still interrupt a snippet, as it could in any program.
    let calm = "signal.signal(signal.SIGALRM, signal.SIG_IGN)";
    while client.run(&kernel, calm).exit_code() != Some(0) {}
    // Hundreds of signals, at any point.
    let code = "rings = 0\n\
        def count(*_):\n    global rings\n    rings += 1\n    print('ring')\n    raise TimeoutError\n\
        signal.signal(signal.SIGALRM, count)\n\
        while rings < 300:\n    try:\n        signal.setitimer(signal.ITIMER_REAL, .0005)\n\
        \u{20}       while True: print('line')\n\
        \u{20}   except TimeoutError: pass\n\
        print('counted', rings)";
    let outcome = client.run(&kernel, code);
    assert!(outcome.stdout.contains("counted"), "{}", outcome.stderr);
    assert_eq!(client.run(&kernel, "print('fine')").finished().0, "fine\n");
}

#[test]
fn input_for_a_program_that_has_ended_is_never_run() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import threading, os, time\n\
        def late():\n    while not os.path.exists('go'): time.sleep(.01)\n    os._exit(3)\n\
        threading.Thread(target=late).start()\n\
        input(os.environ['SORNA_KERNEL_MARK'])";
    let asked = client.run(&kernel, code);
    assert_eq!(asked.asks(), Some(false));
    client.upload(&kernel, &[("go", b"")]).unwrap();
    crate::common::wait_until("the process ends", || {
        crate::common::running(&asked.stdout) == 0
    });
    // The line would print something if it were run as code.
    let outcome = client.input(&kernel, "print('run')");
    assert_eq!(outcome.exit_code(), Some(3));
    assert_eq!(outcome.finished(), (String::new(), String::new()));
}

#[test]
fn processes_can_be_started_in_other_ways() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    client
        .upload(&kernel, &[("work.py", b"def square(n): return n * n\n")])
        .unwrap();
    let code = "import work\nfrom multiprocessing import get_context\n\
        with get_context('spawn').Pool(1) as pool: print(pool.map(work.square, [2, 3]))\n";
    assert_eq!(client.run(&kernel, code).finished().0, "[4, 9]\n");
    let code = "import asyncio, threading, os\n\
        async def main():\n    p = await asyncio.create_subprocess_exec('echo', 'sub')\n    await p.wait()\n    print('async')\n\
        asyncio.run(main())\n\
        def forker():\n    pid = os.fork()\n    if pid == 0:\n        inner = os.fork()\n        if inner == 0: print('inner'); os._exit(0)\n        os.waitpid(inner, 0); print('outer'); os._exit(0)\n    os.waitpid(pid, 0)\n\
        t = threading.Thread(target=forker); t.start(); t.join()\n\
        print('end')";
    assert_eq!(
        client.run(&kernel, code).finished().0,
        "sub\nasync\ninner\nouter\nend\n"
    );
}

#[test]
fn records_keep_their_place_among_the_output() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let code = "import _sorna_runner as runner\n\
        print('a', end='')\n\
        runner.record('html', '<b>')\n\
        runner.record('media', ['image/svg+xml', 'x' * 100_000])\n\
        print('b', end='')";
    let console = client.console(&kernel, code);
    let records: Vec<Record<'_>> = console.iter().collect();
    assert_eq!(records[0], Record::Stdout("a".into()));
    assert_eq!(records[1], Record::Html("<b>".into()));
    assert!(matches!(&records[2], Record::Media(media) if media.content().len() == 100_000));
    assert_eq!(records[3], Record::Stdout("b".into()));
}

#[test]
fn long_lines_of_input_arrive_whole() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let line = "é".repeat(200_000);
    client.run(&kernel, "print(len(input()))");
    assert_eq!(client.input(&kernel, &line).finished().0, "200000\n");
    client.run(&kernel, "import os\nos.system('head -n 1 | wc -c')");
    assert_eq!(client.input(&kernel, &line).finished().0, "400001\n");
}

#[test]
fn modules_that_are_imported_later_know_the_sources_of_snippets() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let run = |code: &str| client.run(&kernel, code).finished().0;
    let early = "import sys\nprint(sorted({'json', 're', 'tokenize'} & set(sys.modules)))";
    let plain = "python3 -I -c \"import sys; \
        print(sorted({'json', 're', 'tokenize'} & set(sys.modules)))\"";
    let bash = client.create("bash");
    assert_eq!(
        run(early),
        client.run(&bash, plain).finished().0,
        "a kernel imports only what it needs"
    );
    run("def early():\n    return 1");
    let code = "def now():\n    return 2\nimport inspect\nprint(inspect.getsource(now), end='')\n\
        print(inspect.getsource(early), end='')";
    assert_eq!(
        run(code),
        "def now():\n    return 2\ndef early():\n    return 1\n"
    );
    let code = "import traceback\ntry:\n    1/0  # here\nexcept ZeroDivisionError:\n    \
        print('# here' in traceback.format_exc())";
    assert_eq!(run(code), "True\n");
}
