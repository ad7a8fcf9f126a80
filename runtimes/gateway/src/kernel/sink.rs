//! Where the output of programs goes.

use sorna_core::{Console, Record};

use super::console::{Stream, push_bytes, push_text};
use super::decode::Decoded;
use super::log::Log;

/// The console, and the log, which gets a copy of all text.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    pub(super) console: &'a mut Console,
    pub(super) log: &'a Log,
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

    /// Adds output as it was read.
    pub(crate) fn push_output(&mut self, stream: Stream, output: &Decoded<'_>) {
        self.push_text(stream, output.text());
        self.push_bytes(stream, output.bytes());
    }

    /// Adds records.
    pub(crate) fn append(&mut self, records: Console) {
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
