//! Where the output of programs goes.

use sorna_core::{Console, Record};

use super::console::{Stream, push_bytes, push_text};
use super::decode::Decoded;
use super::log::Log;
use super::tally::Tally;

/// The console, and the log, which gets a copy of all text.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    pub(super) console: &'a mut Console,
    pub(super) log: &'a Log,
    /// What of a program's output passes.
    pub(super) tally: &'a mut Tally,
}

impl Sink<'_> {
    pub(crate) fn text_len(&self) -> usize {
        self.console.text_len()
    }

    /// Adds text.
    pub(crate) fn push_text(&mut self, stream: Stream, text: &str) {
        push_text(self.console, stream, text);
        self.log.push(stream, text.as_bytes());
    }

    /// Adds what is not text.
    pub(crate) fn push_bytes(&mut self, stream: Stream, bytes: &[u8]) {
        push_bytes(self.console, stream, bytes);
        self.log.push(stream, bytes);
    }

    /// Adds output as it was read, as far as the program may have so much.
    pub(crate) fn push_output(&mut self, stream: Stream, output: &Decoded<'_>) {
        let text = self.tally.pass_text(output.text());
        self.push_text(stream, text);
        self.push_rest(stream, output.bytes());
    }

    /// The same with output that is not text.
    pub(crate) fn push_rest(&mut self, stream: Stream, bytes: &[u8]) {
        let passed = self.tally.pass_bytes(bytes);
        self.push_bytes(stream, passed);
    }

    /// Whether the program has written more than it may.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.tally.exceeded().is_some()
    }

    /// Adds records of a program, as far as it may have so much.
    pub(crate) fn append(&mut self, records: Console) {
        let mut after = *self.tally;
        for record in records.iter_exact() {
            pass(&mut after, &record);
        }
        if after.exceeded().is_none() {
            *self.tally = after;
            return self.append_all(records);
        }
        for record in records.iter_exact() {
            match record {
                _ if self.is_exceeded() => pass(self.tally, &record),
                Record::Stdout(text) => {
                    let text = self.tally.pass_text(&text);
                    self.push_text(Stream::Stdout, text);
                }
                Record::Stderr(text) => {
                    let text = self.tally.pass_text(&text);
                    self.push_text(Stream::Stderr, text);
                }
                Record::StdoutBytes(bytes) => self.push_rest(Stream::Stdout, &bytes),
                Record::StderrBytes(bytes) => self.push_rest(Stream::Stderr, &bytes),
                other => self.console.push(&other),
            }
        }
    }

    fn append_all(&mut self, records: Console) {
        for record in records.iter_exact() {
            match record {
                Record::Stdout(text) => self.log.push(Stream::Stdout, text.as_bytes()),
                Record::Stderr(text) => self.log.push(Stream::Stderr, text.as_bytes()),
                Record::StdoutBytes(bytes) => self.log.push(Stream::Stdout, &bytes),
                Record::StderrBytes(bytes) => self.log.push(Stream::Stderr, &bytes),
                _ => {}
            }
        }
        self.console.append(records);
    }
}

/// Counts a record, if it is output.
fn pass(tally: &mut Tally, record: &Record<'_>) {
    match record {
        Record::Stdout(text) | Record::Stderr(text) => {
            tally.pass_text(text);
        }
        Record::StdoutBytes(bytes) | Record::StderrBytes(bytes) => {
            tally.pass_bytes(bytes);
        }
        _ => {}
    }
}
