//! Reading what is there now.
//!
//! Tokio alone would say that nothing is there until its reactor has heard of it, which may be later
//! than it heard of what came after.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

/// Reads from a pipe or socket that does not block, whether tokio has heard of anything or not.
/// `try_io` is that of the stream, for reading; after a read that emptied the stream it is told that
/// nothing is there, so that nobody looks in vain.
pub(super) fn read(
    stream: impl AsFd,
    bytes: &mut [MaybeUninit<u8>],
    try_io: impl FnOnce(&mut dyn FnMut() -> io::Result<()>) -> io::Result<()>,
) -> io::Result<&[u8]> {
    let room = bytes.len();
    let mut bytes = Some(bytes);
    let mut read = || {
        let bytes = bytes.take().ok_or(io::ErrorKind::WouldBlock)?;
        let (read, _) = rustix::io::read(&stream, bytes)?;
        Ok::<&[u8], io::Error>(read)
    };
    let mut heard = None;
    let _ = try_io(&mut || {
        let result = heard.insert(read());
        match result {
            Ok(read) if read.len() == room => Ok(()),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    });
    heard.unwrap_or_else(read)
}
