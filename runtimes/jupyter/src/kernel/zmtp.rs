//! What the sockets of a kernel need of ZMTP 3.0, the protocol of ZeroMQ's sockets: the greeting, without encryption, and frames.
//! Whoever connects may be anybody, so nothing is kept that was announced and has not come, and what has come has a limit.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How long a client has to say that it is one.
const GREETING: Duration = Duration::from_secs(30);
/// The largest part that is not worth a piece of its own, in bytes.
const SMALL: usize = 8 * 1024;
/// The largest command, in bytes.
const MOST_COMMANDED: usize = 4096;
/// How much room is made at once for what comes, in bytes.
const PIECE: usize = 16 * 1024;

/// Flags of frames.
const MORE: u8 = 1;
const LONG: u8 = 2;
pub(super) const COMMAND: u8 = 4;
/// Of what is said first, which is as long as that of the other side.
const GREETINGS: usize = 64;
/// Version 3.0, without encryption: what both sides can.
const SIGNATURE: [u8; 12] = [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0];
const MECHANISM: &[u8] = b"NULL";
/// The command that follows, and its first property.
const READY: &[u8] = b"\x05READY";
const SOCKET_TYPE: &[u8] = b"\x0bSocket-Type";
/// The property that names a client.
const IDENTITY: &[u8] = b"identity";
/// Asks for a sign of life, with a time to wait, and what is to come back.
const PING: &[u8] = b"\x04PING";
const PONG: &[u8] = b"\x04PONG";
const TIME_TO_LIVE: usize = 2;
const MOST_OF_PING: usize = 16;

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Agrees with a client on how to speak, as a socket of this type. Returns how the client names itself; empty if it does not.
pub(super) async fn greet(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    kind: &str,
) -> io::Result<Bytes> {
    timeout(GREETING, agree(from, to, kind)).await?
}

async fn agree(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    kind: &str,
) -> io::Result<Bytes> {
    let mut greeting = [0; GREETINGS];
    greeting[..SIGNATURE.len()].copy_from_slice(&SIGNATURE);
    let mechanism = SIGNATURE.len()..SIGNATURE.len() + MECHANISM.len();
    greeting[mechanism.clone()].copy_from_slice(MECHANISM);
    to.write_all(&greeting).await?;
    let mut theirs = [0; GREETINGS];
    from.read_exact(&mut theirs).await?;
    // Between these two is what older versions take for a length.
    let is_known = (theirs[0], theirs[9]) == (SIGNATURE[0], SIGNATURE[9]) && theirs[10] >= 3;
    if !is_known || theirs[mechanism] != *MECHANISM {
        return Err(invalid());
    }
    let mut ready = BytesMut::from(READY);
    ready.put_slice(SOCKET_TYPE);
    ready.put_slice(&length(kind.len()));
    ready.put_slice(kind.as_bytes());
    let mut said = BytesMut::new();
    put_frame(&mut said, COMMAND, ready.len());
    said.put_slice(&ready);
    to.write_all(&said).await?;
    let (flags, said) = frame(from, MOST_COMMANDED, &mut |_| {}).await?;
    if flags & COMMAND == 0 || !said.starts_with(READY) {
        return Err(invalid());
    }
    identity(said.slice(READY.len()..)).ok_or_else(invalid)
}

/// The length of a property.
fn length(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes()
}

/// The name that is among these properties, or an empty one; `None` if they are none.
fn identity(mut properties: Bytes) -> Option<Bytes> {
    let mut found = Bytes::new();
    while !properties.is_empty() {
        let name = usize::from(properties.get_u8());
        if properties.len() < name + size_of::<u32>() {
            return None;
        }
        let name = properties.split_to(name);
        let size = usize::try_from(properties.get_u32()).ok()?;
        if properties.len() < size {
            return None;
        }
        let value = properties.split_to(size);
        if name.eq_ignore_ascii_case(IDENTITY) {
            found = value;
        }
    }
    Some(found)
}

/// What a client says next: flags, and what follows them, of at most this size. Tells how much has come, as it comes.
pub(super) async fn frame(
    stream: &mut (impl AsyncRead + Unpin),
    most: usize,
    came: &mut impl FnMut(usize),
) -> io::Result<(u8, Bytes)> {
    let flags = stream.read_u8().await?;
    let size = match flags & LONG {
        0 => stream.read_u8().await?.into(),
        _ => stream.read_u64().await?,
    };
    let most = match flags & COMMAND {
        0 => most,
        _ => MOST_COMMANDED,
    };
    let size = usize::try_from(size).ok().filter(|size| *size <= most);
    let size = size.ok_or_else(invalid)?;
    // Whatever was announced: not much more than has come. Pieces of one size leave no holes that are of no use to the next ones.
    let mut pieces = Vec::new();
    let mut left = size;
    while left > 0 {
        let mut piece = BytesMut::with_capacity(left.min(PIECE)).limit(left.min(PIECE));
        while piece.has_remaining_mut() {
            match stream.read_buf(&mut piece).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => came(count),
            }
        }
        let piece = piece.into_inner();
        left -= piece.len();
        pieces.push(piece);
    }
    if pieces.len() > 1 {
        let mut whole = BytesMut::with_capacity(size);
        pieces.drain(..).for_each(|piece| whole.put(piece));
        pieces.push(whole);
    }
    let said = pieces.pop().unwrap_or_default();
    Ok((flags, said.freeze()))
}

/// What a message may have.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// In bytes, of all parts.
    pub(super) size: usize,
    pub(super) parts: usize,
}

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Message(Vec<Bytes>),
    /// What it wants of the socket.
    Command(Bytes),
}

/// What a client says next, with all its parts.
pub(super) async fn said(
    stream: &mut (impl AsyncRead + Unpin),
    limits: Limits,
    came: &mut impl FnMut(usize),
) -> io::Result<Said> {
    let mut parts = Vec::new();
    let mut left = limits.size;
    loop {
        let (flags, part) = frame(stream, left, came).await?;
        if flags & COMMAND != 0 {
            // None comes between parts.
            return match parts[..] {
                [] => Ok(Said::Command(part)),
                _ => Err(invalid()),
            };
        }
        if parts.len() == limits.parts {
            return Err(invalid());
        }
        left -= part.len();
        parts.push(part);
        if flags & MORE == 0 {
            return Ok(Said::Message(parts));
        }
    }
}

/// What to answer to a command, if anything.
pub(super) fn answer(command: &[u8]) -> Option<Frames> {
    let context = command.strip_prefix(PING)?.get(TIME_TO_LIVE..)?;
    let context = &context[..context.len().min(MOST_OF_PING)];
    let mut head = BytesMut::new();
    put_frame(&mut head, COMMAND, PONG.len() + context.len());
    head.put_slice(PONG);
    head.put_slice(context);
    Some(Frames {
        head: head.freeze(),
        last: Bytes::new(),
    })
}

/// What is in front of a part.
fn put_frame(to: &mut BytesMut, flags: u8, size: usize) {
    match u8::try_from(size) {
        Ok(size) => to.put_slice(&[flags, size]),
        Err(_) => {
            to.put_u8(flags | LONG);
            to.put_u64(size as u64);
        }
    }
}

/// A message as it is written. The last part, the content, is not copied if it is large.
pub(super) struct Frames {
    head: Bytes,
    last: Bytes,
}

impl Frames {
    pub(super) fn of(mut parts: Vec<Bytes>) -> Self {
        let mut last = parts.pop().unwrap_or_default();
        let mut head = BytesMut::new();
        for part in parts {
            put_frame(&mut head, MORE, part.len());
            head.put_slice(&part);
        }
        put_frame(&mut head, 0, last.len());
        if last.len() <= SMALL {
            head.put_slice(&last);
            last.clear();
        }
        let head = head.freeze();
        Self { head, last }
    }

    /// Its size, in bytes.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.last.len()
    }
}

/// Pieces of what is written, one after the other.
#[derive(Default)]
pub(super) struct Pieces(VecDeque<Bytes>);

impl Pieces {
    /// Adds a message. Returns its size, in bytes.
    pub(super) fn push(&mut self, frames: &Frames) -> usize {
        let pieces = [&frames.head, &frames.last];
        let pieces = pieces.into_iter().filter(|it| !it.is_empty());
        self.0.extend(pieces.cloned());
        frames.head.len() + frames.last.len()
    }

    /// Takes about this much from the front, in bytes.
    pub(super) fn pop(&mut self, about: usize) -> Self {
        let mut size = 0;
        let mut batch = Self::default();
        while size < about
            && let Some(piece) = self.0.pop_front()
        {
            size += piece.len();
            batch.0.push_back(piece);
        }
        batch
    }
}

impl From<&Frames> for Pieces {
    fn from(frames: &Frames) -> Self {
        let mut pieces = Self::default();
        pieces.push(frames);
        pieces
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |it| it)
    }

    fn chunks_vectored<'p>(&'p self, slices: &mut [IoSlice<'p>]) -> usize {
        let pairs = slices.iter_mut().zip(&self.0);
        pairs
            .map(|(slice, piece)| *slice = IoSlice::new(piece))
            .count()
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0
            && let Some(front) = self.0.front_mut()
        {
            let step = count.min(front.len());
            front.advance(step);
            count -= step;
            if front.is_empty() {
                self.0.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const LIMITS: Limits = Limits {
        size: 300,
        parts: 3,
    };

    async fn read(mut bytes: &[u8]) -> io::Result<Said> {
        said(&mut bytes, LIMITS, &mut |_| {}).await
    }

    fn written(frames: &Frames) -> Vec<u8> {
        [&frames.head[..], &frames.last].concat()
    }

    #[test]
    fn frames_are_those_of_zeromq() {
        let parts = vec![Bytes::from_static(b"t"), Bytes::from(vec![7; 300])];
        let frames = Frames::of(parts);
        assert_eq!(frames.head[..12], [1, 1, b't', 2, 0, 0, 0, 0, 0, 0, 1, 44]);
        assert_eq!((frames.head.len(), frames.last.len()), (312, 0));
        let large = Frames::of(vec![Bytes::from(vec![7; SMALL + 1])]);
        assert_eq!((large.head.len(), large.last.len()), (9, SMALL + 1));
    }

    #[test]
    fn pieces_are_read_to_the_end() {
        let mut pieces = Pieces(["ab", "cde", "f"].map(Bytes::from).into());
        pieces.advance(3);
        assert_eq!((pieces.chunk(), pieces.remaining()), (&b"de"[..], 3));
        pieces.advance(3);
        assert!(!pieces.has_remaining() && pieces.chunk().is_empty());
    }

    #[tokio::test]
    async fn messages_within_the_limits_are_read() {
        for parts in [vec![300], vec![100, 0, 200], vec![0]] {
            let parts: Vec<_> = parts.into_iter().map(|it| vec![7; it].into()).collect();
            let frames = Frames::of(parts.clone());
            assert_eq!(read(&written(&frames)).await.unwrap(), Said::Message(parts));
        }
        for parts in [vec![301], vec![100, 201], vec![0; 4]] {
            let parts = parts.into_iter().map(|it| vec![7; it].into()).collect();
            let error = read(&written(&Frames::of(parts))).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[tokio::test]
    async fn what_is_announced_takes_no_memory() {
        for size in [1 << 40, 1 << 44, 1 << 62, (1 << 63) - 1, u64::MAX] {
            for flags in [LONG, LONG | MORE, LONG | COMMAND] {
                let announced = [&[flags][..], &size.to_be_bytes(), b"abc"].concat();
                let error = read(&announced).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{size} {flags}");
            }
        }
        // Also what is within the limits is only kept when it comes.
        let mut kept = 0;
        let long = vec![vec![5; 3 * PIECE + 1].into()];
        let Said::Message(parts) = said(
            &mut &written(&Frames::of(long.clone()))[..],
            Limits {
                size: 1 << 20,
                parts: 1,
            },
            &mut |count| kept += count,
        )
        .await
        .unwrap() else {
            panic!("a command");
        };
        assert_eq!((parts, kept), (long, 3 * PIECE + 1));
        let mut kept = 0;
        let mut announced: &[u8] = &[LONG, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3];
        let error = frame(&mut announced, 1 << 20, &mut |count| kept += count).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(kept, 3);
    }

    #[tokio::test]
    async fn commands_are_told_from_messages() {
        let ping = [&[COMMAND, 9][..], PING, &[0, 1], b"ab"].concat();
        let Said::Command(command) = read(&ping).await.unwrap() else {
            panic!("a message");
        };
        let pong = answer(&command).unwrap();
        assert_eq!(written(&pong), b"\x04\x07\x04PONGab");
        assert!(answer(b"\x09SUBSCRIBEa").is_none() && answer(PING).is_none());
        let between = [&[MORE, 0][..], &ping].concat();
        assert!(read(&between).await.is_err());
    }

    #[tokio::test]
    async fn clients_say_who_they_are() {
        let greeting = {
            let mut greeting = vec![0; GREETINGS];
            greeting[..SIGNATURE.len()].copy_from_slice(&SIGNATURE);
            greeting[SIGNATURE.len()..][..MECHANISM.len()].copy_from_slice(MECHANISM);
            greeting
        };
        let named = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x03abc";
        let unnamed = b"\x05READY\x0bSocket-Type\0\0\0\x03REQ";
        let cut = &named[..named.len() - 1];
        let error = b"\x05ERROR\x00";
        let cases: [(&[u8], Option<&[u8]>); 4] = [
            (named, Some(b"abc")),
            (unnamed, Some(b"")),
            (cut, None),
            (error, None),
        ];
        for (ready, expected) in cases {
            let size = u8::try_from(ready.len()).unwrap();
            let theirs = [&greeting[..], &[COMMAND, size], ready].concat();
            let mut ours = Vec::new();
            let found = greet(&mut &theirs[..], &mut ours, "ROUTER").await.ok();
            assert_eq!(found.as_deref(), expected);
            assert_eq!(ours[..GREETINGS], greeting);
            assert_eq!(
                &ours[GREETINGS..],
                b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06ROUTER"
            );
        }
        let mut old = greeting.clone();
        old[10] = 2;
        assert!(greet(&mut &old[..], &mut Vec::new(), "REP").await.is_err());
    }
}
