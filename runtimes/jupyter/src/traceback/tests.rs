//! Tracebacks as interpreters write them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::python::{CONNECTIONS, HEADER};
use super::*;

fn parts(family: Family, text: &str) -> (String, String, String) {
    let found = family.find(text).unwrap_or_else(|| panic!("{text}"));
    let before = text[..found.start].to_owned();
    (before, found.failure.name, found.failure.value)
}

fn is(family: Family, text: &str, before: &str, name: &str, value: &str) {
    let expected = (before.to_owned(), name.to_owned(), value.to_owned());
    assert_eq!(parts(family, text), expected, "{text}");
}

const PLAIN: &str = "Traceback (most recent call last):\n  File \"<input-1>\", line 1, in <module>\n    1/0\n    ~^~\nZeroDivisionError: division by zero\n";

#[test]
fn what_a_compiler_says_first_is_the_message() {
    let text = "a.c: In function 'main':\na.c:1:5: error: no x\n  1 | x\n    | ^\n";
    let failure = Family::Other.of_exit(text, 1).failure;
    assert_eq!(failure.value, "1: a.c:1:5: error: no x");
    assert_eq!(failure.traceback.len(), 4);
    assert_eq!(telling("one\ntwo \n\n"), "two");
}

#[test]
fn errors_of_python() {
    is(
        Family::Python,
        PLAIN,
        "",
        "ZeroDivisionError",
        "division by zero",
    );
    let warned = format!("a warning\n{PLAIN}");
    is(
        Family::Python,
        &warned,
        "a warning\n",
        "ZeroDivisionError",
        "division by zero",
    );
    let all = Family::Python.find(&warned).unwrap().failure.traceback;
    assert_eq!(all.first().unwrap(), HEADER);
    assert_eq!(all.last().unwrap(), "ZeroDivisionError: division by zero");
    let long = "Traceback (most recent call last):\n  File \"x\", line 1\njson.decoder.JSONDecodeError: a: b\nc\n\nd\n";
    is(Family::Python, long, "", "JSONDecodeError", "a: b\nc\n\nd");
    let bare = "Traceback (most recent call last):\n  File \"x\", line 1\nKeyboardInterrupt\n";
    is(Family::Python, bare, "", "KeyboardInterrupt", "");
    let local =
        "Traceback (most recent call last):\n  File \"x\", line 1\n__main__.f.<locals>.E: x\n";
    is(Family::Python, local, "", "E", "x");
}

#[test]
fn errors_of_syntax_have_no_header() {
    let text = "hm\n  File \"<input-1>\", line 1\n    x = (\n        ^\nSyntaxError: '(' was never closed\n";
    is(
        Family::Python,
        text,
        "hm\n",
        "SyntaxError",
        "'(' was never closed",
    );
    let after = format!("{PLAIN}{}", &text[3..]);
    is(
        Family::Python,
        &after,
        PLAIN,
        "SyntaxError",
        "'(' was never closed",
    );
    // One of an import has.
    let imported = "Traceback (most recent call last):\n  File \"<input-1>\", line 1, in <module>\n    import m\n  File \"m.py\", line 1\n    x = (\n        ^\nSyntaxError: '(' was never closed\n";
    is(
        Family::Python,
        imported,
        "",
        "SyntaxError",
        "'(' was never closed",
    );
}

/// Of a manager of Backend.AI 23.09.10, and one of 26.9.6.
const COLORED: [&str; 2] = [
    "\x1b[0;31m---------------------------------------------------------------------------\x1b[0m\n\x1b[0;31mZeroDivisionError\x1b[0m                         Traceback (most recent call last)\nCell \x1b[0;32mIn[4], line 1\x1b[0m\n\x1b[0;32m----> 1\x1b[0m \x1b[38;5;241;43m1\x1b[39;49m\x1b[38;5;241;43m/\x1b[39;49m\x1b[38;5;241;43m0\x1b[39;49m\n\n\x1b[0;31mZeroDivisionError\x1b[0m: division by zero",
    "\x1b[31m---------------------------------------------------------------------------\x1b[39m\n\x1b[31mZeroDivisionError\x1b[39m                         Traceback (most recent call last)\n\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[13]\x1b[39m\x1b[32m, line 1\x1b[39m\n\x1b[32m----> \x1b[39m\x1b[32m1\x1b[39m \x1b[32m1\x1b[39m/\x1b[32m0\x1b[39m\n\n\x1b[31mZeroDivisionError\x1b[39m: division by zero",
];

#[test]
fn errors_of_ipython_have_colors() {
    let python = Family::Python;
    for text in COLORED {
        let (name, value) = ("ZeroDivisionError", "division by zero");
        is(python, text, "", name, value);
        let warned = format!("a warning\n{text}");
        is(python, &warned, "a warning\n", name, value);
        assert!(text.lines().take(2).all(|line| python.begins(line)));
        let shown = python.find(text).unwrap().failure.traceback;
        assert_eq!(shown.join("\n"), text);
        // It led to another one.
        let name = "json.decoder.JSONDecodeError";
        let text = format!(
            "{text}\n\n{}\n\n\x1b[0;31mKeyError\x1b[0m      Traceback (most recent call last)\nCell In[1], line 2\n----> 2 x\n\nKeyError: '{name}: x'\n\ny",
            CONNECTIONS[0]
        );
        is(python, &text, "", "KeyError", &format!("'{name}: x'\n\ny"));
    }
    let syntax = "hm\n  \x1b[96mCell\x1b[39m\x1b[96m \x1b[39m\x1b[32mIn[1]\x1b[39m\x1b[32m, line 1\x1b[39m\n\x1b[33m    x = (\x1b[39m\n         ^\n\x1b[91mSyntaxError\x1b[39m\x1b[91m:\x1b[39m incomplete input\n";
    is(python, syntax, "hm\n", "SyntaxError", "incomplete input");
    let bare = "KeyboardInterrupt     Traceback (most recent call last)\nCell In[1], line 1\n\nKeyboardInterrupt: \n";
    is(python, bare, "", "KeyboardInterrupt", "");
    for text in [
        "--------------------\n",
        "\x1b[31mKeyError\x1b[39m  Traceback (most recent call last)\nCell In[1], line 1\n",
        "Cell In[1], line 1\n",
    ] {
        assert_eq!(python.find(text), None, "{text}");
    }
}

#[test]
fn causes_belong_to_an_error() {
    for connection in CONNECTIONS {
        let text = format!(
            "x\n{PLAIN}\n{connection}\n\n{}",
            PLAIN.replace("ZeroDivision", "Key")
        );
        is(Family::Python, &text, "x\n", "KeyError", "division by zero");
    }
    let shown = format!("{PLAIN}{}", PLAIN.replace("ZeroDivision", "Key"));
    is(
        Family::Python,
        &shown,
        PLAIN,
        "KeyError",
        "division by zero",
    );
}

/// Of Python 3.11.
const GROUP: &str = "  + Exception Group Traceback (most recent call last):\n  |   File \"<input-1>\", line 1, in <module>\n  |     raise e\n  | ExceptionGroup: g: h\n  |  i (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | ValueError: 1\n    +---------------- 2 ----------------\n    | Traceback (most recent call last):\n    |   File \"<string>\", line 6, in g\n    | TypeError: x\ny\n    +------------------------------------\n";

#[test]
fn groups_of_exceptions_are_errors() {
    let value = "g: h\n i (2 sub-exceptions)";
    let python = Family::Python;
    is(python, GROUP, "", "ExceptionGroup", value);
    assert!(python.begins(GROUP.lines().next().unwrap()));
    let text = format!("hm\n{GROUP}late\n");
    is(python, &text, "hm\n", "ExceptionGroup", value);
    let found = python.find(&text).unwrap();
    assert_eq!(&text[found.end..], "late\n");
    assert_eq!(found.failure.traceback.len(), GROUP.lines().count());
    // As the cause of an error, and with one.
    let text = format!("{GROUP}\n{}\n\n{PLAIN}", CONNECTIONS[0]);
    let name = "ZeroDivisionError";
    is(python, &text, "", name, "division by zero");
    let text = format!("{PLAIN}\n{}\n\n{GROUP}", CONNECTIONS[1]);
    is(python, &text, "", "ExceptionGroup", value);
    let text = format!("{PLAIN}{}", GROUP.replace("ExceptionG", "BaseExceptionG"));
    is(python, &text, PLAIN, "BaseExceptionGroup", value);
    // A message with an end of line of its own, as before Python 3.12.
    let text = GROUP.replace("  |  i", "i");
    is(
        python,
        &text,
        "",
        "ExceptionGroup",
        "g: h\ni (2 sub-exceptions)",
    );
}

#[test]
fn what_is_reported_of_other_exceptions_is_no_error_of_the_cell() {
    let python = Family::Python;
    let other = PLAIN.replace("ZeroDivisionError: division by zero", "KeyError: 3");
    let chain = format!("{other}\n{}\n\n{other}", CONNECTIONS[1]);
    let heads = [
        "Exception ignored in: <function A.__del__ at 0x7f2410e85bc0>\n",
        "Exception ignored while calling deallocator <function A.__del__ at 0x7f24>:\n",
        "Exception in thread Thread-1 (f):\n",
        "Task exception was never retrieved\nfuture: <Task finished name='Task-2'>\n",
        "ERROR:asyncio:Exception in callback f()\nhandle: <Handle f()>\n",
    ];
    for head in heads {
        for report in [&other, &chain, GROUP] {
            let report = format!("{head}{report}");
            let text = format!("{report}hm\n{PLAIN}{report}{report}");
            let name = "ZeroDivisionError";
            let before = format!("{report}hm\n");
            is(python, &text, &before, name, "division by zero");
            let found = python.find(&text).unwrap();
            assert_eq!(text[found.end..], format!("{report}{report}"));
            assert_eq!(found.failure.traceback.join("\n"), PLAIN.trim_end());
            assert_eq!(python.find(&report), None, "{report}");
        }
    }
}

#[test]
fn warnings_after_an_error_are_not_part_of_it() {
    let late = "sys:1: RuntimeWarning: coroutine 'f' was never awaited\n";
    let text = format!("{PLAIN}{late}");
    let found = Family::Python.find(&text).unwrap();
    assert_eq!(found.failure.value, "division by zero");
    assert_eq!(&text[found.end..], late);
    let text = PLAIN.replace("by zero", "by:\nx: 3: a Warning: y");
    let value = "division by:\nx: 3: a Warning: y";
    is(Family::Python, &text, "", "ZeroDivisionError", value);
}

#[test]
fn other_text_is_no_error_of_python() {
    for text in [
        "",
        "\n",
        "warning: x\n",
        "Traceback (most recent call last):\n",
        "Traceback (most recent call last):\n  File \"x\"\n",
        "Traceback (most recent call last):\n  File \"x\"\n3 lines: follow\n",
    ] {
        assert_eq!(Family::Python.find(text), None, "{text}");
    }
}

#[test]
fn the_calls_that_led_to_an_error_of_r_are_no_part_of_its_message() {
    let text = "Error in g(x) : bad\nIn addition: Warning message:\nIn g(x) : hm\nTraceback:\n\n1. f(1)\n2. g(x)\n";
    let failure = Family::R.find(text).unwrap().failure;
    assert_eq!(
        failure.value,
        "bad\nIn addition: Warning message:\nIn g(x) : hm"
    );
    assert_eq!(failure.traceback.last().unwrap(), "2. g(x)");
}

#[test]
fn errors_of_other_languages() {
    is(
        Family::R,
        "hm\nError in f() : bad\n",
        "hm\n",
        "Error",
        "bad",
    );
    is(
        Family::R,
        "Error in f(a::b) : \n  bad\nCalls: x\n",
        "",
        "Error",
        "bad\nCalls: x",
    );
    is(Family::R, "Error: top: x\n", "", "Error", "top: x");
    is(
        Family::Node,
        "hm\nTypeError: x: y\n    at f ([eval]:1:20)\n    at [eval]:2:1\n",
        "hm\n",
        "TypeError",
        "x: y",
    );
    is(
        Family::Node,
        "[eval]:1\nx = (\n\nSyntaxError: Unexpected end of input\n",
        "",
        "SyntaxError",
        "Unexpected end of input",
    );
    // Classes have any name, and messages any number of lines.
    is(
        Family::Node,
        "hm\n\n[eval]:1\nthrow new Odd('mine')\n^\n\nOdd: mine\nand yours\n    at [eval]:1:78\n    at f\n",
        "hm\n\n[eval]:1\nthrow new Odd('mine')\n^\n\n",
        "Odd",
        "mine\nand yours",
    );
    is(
        Family::Node,
        "Uncaught Odd [CODE]: a: b\n    at [eval]:1:7\n",
        "",
        "Odd",
        "a: b",
    );
    is(Family::Node, "Odd\n    at [eval]:1:7\n", "", "Odd", "");
    is(Family::Node, "Uncaught 3\n", "", "Uncaught", "3");
    is(
        Family::Ruby,
        "-e:1:in `<main>': bad (ArgumentError)\n",
        "",
        "ArgumentError",
        "bad",
    );
    is(
        Family::Ruby,
        "-e:1:in 'f': a: b (A::B)\n\tfrom -e:2\n",
        "",
        "A::B",
        "a: b",
    );
}

#[test]
fn errors_of_ruby_have_their_own_messages() {
    let error = |text: &str, start: &str, name: &str, value: &str| {
        is(Family::Ruby, text, start, name, value);
    };
    for text in [
        "hm\n-e:1: syntax error, unexpected '='\nx = = 1\n    ^\n",
        "hm\n-e:1: syntax error, unexpected '='\nx = = 1\n    ^\n-e:2: syntax error, unexpected end\n",
    ] {
        error(text, "hm\n", "SyntaxError", "syntax error, unexpected '='");
    }
    error(
        "-e:1: syntax error found (SyntaxError)\n> 1 | x = = 1\n    |     ^ unexpected '='\n",
        "",
        "SyntaxError",
        "syntax error found",
    );
    error(
        "-e:1:in `eval': (eval):1: syntax error, unexpected end (SyntaxError)\n1 +\n   ^\n(eval):2: syntax error, x\n\tfrom -e:1:in `<main>'\n",
        "",
        "SyntaxError",
        "(eval):1: syntax error, unexpected end",
    );
    error(
        "-e:1:in `g': two (A)\nlines\n\tfrom -e:2:in `<main>'\n",
        "",
        "A",
        "two\nlines",
    );
    error(
        "-e:1:in `<main>': no `it': x (A)\n\nf(\"a: b\")\n^\n",
        "",
        "A",
        "no `it': x",
    );
    error(
        "-e:1:in `<main>': unhandled exception\n",
        "",
        "RuntimeError",
        "unhandled exception",
    );
    // Its cause comes last.
    error(
        "hm\n-e:1:in `rescue in <main>': out (A)\n\tfrom -e:1:in `<main>'\n-e:1:in `<main>': in (B)\n",
        "hm\n",
        "A",
        "out",
    );
}

#[test]
fn errors_of_lua_have_their_own_messages() {
    let stack = "stack traceback:\n\t[C]: in function 'error'\n\t[C]: in ?\n";
    for (message, value) in [
        ("snippet:1: x", "snippet:1: x"),
        ("snippet:1: two\nlines", "snippet:1: two\nlines"),
        ("", ""),
    ] {
        let text = format!("lua: hm\nlua: {message}\n{stack}");
        let start = "lua: hm\n";
        is(Family::Other, &text, start, "Error", value);
    }
    // What is not whole is any text.
    for text in [stack, "lua: x\n", "it was lua: x\n"] {
        assert_eq!(Family::Other.find(text), None, "{text}");
    }
}

#[test]
fn exit_codes_of_what_has_no_traceback() {
    let of = |family: Family, text: &str| {
        let found = family.of_exit(text, 3);
        (found.start, found.failure.name, found.failure.value)
    };
    assert_eq!(
        of(Family::Python, "hm\n"),
        (3, "SystemExit".to_owned(), "3".to_owned())
    );
    assert_eq!(
        of(Family::Other, ""),
        (0, "ExitCode".to_owned(), "3".to_owned())
    );
    let missing = "bash: line 1: x: command not found";
    let value = format!("3: {missing}");
    assert_eq!(
        of(Family::Other, &format!("{missing}\n")),
        (0, "ExitCode".to_owned(), value)
    );
    assert_eq!(
        of(Family::R, "odd\n"),
        (0, "Error".to_owned(), "odd".to_owned())
    );
}

#[test]
fn no_text_makes_it_panic() {
    let pieces = [
        "é",
        ":",
        "\n",
        HEADER,
        "  File \"",
        "\", line ",
        "Error",
        " : ",
        "Error in ",
        "Uncaught ",
        "[eval]:",
        " (",
        ")",
        "': ",
        CONNECTIONS[0],
        "    at ",
        "\x1b[0;31m",
        "\x1b[",
        "KeyError",
        " Traceback (most recent call last)",
        "SyntaxError: ",
        "Cell In[1], line 1",
        "  + Exception Group Traceback (most recent call last):",
        "\n  | ",
        "\n    +--------------------------",
        "\nException ignored in: ",
        "\nsys:1: RuntimeWarning: ",
    ];
    let mut number = 1_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..8 {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text += pieces[usize::try_from(number >> 32).unwrap() % pieces.len()];
        }
        for family in [
            Family::Python,
            Family::R,
            Family::Node,
            Family::Ruby,
            Family::Other,
        ] {
            if let Some(found) = family.find(&text) {
                assert!(found.start <= found.end && found.end <= text.len());
            }
            let _ = family.of_exit(&text, 1);
        }
    }
}
