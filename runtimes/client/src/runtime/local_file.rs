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
/// On Linux, what is in the page cache is read in place, without another thread. Everything else, and
/// everything on other systems, is read by the runtime's threads for blocking work.
pub struct LocalFile {
    file: Arc<File>,
    at: u64,
    /// The file's length when it was opened.
    len: u64,
    reading: Option<BoxFuture<io::Result<Vec<u8>>>>,
    spawn: Spawn,
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
            && let Some(read) = read_cached(&this.file, buffer, this.at)
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

/// Reads without waiting; `None` if that is not possible here.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, buffer: &mut [u8], at: u64) -> Option<usize> {
    use rustix::io::{ReadWriteFlags, preadv2};

    let buffers = &mut [io::IoSliceMut::new(buffer)];
    preadv2(file, buffers, at, ReadWriteFlags::NOWAIT).ok()
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: &mut [u8], _: u64) -> Option<usize> {
    None
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
