//! From the bytes of a response to files.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::multipart::{self, Piece};
use super::path::{Requested, below};
use super::tar::{self, Item, Kind};
use crate::error::{Error, UnpackError};

/// Unpacks the response to a [`Download`](crate::Download) as it arrives: see the [module](crate::download).
///
/// [`feed`](Self::feed) it, take events until there are none, and so on; [`finish`](Self::finish) it when the
/// response has ended. Events do not depend on how the bytes are cut, but for the lengths of the pieces in
/// [`Data`](UnpackEvent::Data). It keeps what it was fed with until the events are taken, and besides that
/// at most about 200 KB.
pub struct Unpacker {
    requested: Vec<Requested>,
    limits: UnpackLimits,
    fed: VecDeque<Bytes>,
    /// Bytes of the response that may still come, entries, and bytes of files.
    left: Left,
    multipart: multipart::Reader,
    /// How many parts have begun.
    parts: usize,
    part: Option<Part>,
    failed: Option<UnpackError>,
}

#[derive(Clone, Copy)]
struct Left {
    bytes: u64,
    content: u64,
    entries: usize,
}

/// A part of the response that has begun.
struct Part {
    archive: tar::Reader,
    data: Bytes,
    has_entry: bool,
    has_ended: bool,
}

/// What an [`Unpacker`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnpackEvent {
    /// A directory, of one that was requested.
    Directory(UnpackedEntry),
    /// A file begins. Its directory may not have been an event of its own.
    FileStart(UnpackedEntry),
    /// A piece of the file's content.
    Data(Bytes),
    /// The file's content has ended, with as many bytes as its entry said.
    FileEnd,
    /// Something in a directory that is neither a file nor a directory, and is left out: a link, a device or a named pipe.
    #[non_exhaustive]
    LeftOut {
        /// The path below the kernel's work directory, as that of an [`UnpackedEntry`].
        path: String,
        /// What it is, such as `a symbolic link`.
        kind: &'static str,
    },
}

/// A file or directory in a download.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackedEntry {
    /// The path below the kernel's work directory, with `/` between its parts. It is safe to join to a
    /// directory on this system: it is not empty, and has no `..` or NUL, and on Windows no backslash or colon.
    pub path: String,
    /// The content's length in bytes; 0 for a directory.
    pub size: u64,
    /// Who may read, write and execute it: the nine bits of Unix.
    pub mode: u32,
}

/// How much an [`Unpacker`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackLimits {
    max_size: u64,
    max_entries: usize,
}

impl Default for UnpackLimits {
    /// 1 GiB and 100,000 entries. Managers of Backend.AI send at most 1 MiB for each of 5 files.
    fn default() -> Self {
        Self {
            max_size: 1 << 30,
            max_entries: 100_000,
        }
    }
}

impl UnpackLimits {
    /// The default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With at most this many bytes in the whole response, and so in its files.
    #[must_use]
    pub fn with_max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// With at most this many files and directories.
    #[must_use]
    pub fn with_max_entries(mut self, count: usize) -> Self {
        self.max_entries = count;
        self
    }

    /// The most bytes in the whole response.
    #[must_use]
    pub fn max_size(&self) -> u64 {
        self.max_size
    }

    /// The most files and directories.
    #[must_use]
    pub fn max_entries(&self) -> usize {
        self.max_entries
    }
}

impl Unpacker {
    /// An unpacker for a response with these headers to a request for these files.
    ///
    /// # Errors
    ///
    /// [`Error::Build`] if a path cannot be requested; [`Error::Unpack`] if the response is of another form.
    pub fn new(
        files: &[impl AsRef<str>],
        headers: &HeaderMap,
        limits: UnpackLimits,
    ) -> Result<Self, Error> {
        let requested: Result<_, _> = files
            .iter()
            .map(|file| Requested::new(file.as_ref()))
            .collect();
        let text = |name| {
            let value = headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        if let Some(given) = text(CONTENT_ENCODING).filter(|coding| coding != "identity") {
            return Err(UnpackError::NotMultipart { given }.into());
        }
        Ok(Self {
            requested: requested?,
            limits,
            fed: VecDeque::new(),
            left: Left {
                bytes: limits.max_size,
                content: limits.max_size,
                entries: limits.max_entries,
            },
            multipart: multipart::Reader::new(&text(CONTENT_TYPE).unwrap_or_default())?,
            parts: 0,
            part: None,
            failed: None,
        })
    }

    /// Takes the next bytes of the response. Take all events before more of them.
    pub fn feed(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.fed.push_back(bytes);
        }
    }

    /// What comes next; `None` if it takes more bytes to know.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the response. From then on it is always the same error.
    pub fn next_event(&mut self) -> Result<Option<UnpackEvent>, UnpackError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.advance();
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            self.fed.clear();
        }
        result
    }

    /// Ends it with the response, after its last event was taken.
    ///
    /// # Errors
    ///
    /// What [`next_event`](Self::next_event) has failed with; [`UnpackError::Truncated`] if the response is not
    /// complete, or there are events left; [`UnpackError::Parts`] if it does not hold what was requested.
    pub fn finish(&mut self) -> Result<(), UnpackError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if !self.multipart.is_finished() || self.part.is_some() || !self.fed.is_empty() {
            return Err(UnpackError::Truncated);
        }
        if self.parts != self.requested.len() {
            return Err(UnpackError::Parts {
                requested: self.requested.len(),
                given: self.parts,
            });
        }
        Ok(())
    }

    /// Whether all that was requested has come, and its events were taken. What may follow does not matter.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_none()
            && self.part.is_none()
            && self.multipart.is_finished()
            && self.parts == self.requested.len()
    }

    fn advance(&mut self) -> Result<Option<UnpackEvent>, UnpackError> {
        loop {
            if let Some(part) = &mut self.part {
                let requested = &self.requested[self.parts - 1];
                let item = part.archive.next(&mut part.data).map_err(|reason| {
                    let requested = requested.path();
                    UnpackError::Archive { requested, reason }
                })?;
                if let Some(item) = item {
                    part.has_entry = true;
                    match event(item, requested, &self.limits, &mut self.left)? {
                        Some(event) => return Ok(Some(event)),
                        None => continue,
                    }
                }
                if part.has_ended {
                    check_end(part, requested)?;
                    self.part = None;
                }
            }
            let Some(piece) = self.piece()? else {
                return Ok(None);
            };
            match (piece, &mut self.part) {
                (Piece::Data(data), Some(part)) => part.data = data,
                (Piece::PartEnd, Some(part)) => part.has_ended = true,
                // Only a start can come outside of a part.
                _ => self.start_part()?,
            }
        }
    }

    fn start_part(&mut self) -> Result<(), UnpackError> {
        self.parts += 1;
        if self.parts > self.requested.len() {
            return Err(UnpackError::Parts {
                requested: self.requested.len(),
                given: self.parts,
            });
        }
        self.part = Some(Part {
            archive: tar::Reader::new(),
            data: Bytes::new(),
            has_entry: false,
            has_ended: false,
        });
        Ok(())
    }

    /// The next piece of the response.
    fn piece(&mut self) -> Result<Option<Piece>, UnpackError> {
        while let Some(mut bytes) = self.fed.pop_front() {
            let most = usize::try_from(self.left.bytes).unwrap_or(usize::MAX);
            if most == 0 {
                return Err(self.limits.too_many_bytes());
            }
            let mut allowed = bytes.split_to(most.min(bytes.len()));
            let before = allowed.len();
            let piece = self.multipart.next(&mut allowed)?;
            self.left.bytes -= (before - allowed.len()) as u64;
            for rest in [bytes, allowed] {
                if !rest.is_empty() {
                    self.fed.push_front(rest);
                }
            }
            if piece.is_some() {
                return Ok(piece);
            }
        }
        Ok(None)
    }
}

/// The event that an item of an archive is, if it is one.
fn event(
    item: Item,
    requested: &Requested,
    limits: &UnpackLimits,
    left: &mut Left,
) -> Result<Option<UnpackEvent>, UnpackError> {
    let entry = match item {
        Item::Data(data) => return Ok(Some(UnpackEvent::Data(data))),
        Item::FileEnd => return Ok(Some(UnpackEvent::FileEnd)),
        Item::Entry(entry) => entry,
    };
    let given = String::from_utf8_lossy(&entry.path).into_owned();
    if let Kind::Other(kind) = entry.kind {
        return Err(UnpackError::Unsupported { path: given, kind });
    }
    let unsafe_path = |reason| UnpackError::UnsafePath {
        path: given.clone(),
        reason,
    };
    let path = std::str::from_utf8(&entry.path).map_err(|_| unsafe_path("is not UTF-8"))?;
    let path = below(path).map_err(unsafe_path)?;
    let path = requested
        .path_of(&path)
        .ok_or_else(|| UnpackError::NotRequested {
            path: given.clone(),
            requested: requested.path(),
        })?;
    if let Kind::Special(kind) = entry.kind
        && path == requested.path()
    {
        return Err(UnpackError::Unsupported { path: given, kind });
    }
    let counted = left.entries.checked_sub(1);
    left.entries = counted.ok_or(UnpackError::TooLarge {
        what: "files and directories",
        limit: limits.max_entries as u64,
    })?;
    let counted = left.content.checked_sub(entry.size);
    left.content = counted.ok_or_else(|| limits.too_many_bytes())?;
    if let Kind::Special(kind) = entry.kind {
        return Ok(Some(UnpackEvent::LeftOut { path, kind }));
    }
    let is_directory = entry.kind == Kind::Directory;
    let entry = UnpackedEntry {
        path,
        size: entry.size,
        mode: entry.mode,
    };
    Ok(Some(if is_directory {
        UnpackEvent::Directory(entry)
    } else {
        UnpackEvent::FileStart(entry)
    }))
}

/// The part's archive must be whole, and hold something.
fn check_end(part: &Part, requested: &Requested) -> Result<(), UnpackError> {
    let reason = if !part.archive.is_finished() {
        "it ends too early"
    } else if !part.has_entry {
        "it is empty"
    } else {
        return Ok(());
    };
    Err(UnpackError::Archive {
        requested: requested.path(),
        reason,
    })
}

impl UnpackLimits {
    fn too_many_bytes(&self) -> UnpackError {
        UnpackError::TooLarge {
            what: "bytes",
            limit: self.max_size,
        }
    }
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker")
            .field("requested", &self.requested)
            .field("limits", &self.limits)
            .field("parts", &self.parts)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
