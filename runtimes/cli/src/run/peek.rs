//! Looking at standard input without taking anything from it, since other commands may read it after this one.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::{FileType, SeekFrom, fstat, seek};
use rustix::pipe::{SpliceFlags, tee};

/// How much is looked at in a pipe: as much as one holds.
const PIPE: usize = 64 * 1024;
/// How much of a file is read at once.
const PIECE: usize = 256 * 1024;

/// The first byte that is not UTF-8, and its offset from where the input is now. Of a pipe, only what is there already is
/// looked at; of what is neither pipe nor file, nothing.
pub(super) fn first_invalid(input: &File) -> io::Result<Option<(u8, u64)>> {
    match FileType::from_raw_mode(fstat(input)?.st_mode) {
        FileType::RegularFile => in_file(input),
        FileType::Fifo => in_pipe(input),
        _ => Ok(None),
    }
}

fn in_file(input: &File) -> io::Result<Option<(u8, u64)>> {
    let start = seek(input, SeekFrom::Current(0))?;
    let mut buffer = vec![0; PIECE];
    // The beginning of a character from the piece before.
    let (mut kept, mut offset) = (0, 0);
    loop {
        let read = input.read_at(&mut buffer[kept..], start + offset + kept as u64)?;
        let there = &buffer[..kept + read];
        let Err(error) = std::str::from_utf8(there) else {
            if read == 0 {
                return Ok(None);
            }
            offset += there.len() as u64;
            kept = 0;
            continue;
        };
        let valid = error.valid_up_to();
        if error.error_len().is_some() || read == 0 {
            return Ok(Some((there[valid], offset + valid as u64)));
        }
        let end = there.len();
        buffer.copy_within(valid..end, 0);
        kept = end - valid;
        offset += valid as u64;
    }
}

fn in_pipe(input: &File) -> io::Result<Option<(u8, u64)>> {
    let (mut copy, writer): (PipeReader, PipeWriter) = io::pipe()?;
    match tee(input, &writer, PIPE, SpliceFlags::NONBLOCK) {
        Ok(_) => {}
        Err(rustix::io::Errno::AGAIN) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    drop(writer);
    let mut there = Vec::new();
    copy.read_to_end(&mut there)?;
    let error = std::str::from_utf8(&there).err();
    let invalid = error.filter(|error| error.error_len().is_some());
    Ok(invalid.map(|error| (there[error.valid_up_to()], error.valid_up_to() as u64)))
}
