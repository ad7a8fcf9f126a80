//! The standard input of a kernel's programs.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::glances::Glances;
use super::procfs::{self, FileIdentity};
use super::waits::{self, Poll, Wait};

/// Room for the longest input, whose request is below 1 MiB.
const CAPACITY: usize = 1024 * 1024;
/// How much of it is read at once.
const PIECE: usize = 4096;
/// The descriptor that a program has open for its input while that must not be shown, of which the line end is to be seen.
const HIDDEN_INPUT: u32 = 61;
/// The same where not even that is to be seen.
const HIDDEN_LINE: u32 = 60;
/// How long a program waits in one and the same call for several files before it is asked: others look from time to time.
const STEADY: Duration = Duration::from_millis(50);
/// For how long the input stays ended after [`InputFifo::end`].
const END: Duration = Duration::from_millis(100);

/// What a client gives a program that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A line without its end, say.
    Text(String),
    /// Exactly this.
    Bytes(Vec<u8>),
}

impl Input {
    /// Whether it is no bytes at all, by which a client looks whether a program still waits. Empty text is an empty line.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.is_empty())
    }
}

/// A FIFO that the programs read and that we write to when they wait for input.
///
/// We hold it open in both directions, so that it does not end when a writer closes it. Where the
/// system does not show that a program waits, the program would wait forever: there `/dev/null`
/// takes its place, and programs see the end of their input.
#[derive(Debug)]
pub(crate) struct InputFifo {
    path: PathBuf,
    state: State,
    /// Input for which there was no room yet, where the system allows no larger FIFO.
    unwritten: Vec<u8>,
    /// What the programs of a run that has ended have not read.
    rest: Vec<u8>,
    /// Whether prompts are shown, as far as the FIFO says that already.
    shows_prompts: Option<bool>,
    /// The file that is there while what is typed must not be shown.
    mark: PathBuf,
    /// The wait for several files that was seen last, and when it was first seen.
    seen: Option<(Poll, Instant)>,
    /// Waits of less than a second that recur.
    glances: Glances,
}

/// A program that waits for input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// What is to be seen of what is typed.
    pub(crate) echo: Echo,
    /// Whether it may go on without input: it waits for several files, or not for ever.
    pub(crate) may_go_on: bool,
    /// Whether it waits for less than a second, again and again.
    pub(crate) glances: bool,
}

/// What is to be seen of what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    All,
    /// Only the end of a line, as after most passwords: all clients begin a line then, as ones of any gateway have to.
    LineEnd,
    /// Not even that, as on a terminal without echo: the program begins a line itself, if it wants one.
    Nothing,
}

#[derive(Debug)]
enum State {
    Open(File, FileIdentity),
    Ended(Instant),
    Null,
}

impl InputFifo {
    /// Opens the FIFO at this path.
    pub(crate) fn new(path: PathBuf, mark: PathBuf) -> io::Result<Self> {
        if !waits::shows_system_calls() {
            return Ok(Self {
                path: PathBuf::from("/dev/null"),
                state: State::Null,
                unwritten: Vec::new(),
                rest: Vec::new(),
                shows_prompts: None,
                mark,
                seen: None,
                glances: Glances::default(),
            });
        }
        let mut this = Self {
            path,
            state: State::Null,
            unwritten: Vec::new(),
            rest: Vec::new(),
            shows_prompts: None,
            mark,
            seen: None,
            glances: Glances::default(),
        };
        this.open()?;
        Ok(this)
    }

    /// The path that programs open.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The reading end for a new process.
    pub(crate) fn reader(&mut self) -> io::Result<File> {
        self.reopen()?;
        // Each read notes its time otherwise, which takes half as long again in a program that reads byte by byte, as shells
        // do. Only the owner may leave that out.
        let mut options = OpenOptions::new();
        options.read(true);
        let quiet = OFlags::NOATIME.bits().cast_signed();
        let opened = options.clone().custom_flags(quiet).open(&self.path);
        opened.or_else(|_| options.open(&self.path))
    }

    /// Whether `root` or a descendant waits for input that is not there. Where it waits for several files, that is so when it
    /// has been seen in the same wait for some time. Where it waits for less than a second each time, that is so when it has
    /// done so again and again, if the client takes such a question.
    pub(crate) fn waiting(&mut self, root: u32, takes_glances: bool) -> Option<Waiting> {
        let seen = self.seen.take();
        let now = Instant::now();
        match self.wait(root)? {
            Wait::Poll(poll) if poll.is_short => {
                let waits = takes_glances && self.glances.seen(poll.process, now);
                waits.then(|| self.waiting_on(&Wait::Poll(poll)))
            }
            Wait::Poll(poll) => {
                let since = match seen {
                    Some((before, since)) if before == poll => since,
                    _ => now,
                };
                let waiting = self.waiting_on(&Wait::Poll(poll.clone()));
                self.seen = Some((poll, since));
                (now - since >= STEADY).then_some(waiting)
            }
            read @ Wait::Read { .. } => Some(self.waiting_on(&read)),
        }
    }

    /// Whether a program that reads now has to wait.
    pub(crate) fn is_empty(&self) -> bool {
        let State::Open(file, _) = &self.state else {
            return false;
        };
        self.unwritten.is_empty()
            && rustix::io::ioctl_fionread(file).is_ok_and(|unread| unread == 0)
    }

    /// Whether one still waits that has done so before.
    pub(crate) fn still_waiting(&mut self, root: u32) -> Option<Waiting> {
        let wait = self.wait(root)?;
        if let Wait::Poll(poll) = &wait
            && poll.is_short
            && !self.glances.seen(poll.process, Instant::now())
        {
            return None;
        }
        Some(self.waiting_on(&wait))
    }

    /// Whether a program has said, before it waits, that its input must not be shown.
    pub(crate) fn is_hidden(&self) -> bool {
        self.mark.symlink_metadata().is_ok()
    }

    /// A process that waits for the input may say in different ways that it must not be shown.
    fn waiting_on(&self, wait: &Wait) -> Waiting {
        let (process, descriptor, may_go_on, glances) = match wait {
            Wait::Read {
                process,
                descriptor,
            } => (*process, *descriptor, false, false),
            Wait::Poll(poll) => (poll.process, poll.descriptor, true, poll.is_short),
        };
        let is_open = |hidden| match &self.state {
            _ if descriptor == hidden => true,
            State::Open(_, identity) => waits::has_open(process, hidden, *identity),
            _ => false,
        };
        let echo = if is_open(HIDDEN_INPUT) {
            Echo::LineEnd
        } else if is_open(HIDDEN_LINE) || self.is_hidden() {
            Echo::Nothing
        } else {
            Echo::All
        };
        Waiting {
            echo,
            may_go_on,
            glances,
        }
    }

    /// How `root` or a descendant waits for input that is not there.
    pub(crate) fn wait(&mut self, root: u32) -> Option<Wait> {
        if let State::Ended(since) = self.state
            && since.elapsed() >= END
        {
            self.reopen().ok()?;
        }
        if !self.unwritten.is_empty() {
            self.write_on().ok()?;
            return None;
        }
        let State::Open(file, identity) = &self.state else {
            return None;
        };
        let wait = waits::waits_for(&procfs::tree(root), *identity)?;
        // Checked after the process, because only the gateway writes: if the process waited then,
        // it still waits.
        let unread = rustix::io::ioctl_fionread(file).ok()?;
        (unread == 0).then_some(wait)
    }

    /// Writes input, for the first process that reads. What there is no room for follows when
    /// [`waiting`](Self::waiting) is asked.
    pub(crate) fn write(&mut self, input: &[u8]) -> io::Result<()> {
        self.reopen()?;
        self.unwritten.extend_from_slice(input);
        self.write_on()
    }

    fn write_on(&mut self) -> io::Result<()> {
        let State::Open(file, _) = &mut self.state else {
            self.unwritten.clear();
            return Ok(());
        };
        let mut written = 0;
        let result = loop {
            match file.write(&self.unwritten[written..]) {
                Ok(0) => break Ok(()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.unwritten.drain(..written);
        result
    }

    /// Ends the input for programs that wait for it now; later readers wait again.
    pub(crate) fn end(&mut self) {
        if matches!(self.state, State::Open(..)) {
            // Readers see the end when the only writer closes the FIFO. It is reopened after `END`.
            self.state = State::Ended(Instant::now());
        }
    }

    /// Does not ask any more for programs that wait for less than a second each time: they have got the end of the input.
    pub(crate) fn end_glances(&mut self) {
        self.glances.end();
    }

    /// Discards what programs have left unread, and their wish to hide it.
    pub(crate) fn clear(&mut self) {
        let _ = fs::remove_file(&self.mark);
        self.set_aside();
        self.rest = Vec::new();
    }

    /// Puts away what a program left unread, so that no other reads it until it is [restored](Self::restore) for one that goes on
    /// with the same input.
    pub(crate) fn set_aside(&mut self) {
        self.glances = Glances::default();
        if self.reopen().is_ok() {
            let left = self.take();
            self.rest.extend(left);
        }
    }

    /// Gives what was [set aside](Self::set_aside) to the program that begins, without the wish of the one before to hide it.
    pub(crate) fn restore(&mut self) {
        let _ = fs::remove_file(&self.mark);
        // What has come meanwhile comes after it.
        self.set_aside();
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return;
        }
        // As far as there is room; where the system is short of memory, say, the rest is lost as in any other write.
        let _ = self.write(&rest);
    }

    /// Keeps input that has come too late for a program that has ended.
    pub(crate) fn add_to_rest(&mut self, late: &[u8]) {
        self.rest.extend_from_slice(late);
    }

    /// Takes what no program has read.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut taken = Vec::new();
        if let State::Open(file, _) = &mut self.state {
            // Up to where it would have to wait. Mostly there is nothing, before and after each run.
            let mut piece = [0; PIECE];
            while let Ok(read @ 1..) = file.read(&mut piece) {
                taken.extend_from_slice(&piece[..read]);
            }
        }
        taken.append(&mut self.unwritten);
        taken
    }

    /// Lets programs show prompts that their languages show only on a terminal, or not: the sticky bit of the FIFO, which
    /// has no other meaning, says that no person is asked.
    pub(crate) fn show_prompts(&mut self, are_shown: bool) {
        if self.reopen().is_err() || self.shows_prompts == Some(are_shown) {
            return;
        }
        if let State::Open(file, _) = &self.state {
            let mode = if are_shown { 0o600 } else { 0o1600 };
            let _ = file.set_permissions(Permissions::from_mode(mode));
            self.shows_prompts = Some(are_shown);
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if matches!(self.state, State::Ended(_)) {
            self.open()?;
        }
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(&self.path)?;
        // Best effort; the default of 64 KiB is enough for lines that people type.
        let _ = rustix::pipe::fcntl_setpipe_size(&file, CAPACITY);
        let identity = FileIdentity::of(&file.metadata()?);
        self.state = State::Open(file, identity);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::process::{Command, Stdio};

    use rustix::fs::{CWD, Mode};
    use sorna_test_tools::need_that;

    use super::*;

    fn create(directory: &Path) -> InputFifo {
        let path = directory.join("input");
        rustix::fs::mkfifoat(CWD, &path, Mode::RWXU).unwrap();
        InputFifo::new(path, directory.join("hidden")).unwrap()
    }

    #[test]
    fn a_waiting_reader_is_noticed_and_gets_a_line_and_then_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let mut fifo = create(directory.path());
        let is_open = !matches!(fifo.state, State::Null);
        if !need_that(is_open, "/proc/<id>/syscall") {
            return;
        }
        let mut cat = Command::new("cat")
            .stdin(fifo.reader().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut wait = || {
            let until = Instant::now() + Duration::from_secs(20);
            while fifo.waiting(cat.id(), true).is_none() {
                assert!(Instant::now() < until, "no process waits");
                std::thread::sleep(Duration::from_millis(2));
            }
        };
        wait();
        wait();
        fifo.write(b"line\n").unwrap();
        let mut line = [0; 5];
        cat.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
        assert_eq!(&line, b"line\n");
        fifo.end();
        assert!(cat.wait().unwrap().success());
    }

    #[test]
    fn more_input_than_there_is_room_for_arrives_whole() {
        let directory = tempfile::tempdir().unwrap();
        let mut fifo = create(directory.path());
        let State::Open(file, _) = &fifo.state else {
            let _ = need_that(false, "/proc/<id>/syscall");
            return;
        };
        rustix::pipe::fcntl_setpipe_size(file, 4096).unwrap();
        let mut wc = Command::new("wc")
            .arg("-c")
            .stdin(fifo.reader().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        fifo.write("line\n".repeat(20_000).as_bytes()).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while fifo.waiting(wc.id(), true).is_none() {
            assert!(Instant::now() < until, "no process waits");
            std::thread::yield_now();
        }
        fifo.end();
        let mut count = String::new();
        wc.stdout
            .as_mut()
            .unwrap()
            .read_to_string(&mut count)
            .unwrap();
        assert!(wc.wait().unwrap().success());
        assert_eq!(count.trim(), "100000");
    }

    #[test]
    fn unread_input_does_not_reach_the_next_program() {
        let directory = tempfile::tempdir().unwrap();
        let mut fifo = create(directory.path());
        fifo.write(b"left over\n").unwrap();
        fifo.clear();
        if let State::Open(file, _) = &fifo.state {
            assert_eq!(rustix::io::ioctl_fionread(file).unwrap(), 0);
        }
    }
}
