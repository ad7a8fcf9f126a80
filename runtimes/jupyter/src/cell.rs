//! One cell: makes Jupyter's messages of what its execution does.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use sorna_core::machine::ExecutionEvent;
use sorna_core::{Console, ExecutionResult, Media, Record, ValueForms};

use crate::bundle::{TEXT, bundle};
use crate::language::Language;
use crate::traceback::{Failure, Family, Found, telling};

/// The longest that text on standard error is kept back for the end of the cell, of which it may be the error.
const MOST_HELD: usize = 256 * 1024;
/// How long a line without its end is kept back, since it may be the prompt of a request for input, which comes with it.
const PROMPT: Duration = Duration::from_millis(5);
/// How long text on standard error is kept back: too short to be seen.
const TEXT_HELD: Duration = Duration::from_millis(40);
/// How long something is that looks like an error, whose end may be a round trip to the gateway away.
const ERROR_HELD: Duration = Duration::from_secs(1);

/// Something to show, in the order in which it is to be shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Text on standard output.
    Stdout(String),
    /// Text on standard error.
    Stderr(String),
    /// `display_data`, or `update_display_data` of what was shown with the same ID.
    Display {
        /// The forms of what is shown.
        data: Map<String, Value>,
        /// What its forms need besides: for each media type, an object.
        metadata: Map<String, Value>,
        /// Its ID, if it may change later.
        display_id: Option<String>,
        /// Whether it changes what was shown before.
        is_update: bool,
    },
    /// What was shown so far is to vanish, `clear_output`.
    Clear {
        /// Only as soon as there is something else to show.
        is_later: bool,
    },
    /// The value of the last expression, `execute_result`.
    Value {
        /// Its forms.
        data: Map<String, Value>,
        /// What its forms need besides: for each media type, an object.
        metadata: Map<String, Value>,
    },
}

impl Output {
    /// The message of this type and content, for a cell with this number.
    #[must_use]
    pub fn message(self, execution_count: u64) -> (&'static str, Value) {
        match self {
            Self::Stdout(text) => ("stream", json!({"name": "stdout", "text": text})),
            Self::Stderr(text) => ("stream", json!({"name": "stderr", "text": text})),
            Self::Display {
                data,
                metadata,
                display_id,
                is_update,
            } => {
                let kind = match is_update {
                    true => "update_display_data",
                    false => "display_data",
                };
                let transient = match display_id {
                    Some(id) => json!({"display_id": id}),
                    None => json!({}),
                };
                let content = json!({"data": data, "metadata": metadata, "transient": transient});
                (kind, content)
            }
            Self::Clear { is_later } => ("clear_output", json!({"wait": is_later})),
            Self::Value { data, metadata } => {
                let content =
                    json!({"data": data, "metadata": metadata, "execution_count": execution_count});
                ("execute_result", content)
            }
        }
    }
}

/// How a cell ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct End {
    /// What is still to be shown.
    pub outputs: Vec<Output>,
    /// The error, if it failed. It is not among the outputs.
    pub failure: Option<Failure>,
}

/// A cell that runs.
#[derive(Debug)]
pub struct Cell {
    family: Family,
    /// What was last written to standard error, and may be the error with which it ends.
    held: String,
    /// A line on standard output without its end. Only one of these two is kept back at a time.
    partial: String,
    /// Since when.
    since: Option<Instant>,
    /// Whether a traceback was shown as plain text, since it was not the end.
    has_shown: Option<Failure>,
    /// What was shown of a failure that has no traceback.
    telling: String,
    is_interrupted: bool,
    value: Option<String>,
}

impl Cell {
    /// One in this language.
    #[must_use]
    pub fn new(language: &Language) -> Self {
        Self {
            family: language.family(),
            held: String::new(),
            partial: String::new(),
            since: None,
            has_shown: None,
            telling: String::new(),
            is_interrupted: false,
            value: None,
        }
    }

    /// Notes that the user interrupts it.
    pub fn interrupt(&mut self) {
        self.is_interrupted = true;
    }

    /// The value of its last expression, as text, if it has had one.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// What to show of an event, now. Some text is kept back for a moment: see [`deadline`](Self::deadline).
    pub fn event(&mut self, event: &ExecutionEvent, now: Instant) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let ExecutionEvent::Console(console) = event {
            self.console(console, &mut outputs);
        }
        match self.held.is_empty() && self.partial.is_empty() {
            true => self.since = None,
            false => _ = self.since.get_or_insert(now),
        }
        outputs
    }

    fn console(&mut self, console: &Console, outputs: &mut Vec<Output>) {
        for record in console.iter() {
            let shown = match record {
                Record::Stdout(text) => {
                    self.print(&text, outputs);
                    continue;
                }
                Record::Stderr(text) => {
                    self.hold(&text, outputs);
                    continue;
                }
                Record::Unclaimed(console) => {
                    self.console(&console, outputs);
                    continue;
                }
                Record::Html(text) => display(&[Media::new("text/html", text)]),
                Record::Media(media) => display(&[media]),
                Record::Value(value) if value.display().is_some() => displayed(&value),
                Record::Value(value) => {
                    self.value = value.text().map(str::to_owned);
                    let (data, metadata) = parts(&value);
                    Output::Value { data, metadata }
                }
                Record::Log {
                    level,
                    logger,
                    message,
                    ..
                } => Output::Stderr(format!("{level}:{logger}:{message}\n")),
                _ => continue,
            };
            outputs.extend(self.release());
            outputs.push(shown);
        }
    }

    fn print(&mut self, text: &str, outputs: &mut Vec<Output>) {
        if !self.held.is_empty() {
            outputs.extend(self.release());
        }
        let end = text.rfind('\n').map_or(0, |at| at + 1);
        let (whole, rest) = text.split_at(end);
        if !whole.is_empty() {
            let begun = std::mem::take(&mut self.partial);
            self.since = None;
            outputs.push(Output::Stdout(begun + whole));
        }
        self.partial.push_str(rest);
        if self.partial.len() > MOST_HELD {
            outputs.extend(self.release());
        }
    }

    /// Keeps text back.
    fn hold(&mut self, text: &str, outputs: &mut Vec<Output>) {
        if !self.partial.is_empty() {
            outputs.extend(self.release());
        }
        self.held.push_str(text);
        if self.held.len() > MOST_HELD {
            outputs.extend(self.release());
        }
    }

    /// When to [release](Self::release) what is kept back, if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let since = self.since?;
        let patience = if self.held.is_empty() {
            PROMPT
        } else if self.held.lines().any(|line| self.family.begins(line)) {
            ERROR_HELD
        } else {
            TEXT_HELD
        };
        Some(since + patience)
    }

    /// Gives out the text that is kept back: it is not the end.
    pub fn release(&mut self) -> Option<Output> {
        self.since = None;
        if !self.partial.is_empty() {
            return Some(Output::Stdout(std::mem::take(&mut self.partial)));
        }
        if self.held.is_empty() {
            return None;
        }
        let text = std::mem::take(&mut self.held);
        self.has_shown = self.family.find(&text).map(|found| found.failure);
        // The first that a compiler says, and it may say that in several pieces.
        if self.family == Family::Other && !self.telling.contains("error") {
            telling(&text).clone_into(&mut self.telling);
        }
        Some(Output::Stderr(text))
    }

    /// The prompt of a request for input that has just come, and what to show before it: the beginning of a line is the prompt,
    /// which clients show with the input.
    pub fn prompt(&mut self) -> (String, Option<Output>) {
        self.since = None;
        if !self.partial.is_empty() {
            return (std::mem::take(&mut self.partial), None);
        }
        let end = self.held.rfind('\n').map_or(0, |at| at + 1);
        let prompt = self.held.split_off(end);
        (prompt, self.release())
    }

    /// How it ended. `says_exits` is whether the gateway reports the exit codes of failures, as `sorna serve` does.
    pub fn end(&mut self, result: &ExecutionResult, says_exits: bool) -> End {
        let mut end = End::default();
        if !self.partial.is_empty() {
            end.outputs.extend(self.release());
        }
        let held = std::mem::take(&mut self.held);
        let code = result.exit_code();
        let mut found = match code {
            _ if result.exceeded().is_some() => Some(self.family.of_exit(&held, code.unwrap_or(1))),
            Some(code) if code != 0 => Some(self.family.of_exit(&held, code)),
            _ if says_exits && code.is_some() => None,
            _ => self.family.find(&held).filter(|_| self.family.is_certain()),
        };
        if let Some(found) = &mut found {
            if self.is_interrupted
                && matches!(
                    found.failure.name.as_str(),
                    "ExitCode" | "SystemExit" | "Error"
                )
            {
                found.failure.name = "KeyboardInterrupt".to_owned();
                found.failure.value = String::new();
            }
            // It has been shown already, as far as it could be: once is enough.
            if held.is_empty()
                && let Some(shown) = self.has_shown.take()
            {
                found.failure = Failure::new(shown.name, shown.value);
            }
            if held.is_empty() && !self.telling.is_empty() && found.failure.name == "ExitCode" {
                let value = format!("{}: {}", found.failure.value, self.telling);
                found.failure = Failure::new("ExitCode", value);
            }
            let has_ended = result.has_restarted() == Some(true);
            found.failure = limited(found.failure.clone(), result);
            if has_ended {
                found.failure.traceback.push(LOST.to_owned());
            }
        }
        let Some(Found { start, failure }) = found else {
            end.outputs
                .extend((!held.is_empty()).then_some(Output::Stderr(held)));
            if result.has_restarted() == Some(true) {
                end.outputs.push(Output::Stderr(format!("{LOST}\n")));
            }
            return end;
        };
        let before = &held[..start];
        end.outputs
            .extend((!before.is_empty()).then(|| Output::Stderr(before.to_owned())));
        end.failure = Some(failure);
        end
    }
}

/// What to say of a program that has ended its interpreter.
const LOST: &str = "The program has ended its interpreter: variables are lost, and files are kept.";

/// Says of a program that exceeded a limit that it did.
fn limited(failure: Failure, result: &ExecutionResult) -> Failure {
    let Some(exceeded) = result.exceeded() else {
        return failure;
    };
    let limit = exceeded.limit.as_str();
    let message = format!("the cell exceeded its limit of {limit} and was killed");
    let (name, killed) = match limit {
        "time" => ("TimeLimitExceeded", true),
        _ => ("LimitExceeded", failure.traceback.len() <= 1),
    };
    // What the program itself says of it tells more.
    match killed {
        true => Failure::new(name, message),
        false => failure.with_line(message),
    }
}

fn display(forms: &[Media<'_>]) -> Output {
    Output::Display {
        data: bundle(forms),
        metadata: Map::new(),
        display_id: None,
        is_update: false,
    }
}

/// What a program displays in all its forms, with what is said of it.
fn displayed(value: &ValueForms<'_>) -> Output {
    let about = value.display().map(serde_json::from_str::<Value>);
    let about = about.and_then(Result::ok).unwrap_or_default();
    if let Some(when) = about["clear"].as_str() {
        return Output::Clear {
            is_later: when == "later",
        };
    }
    let (data, metadata) = parts(value);
    Output::Display {
        data,
        metadata,
        display_id: about["id"].as_str().map(str::to_owned),
        is_update: about["update"] == Value::Bool(true),
    }
}

/// The forms of a value, and what is said of them.
fn parts(value: &ValueForms<'_>) -> (Map<String, Value>, Map<String, Value>) {
    let is_form = |form: &&Media<'_>| {
        !matches!(
            form.media_type(),
            ValueForms::DISPLAY | ValueForms::METADATA
        )
    };
    let metadata = value.metadata().map(serde_json::from_str);
    let metadata = metadata.and_then(Result::ok).unwrap_or_default();
    (bundle(value.forms().iter().filter(is_form)), metadata)
}

/// A bundle that is only text.
#[must_use]
pub fn text(text: &str) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert(TEXT.to_owned(), Value::String(text.to_owned()));
    data
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

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
        let end = cell().end(&result(json!({"exitCode": 0, "restarted": true})), true);
        assert_eq!((end.outputs.len(), end.failure), (1, None));
        let killed = result(json!({"exitCode": 137, "limit": "memory"}));
        assert_eq!(
            cell().end(&killed, true).failure.unwrap().name,
            "LimitExceeded"
        );
    }
}
