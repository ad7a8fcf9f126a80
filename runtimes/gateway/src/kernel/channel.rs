//! The gateway's end of a runner's control channel.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net;

use tokio::io::Interest;
use tokio::net::UnixStream;

use super::frame::{Frame, MalformedFrame, large_frame, next_frame};
use super::nonblocking;

/// How many bytes are read at once.
const READ_SIZE: usize = 32 * 1024;

/// A socket to the runner that never blocks: what cannot be sent yet is kept.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    ended: bool,
}

impl Channel {
    /// A channel and the end that becomes the runner's standard input. Must be called within a
    /// tokio runtime.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let channel = Self {
            stream: UnixStream::from_std(ours)?,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            ended: false,
        };
        Ok((channel, OwnedFd::from(theirs)))
    }

    /// Waits until there may be something to read or, if something waits to be written, room for it.
    pub(crate) async fn ready(&self, reading: bool) {
        let reading = reading && !self.ended;
        let interest = match (reading, self.outgoing.is_empty()) {
            (true, true) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            (false, false) => Interest::WRITABLE,
            (false, true) => return std::future::pending().await,
        };
        let _ = self.stream.ready(interest).await;
    }

    /// Sends a message, now or as soon as there is room.
    pub(crate) fn send(&mut self, message: &[u8]) {
        self.outgoing.extend_from_slice(message);
        self.flush();
    }

    /// Writes what is waiting to be written.
    pub(crate) fn flush(&mut self) {
        while !self.outgoing.is_empty() {
            match self.stream.try_write(&self.outgoing) {
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The runner is gone; its exit status is reported elsewhere.
                Err(_) => self.outgoing.clear(),
            }
        }
    }

    /// Reads what is there, up to a limit. Returns whether there may be more.
    pub(crate) fn receive(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let mut bytes = [MaybeUninit::uninit(); READ_SIZE];
        let try_io = |read: &mut dyn FnMut() -> _| self.stream.try_io(Interest::READABLE, read);
        match nonblocking::read(&self.stream, &mut bytes, try_io) {
            Ok([]) => self.ended = true,
            Ok(read) => {
                self.incoming.extend_from_slice(read);
                return read.len() == READ_SIZE;
            }
            Err(error) => self.ended = error.kind() != io::ErrorKind::WouldBlock,
        }
        false
    }

    /// The length of the frame that is being received, if it is a large one.
    pub(crate) fn large_frame(&self) -> Option<usize> {
        large_frame(&self.incoming)
    }

    /// Makes room for a frame of this length, and not for much more.
    pub(crate) fn reserve(&mut self, length: usize) {
        let more = length.saturating_sub(self.incoming.len());
        self.incoming.reserve_exact(more + READ_SIZE);
    }

    /// The next frame of what was read.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, MalformedFrame> {
        next_frame(&mut self.incoming)
    }

    /// Whether the runner closed its end.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}
