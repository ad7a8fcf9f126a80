//! The standard output and error of a kernel's programs.

use std::io::{self, PipeReader, PipeWriter};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use sorna_core::Console;
use tokio::net::unix::pipe::Receiver;

use super::console::{Stream, push_bytes, push_output};
use super::decode::Utf8Decoder;
use super::home::Home;
use super::nonblocking;

/// How many bytes are read at once.
const PIECE: usize = 16 * 1024;

/// Two pipes for all processes of the kernel. Output stays in them until there is room in the
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
    /// Held so that the pipe does not end with the process that uses it; `None` once it may end.
    sender: Option<PipeWriter>,
    ended: bool,
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
    pub(crate) fn writers(&mut self, home: &Home) -> io::Result<(Stdio, Stdio)> {
        if self.stdout.sender.is_none() {
            *self = Self::new(home)?;
        }
        Ok((self.stdout.writer()?, self.stderr.writer()?))
    }

    /// Lets the pipes end with the last process that has them. The next process gets new ones.
    pub(crate) fn let_end(&mut self) {
        self.stdout.sender = None;
        self.stderr.sender = None;
    }

    /// Whether they have ended.
    pub(crate) fn have_ended(&self) -> bool {
        self.stdout.ended && self.stderr.ended
    }

    /// Waits until one of them may have something to read.
    pub(crate) async fn readable(&self) {
        tokio::select! {
            _ = self.stdout.receiver.readable(), if !self.stdout.ended => {}
            _ = self.stderr.receiver.readable(), if !self.stderr.ended => {}
            else => std::future::pending().await,
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

    /// Adds an incomplete character at the end of a run.
    pub(crate) fn finish(&mut self, console: &mut Console) {
        for pipe in [&mut self.stdout, &mut self.stderr] {
            push_bytes(console, pipe.stream, &pipe.decoder.finish());
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
            sender: Some(sender),
            ended: false,
            decoder: Utf8Decoder::default(),
        })
    }

    fn writer(&self) -> io::Result<Stdio> {
        let sender = self.sender.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(sender.try_clone()?.into())
    }

    /// Reads what is there now, up to a limit. No error is possible but that nothing is there.
    fn read<'a>(&mut self, bytes: &'a mut [MaybeUninit<u8>]) -> &'a [u8] {
        let try_io = |read: &mut dyn FnMut() -> _| self.receiver.try_io(read);
        let read = nonblocking::read(&self.receiver, bytes, try_io);
        self.ended |= matches!(read, Ok([]));
        read.unwrap_or_default()
    }

    fn drain(&mut self, console: &mut Console, limit: usize) -> bool {
        let mut bytes = [MaybeUninit::uninit(); PIECE];
        while console.text_len() < limit {
            let read = self.read(&mut bytes);
            push_output(console, self.stream, &self.decoder.decode(read));
            if read.len() < PIECE {
                return true;
            }
        }
        false
    }
}
