//! The gateway's end of a runner's control channel.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{SendFlags, Shutdown};
use tokio::net::unix::pipe::{Receiver, Sender};

use super::frame::{Buffer, Frame, MalformedFrame, large_frame, lost_frame};
use super::nonblocking;

/// How many bytes are read at once.
const READ_SIZE: usize = 32 * 1024;
/// After how many small reads, one soon after the other, and without a message to the runner, messages gather before they are
/// read: otherwise each line of a program that prints all the time wakes the gateway.
const FLOOD: u32 = 64;
/// How much they may take until then, in bytes, as far as the system allows it. A runner that has to wait for room is woken again
/// by each message that is read.
const ROOM: usize = 1024 * 1024;
/// For how long they do.
const GATHERING: Duration = Duration::from_millis(1);
/// After what time without any each is read at once again.
const CALM: Duration = Duration::from_millis(100);

/// A socket to the runner that never blocks: what cannot be sent yet is kept.
#[derive(Debug)]
pub(crate) struct Channel {
    /// No pipe itself, but for tokio it is the end of one: of a socket it would have room for more reported as well, each time
    /// that the runner has read a message.
    stream: Receiver,
    /// The same socket, while a message waits for room.
    full: Option<Sender>,
    incoming: Buffer,
    outgoing: Vec<u8>,
    /// How many bytes are to be read and discarded.
    lost: usize,
    /// When something was read last, and how many small reads there were.
    last: Instant,
    streak: u32,
    ended: bool,
}

impl Channel {
    /// A channel and the end that becomes the runner's standard input. Must be called within a
    /// tokio runtime.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // It works without.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&theirs, ROOM);
        let channel = Self {
            stream: Receiver::from_owned_fd_unchecked(ours.into())?,
            full: None,
            incoming: Buffer::default(),
            outgoing: Vec::new(),
            lost: 0,
            last: Instant::now(),
            streak: 0,
            ended: false,
        };
        Ok((channel, OwnedFd::from(theirs)))
    }

    /// Waits until there may be something to read or, if something waits to be written, room for it.
    pub(crate) async fn ready(&self, reading: bool) {
        let reading = reading && !self.ended;
        tokio::select! {
            () = self.readable(), if reading => {}
            () = self.writable() => {}
        }
    }

    /// Waits until there may be something to read, and as much as is worth it.
    async fn readable(&self) {
        if self.streak >= FLOOD {
            tokio::time::sleep_until((self.last + GATHERING).into()).await;
        }
        let _ = self.stream.readable().await;
    }

    /// Waits until there may be room for what waits to be written, forever if there is nothing.
    async fn writable(&self) {
        match &self.full {
            Some(full) => drop(full.writable().await),
            None => std::future::pending().await,
        }
    }

    /// Sends a message, now or as soon as there is room.
    pub(crate) fn send(&mut self, message: &[u8]) {
        self.outgoing.extend_from_slice(message);
        self.streak = 0;
        self.flush();
    }

    /// Writes what is waiting to be written.
    pub(crate) fn flush(&mut self) {
        while !self.outgoing.is_empty() {
            let stream = &self.stream;
            let flags = SendFlags::NOSIGNAL;
            let send = || Ok(rustix::net::send(stream, &self.outgoing, flags)?);
            let written = match &self.full {
                // Tokio has to know that there is no room again.
                Some(full) => full.try_io(send),
                None => send(),
            };
            match written {
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.full.is_none() {
                        self.full = self.watch_room().ok();
                    }
                    if self.full.is_some() {
                        return;
                    }
                    // Without descriptors the message is lost, and with it the runner.
                    let _ = rustix::net::shutdown(stream, Shutdown::Both);
                    self.outgoing.clear();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The runner is gone; its exit status is reported elsewhere.
                Err(_) => self.outgoing.clear(),
            }
        }
        self.full = None;
    }

    /// Has the reactor report room for more.
    fn watch_room(&self) -> io::Result<Sender> {
        let stream = self.stream.as_fd().try_clone_to_owned()?;
        Sender::from_owned_fd_unchecked(stream)
    }

    /// Reads what is there, up to a limit. Returns whether there may be more.
    pub(crate) fn receive(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let mut bytes = [MaybeUninit::uninit(); READ_SIZE];
        let try_io = |read: &mut dyn FnMut() -> _| self.stream.try_io(read);
        match nonblocking::read(&self.stream, &mut bytes, try_io) {
            Ok([]) => self.ended = true,
            Ok(read) => {
                let now = Instant::now();
                let is_calm = now.saturating_duration_since(self.last) > CALM;
                self.streak = match is_calm || read.len() == READ_SIZE {
                    true => 0,
                    false => self.streak.saturating_add(1),
                };
                self.last = now;
                let (lost, kept) = read.split_at(self.lost.min(read.len()));
                self.lost -= lost.len();
                self.incoming.extend(kept);
                return read.len() == READ_SIZE;
            }
            Err(error) => self.ended = error.kind() != io::ErrorKind::WouldBlock,
        }
        false
    }

    /// The length of the frame that is being received, if it is a large one.
    pub(crate) fn large_frame(&self) -> Option<usize> {
        large_frame(self.incoming.rest())
    }

    /// Makes room for a frame of this length, and not for much more.
    pub(crate) fn reserve(&mut self, length: usize) {
        let more = length.saturating_sub(self.incoming.rest().len());
        self.incoming.reserve(more + READ_SIZE);
    }

    /// Forgets the large frame that is being received, and puts a message in its place. Returns whether the runner waits for
    /// a reply to it.
    pub(crate) fn lose_frame(&mut self) -> bool {
        let Some(length) = self.large_frame() else {
            return false;
        };
        self.lost = length - self.incoming.rest().len();
        let (frame, is_awaited) = lost_frame(self.incoming.rest(), length);
        self.incoming = frame.into();
        is_awaited
    }

    /// The next frame of what was read.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, MalformedFrame> {
        self.incoming.next()
    }

    /// Whether the runner closed its end.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write;
    use std::thread;

    use super::*;
    use crate::kernel::console::Stream;

    /// The frames that arrive when a large one of this kind is lost in its middle, and whether a reply is awaited.
    async fn without(letter: char) -> (Vec<Frame>, bool) {
        let (mut channel, theirs) = Channel::pair().unwrap();
        let runner = thread::spawn(move || {
            let content = ".".repeat(1 << 20);
            let frames = format!("{letter} {}\n{content}o 1\nx", content.len());
            let mut stream = UnixStream::from(theirs);
            stream.write_all(frames.as_bytes()).unwrap();
        });
        let mut frames = Vec::new();
        let mut awaits = None;
        while !channel.ended() {
            channel.ready(true).await;
            channel.receive();
            if awaits.is_none()
                && channel.large_frame().is_some()
                && channel.incoming.rest().len() > 40000
            {
                awaits = Some(channel.lose_frame());
            }
            while let Some(frame) = channel.next().unwrap() {
                frames.push(frame);
            }
        }
        runner.join().unwrap();
        (frames, awaits.unwrap())
    }

    #[tokio::test]
    async fn a_frame_is_lost_without_what_follows() {
        for (letter, is_awaited) in [('m', true), ('v', true), ('r', false), ('o', false)] {
            let (frames, awaits) = without(letter).await;
            assert_eq!(awaits, is_awaited, "{letter}");
            let [
                Frame::Text(Stream::Stderr, note),
                Frame::Text(Stream::Stdout, text),
            ] = &frames[..]
            else {
                panic!("{letter}: {frames:?}");
            };
            let note = String::from_utf8_lossy(note);
            assert!(note.contains(" bytes of output were lost, "), "{note}");
            assert_eq!(text, b"x");
        }
    }
}
