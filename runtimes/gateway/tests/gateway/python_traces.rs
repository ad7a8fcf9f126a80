//! Tracebacks and sources of python3 kernels.

use crate::common::{Client, gateway};

#[test]
fn classes_and_functions_of_snippets_have_sources() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let early = "class Early:\n    x = 1\n\nclass Twice:\n    old = 1\n";
    client.run(&kernel, early).finished();
    let code = "import dataclasses, enum, inspect\n\
        @dataclasses.dataclass\n\
        class Point:\n    x: int = 0\n\
        class Outer:\n    class Inner:\n        y = 2\n    def method(self):\n        return 3\n\
        class Color(enum.Enum):\n    RED = 1\n\
        class Twice:\n    new = 2\n\
        def function():\n    return Outer\n\
        def show(*things):\n    for thing in things: print(inspect.getsource(thing), end='--\\n')\n";
    assert_eq!(client.run(&kernel, code).finished().1, "");
    let rows = [
        ("Early", "class Early:\n    x = 1\n"),
        (
            "Point",
            "@dataclasses.dataclass\nclass Point:\n    x: int = 0\n",
        ),
        ("Outer.Inner", "    class Inner:\n        y = 2\n"),
        ("Outer.method", "    def method(self):\n        return 3\n"),
        ("Color", "class Color(enum.Enum):\n    RED = 1\n"),
        ("Twice", "class Twice:\n    new = 2\n"),
        ("function", "def function():\n    return Outer\n"),
        (
            "function()",
            "class Outer:\n    class Inner:\n        y = 2\n    def method(self):\n        return 3\n",
        ),
    ];
    for (name, source) in rows {
        let finished = client.run(&kernel, &format!("show({name})")).finished();
        assert_eq!(finished, (format!("{source}--\n"), String::new()), "{name}");
    }
    // What has none is as before.
    let code = "for kind in int, type('Made', (), {}):\n    try: inspect.getsource(kind)\n    except (OSError, TypeError) as e: print(type(e).__name__)";
    let (stdout, _) = client.run(&kernel, code).finished();
    assert_eq!(stdout, "TypeError\nOSError\n");
}

#[test]
fn tracebacks_name_no_file_of_the_runner() {
    let gateway = gateway();
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let programs = [
        "import getpass\ngetpass.getpass()",
        "import getpass, traceback\ntry: getpass.getpass()\nexcept EOFError: traceback.print_exc()\nraise SystemExit(1)",
        "import getpass, threading\nt = threading.Thread(target=getpass.getpass); t.start(); t.join()\nraise SystemExit(1)",
        "input()",
        "import sys\nsys.stdin.read(1) or input()",
        "import signal, threading, os\ndef ring(*_): raise TimeoutError\nsignal.signal(signal.SIGALRM, ring)\nsignal.setitimer(signal.ITIMER_REAL, .01)\nwhile True: print('x', end='')",
        "import sys\nsys.stdout.buffer.write(object())",
        "import sorna_kernel\nsorna_kernel.media('none', b'')",
        "import warnings\nwarnings.simplefilter('always')\nopen('/dev/null')\nraise KeyError",
        "import asyncio\nasync def f(): raise KeyError\nasync def g():\n    async with asyncio.timeout(1): await f()\nawait g()",
        "def f(:",
    ];
    for program in programs {
        let mut outcome = client.run(&kernel, program);
        let mut stderr = outcome.stderr.clone();
        while outcome.asks().is_some() {
            // The end of input.
            outcome = client.input(&kernel, "\u{4}");
            stderr += &outcome.stderr;
        }
        assert_eq!(outcome.exit_code(), Some(1), "{program}: {stderr}");
        assert!(!stderr.contains("runners/"), "{program}: {stderr}");
        if !program.ends_with("SystemExit(1)") {
            assert!(stderr.contains("  File \"<input-"), "{program}: {stderr}");
        }
    }
}
