//! The marks in the output of a batch.

use super::super::script::Marks;
use super::super::steps::Steps;
use super::*;
use crate::console::Console;

const MARK: &str = "\u{1e}sorna-0000000000000007 built ";

/// What a program writes: the stream, and text.
type Written<'a> = (char, &'a str);

fn console(written: &[Written<'_>]) -> Console {
    let mut console = Console::new();
    for (stream, text) in written {
        match stream {
            '1' => console.push(&crate::console::Record::Stdout((*text).into())),
            _ => console.push(&crate::console::Record::Stderr((*text).into())),
        }
    }
    console
}

/// What is reported: the two streams, with `|` where the build ended.
fn reported(builds: bool, defaults: bool, consoles: Vec<Console>) -> (String, String, Option<i64>) {
    let mut steps = Steps::new(Marks::new(7), builds, defaults);
    let mut events: Vec<_> = consoles
        .into_iter()
        .flat_map(|all| steps.feed(all))
        .collect();
    events.extend(steps.finish());
    let (mut stdout, mut stderr, mut code) = (String::new(), String::new(), None);
    for event in events {
        match event {
            ExecutionEvent::Console(console) => {
                assert!(!console.is_empty());
                stdout += &console.stdout();
                stderr += &console.stderr();
            }
            ExecutionEvent::StepFinished {
                status, exit_code, ..
            } => {
                assert_eq!(status, ExecutionStatus::BuildFinished);
                assert!(code.is_none(), "it is reported once");
                code = exit_code;
                stdout += "|";
                stderr += "|";
            }
            event => panic!("{event:?}"),
        }
    }
    if steps.is_native() {
        stdout += "(native)";
    }
    (stdout, stderr, code)
}

#[test]
fn the_end_of_the_build_is_found_wherever_the_output_is_cut() {
    let build = format!("cc: é\nno line end{MARK}12\nran: é\n");
    let warnings = format!("w{MARK}12\ne");
    for at in (0..build.len()).filter(|at| build.is_char_boundary(*at)) {
        for other in 0..warnings.len() {
            let pieces = [
                console(&[('1', &build[..at]), ('2', &warnings[..other])]),
                console(&[('2', &warnings[other..]), ('1', &build[at..])]),
            ];
            let (stdout, stderr, code) = reported(true, false, pieces.into());
            assert_eq!(stdout, "cc: é\nno line end|ran: é\n", "{at} {other}");
            assert_eq!((stderr.as_str(), code), ("w|e", Some(12)), "{at} {other}");
        }
    }
    let bytes = build.chars().map(|c| console(&[('1', &c.to_string())]));
    let all = bytes.chain([console(&[('2', &warnings)])]).collect();
    assert_eq!(reported(true, false, all).0, "cc: é\nno line end|ran: é\n");
}

#[test]
fn marks_are_found_among_bytes() {
    let output = [b"\xe9t\xe9\n\xc3", MARK.as_bytes(), b"0\n\xff\x1e\xfe"].concat();
    for at in 0..output.len() {
        let mut steps = Steps::new(Marks::new(7), true, false);
        let mut events = Vec::new();
        for piece in [&output[..at], &output[at..]] {
            let mut console = Console::new();
            console.push_stdout_bytes(piece);
            events.extend(steps.feed(console));
        }
        events.extend(steps.feed(console(&[('2', &format!("{MARK}0\n"))])));
        events.extend(steps.finish());
        let written = events.iter().map(|event| match event {
            ExecutionEvent::Console(console) => console.stdout_bytes().into_owned(),
            _ => b"|".to_vec(),
        });
        let written: Vec<u8> = written.flatten().collect();
        assert_eq!(written, b"\xe9t\xe9\n\xc3|\xff\x1e\xfe", "{at}");
    }
}

#[test]
fn what_only_resembles_a_mark_is_output() {
    for text in [
        "\u{1e}",
        "\u{1e}\u{1e}sorna-",
        "\u{1e}sorna-0000000000000007 built",
        "\u{1e}sorna-0000000000000007 built x\n",
        "\u{1e}sorna-0000000000000007 built 123456789012\n",
        "\u{1e}sorna-0000000000000008 built 0\n",
        "sorna-0000000000000007 built 0\n",
        "\u{1e}sorna-0000000000000007 native\n",
    ] {
        let before = format!("{text}{MARK}0\n");
        let all = console(&[('1', &before), ('2', &before)]);
        let (stdout, stderr, code) = reported(true, false, vec![all]);
        assert_eq!(
            (stdout, stderr, code),
            (format!("{text}|"), format!("{text}|"), Some(0)),
            "{text:?}"
        );
        // Nothing is held back indefinitely.
        let all = reported(
            true,
            true,
            vec![console(&[('2', "x"), ('1', &format!("a{text}"))])],
        );
        assert_eq!(all, (format!("a{text}"), "x".to_owned(), None));
    }
}

#[test]
fn the_program_may_print_marks() {
    let text = format!("a{MARK}0\nb{MARK}1\nc");
    let all = console(&[('1', &text), ('2', &text)]);
    let rest = format!("|b{MARK}1\nc");
    let expected = (format!("a{rest}"), format!("a{rest}"), Some(0));
    assert_eq!(reported(true, false, vec![all]), expected);
    let native = "\u{1e}sorna-0000000000000007 native\n";
    let all = vec![console(&[('1', "x")]), console(&[('1', native)])];
    assert_eq!(reported(false, true, all).0, format!("x{native}"));
    let all = vec![console(&[('1', &text)])];
    assert_eq!(reported(false, true, all), (text, String::new(), None));
}

#[test]
fn output_waits_for_the_other_stream_but_not_for_ever() {
    let mut steps = Steps::new(Marks::new(7), true, false);
    assert_eq!(steps.feed(console(&[('1', &format!("{MARK}0\nran"))])), []);
    let events = steps.feed(console(&[('2', &format!("w{MARK}0\n"))]));
    assert_eq!(events[0], ExecutionEvent::Console(console(&[('2', "w")])));
    assert!(matches!(events[1], ExecutionEvent::StepFinished { .. }));
    assert_eq!(events[2], ExecutionEvent::Console(console(&[('1', "ran")])));

    let mut steps = Steps::new(Marks::new(7), true, false);
    steps.feed(console(&[('1', &format!("{MARK}0\n"))]));
    let long = "x".repeat(70_000);
    let events = steps.feed(console(&[('1', &long)]));
    assert!(matches!(events[0], ExecutionEvent::StepFinished { .. }));
    assert_eq!(events[1], ExecutionEvent::Console(console(&[('1', &long)])));
    let late = steps.feed(console(&[('2', &format!("w{MARK}0\ne"))]));
    assert_eq!(late, [ExecutionEvent::Console(console(&[('2', "we")]))]);
}

#[test]
fn the_mark_for_default_steps_is_found_in_pieces() {
    let native = "\u{1e}sorna-0000000000000007 native\n";
    for builds in [true, false] {
        let pieces = native.chars().map(|c| console(&[('1', &c.to_string())]));
        let found = reported(builds, true, pieces.collect());
        assert_eq!(found, ("(native)".to_owned(), String::new(), None));
    }
}

#[test]
fn records_of_other_kinds_keep_their_place() {
    let mut first = console(&[('1', &format!("b{MARK}0\n"))]);
    first.push(&crate::console::Record::Html("h".into()));
    let mut steps = Steps::new(Marks::new(7), true, false);
    steps.feed(first);
    let events = steps.feed(console(&[('2', &format!("{MARK}0\n"))]));
    let ExecutionEvent::Console(last) = &events[1] else {
        panic!("{events:?}")
    };
    assert_eq!(
        last.iter().next(),
        Some(crate::console::Record::Html("h".into()))
    );
}
