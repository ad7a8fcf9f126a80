//! What becomes of a cell.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::ended::{KILLED, WHO_LIMITS};
use super::*;

const TRACEBACK: &str =
    "Traceback (most recent call last):\n  File \"<input-1>\", line 1\nValueError: x\n";

fn cell() -> Cell {
    Cell::new(&Language::of("python3"))
}

fn event(json: Value) -> ExecutionEvent {
    ExecutionEvent::Console(serde_json::from_value(json).unwrap())
}

fn result(options: Value) -> ExecutionResult {
    let result = json!({"status": "finished", "console": [], "options": options});
    serde_json::from_value(result).unwrap()
}

fn stdout(text: &str) -> Output {
    Output::Stdout(text.to_owned())
}

fn stderr(text: &str) -> Output {
    Output::Stderr(text.to_owned())
}

#[test]
fn an_error_comes_once() {
    let (mut cell, now) = (cell(), Instant::now());
    let text = format!("a warning\n{TRACEBACK}");
    let shown = cell.event(&event(json!([["stdout", "a\n"], ["stderr", text]])), now);
    assert_eq!(shown, [stdout("a\n")]);
    let end = cell.end(&result(json!({"exitCode": 1})), true);
    assert_eq!(end.outputs, [stderr("a warning\n")]);
    let failure = end.failure.unwrap();
    assert_eq!(
        (failure.name.as_str(), failure.value.as_str()),
        ("ValueError", "x")
    );
    assert_eq!(failure.traceback.len(), 3);
}

#[test]
fn an_error_comes_once_behind_a_line_without_an_end() {
    let group = "  + Exception Group Traceback (most recent call last):\n  |   File \"<input-1>\", line 1\n  | ExceptionGroup: x (1 sub-exception)\n  +-+---------------- 1 ----------------\n    | Traceback (most recent call last):\n    |   File \"<input-1>\", line 1\n    | ValueError: y\n    +------------------------------------\n";
    for (traceback, name) in [(TRACEBACK, "ValueError"), (group, "ExceptionGroup")] {
        let text = format!("begun\n50 %\rwarning{traceback}");
        let pieces = text
            .split_inclusive('%')
            .map(|piece| json!(["stderr", piece]));
        let (mut cell, now) = (cell(), Instant::now());
        let mut shown = cell.event(&event(pieces.collect()), now);
        let end = cell.end(&result(json!({"exitCode": 1})), true);
        shown.extend(end.outputs);
        assert_eq!(shown, [stderr("begun\n50 %\rwarning")], "{name}");
        let failure = end.failure.unwrap();
        assert_eq!(failure.name, name);
        assert!(traceback.starts_with(&failure.traceback[0]), "{name}");
    }
}

#[test]
fn a_traceback_that_is_not_the_end_is_text() {
    let (mut cell, now) = (cell(), Instant::now());
    let shown = cell.event(
        &event(json!([["stderr", TRACEBACK], ["stdout", "b\n"]])),
        now,
    );
    assert_eq!(shown, [stderr(TRACEBACK), stdout("b\n")]);
    assert_eq!(
        cell.end(&result(json!({"exitCode": 0})), true),
        End::default()
    );
}

#[test]
fn an_error_that_was_shown_before_its_end_is_not_shown_again() {
    let (mut cell, now) = (cell(), Instant::now());
    assert_eq!(cell.event(&event(json!([["stderr", TRACEBACK]])), now), []);
    assert_eq!(cell.deadline(), Some(now + ERROR_HELD));
    assert_eq!(cell.release(), Some(stderr(TRACEBACK)));
    let failure = cell
        .end(&result(json!({"exitCode": 1})), true)
        .failure
        .unwrap();
    assert_eq!(failure, Failure::new("ValueError", "x"));
}

#[test]
fn without_an_exit_code_a_traceback_tells() {
    for (options, says_exits, fails) in [
        (json!({}), false, true),
        (json!({}), true, true),
        (json!({"exitCode": 0}), false, true),
        (json!({"exitCode": 0}), true, false),
    ] {
        let mut cell = cell();
        cell.event(&event(json!([["stderr", TRACEBACK]])), Instant::now());
        let end = cell.end(&result(options.clone()), says_exits);
        assert_eq!(end.failure.is_some(), fails, "{options} {says_exits}");
        assert_eq!(end.outputs.is_empty(), fails);
    }
}

#[test]
fn the_beginning_of_a_line_may_be_a_prompt() {
    let (mut cell, now) = (cell(), Instant::now());
    let shown = cell.event(&event(json!([["stdout", "a\nna"]])), now);
    assert_eq!(shown, [stdout("a\n")]);
    assert_eq!(cell.deadline(), Some(now + PROMPT));
    assert_eq!(cell.event(&event(json!([["stdout", "me? "]])), now), []);
    assert_eq!(cell.prompt(), ("name? ".to_owned(), None));
    assert_eq!((cell.deadline(), cell.release()), (None, None));
    cell.event(&event(json!([["stderr", "w\nPassword: "]])), now);
    assert_eq!(
        cell.prompt(),
        ("Password: ".to_owned(), Some(stderr("w\n")))
    );
    assert_eq!(
        cell.event(
            &event(json!([
                ["stdout", "b"],
                ["stdout", "c\nd"],
                ["stderr", "e"]
            ])),
            now
        ),
        [stdout("bc\n"), stdout("d")]
    );
    assert_eq!(cell.deadline(), Some(now + TEXT_HELD));
}

#[test]
fn what_is_printed_before_a_prompt_is_output() {
    let (mut cell, now) = (cell().with_told_prompts(), Instant::now());
    let begins = json!([
        "value",
        ["application/vnd.sorna.display+json", "{\"prompt\": true}"]
    ]);
    let records = json!([["stdout", "a"], begins, ["stdout", "b? "]]);
    assert_eq!(cell.event(&event(records), now), [stdout("a")]);
    assert_eq!(cell.deadline(), Some(now + ERROR_HELD));
    assert_eq!(cell.prompt(), ("b? ".to_owned(), None));
    // One that asks in another way has no prompt.
    assert_eq!(cell.event(&event(json!([["stdout", "c? "]])), now), []);
    assert_eq!(cell.prompt(), (String::new(), Some(stdout("c? "))));
    assert_eq!(cell.event(&event(json!([begins])), now), []);
    assert_eq!(cell.prompt(), (String::new(), None));
}

#[test]
fn values_and_displays() {
    let (mut cell, now) = (cell(), Instant::now());
    let shown = cell.event(
        &event(json!([
            ["stdout", "a"],
            ["html", "<b>"],
            ["value", ["text/plain", "4"], ["text/html", "<i>4</i>"]],
            [
                "value",
                ["text/plain", "5"],
                [
                    "application/vnd.sorna.display+json",
                    "{\"id\": \"x\", \"update\": true}"
                ]
            ],
            [
                "value",
                ["text/plain", "6"],
                ["application/vnd.sorna.display+json", "{}"]
            ],
            ["unknown", 3],
        ])),
        now,
    );
    let messages: Vec<_> = shown.into_iter().map(|it| it.message(7)).collect();
    assert_eq!(messages[0].0, "stream");
    let html = json!({"data": {"text/html": "<b>", "text/plain": "<text/html>"}, "metadata": {}, "transient": {}});
    assert_eq!(messages[1], ("display_data", html));
    let value = json!({"data": {"text/plain": "4", "text/html": "<i>4</i>"}, "metadata": {}, "execution_count": 7});
    assert_eq!(messages[2], ("execute_result", value));
    let update =
        json!({"data": {"text/plain": "5"}, "metadata": {}, "transient": {"display_id": "x"}});
    assert_eq!(messages[3], ("update_display_data", update));
    assert_eq!((messages[4].0, messages.len()), ("display_data", 5));
    assert_eq!(cell.value(), Some("4"));
}

#[test]
fn interrupts_have_a_name_everywhere() {
    let mut cell = Cell::new(&Language::of("bash"));
    cell.event(&event(json!([["stderr", "Interrupted\n"]])), Instant::now());
    cell.interrupt();
    let failure = cell
        .end(&result(json!({"exitCode": 130})), true)
        .failure
        .unwrap();
    assert_eq!(failure.name, "KeyboardInterrupt");
    assert_eq!(failure.traceback, ["Interrupted"]);
}

#[test]
fn what_an_interrupt_leaves_is_shown_once() {
    let (mut cell, now) = (Cell::new(&Language::of("r")), Instant::now());
    cell.interrupt();
    let said = json!([["stderr", "Interrupted\n"]]);
    assert_eq!(cell.event(&event(said), now), []);
    assert_eq!(cell.deadline(), Some(now + ERROR_HELD));
    let failure = cell.end(&result(json!({"exitCode": 1})), true).failure;
    assert_eq!(failure.unwrap().traceback, ["Interrupted"]);
    // Without a word, there is at least the name.
    let mut cell = Cell::new(&Language::of("r"));
    cell.interrupt();
    let failure = cell.end(&result(json!({"exitCode": 1})), true).failure;
    assert_eq!(failure.unwrap().traceback, ["KeyboardInterrupt"]);
}

fn telling_of(name: &str, value: &str) -> Value {
    let about = json!({"error": {"name": name, "value": value}}).to_string();
    json!(["value", ["application/vnd.sorna.display+json", about]])
}

/// The end of a cell with these records and this exit code.
fn ended(records: Value, code: i64) -> (Vec<Output>, End) {
    let mut cell = cell();
    let shown = cell.event(&event(records), Instant::now());
    (shown, cell.end(&result(json!({"exitCode": code})), true))
}

#[test]
fn what_an_interpreter_tells_of_its_error_counts() {
    let told = telling_of("ValueError", "x");
    let (shown, end) = ended(
        json!([
            ["stderr", format!("hm\n{TRACEBACK}")],
            told,
            ["stderr", "late\n"]
        ]),
        1,
    );
    // What comes later is not part of the message.
    assert_eq!((shown, end.outputs), (vec![], vec![stderr("hm\nlate\n")]));
    let failure = end.failure.unwrap();
    assert_eq!((&*failure.name, &*failure.value), ("ValueError", "x"));
    assert_eq!(failure.traceback.join("\n"), TRACEBACK.trim_end());
    // A hook has shown it in its own way.
    let (_, end) = ended(json!([["stderr", "oh no\n"], told]), 1);
    assert_eq!(end.outputs, [stderr("oh no\n")]);
    assert_eq!(end.failure, Some(Failure::new("ValueError", "x")));
    // It was no failure after all.
    assert_eq!(ended(json!([told]), 0).1, End::default());
}

#[test]
fn that_the_user_leaves_is_no_output() {
    let about = json!({"leave": true}).to_string();
    let told = json!([
        "value",
        ["text/plain", "exit"],
        ["application/vnd.sorna.display+json", about]
    ]);
    let (shown, end) = ended(json!([["stdout", "bye\n"], told]), 0);
    assert_eq!(shown, [stdout("bye\n")]);
    assert_eq!((end.outputs, end.failure, end.leaves), (vec![], None, true));
    assert!(!ended(json!([["stdout", "exit\n"]]), 0).1.leaves);
}

#[test]
fn the_message_of_an_exit_is_not_lost() {
    let told = telling_of("SystemExit", "bye\nbye");
    let (_, end) = ended(json!([["stderr", "hm\nbye\nbye\n"], told]), 1);
    assert_eq!(end.outputs, [stderr("hm\n")]);
    assert_eq!(end.failure, Some(Failure::new("SystemExit", "bye\nbye")));
    let (_, end) = ended(
        json!([["stderr", "no 3"], telling_of("SystemExit", "3")]),
        3,
    );
    assert_eq!(end.outputs, [stderr("no 3")]);
    assert_eq!(end.failure, Some(Failure::new("SystemExit", "3")));
}

#[test]
fn limits_and_the_end_of_an_interpreter() {
    let end = cell().end(&result(json!({"exitCode": 3, "restarted": true})), true);
    let failure = end.failure.unwrap();
    assert_eq!(
        (
            failure.name.as_str(),
            failure.traceback.last().unwrap().as_str()
        ),
        ("SystemExit", LOST)
    );
    let killed = result(json!({"exitCode": 139, "restarted": true}));
    let failure = cell().end(&killed, true).failure.unwrap();
    assert_eq!(
        (failure.name.as_str(), failure.value.as_str()),
        (
            "InterpreterKilled",
            "the kernel's interpreter was killed by SIGSEGV, a forbidden access to memory"
        )
    );
    assert_eq!(failure.traceback.last().unwrap(), KILLED);
    // What the gateway says of that comes with it.
    let mut noted = cell();
    let notice = "before\nkernel process died with signal 11; restarted\n";
    noted.event(&event(json!([["stderr", notice]])), Instant::now());
    let end = noted.end(&killed, true);
    assert_eq!(end.outputs, [stderr("before\n")]);
    assert_eq!(end.failure.unwrap().name, "InterpreterKilled");
    // An exit code like that is none of a signal while the interpreter lives.
    let end = cell().end(&result(json!({"exitCode": 139})), true);
    assert_eq!(end.failure.unwrap().name, "SystemExit");
    let end = cell().end(&result(json!({"exitCode": 0, "restarted": true})), true);
    assert_eq!((end.outputs.len(), end.failure), (1, None));
    let late = result(json!({"exitCode": 137, "limit": "time", "limitMax": 30000}));
    let failure = cell().end(&late, true).failure.unwrap();
    assert_eq!(
        (failure.name.as_str(), failure.value.as_str()),
        (
            "TimeLimitExceeded",
            "the cell exceeded its limit of time (30 s) and was killed"
        )
    );
    assert_eq!(failure.traceback.last().unwrap(), WHO_LIMITS);
    let killed = result(json!({"exitCode": 137, "limit": "memory"}));
    assert_eq!(
        cell().end(&killed, true).failure.unwrap().name,
        "LimitExceeded"
    );
}
