//! Messages over the socket between a gateway and its helpers, with open files.
//!
//! A message is its length (four bytes, little-endian) and its bytes, of which the first says what it is.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// The most open files in a message.
const MAX_FILES: usize = 4;
/// The longest message: more than the system accepts as arguments and environment of a program.
const MAX_LENGTH: usize = 16 * 1024 * 1024;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// To the first process: what is in the box. Its users are mapped.
    Plan = b'b',
    /// To the first process: the same, which is only tried, with the program that follows.
    Trial = b'?',
    /// To the holder: the process within whose namespaces the box is to be made.
    Within = b'w',
    /// From what keeps files in memory: it is in its own namespaces, whose users can be mapped.
    Apart = b'a',
    /// From the holder, which is in its own namespaces: the ID of the box's first process, and a file that stands for it.
    First = b'f',
    /// From the first process to the holder: a file that stands for the mounts of the box.
    Mounts = b'n',
    /// From the first process: the box is ready, or can be made so.
    Ready = b'r',
    /// To the process that enters: the program, and its input and the box.
    Enter = b'e',
    /// From the process that enters: the terminal that it has made.
    Terminal = b't',
    /// From the process that enters: the ID of the program's process, which waits for an order before it is reaped.
    Started = b'i',
    /// From the process that enters: the program and its group have the signal that they were to get.
    Signalled = b'g',
    /// From the process that enters: what the program has used, before how it ended.
    Spent = b'u',
    /// From the process that enters: how the program ended.
    Status = b's',
    /// From any helper: what failed.
    Failed = b'!',
}

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
    pub(crate) files: Vec<OwnedFd>,
}

impl Message {
    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.kind == kind as u8
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a message. Blocks.
pub(crate) fn send(
    socket: &UnixStream,
    kind: Kind,
    body: &[u8],
    files: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let length = u32::try_from(body.len() + 1).map_err(|_| io::ErrorKind::InvalidInput)?;
    let head = [&length.to_le_bytes()[..], &[kind as u8]].concat();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
    let mut attached = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !attached.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // At once, so that a short message of one sender is not cut in two by one of another.
    let slices = [IoSlice::new(&head), IoSlice::new(body)];
    let sent = rustix::net::sendmsg(socket, &slices, &mut attached, SendFlags::NOSIGNAL)?;
    let rest = [&head[..], body].concat();
    let mut socket = socket;
    socket.write_all(rest.get(sent..).unwrap_or_default())
}

/// Receives a message; `None` at the end. Blocks, at most for the socket's timeout.
pub(crate) fn receive(mut socket: &UnixStream) -> io::Result<Option<Message>> {
    let mut head = [0; 5];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
    let mut attached = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut head)];
    let received = loop {
        let flags = RecvFlags::CMSG_CLOEXEC;
        match rustix::net::recvmsg(socket, &mut slices, &mut attached, flags) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?.bytes,
        }
    };
    if received == 0 {
        return Ok(None);
    }
    let mut files = Vec::new();
    for message in attached.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            files.extend(received);
        }
    }
    socket.read_exact(&mut head[received..])?;
    let [a, b, c, d, kind] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if !(1..=MAX_LENGTH).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length - 1];
    socket.read_exact(&mut body)?;
    Ok(Some(Message { kind, body, files }))
}

/// Writes words, and lists of them, into the body of a message.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// A word must not contain a zero byte; no path, argument or variable does.
    pub(crate) fn word(&mut self, word: impl AsRef<OsStr>) {
        let bytes = word.as_ref().as_bytes();
        self.0.extend(bytes.iter().filter(|byte| **byte != 0));
        self.0.push(0);
    }

    pub(crate) fn list<W: AsRef<OsStr>>(&mut self, words: impl IntoIterator<Item = W>) {
        let words: Vec<W> = words.into_iter().collect();
        self.word(words.len().to_string());
        for word in words {
            self.word(word);
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what a [`Writer`] wrote.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    pub(crate) fn word(&mut self) -> io::Result<OsString> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let end = end.ok_or(io::ErrorKind::InvalidData)?;
        let (word, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Ok(OsString::from_vec(word.to_vec()))
    }

    pub(crate) fn number(&mut self) -> io::Result<u64> {
        let word = self.word()?;
        let number = word.to_str().and_then(|word| word.parse().ok());
        number.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    pub(crate) fn list(&mut self) -> io::Result<Vec<OsString>> {
        let count = self.number()?;
        (0..count).map(|_| self.word()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn long_messages_and_files_arrive() {
        let (one, other) = UnixStream::pair().unwrap();
        let mut words = Writer::default();
        let long = "x".repeat(1_000_000);
        words.list(["", "a b", &long]);
        words.word("7");
        let body = words.finish();
        let sender = std::thread::spawn(move || {
            let (reader, writer) = io::pipe().unwrap();
            let files = [reader.as_fd(), writer.as_fd()];
            send(&one, Kind::Enter, &body, &files).unwrap();
            send(&one, Kind::Ready, &[], &[]).unwrap();
        });
        let first = receive(&other).unwrap().unwrap();
        assert!(first.is(Kind::Enter));
        assert_eq!(first.files.len(), 2);
        let mut reader = Reader::new(&first.body);
        assert_eq!(reader.list().unwrap(), ["", "a b", &long]);
        assert_eq!(reader.number().unwrap(), 7);
        assert!(reader.word().is_err());
        let second = receive(&other).unwrap().unwrap();
        assert!(second.is(Kind::Ready) && second.body.is_empty());
        sender.join().unwrap();
        assert!(receive(&other).unwrap().is_none());
    }
}
