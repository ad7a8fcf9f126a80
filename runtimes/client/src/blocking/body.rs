//! A request body as a reader: bytes from memory, files from disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use bytes::{Buf, Bytes};
use sorna_core::{Body, Segment};

use super::SendMeter;
use crate::net::explain::FileFault;

/// Reads a body's segments one after the other, filling the buffer across their boundaries, since
/// the original gateway needs few large writes. Allocates nothing.
pub(super) struct BodyReader {
    segments: std::vec::IntoIter<Segment>,
    current: Option<Source>,
    /// What was wrong with a local file; the caller turns it into an error.
    failure: Option<(PathBuf, FileFault)>,
    meter: SendMeter,
}

enum Source {
    Bytes(Bytes),
    File {
        file: File,
        path: PathBuf,
        left: u64,
    },
}

impl BodyReader {
    pub(super) fn new(body: Body, meter: SendMeter) -> Self {
        Self {
            segments: body.into_segments().into_iter(),
            current: None,
            failure: None,
            meter,
        }
    }

    pub(super) fn take_failure(&mut self) -> Option<(PathBuf, FileFault)> {
        self.failure.take()
    }

    fn fail(&mut self, path: PathBuf, fault: FileFault) -> io::Error {
        self.failure = Some((path, fault));
        io::Error::other("a file to upload cannot be sent")
    }

    /// Reads from the current source; 0 at its end.
    fn read_current(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.current {
            None => Ok(0),
            Some(Source::Bytes(bytes)) => {
                let taken = bytes.len().min(buffer.len());
                bytes.copy_to_slice(&mut buffer[..taken]);
                Ok(taken)
            }
            Some(Source::File { file, path, left }) => {
                let most = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len());
                let result = match file.read(&mut buffer[..most]) {
                    Ok(0) if most > 0 => Err(FileFault::Shrank),
                    Ok(taken) => {
                        *left -= taken as u64;
                        self.meter.add(taken);
                        Ok(taken)
                    }
                    Err(error) => Err(FileFault::Unreadable(error)),
                };
                let path = path.clone();
                result.map_err(|fault| self.fail(path, fault))
            }
        }
    }

    fn open_next(&mut self) -> io::Result<bool> {
        self.current = match self.segments.next() {
            None => return Ok(false),
            Some(Segment::File { path, len }) => match open_whole(&path, len) {
                Ok(file) => Some(Source::File {
                    file,
                    path,
                    left: len,
                }),
                Err(fault) => return Err(self.fail(path, fault)),
            },
            Some(Segment::Bytes(bytes)) => Some(Source::Bytes(bytes)),
            Some(_) => unreachable!("a body has no other segments"),
        };
        Ok(true)
    }
}

/// Opens a file that still has the length it had when the upload was planned.
fn open_whole(path: &std::path::Path, len: u64) -> Result<File, FileFault> {
    let file = File::open(path).map_err(FileFault::Unreadable)?;
    let metadata = file.metadata().map_err(FileFault::Unreadable)?;
    match metadata.len() {
        found if found < len => Err(FileFault::Shrank),
        found if found > len => Err(FileFault::Grew),
        _ => Ok(file),
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_current(&mut buffer[filled..])? {
                0 if !self.open_next()? => break,
                taken => filled += taken,
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(dir: &std::path::Path, content: &str, len: u64) -> Body {
        let path = dir.join("file");
        std::fs::write(&path, content).unwrap();
        Body::from_segments(vec![
            Segment::Bytes("head ".into()),
            Segment::File { path, len },
            Segment::Bytes(Bytes::new()),
            Segment::Bytes(" tail".into()),
        ])
    }

    #[test]
    fn one_read_spans_several_segments() {
        let dir = tempfile::tempdir().unwrap();
        let meter = SendMeter::default();
        let mut reader = BodyReader::new(body(dir.path(), "content", 7), meter.clone());
        let mut buffer = [0; 64];
        let taken = reader.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..taken], b"head content tail");
        assert_eq!(meter.bytes(), 7, "only the file's bytes are counted");
        assert_eq!(reader.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn a_file_that_grew_or_shrank_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["content and more", "cont"] {
            let mut reader = BodyReader::new(body(dir.path(), content, 7), SendMeter::default());
            assert!(reader.read_to_string(&mut String::new()).is_err());
            assert!(reader.take_failure().unwrap().0.ends_with("file"));
        }
    }

    #[test]
    fn a_file_that_is_gone_is_an_error() {
        let body = Body::from_segments(vec![Segment::File {
            path: "/does/not/exist".into(),
            len: 1,
        }]);
        let mut reader = BodyReader::new(body, SendMeter::default());
        assert!(reader.read(&mut [0; 8]).is_err());
        assert!(matches!(
            reader.take_failure(),
            Some((_, FileFault::Unreadable(error))) if error.kind() == io::ErrorKind::NotFound
        ));
    }
}
