//! One cell: makes Jupyter's messages of what its execution does.

mod ended;

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use sorna_core::machine::ExecutionEvent;
use sorna_core::{Console, ExecutionResult, Media, Record, ValueForms};

use crate::bundle::{TEXT, bundle, raw};
use crate::language::Language;
use crate::traceback::{Failure, Family, Found, begins_within, telling};
use ended::{LOST, killed, limited, without_notice};

/// The longest that text on standard error is kept back for the end of the cell, of which it may be the error.
const MOST_HELD: usize = 256 * 1024;
/// How long a line without its end is kept back, since it may be the prompt of a request for input, which comes with it.
const PROMPT: Duration = Duration::from_millis(40);
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
    /// Whether the user wants to leave, as the interpreter has told: by `exit()` in Python.
    pub leaves: bool,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }
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
    /// The exception that has ended it, as the interpreter itself has told.
    told: Option<Failure>,
    /// Its traceback, if that was told, too.
    told_trace: Option<Vec<String>>,
    /// How much of the held text was written before that was told, in bytes.
    told_at: usize,
    is_interrupted: bool,
    /// Whether the user wants to leave, as it has told.
    leaves: bool,
    value: Option<String>,
    /// Whether the interpreter tells where a prompt begins, and whether it has, of the next one.
    tells_prompts: bool,
    is_prompt: bool,
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
            told: None,
            told_trace: None,
            told_at: 0,
            is_interrupted: false,
            leaves: false,
            value: None,
            tells_prompts: false,
            is_prompt: false,
        }
    }

    /// With an interpreter that tells where a prompt begins, if it is one of Python or R: what was printed before that is output.
    #[must_use]
    pub fn with_told_prompts(mut self) -> Self {
        self.tells_prompts = matches!(self.family, Family::Python | Family::R);
        self
    }

    /// Whether its interpreter does that.
    #[must_use]
    pub fn tells_prompts(&self) -> bool {
        self.tells_prompts
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
                Record::Value(value) => {
                    if let Some(about) = value.display() {
                        let about = serde_json::from_str(about).unwrap_or_default();
                        if let Some(error) = told(&about) {
                            self.told = Some(error);
                            let trace = about["error"]["traceback"].as_str();
                            self.told_trace =
                                trace.map(|it| it.lines().map(str::to_owned).collect());
                            self.told_at = self.held.len();
                            continue;
                        }
                        if about["leave"] == Value::Bool(true) {
                            self.leaves = true;
                            continue;
                        }
                        outputs.extend(self.release());
                        if about["prompt"] == Value::Bool(true) {
                            self.is_prompt = true;
                        } else {
                            outputs.push(displayed(&value, &about));
                        }
                        continue;
                    }
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
        if let Some(at) = begins_within(self.family, &self.held) {
            let traceback = self.held.split_off(at);
            outputs.extend(self.release());
            self.held = traceback;
        }
        if self.held.len() > MOST_HELD {
            outputs.extend(self.release());
        }
    }

    /// When to [release](Self::release) what is kept back, if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let since = self.since?;
        let patience = if self.is_prompt {
            // The request follows.
            ERROR_HELD
        } else if self.held.is_empty() {
            PROMPT
        } else if self.held.lines().any(|line| self.family.begins(line)) || self.ends_interrupted()
        {
            ERROR_HELD
        } else {
            TEXT_HELD
        };
        Some(since + patience)
    }

    /// Whether the last that was written is what an interrupt leaves, as most interpreters here say it. The end follows.
    fn ends_interrupted(&self) -> bool {
        self.is_interrupted && self.held.lines().last() == Some("Interrupted")
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
        self.told_at = 0;
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
        if self.tells_prompts && !std::mem::take(&mut self.is_prompt) {
            return (String::new(), self.release());
        }
        if !self.partial.is_empty() {
            return (std::mem::take(&mut self.partial), None);
        }
        let end = self.held.rfind('\n').map_or(0, |at| at + 1);
        let prompt = self.held.split_off(end);
        (prompt, self.release())
    }

    /// How it ended. `says_exits` is whether the gateway reports the exit codes of failures, as `sorna serve` does.
    pub fn end(&mut self, result: &ExecutionResult, says_exits: bool) -> End {
        let mut end = End {
            leaves: self.leaves,
            ..End::default()
        };
        if !self.partial.is_empty() {
            end.outputs.extend(self.release());
        }
        let held = std::mem::take(&mut self.held);
        let code = result.exit_code();
        let held = match code {
            // The failure says it.
            Some(code) if code > 128 && result.has_restarted() == Some(true) => {
                without_notice(held)
            }
            _ => held,
        };
        if let Some(told) = self.told.take()
            && code.is_some_and(|code| code != 0)
            && result.exceeded().is_none()
        {
            return self.end_as_told(end, &held, told, result);
        }
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
                let is_bare =
                    found.failure == Failure::new(&*found.failure.name, &*found.failure.value);
                found.failure.name = "KeyboardInterrupt".to_owned();
                found.failure.value = String::new();
                if is_bare {
                    found.failure.traceback = vec![found.failure.name.clone()];
                }
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
            let is_told = result.exceeded().is_some() || self.is_interrupted;
            let killed = killed(&found.failure, code.unwrap_or(0));
            match killed.filter(|_| has_ended && !is_told) {
                Some(killed) => found.failure = killed,
                None => {
                    found.failure = limited(found.failure.clone(), result);
                    if has_ended {
                        found.failure.traceback.push(LOST.to_owned());
                    }
                }
            }
        }
        let Some(Found {
            start,
            end: after,
            failure,
        }) = found
        else {
            end.outputs
                .extend((!held.is_empty()).then_some(Output::Stderr(held)));
            if result.has_restarted() == Some(true) {
                end.outputs.push(Output::Stderr(format!("{LOST}\n")));
            }
            return end;
        };
        let (before, after) = (&held[..start], &held[after..]);
        let rest = [before, after].concat();
        end.outputs
            .extend((!rest.is_empty()).then_some(Output::Stderr(rest)));
        end.failure = Some(failure);
        end
    }
}

impl Cell {
    /// The end by an exception of which the interpreter has told: its traceback is the last thing that was written before, if it is
    /// not told as well.
    fn end_as_told(
        &mut self,
        mut end: End,
        held: &str,
        mut failure: Failure,
        result: &ExecutionResult,
    ) -> End {
        let split = held.split_at_checked(self.told_at);
        let (before, after) = split.unwrap_or((held, ""));
        let trace = self.told_trace.take();
        let is_told = trace.is_some();
        failure.traceback = trace.unwrap_or(failure.traceback);
        let start = match self.family.find(before) {
            _ if is_told => before.len(),
            Some(found) if found.failure.name == failure.name => {
                failure.traceback = before[found.start..].lines().map(str::to_owned).collect();
                found.start
            }
            // That of `sys.exit("message")` alone.
            _ if failure.name == "SystemExit" => {
                let rest = before.trim_end_matches('\n');
                let rest = rest.strip_suffix(failure.value.trim_end_matches('\n'));
                let is_line = |rest: &&str| rest.is_empty() || rest.ends_with('\n');
                rest.filter(is_line).map_or(before.len(), str::len)
            }
            // A hook of the program has shown it in its own way.
            _ => before.len(),
        };
        let rest = [&before[..start], after].concat();
        end.outputs
            .extend((!rest.is_empty()).then_some(Output::Stderr(rest)));
        if self.is_interrupted && failure.name == "SystemExit" {
            failure.name = "KeyboardInterrupt".to_owned();
            failure.value = String::new();
        }
        if result.has_restarted() == Some(true) {
            failure.traceback.push(LOST.to_owned());
        }
        end.failure = Some(failure);
        end
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

/// The exception of which an interpreter tells that it has ended the cell.
fn told(about: &Value) -> Option<Failure> {
    let text = |field: &str| about["error"][field].as_str();
    Some(Failure::new(text("name")?, text("value")?))
}

/// What a program displays in all its forms, with what is said of it.
fn displayed(value: &ValueForms<'_>, about: &Value) -> Output {
    if let Some(when) = about["clear"].as_str() {
        return Output::Clear {
            is_later: when == "later",
        };
    }
    let (mut data, metadata) = parts(value);
    if about["raw"] == Value::Bool(true) {
        data = raw(value.forms().iter().filter(is_form));
    }
    Output::Display {
        data,
        metadata,
        display_id: about["id"].as_str().map(str::to_owned),
        is_update: about["update"] == Value::Bool(true),
    }
}

/// Whether it is a form, and not what is said of them.
fn is_form(form: &&Media<'_>) -> bool {
    !matches!(
        form.media_type(),
        ValueForms::DISPLAY | ValueForms::METADATA
    )
}

/// The forms of a value, and what is said of them.
fn parts(value: &ValueForms<'_>) -> (Map<String, Value>, Map<String, Value>) {
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
mod tests;
