//! Reading what is available now.
//!
//! Tokio reports that nothing is there until its reactor has seen an event. For two streams the events
//! may arrive in another order than the data, so this reads without waiting for them.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

/// Reads from a nonblocking pipe or socket, whether or not tokio's reactor has seen an event.
/// `try_io` is the stream's method of that name, for reading. After a read that emptied the stream, it
/// gets `WouldBlock`, so that tokio waits for the next event.
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
    let mut seen = None;
    let _ = try_io(&mut || {
        let result = seen.insert(read());
        match result {
            Ok(read) if read.len() == room => Ok(()),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    });
    seen.unwrap_or_else(read)
}
