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
    held: Vec<u8>,
    /// Whether the mark has passed. From then on everything is the program's.
    passed: bool,
}

impl Steps {
    /// The steps of a batch: with or without a build, with or without default steps.
    pub(super) fn new(marks: Marks, builds: bool, has_defaults: bool) -> Self {
        let stream = || Stream {
            held: Vec::new(),
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
        for record in console.iter_exact() {
            match record {
                Record::Stdout(text) => self.output(text.as_bytes(), false, &mut now, &mut all),
                Record::Stderr(text) => self.output(text.as_bytes(), true, &mut now, &mut all),
                // A mark may have been read together with what is not text.
                Record::StdoutBytes(bytes) => self.output(&bytes, false, &mut now, &mut all),
                Record::StderrBytes(bytes) => self.output(&bytes, true, &mut now, &mut all),
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

    /// Looks for the mark that must be the first output. Whether there is more to do with this output, which then
    /// includes what was held.
    fn read_native(&mut self, output: &[u8]) -> Option<Vec<u8>> {
        let mut joined = std::mem::take(&mut self.stdout.held);
        joined.extend_from_slice(output);
        let native = self.marks.native.as_bytes();
        if native.starts_with(&joined) && joined.len() < native.len() {
            self.stdout.held = joined;
            return None;
        }
        self.may_be_native = false;
        self.is_native = joined.starts_with(native);
        (!self.is_native).then_some(joined)
    }

    fn output(
        &mut self,
        output: &[u8],
        is_stderr: bool,
        now: &mut Console,
        all: &mut Vec<ExecutionEvent>,
    ) {
        let whole;
        let output = if self.may_be_native && !is_stderr {
            match self.read_native(output) {
                Some(joined) => {
                    whole = joined;
                    whole.as_slice()
                }
                None => return,
            }
        } else {
            output
        };
        let stream = if is_stderr {
            &mut self.stderr
        } else {
            &mut self.stdout
        };
        if stream.passed {
            let waits = self.code.is_some() && !self.is_built;
            push(if waits { &mut self.later } else { now }, is_stderr, output);
            return;
        }
        let mut joined = std::mem::take(&mut stream.held);
        joined.extend_from_slice(output);
        let mut rest = joined.as_slice();
        // Only the character that no text has begins a mark.
        while let Some(at) = memchr::memchr(0x1e, rest) {
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
                    stream.held = rest.to_vec();
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
            usage: None,
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

fn push(console: &mut Console, is_stderr: bool, output: &[u8]) {
    match (std::str::from_utf8(output), is_stderr) {
        (Ok(""), _) => {}
        (Ok(text), true) => console.push_stderr(text),
        (Ok(text), false) => console.push_stdout(text),
        (Err(_), true) => console.push_stderr_bytes(output),
        (Err(_), false) => console.push_stdout_bytes(output),
    }
}

/// What output begins with.
enum Mark {
    Built { code: i64, len: usize },
    Incomplete,
    None,
}

impl Marks {
    /// Reads the end of the build at the beginning of output.
    fn read(&self, output: &[u8]) -> Mark {
        let built = self.built.as_bytes();
        if built.starts_with(output) {
            return Mark::Incomplete;
        }
        let Some(number) = output.strip_prefix(built) else {
            return Mark::None;
        };
        let end = memchr::memchr(b'\n', number);
        let digits = &number[..end.unwrap_or(number.len())];
        if digits.len() > MOST_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
            return Mark::None;
        }
        let code = std::str::from_utf8(digits).map(str::parse);
        match code {
            _ if end.is_none() => Mark::Incomplete,
            Ok(Ok(code)) => Mark::Built {
                code,
                len: built.len() + digits.len() + 1,
            },
            _ => Mark::None,
        }
    }
}
