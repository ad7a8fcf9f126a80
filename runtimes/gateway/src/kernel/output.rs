//! The standard output and error of a kernel's programs, in the order in which they were written.
//!
//! Two pipes tell nothing of the order among them. But where a pipe holds one write at most, a program's second write
//! waits until the first has been read: then there are never more than two to put in order, one of each pipe, and epoll
//! reports them in the order in which they came. That takes a switch of tasks for each write, so a pipe through which much
//! comes without anything in the other holds as much as usual, until the other is used. Its writes are not even reported then:
//! it is read after a while, with all that has gathered, or at once when something comes through the other. A program that sets
//! its pipe to nonblocking mode, which it may share with others that do not expect that, gets one as usual as well.

use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter};
use std::mem::MaybeUninit;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::fcntl_setpipe_size;
use tokio::net::unix::pipe::Receiver;

use super::console::Stream;
use super::decode::Utf8Decoder;
use super::home::Home;
use super::sink::Sink;

/// How many bytes are read at once.
const PIECE: usize = 16 * 1024;
/// The size of a pipe that holds one write, of this size at most: the smallest that there is.
const NARROW: usize = 4096;
/// The usual size.
const WIDE: usize = 64 * 1024;
/// After how many reads without any of another pipe one is widened.
const FLOOD: u32 = 256;
/// For how long output gathers in a pipe through which much comes, before it is read.
const GATHERING: Duration = Duration::from_millis(1);
/// After what time without any such a pipe is one as the others again.
const CALM: Duration = Duration::from_millis(5);
/// Only an edge puts a pipe at the end of the queue.
const REPORTED: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::ET);
/// How many steps that have ended may have left processes whose output is still read. Each takes two descriptors.
const MOST_LEFT: usize = 4;
/// How often output is read at once that is dropped, as there was too much of it.
const MOST_DROPPED: u32 = 64;
/// How often each pipe is read at once when its content is discarded.
const MOST_CLEARED: usize = 256;

/// Pipes for the processes of the kernel: two for the interpreter and what it starts, and two for each step of a batch, so that
/// it is seen when all that it has started has ended. Output stays in them until there is room in the
/// console, so a program whose output is not fetched has to wait, as on a terminal.
#[derive(Debug)]
pub(crate) struct OutputPipes {
    /// Reports which pipe has something new, in order: no pipe itself, but tokio waits for it all the same.
    queue: Receiver,
    pipes: Vec<OutputPipe>,
    /// The numbers of the pipes that have something to read, in order.
    ready: VecDeque<u64>,
    /// The number of the next pipe.
    next: u64,
    /// The pipe through which much comes, if there is one.
    flood: Option<Flood>,
}

/// A pipe through which much comes: it is read from time to time, and not reported.
#[derive(Clone, Copy, Debug)]
struct Flood {
    number: u64,
    /// When it had something last.
    last: Instant,
    /// How many bytes it had when it was last read.
    gathered: usize,
}

/// Whose pipe it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Interpreter,
    Step,
    /// Processes that a step has left.
    Left,
}

#[derive(Debug)]
struct OutputPipe {
    number: u64,
    owner: Owner,
    stream: Stream,
    receiver: PipeReader,
    /// Held so that the pipe does not end with the process that uses it; `None` once it may end.
    sender: Option<PipeWriter>,
    ended: bool,
    /// Whether all programs have closed it, so that its end is still to be read, if that was not.
    is_closed: bool,
    is_wide: bool,
    /// How many reads there were since the last one of the other pipe.
    streak: u32,
    decoder: Utf8Decoder,
}

impl OutputPipes {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(home: &Home) -> io::Result<Self> {
        let queue = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut this = Self {
            queue: Receiver::from_owned_fd_unchecked(queue)?,
            pipes: Vec::new(),
            ready: VecDeque::new(),
            next: 0,
            flood: None,
        };
        this.add(Owner::Interpreter, home)?;
        Ok(this)
    }

    /// Adds pipes for standard output and error.
    fn add(&mut self, owner: Owner, home: &Home) -> io::Result<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let pipe = OutputPipe::new(self.next, owner, stream, home)?;
            let data = epoll::EventData::new_u64(self.next);
            epoll::add(&self.queue, &pipe.receiver, data, REPORTED)?;
            self.next += 1;
            self.pipes.push(pipe);
        }
        Ok(())
    }

    fn of(&self, owner: Owner) -> impl Iterator<Item = &OutputPipe> {
        self.pipes.iter().filter(move |pipe| pipe.owner == owner)
    }

    /// The writing ends for an interpreter: standard output and error.
    pub(crate) fn writers(&mut self, home: &Home) -> io::Result<(Stdio, Stdio)> {
        if self
            .of(Owner::Interpreter)
            .any(|pipe| pipe.sender.is_none())
        {
            *self = Self::new(home)?;
        }
        self.writers_of(Owner::Interpreter)
    }

    /// The writing ends for a step of a batch.
    pub(crate) fn writers_of_step(&mut self, home: &Home) -> io::Result<(Stdio, Stdio)> {
        self.leave_step();
        self.add(Owner::Step, home)?;
        self.writers_of(Owner::Step)
    }

    fn writers_of(&self, owner: Owner) -> io::Result<(Stdio, Stdio)> {
        let mut writers = self.of(owner).map(OutputPipe::writer);
        let mut next = || {
            writers
                .next()
                .unwrap_or(Err(io::ErrorKind::BrokenPipe.into()))
        };
        Ok((next()?, next()?))
    }

    /// Lets the interpreter's pipes end with the last process that has them. The next interpreter gets new ones.
    pub(crate) fn let_end(&mut self) {
        self.let_end_of(Owner::Interpreter);
    }

    /// The same with those of the step.
    pub(crate) fn let_step_end(&mut self) {
        self.let_end_of(Owner::Step);
    }

    fn let_end_of(&mut self, owner: Owner) {
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.owner == owner) {
            pipe.sender = None;
        }
    }

    /// Whether the interpreter's pipes have ended.
    pub(crate) fn have_ended(&self) -> bool {
        self.of(Owner::Interpreter).all(|pipe| pipe.ended)
    }

    /// Whether those of the step have.
    pub(crate) fn has_step_ended(&self) -> bool {
        self.of(Owner::Step).all(|pipe| pipe.ended)
    }

    /// The step has ended. What it has left running is still read.
    pub(crate) fn leave_step(&mut self) {
        self.let_step_end();
        for pipe in &mut self.pipes {
            if pipe.owner == Owner::Step {
                pipe.owner = Owner::Left;
            }
        }
    }

    /// Forgets what steps have left that has ended, and what too many of them have left.
    fn forget_left(&mut self) {
        let mut rest = self.of(Owner::Left).filter(|it| !it.ended).count();
        self.pipes.retain(|pipe| {
            let is_left = pipe.owner == Owner::Left;
            let is_kept = !is_left || (!pipe.ended && rest <= 2 * MOST_LEFT);
            rest -= usize::from(is_left && !pipe.ended);
            is_kept
        });
    }

    /// Waits until one of them may have something to read.
    pub(crate) async fn readable(&self) {
        if !self.ready.is_empty() {
            return;
        }
        match &self.flood {
            None => drop(self.queue.readable().await),
            // Large writes are fast as they are.
            Some(flood) if flood.gathered >= PIECE => tokio::task::yield_now().await,
            Some(_) => drop(tokio::time::timeout(GATHERING, self.queue.readable()).await),
        }
    }

    /// Moves what is there to the console, until that holds `limit` bytes. Returns whether the
    /// pipes are empty.
    pub(crate) fn drain(&mut self, console: &mut Sink<'_>, limit: usize) -> bool {
        if let Some(flood) = &mut self.flood {
            flood.gathered = 0;
            // What came through another pipe came later, or just before the last of it.
            if !self.ready.contains(&flood.number) {
                self.ready.push_front(flood.number);
            }
        }
        let (mut has_asked, mut dropped) = (false, 0);
        while console.text_len() < limit {
            if console.is_exceeded() {
                // The console does not fill any more.
                dropped += 1;
                if dropped > MOST_DROPPED {
                    return false;
                }
            }
            if self.ready.is_empty() && !has_asked {
                self.ask();
            }
            has_asked = false;
            let Some(number) = self.ready.pop_front() else {
                let flood = self.flood.map(|flood| flood.number);
                let is_calm = |pipe: &&mut OutputPipe| pipe.is_wide && Some(pipe.number) != flood;
                for pipe in self.pipes.iter_mut().filter(is_calm) {
                    // What writes no faster than it is read need not wait.
                    pipe.streak = 0;
                    pipe.adapt();
                }
                return true;
            };
            let mut bytes = [MaybeUninit::uninit(); PIECE];
            let Some(pipe) = self.pipes.iter_mut().find(|pipe| pipe.number == number) else {
                continue;
            };
            let read = pipe.read(&mut bytes);
            if read.is_empty() {
                self.end_flood_after(CALM);
                continue;
            }
            console.push_output(pipe.stream, &pipe.decoder.decode(read));
            pipe.adapt();
            let is_flood = pipe.is_wide && pipe.streak >= FLOOD;
            for pipe in self.pipes.iter_mut().filter(|it| it.number != number) {
                pipe.streak = 0;
                if pipe.is_wide {
                    pipe.adapt();
                }
            }
            self.follow(number, read.len(), is_flood);
            // What is still there when the queue is asked was written before what is not in the queue then.
            let pipe = self.pipes.iter().find(|pipe| pipe.number == number);
            let has_more = pipe.is_some_and(OutputPipe::has_more);
            let is_gathered = |flood: &Flood| flood.number == number && flood.gathered < WIDE;
            if has_more && self.flood.as_ref().is_some_and(is_gathered) {
                // What has gathered came before what came through the other, which ended that.
                self.ready.push_front(number);
                continue;
            }
            self.ask();
            has_asked = true;
            if has_more && !self.ready.contains(&number) {
                self.ready.push_back(number);
            }
        }
        false
    }

    /// Notes that so much has come through a pipe, and whether that is one of much output.
    fn follow(&mut self, number: u64, length: usize, is_flood: bool) {
        let now = Instant::now();
        match &mut self.flood {
            Some(flood) if flood.number == number => {
                flood.last = now;
                flood.gathered += length;
            }
            Some(_) => self.end_flood_after(Duration::ZERO),
            None => {
                self.flood = is_flood.then_some(Flood {
                    number,
                    last: now,
                    gathered: length,
                });
                if is_flood {
                    self.report(number, epoll::EventFlags::ET);
                }
            }
        }
    }

    /// Has the pipe reported as others, if it had nothing for this time.
    fn end_flood_after(&mut self, time: Duration) {
        let ended = self.flood.take_if(|flood| flood.last.elapsed() >= time);
        if let Some(flood) = ended {
            // Reported at once, if there is something in it.
            self.report(flood.number, REPORTED);
        }
    }

    /// Sets what is reported of a pipe.
    fn report(&self, number: u64, flags: epoll::EventFlags) {
        let data = epoll::EventData::new_u64(number);
        if let Some(pipe) = self.pipes.iter().find(|pipe| pipe.number == number) {
            let _ = epoll::modify(&self.queue, &pipe.receiver, data, flags);
        }
    }

    /// Discards what is in the pipes, as far as it is there now.
    pub(crate) fn clear(&mut self) {
        self.end_flood_after(Duration::ZERO);
        // A program that never stops writing must not keep this from ending.
        for _ in 0..MOST_CLEARED {
            self.ready.clear();
            for pipe in &mut self.pipes {
                let mut rest = [MaybeUninit::uninit(); PIECE];
                let _ = pipe.read(&mut rest);
                pipe.decoder = Utf8Decoder::default();
            }
            // Without this, `readable` would go on reporting what has just been discarded.
            self.ask();
            let has_more = |pipe: &OutputPipe| !pipe.ended && pipe.has_unread();
            if self.ready.is_empty() && !self.pipes.iter().any(has_more) {
                return;
            }
        }
        let rest = self.pipes.iter().filter(|pipe| !pipe.ended);
        self.ready = rest.map(|pipe| pipe.number).collect();
    }

    /// Adds an incomplete character at the end of a run.
    pub(crate) fn finish(&mut self, console: &mut Sink<'_>) {
        self.end_flood_after(Duration::ZERO);
        for pipe in &mut self.pipes {
            console.push_rest(pipe.stream, &pipe.decoder.finish());
            pipe.streak = 0;
            pipe.adapt();
        }
        self.forget_left();
    }

    /// Learns which pipes have something new.
    fn ask(&mut self) {
        let mut events = [MaybeUninit::uninit(); 4];
        let mut wait = || {
            let now = Timespec::default();
            let (events, _) = epoll::wait(&self.queue, &mut events, Some(&now))?;
            for event in &*events {
                let (epoll::Event { flags, data }, hang_up) = (*event, epoll::EventFlags::HUP);
                let number = data.u64();
                if let Some(pipe) = self.pipes.iter_mut().find(|pipe| pipe.number == number) {
                    pipe.is_closed |= flags.contains(hang_up);
                }
                if !self.ready.contains(&number) {
                    self.ready.push_back(number);
                }
            }
            Ok::<bool, io::Error>(!events.is_empty())
        };
        // Tokio reports nothing until its reactor has seen an event, so this does not wait for that; but tokio has to
        // know that there is nothing more.
        let mut has_asked = false;
        let _ = self.queue.try_io(|| {
            has_asked = true;
            match wait() {
                Ok(true) => Ok(()),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            }
        });
        if !has_asked {
            let _ = wait();
        }
    }
}

impl OutputPipe {
    fn new(number: u64, owner: Owner, stream: Stream, home: &Home) -> io::Result<Self> {
        let (receiver, sender): (PipeReader, PipeWriter) = io::pipe()?;
        rustix::io::ioctl_fionbio(&receiver, true)?;
        // A program that opens `/dev/stdout` opens the pipe once more.
        home.give(&sender)?;
        let mut this = Self {
            number,
            owner,
            stream,
            receiver,
            sender: Some(sender),
            ended: false,
            is_closed: false,
            is_wide: true,
            streak: 0,
            decoder: Utf8Decoder::default(),
        };
        this.adapt();
        Ok(this)
    }

    fn writer(&self) -> io::Result<Stdio> {
        let sender = self.sender.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(sender.try_clone()?.into())
    }

    /// Reads what is there now, up to a limit. No error is possible but that nothing is there.
    fn read<'a>(&mut self, bytes: &'a mut [MaybeUninit<u8>]) -> &'a [u8] {
        let read = rustix::io::read(&self.receiver, bytes).map(|(read, _)| &*read);
        self.ended |= matches!(read, Ok([]));
        self.streak = self.streak.saturating_add(1);
        read.unwrap_or_default()
    }

    fn has_more(&self) -> bool {
        self.is_closed || self.has_unread()
    }

    fn has_unread(&self) -> bool {
        rustix::io::ioctl_fionread(&self.receiver).is_ok_and(|length| length > 0)
    }

    /// Lets the pipe hold as much as it should now. Where the system does not do that, it stays as it is.
    fn adapt(&mut self) {
        let Some(sender) = &self.sender else { return };
        let Ok(flags) = fcntl_getfl(sender) else {
            return;
        };
        let is_wide = self.streak >= FLOOD || flags.contains(OFlags::NONBLOCK);
        if is_wide == self.is_wide {
            return;
        }
        // In this mode, each write is a separate one in the pipe. It is a flag of the open file, and so of the program's
        // descriptors as well.
        let separate = OFlags::DIRECT;
        if is_wide {
            let _ = fcntl_setfl(sender, flags - separate);
            let _ = fcntl_setpipe_size(&self.receiver, WIDE);
            self.is_wide = true;
        } else if fcntl_setfl(sender, flags | separate).is_ok() {
            // Fails until there is no more in it than fits.
            self.is_wide =
                fcntl_setpipe_size(&self.receiver, NARROW) == Err(rustix::io::Errno::BUSY);
        }
    }
}
