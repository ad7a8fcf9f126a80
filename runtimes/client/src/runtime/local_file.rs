//! Local files: what the system has in memory is read at once, the rest by threads for blocking work.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_io::AsyncRead;

use crate::net::BoxFuture;

/// A local file, open for reading from its start.
///
/// On Linux, what is in the page cache is read in place, without another thread, and so are files of file systems in memory.
/// Everything else, and everything on other systems, is read by the runtime's threads for blocking work.
pub struct LocalFile {
    file: Arc<File>,
    in_place: InPlace,
    at: u64,
    /// The file's length when it was opened.
    len: u64,
    reading: Option<BoxFuture<io::Result<Vec<u8>>>>,
    spawn: Spawn,
}

/// What can be read without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "it is nothing"))]
enum InPlace {
    /// What is in the page cache.
    Cached,
    /// Everything, since the file is in memory.
    Everything,
    Nothing,
}

/// How a runtime does blocking work in the background.
pub(super) type Spawn = fn(Job) -> BoxFuture<io::Result<Vec<u8>>>;

/// A piece of a file that may have to come from a disk.
pub(super) struct Job {
    file: Arc<File>,
    at: u64,
    len: usize,
}

impl Job {
    /// Reads it. This blocks.
    pub(super) fn read(self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len];
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(&mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

impl LocalFile {
    /// Opens a file; returns it with its length in bytes. This blocks.
    pub(super) fn open(path: &Path, spawn: Spawn) -> io::Result<(Self, u64)> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let file = Self {
            file: Arc::new(file),
            in_place: if cfg!(target_os = "linux") {
                InPlace::Cached
            } else {
                InPlace::Nothing
            },
            at: 0,
            len,
            reading: None,
            spawn,
        };
        Ok((file, len))
    }
}

impl AsyncRead for LocalFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.reading.is_none()
            && let Some(read) = this.in_place.read(&this.file, buffer, this.at)
            // The end is where it is expected. Elsewhere, some systems only mean that nothing is cached.
            && (read > 0 || this.at == this.len)
        {
            this.at += read as u64;
            return Poll::Ready(Ok(read));
        }
        let reading = this.reading.get_or_insert_with(|| {
            (this.spawn)(Job {
                file: Arc::clone(&this.file),
                at: this.at,
                len: buffer.len(),
            })
        });
        let bytes = ready!(reading.as_mut().poll(context));
        this.reading = None;
        let bytes = bytes?;
        let read = bytes.len().min(buffer.len());
        buffer[..read].copy_from_slice(&bytes[..read]);
        this.at += read as u64;
        Poll::Ready(Ok(read))
    }
}

impl fmt::Debug for LocalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalFile")
            .field("file", &self.file)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl InPlace {
    /// Reads without waiting; `None` if that is not possible.
    #[cfg(target_os = "linux")]
    fn read(&mut self, file: &File, buffer: &mut [u8], at: u64) -> Option<usize> {
        use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};

        if *self == Self::Cached {
            let buffers = &mut [io::IoSliceMut::new(buffer)];
            match preadv2(file, buffers, at, ReadWriteFlags::NOWAIT) {
                // Its file system cannot say whether it would have to wait. One in memory does not, but never says so.
                Err(Errno::OPNOTSUPP) if is_in_memory(file) => *self = Self::Everything,
                Err(Errno::OPNOTSUPP) => *self = Self::Nothing,
                read => return read.ok(),
            }
        }
        match self {
            Self::Everything => pread(file, buffer, at).ok(),
            _ => None,
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read(&mut self, _: &File, _: &mut [u8], _: u64) -> Option<usize> {
        None
    }
}

/// Whether the file system of a file has no other place for it than memory, as those for temporary files often have.
#[cfg(target_os = "linux")]
fn is_in_memory(file: &File) -> bool {
    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;
    let kind = rustix::fs::fstatfs(file).map(|it| it.f_type as u32);
    matches!(kind, Ok(TMPFS | RAMFS))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Reads a file to its end, a few bytes at a time, on a thread of its own for each piece.
    fn read(mut file: LocalFile) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), [0; 7]);
        loop {
            let read = poll_fn(|context| Pin::new(&mut file).poll_read(context, &mut buffer));
            match futures_util::FutureExt::now_or_never(read) {
                Some(Ok(0)) => return all,
                Some(Ok(n)) => all.extend_from_slice(&buffer[..n]),
                Some(Err(error)) => panic!("{error}"),
                None => panic!("it has nothing to wait for"),
            }
        }
    }

    /// The system says of no piece of such a file that reading it would not wait.
    #[cfg(target_os = "linux")]
    #[test]
    fn files_in_memory_are_read_in_place() {
        let spawn: Spawn = |_| panic!("another thread is asked");
        let directory = tempfile::tempdir_in("/dev/shm").expect("a file system in memory");
        let path = directory.path().join("file");
        std::fs::write(&path, [7; 100]).expect("a file");
        let (mut file, len) = LocalFile::open(&path, spawn).expect("it is there");
        assert_eq!(len, 100);
        let mut buffer = [0; 64];
        assert_eq!(file.in_place.read(&file.file, &mut buffer, 90), Some(10));
        assert_eq!(read(file), [7; 100]);
    }

    #[test]
    fn cached_and_uncached_pieces_make_the_same_file() {
        let spawn: Spawn = |job| Box::pin(std::future::ready(job.read()));
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let content: Vec<u8> = (0..100).collect();
        std::fs::write(&path, &content).expect("a file");
        let open = || LocalFile::open(&path, spawn).expect("it is there").0;
        assert_eq!(read(open()), content);

        // A piece that was begun in the background is not read twice.
        let mut file = open();
        file.reading = Some(spawn(Job {
            file: Arc::clone(&file.file),
            at: 0,
            len: 20,
        }));
        assert_eq!(read(file), content);

        // Another length than at the beginning.
        for len in [50, 150] {
            let mut file = open();
            file.len = len;
            assert_eq!(read(file), content);
        }
    }
}
