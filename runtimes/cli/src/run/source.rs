//! Reading standard input for programs that ask for it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, SeekFrom};
use rustix::io::ioctl_fionread;

/// About how many bytes of input one request carries as text. As much fits into an empty pipe, and escaped into a request.
const MOST: usize = 60 * 1024;
/// The same where the gateway takes bytes as well, in which form they fit into a request whatever they are.
const MOST_BYTES: usize = 512 * 1024;
/// How much at once comes from a writer that has more, and is waited for: what fills half a pipe.
const STREAM: usize = 32 * 1024;
/// For how long it is waited for: until the writer has filled the pipe again.
const REFILL: Duration = Duration::from_millis(5);

/// How much is read at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Amount {
    /// A line, however long.
    Line,
    /// A line, as far as one request carries it.
    Piece,
    /// All whole lines that are there and fit into one request; at least one, however long.
    Lines,
    /// The same, and a longer line as far as one request carries it.
    Pieces,
}

/// Standard input, and what was read of it that no program has got.
#[derive(Debug)]
pub(super) struct Source {
    file: File,
    unused: Vec<u8>,
}

impl Source {
    fn open() -> io::Result<Self> {
        Ok(Self {
            file: io::stdin().as_fd().try_clone_to_owned()?.into(),
            unused: Vec::new(),
        })
    }

    /// Reads what there is for a program, which nothing else reads meanwhile. `None` at its end.
    fn read(&mut self, amount: Amount) -> io::Result<Option<Vec<u8>>> {
        let (longest_line, most) = match amount {
            Amount::Line => (usize::MAX, 0),
            Amount::Piece => (MOST, 0),
            Amount::Lines => (usize::MAX, MOST),
            Amount::Pieces => (MOST_BYTES, MOST_BYTES),
        };
        let mut end = self.read_line(longest_line)?;
        if self.unused[..end].ends_with(b"\n") && end < most {
            self.read_more(most)?;
            let there = &self.unused[..self.unused.len().min(most)];
            let last = there.iter().rposition(|byte| *byte == b'\n');
            end = last.map_or(end, |at| end.max(at + 1));
        }
        Ok((end > 0).then(|| self.unused.drain(..end).collect()))
    }

    /// Reads until there is a line, of at most this many bytes. Returns where it ends.
    fn read_line(&mut self, longest: usize) -> io::Result<usize> {
        let mut searched = 0;
        loop {
            let new = self.unused[searched..].iter();
            let end = new.clone().position(|byte| *byte == b'\n');
            let end = end.map(|at| searched + at + 1);
            if end.is_some() || self.unused.len() >= longest {
                return Ok(end.unwrap_or(longest).min(longest));
            }
            searched = self.unused.len();
            if !self.fill()? {
                return Ok(self.unused.len());
            }
        }
    }

    /// Reads what is there already, until there are so many bytes. Of a writer that fills the pipe, also what follows at once.
    fn read_more(&mut self, most: usize) -> io::Result<()> {
        loop {
            let there = self.unused.len();
            let is_stream = most > MOST && there >= STREAM;
            let wait = if is_stream { REFILL } else { Duration::ZERO };
            if there >= most || !is_readable(&self.file, wait) || !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Waits for more, and reads that. Returns whether there was more.
    fn fill(&mut self) -> io::Result<bool> {
        let there = self.unused.len();
        self.unused.resize(there + MOST, 0);
        let read = loop {
            match self.file.read(&mut self.unused[there..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let read_bytes = read.as_ref().map_or(0, |read| *read);
        self.unused.truncate(there + read_bytes);
        read.map(|read| read > 0)
    }
}

/// Reads from standard input, which is opened when it is first read.
pub(super) fn read(source: &mut Option<Source>, amount: Amount) -> io::Result<Option<Vec<u8>>> {
    let source = match source {
        Some(source) => source,
        None => source.insert(Source::open()?),
    };
    source.read(amount)
}

/// Whether a read would not have to wait, now or within this time, less than a second.
fn is_readable(file: &File, time: Duration) -> bool {
    let mut polled = [PollFd::new(file, PollFlags::IN)];
    let time = Timespec {
        tv_sec: 0,
        tv_nsec: time.subsec_nanos().into(),
    };
    poll(&mut polled, Some(&time)).is_ok_and(|ready| ready > 0)
}

/// Whether standard input holds something that was not read: a file before its end, or what has been written into a pipe.
pub(super) fn has_more() -> bool {
    let stdin = io::stdin();
    let Ok(stat) = rustix::fs::fstat(&stdin) else {
        return false;
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => rustix::fs::seek(&stdin, SeekFrom::Current(0))
            .is_ok_and(|at| i64::try_from(at).is_ok_and(|at| at < stat.st_size)),
        FileType::Fifo | FileType::Socket => ioctl_fionread(&stdin).is_ok_and(|there| there > 0),
        _ => false,
    }
}
