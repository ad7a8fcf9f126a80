//! Takes the output of a batch that is one command apart.

use super::event::ExecutionEvent;
use super::script::Marks;
use crate::console::{Console, Record};
use crate::ops::ExecutionStatus;

/// The most output of the program that is held back because the end of the build's other stream has not arrived.
const MOST_HELD: usize = 64 * 1024;

/// The most digits of an exit code that a shell prints.
const MOST_DIGITS: usize = 3;

/// Finds the marks in the two streams, wherever they are cut, takes them out, and reports the end of the build between
/// its output and that of the program.
#[derive(Debug)]
pub(super) struct Steps {
    marks: Marks,
    stdout: Stream,
    stderr: Stream,
    /// The exit code of the build, once a mark was seen.
    code: Option<i64>,
    /// Output that belongs behind the end of the build.
    later: Console,
    is_built: bool,
    /// Whether the first output may be the mark that the runner has to do its default steps itself.
    may_be_native: bool,
    is_native: bool,
}

/// One stream of the output.
#[derive(Debug, Default)]
struct Stream {
    /// The last of the text, which may be the beginning of a mark.
    held: String,
    /// Whether the mark has passed. From then on everything is the program's.
    passed: bool,
}

impl Steps {
    /// The steps of a batch: with or without a build, with or without default steps.
    pub(super) fn new(marks: Marks, builds: bool, has_defaults: bool) -> Self {
        let stream = || Stream {
            held: String::new(),
            passed: !builds,
        };
        Self {
            marks,
            stdout: stream(),
            stderr: stream(),
            code: None,
            later: Console::new(),
            is_built: !builds,
            may_be_native: has_defaults,
            is_native: false,
        }
    }

    /// Whether the runner has to do its default steps itself.
    pub(super) fn is_native(&self) -> bool {
        self.is_native
    }

    /// Takes output, and gives what is to be reported.
    pub(super) fn feed(&mut self, console: Console) -> Vec<ExecutionEvent> {
        if self.is_built && self.stdout.passed && self.stderr.passed && !self.may_be_native {
            return events(console);
        }
        let mut now = Console::new();
        let mut all = Vec::new();
        for record in &console {
            match record {
                Record::Stdout(text) => self.text(&text, false, &mut now, &mut all),
                Record::Stderr(text) => self.text(&text, true, &mut now, &mut all),
                other if self.code.is_none() || self.is_built => now.push(&other),
                other => self.later.push(&other),
            }
        }
        if self.later.text_len() > MOST_HELD {
            self.built(&mut now, &mut all);
        }
        all.extend(events(now));
        all
    }

    /// The rest, at the end.
    pub(super) fn finish(&mut self) -> Vec<ExecutionEvent> {
        let mut now = Console::new();
        let mut all = Vec::new();
        push(&mut now, false, &std::mem::take(&mut self.stdout.held));
        push(&mut now, true, &std::mem::take(&mut self.stderr.held));
        if self.code.is_some() {
            self.built(&mut now, &mut all);
        }
        all.extend(events(now));
        all
    }

    /// Looks for the mark that must be the first output. Whether there is more to do with this text, which then
    /// includes what was held.
    fn read_native(&mut self, text: &str) -> Option<String> {
        let joined = std::mem::take(&mut self.stdout.held) + text;
        if self.marks.native.starts_with(&joined) && joined.len() < self.marks.native.len() {
            self.stdout.held = joined;
            return None;
        }
        self.may_be_native = false;
        self.is_native = joined.starts_with(&self.marks.native);
        (!self.is_native).then_some(joined)
    }

    fn text(
        &mut self,
        text: &str,
        is_stderr: bool,
        now: &mut Console,
        all: &mut Vec<ExecutionEvent>,
    ) {
        let whole;
        let text = if self.may_be_native && !is_stderr {
            match self.read_native(text) {
                Some(joined) => {
                    whole = joined;
                    whole.as_str()
                }
                None => return,
            }
        } else {
            text
        };
        let stream = if is_stderr {
            &mut self.stderr
        } else {
            &mut self.stdout
        };
        if stream.passed {
            let waits = self.code.is_some() && !self.is_built;
            push(if waits { &mut self.later } else { now }, is_stderr, text);
            return;
        }
        let joined = std::mem::take(&mut stream.held) + text;
        let mut rest = joined.as_str();
        // Only the character that no text has begins a mark.
        while let Some(at) = rest.find('\u{1e}') {
            push(now, is_stderr, &rest[..at]);
            rest = &rest[at..];
            match self.marks.read(rest) {
                Mark::Built { code, len } => {
                    stream.passed = true;
                    self.code.get_or_insert(code);
                    rest = &rest[len..];
                    break;
                }
                Mark::Incomplete => {
                    stream.held = rest.to_owned();
                    return;
                }
                Mark::None => {
                    push(now, is_stderr, &rest[..1]);
                    rest = &rest[1..];
                }
            }
        }
        if !stream.passed {
            push(now, is_stderr, rest);
            return;
        }
        if !self.is_built {
            push(&mut self.later, is_stderr, rest);
            if self.stdout.passed && self.stderr.passed {
                self.built(now, all);
            }
        } else {
            push(now, is_stderr, rest);
        }
    }

    /// Reports the end of the build, once, and what belongs behind it.
    fn built(&mut self, now: &mut Console, all: &mut Vec<ExecutionEvent>) {
        if self.is_built {
            return;
        }
        self.is_built = true;
        all.extend(events(std::mem::take(now)));
        all.push(ExecutionEvent::StepFinished {
            status: ExecutionStatus::BuildFinished,
            exit_code: self.code,
        });
        *now = std::mem::take(&mut self.later);
    }
}

fn events(console: Console) -> Vec<ExecutionEvent> {
    if console.is_empty() {
        return Vec::new();
    }
    vec![ExecutionEvent::Console(console)]
}

fn push(console: &mut Console, is_stderr: bool, text: &str) {
    match (text, is_stderr) {
        ("", _) => {}
        (text, true) => console.push_stderr(text),
        (text, false) => console.push_stdout(text),
    }
}

/// What a text begins with.
enum Mark {
    Built { code: i64, len: usize },
    Incomplete,
    None,
}

impl Marks {
    /// Reads the end of the build at the beginning of a text.
    fn read(&self, text: &str) -> Mark {
        if self.built.starts_with(text) {
            return Mark::Incomplete;
        }
        let Some(number) = text.strip_prefix(&self.built) else {
            return Mark::None;
        };
        let (digits, is_whole) = match number.split_once('\n') {
            Some((digits, _)) => (digits, true),
            None => (number, false),
        };
        if digits.len() > MOST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Mark::None;
        }
        match digits.parse() {
            _ if !is_whole => Mark::Incomplete,
            Ok(code) => Mark::Built {
                code,
                len: self.built.len() + digits.len() + 1,
            },
            Err(_) => Mark::None,
        }
    }
}
