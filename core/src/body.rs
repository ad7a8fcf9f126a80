//! Request bodies: bytes from core, and files that a driver streams.

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// The body of a signed request, as a sequence of segments whose total length is known.
///
/// A driver sends the segments in order. It must send exactly [`Body::len`] bytes: a file that
/// turns out to be shorter or longer than its segment is an error, not a shorter body.
///
/// ```
/// use sorna_core::{Body, Segment};
///
/// fn write(body: Body, socket: &mut impl std::io::Write) -> std::io::Result<()> {
///     let expected = body.len();
///     let mut sent = 0;
///     for segment in body.into_segments() {
///         sent += match segment {
///             Segment::Bytes(bytes) => std::io::copy(&mut bytes.as_ref(), socket)?,
///             Segment::File { path, .. } => std::io::copy(&mut std::fs::File::open(path)?, socket)?,
///             _ => return Err(std::io::ErrorKind::Unsupported.into()),
///         };
///     }
///     // (A real driver checks this before it sends the last byte.)
///     assert_eq!(sent, expected, "a file has changed");
///     Ok(())
/// }
///
/// let mut socket = Vec::new();
/// write(Body::from(b"{}".to_vec()), &mut socket)?;
/// assert_eq!(socket, b"{}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    segments: Segments,
}

/// Most bodies are one piece of JSON, which needs no list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segments {
    One(Segment),
    /// Any other number of segments.
    Many(Vec<Segment>),
}

impl Default for Segments {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// One piece of a [`Body`]. `Debug` shows no bytes, which may be a password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Segment {
    /// These bytes.
    Bytes(Bytes),
    /// The content of a local file, which the driver opens and streams.
    File {
        /// The file's path on the client's machine.
        path: PathBuf,
        /// Its length in bytes when the request was planned; exactly this many are sent.
        len: u64,
    },
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes([{} bytes])", bytes.len()),
            Self::File { path, len } => f
                .debug_struct("File")
                .field("path", path)
                .field("len", len)
                .finish(),
        }
    }
}

impl Segment {
    /// The segment's length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Whether the segment is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The local file to stream, if the segment is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Bytes(_) => None,
            Self::File { path, .. } => Some(path),
        }
    }
}

impl Body {
    /// A body without bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            segments: Segments::Many(Vec::new()),
        }
    }

    /// A body of several segments; empty ones are kept, since an empty file is a file.
    #[must_use]
    pub fn from_segments(mut segments: Vec<Segment>) -> Self {
        let segments = match segments.pop() {
            Some(only) if segments.is_empty() => Segments::One(only),
            last => {
                segments.extend(last);
                Segments::Many(segments)
            }
        };
        Self { segments }
    }

    /// The body's length in bytes: the value of `Content-Length`.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.segments().iter().map(Segment::len).sum()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The segments, in the order of sending.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        match &self.segments {
            Segments::One(segment) => std::slice::from_ref(segment),
            Segments::Many(segments) => segments,
        }
    }

    /// The segments, to be sent and dropped one by one.
    #[must_use]
    pub fn into_segments(self) -> Vec<Segment> {
        match self.segments {
            Segments::One(segment) => vec![segment],
            Segments::Many(segments) => segments,
        }
    }

    /// The whole body, if it is in memory in one piece (or empty): true for everything but uploads.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self.segments() {
            [] => Some(&[]),
            [Segment::Bytes(bytes)] => Some(bytes),
            _ => None,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        Self {
            segments: Segments::One(Segment::Bytes(bytes)),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_the_sum_of_the_segments() {
        let body = Body::from_segments(vec![
            Segment::Bytes(Bytes::from_static(b"head")),
            Segment::File {
                path: "a.txt".into(),
                len: 10,
            },
        ]);
        assert_eq!(body.len(), 14);
        assert_eq!(body.as_bytes(), None);
    }

    #[test]
    fn a_list_of_one_segment_is_that_segment() {
        let segment = Segment::Bytes(Bytes::from_static(b"all"));
        let body = Body::from_segments(vec![segment.clone()]);
        assert_eq!(body, Body::from(b"all".to_vec()));
        assert_eq!(body.segments(), std::slice::from_ref(&segment));
        assert_eq!(body.into_segments(), [segment]);
    }

    #[test]
    fn an_empty_body_has_no_segment_and_is_in_memory() {
        let body = Body::from(Vec::new());
        assert!(body.is_empty());
        assert!(body.segments().is_empty());
        assert_eq!(body.as_bytes(), Some(&[][..]));
    }
}
