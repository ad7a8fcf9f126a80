//! `await` at the top level of snippets of python3 kernels.

use crate::common::{Client, gateway};
use sorna_core::Restart;

#[test]
fn snippets_await_at_their_top_level() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let rows = [
        (
            "import asyncio\nprint(await asyncio.sleep(0, 'slept'))",
            "slept\n",
        ),
        (
            "async def count():\n    for n in range(3):\n        await asyncio.sleep(0)\n        yield n\n\
             async for n in count(): print(n, end=' ')\n\
             print([n async for n in count() if await asyncio.sleep(0, n)])",
            "0 1 2 [1, 2]\n",
        ),
        (
            "class Door:\n    async def __aenter__(self): print('in')\n    async def __aexit__(self, *_): print('out')\n\
             async with Door(): print('inside')",
            "in\ninside\nout\n",
        ),
        (
            "print(sum(await asyncio.gather(*(asyncio.sleep(0, n) for n in range(4)))))",
            "6\n",
        ),
        (
            "p = await asyncio.create_subprocess_exec('echo', 'from a program')\nprint(await p.wait())",
            "from a program\n0\n",
        ),
        (
            "async def main(): return await asyncio.to_thread(sum, [1, 2])\nprint(asyncio.run(main()))",
            "3\n",
        ),
        ("def f(): return 4\nprint(f())", "4\n"),
    ];
    for (code, expected) in rows {
        let finished = client.run(&kernel, code).finished();
        assert_eq!(finished, (expected.to_owned(), String::new()), "{code}");
    }
}

#[test]
fn tasks_outlive_their_snippet_until_the_interpreter_ends() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let run = |code: &str| client.run(&kernel, code).finished();
    run("import asyncio\n\
         started = asyncio.Event()\n\
         async def work():\n    await started.wait()\n    print('works')\n    return 42\n\
         task = asyncio.create_task(work()) if await asyncio.sleep(0, True) else None");
    // In between, other loops come and go.
    assert_eq!(run("asyncio.run(asyncio.sleep(0))").1, "");
    // It goes on at once, and may print before that is over, or after it.
    let first = run("print(task.done())\nstarted.set()").0;
    let second = run("print(await task)").0;
    assert_eq!(first + &second, "False\nworks\n42\n");
    let code = "import pathlib\n\
        async def leave():\n    try: await asyncio.sleep(1000)\n    finally: pathlib.Path('left').write_text('left')\n\
        task = asyncio.create_task(leave())\nawait asyncio.sleep(0)\n\
        pass";
    assert_eq!(run(code).1, "");
    client.call(&Restart::new(kernel.clone())).unwrap();
    assert_eq!(run("print(open('left').read())").0, "left\n");
}

#[test]
fn what_is_raised_is_shown_without_the_loop() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let rows = [
        (
            "import asyncio\nawait asyncio.sleep(0)\n1 / 0",
            1,
            "Traceback (most recent call last):\n  File \"<input-1>\", line 3, in <module>\n",
            "ZeroDivisionError: division by zero\n",
        ),
        (
            "async def deep(): raise KeyError('x')\nawait deep()",
            1,
            "Traceback (most recent call last):\n  File \"<input-2>\", line 2, in <module>\n",
            "KeyError: 'x'\n",
        ),
        ("await asyncio.sleep(0)\nraise SystemExit(7)", 7, "", ""),
        (
            "def f():\n    await asyncio.sleep(0)",
            1,
            "  File \"<input-4>\", line 2\n",
            "SyntaxError: 'await' outside async function\n",
        ),
    ];
    for (code, exit_code, begin, end) in rows {
        let outcome = client.run(&kernel, code);
        assert_eq!(outcome.exit_code(), Some(exit_code), "{code}");
        let (_, stderr) = outcome.finished();
        assert!(
            stderr.starts_with(begin) && stderr.ends_with(end),
            "{code}: {stderr}"
        );
        assert!(
            !stderr.contains("asyncio/") && !stderr.contains("sorna"),
            "{stderr}"
        );
    }
}

#[test]
fn an_interrupt_ends_what_awaits() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let interrupt = "import asyncio, os, signal, threading\n\
        def ring(): os.kill(os.getpid(), signal.SIGINT)\n\
        asyncio.get_running_loop().call_later(.05, threading.Thread(target=ring).start)\n";
    let waits = [
        "try: await asyncio.sleep(1000)\nfinally:\n    await asyncio.sleep(0)\n    print('cleaned up')",
        "try:\n    await asyncio.sleep(.1)\n    while True: pass\nfinally: print('cleaned up')",
        "try:\n    async with asyncio.Lock():\n        await asyncio.gather(asyncio.sleep(1000), asyncio.Event().wait())\n\
         finally: print('cleaned up')",
    ];
    for wait in waits {
        let outcome = client.run(&kernel, &format!("{interrupt}{wait}"));
        assert_eq!(outcome.exit_code(), Some(130), "{wait}");
        let (stdout, stderr) = outcome.finished();
        assert_eq!(stdout, "cleaned up\n", "{wait}: {stderr}");
        assert!(stderr.ends_with("KeyboardInterrupt\n"), "{wait}: {stderr}");
        assert!(stderr.contains("<input-"), "{wait}: {stderr}");
        assert!(!stderr.contains("sorna"), "{wait}: {stderr}");
    }
    assert_eq!(
        client
            .run(&kernel, "print(await asyncio.sleep(0, 'fine'))")
            .finished(),
        ("fine\n".to_owned(), String::new())
    );
}

/// In a kernel that is kept, threads outlive their snippet, and nothing that they print is lost.
#[test]
fn what_threads_print_after_a_snippet_is_shown_with_the_next() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let programs = [
        "import threading\ndef late():\n    go.wait(); print('late')\ngo = threading.Event()\nt = threading.Thread(target=late); t.start()\nend = t.join",
        "import threading\nfrom concurrent.futures import ThreadPoolExecutor\ngo = threading.Event()\ndone = ThreadPoolExecutor(1).submit(lambda: (go.wait(), print('late')))\nend = done.result",
        "import threading\ngo = threading.Event()\nt = threading.Timer(0, lambda: (go.wait(), print('late', end='')))\nt.start()\nend = t.join",
    ];
    for program in programs {
        let kernel = client.create("python3");
        let code = format!("{program}\nprint('main')");
        assert_eq!(client.run(&kernel, &code).finished().0, "main\n");
        // It prints when no snippet runs, which is known by a file.
        let code = "import pathlib\n\
            def signal():\n    while not pathlib.Path('now').exists(): pass\n    go.set(); end(); pathlib.Path('ended').touch()\n\
            threading.Thread(target=signal).start(); print(pathlib.Path.cwd())";
        let (work, _) = client.run(&kernel, code).finished();
        client.upload(&kernel, &[("now", b"")]).unwrap();
        let ended = std::path::Path::new(work.trim()).join("ended");
        crate::common::wait_until("the thread ends", || ended.exists());
        let (stdout, stderr) = client.run(&kernel, "print('next')").finished();
        assert_eq!(
            stdout.replace("late\n", "late"),
            "latenext\n",
            "{program}: {stderr}"
        );
    }
}
