//! The rest of a request that is being sent, in large pieces.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::vec::IntoIter;

use bytes::Bytes;
use futures_io::AsyncRead;
use sorna_core::{Body, Segment};

use crate::net::explain::FileFault;
use crate::runtime::Runtime;

/// Up to this many bytes are sent by one write, head included.
///
/// The original gateway misreads a request head that arrives in two pieces, and rejects an uploaded
/// file unless its whole content has arrived when it looks; it never accepts a single file above
/// some 220 kB.
pub(super) const PIECE: usize = 256 * 1024;

/// A request that is being sent: the head, then the body's segments, through one buffer.
pub(super) struct Outgoing<'a, R: Runtime> {
    runtime: &'a R,
    segments: IntoIter<Segment>,
    current: Option<Current<R::File>>,
    /// Only grows: bytes that are removed would have to be initialized again before the next read.
    buffer: Vec<u8>,
    /// The length of the next piece in it.
    filled: usize,
}

enum Current<F> {
    Bytes(Bytes),
    /// Boxed, since it is large and seldom needed.
    File(Box<OpenFile<F>>),
}

struct OpenFile<F> {
    file: F,
    path: PathBuf,
    left: u64,
}

/// A local file that could not be sent as planned.
#[derive(Debug)]
pub(super) struct FileError {
    pub(super) path: PathBuf,
    pub(super) fault: FileFault,
}

impl<'a, R: Runtime> Outgoing<'a, R> {
    pub(super) fn new(runtime: &'a R, head: Vec<u8>, body: Body) -> Self {
        let room = usize::try_from(body.len()).unwrap_or(PIECE);
        let mut buffer = head;
        buffer.reserve(room.min(PIECE.saturating_sub(buffer.len())));
        // Most bodies are short.
        let segments = match body.as_bytes() {
            Some(bytes) if buffer.len() + bytes.len() <= PIECE => {
                buffer.extend_from_slice(bytes);
                Vec::new()
            }
            _ => body.into_segments(),
        };
        Self {
            runtime,
            segments: segments.into_iter(),
            current: None,
            filled: buffer.len(),
            buffer,
        }
    }

    /// Takes the buffer, whose content is no longer needed.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// The next piece to write; an empty one ends the request. Call it when the one before has been
    /// written.
    pub(super) async fn next(&mut self, first: bool) -> Result<&[u8], FileError> {
        if !first {
            self.filled = 0;
        }
        while self.filled < PIECE {
            let start = self.filled;
            match &mut self.current {
                Some(Current::Bytes(bytes)) => {
                    let n = bytes.len().min(PIECE - start);
                    room_for(&mut self.buffer, start + n)[start..]
                        .copy_from_slice(&bytes.split_to(n));
                    self.filled += n;
                    if bytes.is_empty() {
                        self.current = None;
                    }
                }
                Some(Current::File(open)) => {
                    let OpenFile { file, path, left } = &mut **open;
                    if *left == 0 {
                        if read(file, &mut [0], path).await? > 0 {
                            return Err(failed(path, FileFault::Grew));
                        }
                        self.current = None;
                        continue;
                    }
                    let room = usize::try_from(*left).unwrap_or(PIECE).min(PIECE - start);
                    let room = &mut room_for(&mut self.buffer, start + room)[start..];
                    let n = read(file, room, path).await?;
                    self.filled += n;
                    if n == 0 {
                        return Err(failed(path, FileFault::Shrank));
                    }
                    *left -= n as u64;
                }
                None => match self.segments.next() {
                    Some(Segment::Bytes(bytes)) => self.current = Some(Current::Bytes(bytes)),
                    Some(Segment::File { path, len }) => {
                        // Boxed, since this future is large and seldom needed.
                        let opened = Box::pin(open(self.runtime, path, len));
                        self.current = Some(opened.await?);
                    }
                    Some(_) => unreachable!("a body has no other segments"),
                    None => break,
                },
            }
        }
        Ok(&self.buffer[..self.filled])
    }
}

/// This many bytes of the buffer, which grows if it is shorter.
fn room_for(buffer: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    &mut buffer[..len]
}

async fn open<R: Runtime>(
    runtime: &R,
    path: PathBuf,
    len: u64,
) -> Result<Current<R::File>, FileError> {
    let opened = runtime.open(&path).await;
    let (file, found) = opened.map_err(|error| failed(&path, FileFault::Unreadable(error)))?;
    match found {
        found if found < len => Err(failed(&path, FileFault::Shrank)),
        found if found > len => Err(failed(&path, FileFault::Grew)),
        _ => Ok(Current::File(Box::new(OpenFile {
            file,
            path,
            left: len,
        }))),
    }
}

async fn read<F: AsyncRead + Unpin>(
    file: &mut F,
    buf: &mut [u8],
    path: &Path,
) -> Result<usize, FileError> {
    poll_fn(|cx| Pin::new(&mut *file).poll_read(cx, buf))
        .await
        .map_err(|error| failed(path, FileFault::Unreadable(error)))
}

fn failed(path: &Path, fault: FileFault) -> FileError {
    FileError {
        path: path.to_owned(),
        fault,
    }
}
