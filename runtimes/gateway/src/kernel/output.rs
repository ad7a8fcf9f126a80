//! The standard output and error of a kernel's programs.

use std::io::{self, PipeReader, PipeWriter};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use sorna_core::Console;
use tokio::net::unix::pipe::Receiver;

use super::console::{Stream, push_text};
use super::decode::Utf8Decoder;
use super::home::Home;
use super::nonblocking;

/// How many bytes are read at once.
const PIECE: usize = 16 * 1024;

/// Two pipes that live as long as the kernel. Output stays in them until there is room in the
/// console, so a program whose output is not fetched has to wait, as on a terminal.
#[derive(Debug)]
pub(crate) struct OutputPipes {
    stdout: OutputPipe,
    stderr: OutputPipe,
}

#[derive(Debug)]
struct OutputPipe {
    stream: Stream,
    receiver: Receiver,
    /// Held so that the pipe does not end with the process that uses it.
    sender: PipeWriter,
    decoder: Utf8Decoder,
}

impl OutputPipes {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(home: &Home) -> io::Result<Self> {
        Ok(Self {
            stdout: OutputPipe::new(Stream::Stdout, home)?,
            stderr: OutputPipe::new(Stream::Stderr, home)?,
        })
    }

    /// The writing ends for a new process: standard output and error.
    pub(crate) fn writers(&self) -> io::Result<(Stdio, Stdio)> {
        Ok((
            self.stdout.sender.try_clone()?.into(),
            self.stderr.sender.try_clone()?.into(),
        ))
    }

    /// Waits until one of them may have something to read.
    pub(crate) async fn readable(&self) {
        tokio::select! {
            _ = self.stdout.receiver.readable() => {}
            _ = self.stderr.receiver.readable() => {}
        }
    }

    /// Moves what is there to the console, until that holds `limit` bytes. Returns whether the
    /// pipes are empty.
    pub(crate) fn drain(&mut self, console: &mut Console, limit: usize) -> bool {
        self.stdout.drain(console, limit) && self.stderr.drain(console, limit)
    }

    /// Discards what is in the pipes.
    pub(crate) fn clear(&mut self) {
        for pipe in [&mut self.stdout, &mut self.stderr] {
            let mut rest = [MaybeUninit::uninit(); PIECE];
            while pipe.read(&mut rest).len() == PIECE {}
            pipe.decoder = Utf8Decoder::default();
        }
    }

    /// Replaces an incomplete character at the end of a run by U+FFFD.
    pub(crate) fn finish(&mut self, console: &mut Console) {
        for pipe in [&mut self.stdout, &mut self.stderr] {
            push_text(console, pipe.stream, pipe.decoder.finish());
        }
    }
}

impl OutputPipe {
    fn new(stream: Stream, home: &Home) -> io::Result<Self> {
        let (reader, sender): (PipeReader, PipeWriter) = io::pipe()?;
        // A program that opens `/dev/stdout` opens the pipe once more.
        home.give(&sender)?;
        Ok(Self {
            stream,
            receiver: Receiver::from_owned_fd(OwnedFd::from(reader))?,
            sender,
            decoder: Utf8Decoder::default(),
        })
    }

    /// Reads what is there now, up to a limit. The pipe cannot end, because we hold a writing end,
    /// and no other error is possible.
    fn read<'a>(&self, bytes: &'a mut [MaybeUninit<u8>]) -> &'a [u8] {
        let try_io = |read: &mut dyn FnMut() -> _| self.receiver.try_io(read);
        nonblocking::read(&self.receiver, bytes, try_io).unwrap_or_default()
    }

    fn drain(&mut self, console: &mut Console, limit: usize) -> bool {
        let mut bytes = [MaybeUninit::uninit(); PIECE];
        while console.text_len() < limit {
            let read = self.read(&mut bytes);
            push_text(console, self.stream, &self.decoder.decode(read));
            if read.len() < PIECE {
                return true;
            }
        }
        false
    }
}
