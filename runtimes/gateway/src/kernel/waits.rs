//! Programs that wait for a file, in whichever system call: shown by `/proc`.
//!
//! A thread that reads the file waits for it. One that waits for many files at once, by `poll`, `select` or `epoll`, may only
//! look whether there is something, or be a server that would not mind. The [`Poll`] says what tells them apart.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::procfs::{FileIdentity, threads};

/// The numbers of system calls on this processor.
#[cfg(target_arch = "x86_64")]
mod numbers {
    /// `read`, `readv`, `splice` and `tee`: the descriptor is the first argument.
    pub(super) const READS: &[u64] = &[0, 19, 275, 276];
    pub(super) const POLL: Option<u64> = Some(7);
    pub(super) const PPOLL: u64 = 271;
    pub(super) const SELECT: Option<u64> = Some(23);
    pub(super) const PSELECT6: u64 = 270;
    /// `epoll_wait` and `epoll_pwait`.
    pub(super) const EPOLL_WAIT: &[u64] = &[232, 281];
    pub(super) const EPOLL_PWAIT2: u64 = 441;
}

/// The same in the table that new architectures share.
#[cfg(not(target_arch = "x86_64"))]
mod numbers {
    const IS_KNOWN: bool = cfg!(any(target_arch = "aarch64", target_arch = "riscv64"));
    pub(super) const READS: &[u64] = if IS_KNOWN { &[63, 65, 76, 77] } else { &[] };
    pub(super) const POLL: Option<u64> = None;
    pub(super) const PPOLL: u64 = 73;
    pub(super) const SELECT: Option<u64> = None;
    pub(super) const PSELECT6: u64 = 72;
    pub(super) const EPOLL_WAIT: &[u64] = &[22];
    pub(super) const EPOLL_PWAIT2: u64 = 441;
}

use numbers::{EPOLL_PWAIT2, EPOLL_WAIT, POLL, PPOLL, PSELECT6, READS, SELECT};

/// A wait that ends sooner than this alone is no question: the program looks from time to time. Shells wait for what is left
/// of a second.
const SHORTEST_LIMIT: Duration = Duration::from_millis(950);
/// The most descriptors in a set that are looked at.
const MOST_POLLED: usize = 4096;
/// The most sockets in a set that are looked at: what has more is a server.
const MOST_SOCKETS: usize = 64;
/// `POLLIN` and `POLLRDNORM`, which are `EPOLLIN` and `EPOLLRDNORM`, too.
const READABLE: u32 = 0x41;

/// How a program waits for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// In a read, with this descriptor.
    Read { process: u32, descriptor: u32 },
    /// For several files, or with a limit.
    Poll(Poll),
}

/// A thread that waits until one of several files can be read, and what it would be seen by that it has not gone on: while this
/// is the same, it is the same wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Poll {
    pub(crate) descriptor: u32,
    pub(crate) process: u32,
    thread: u32,
    /// Number and arguments of the call.
    call: String,
    /// How often the thread has begun to wait, for anything.
    waits: u64,
    /// Whether it waits for less than a second.
    pub(crate) is_short: bool,
}

/// Whether this system shows in which system call a process waits.
pub(crate) fn shows_system_calls() -> bool {
    // It need not be readable: a gateway that keeps its memory from other processes of its user cannot read its own.
    !READS.is_empty() && fs::metadata("/proc/self/syscall").is_ok()
}

/// Whether a process has this descriptor open for `file`.
pub(crate) fn has_open(process: u32, descriptor: u32, file: FileIdentity) -> bool {
    fs::metadata(format!("/proc/{process}/fd/{descriptor}"))
        .is_ok_and(|opened| FileIdentity::of(&opened) == file)
}

/// How these processes wait for `file`, if one does. A read counts more than other ways, and a short wait less.
pub(crate) fn waits_for(processes: &[u32], file: FileIdentity) -> Option<Wait> {
    let mut polls: Option<Poll> = None;
    for process in processes {
        for thread in threads(*process) {
            match wait_of(*process, thread, file) {
                Some(Wait::Poll(poll)) if polls.as_ref().is_none_or(|it| it.is_short) => {
                    polls = Some(poll);
                }
                Some(Wait::Poll(_)) | None => {}
                Some(read) => return Some(read),
            }
        }
    }
    polls.map(Wait::Poll)
}

fn wait_of(process: u32, thread: u32, file: FileIdentity) -> Option<Wait> {
    let path = format!("/proc/{process}/task/{thread}/syscall");
    let call = fs::read_to_string(&path).ok()?;
    let (number, arguments) = parse(&call)?;
    let of = Thread {
        process,
        thread,
        file,
    };
    if READS.contains(&number) {
        let descriptor = descriptor(arguments[0])?;
        return of.has_open(descriptor).then_some(Wait::Read {
            process,
            descriptor,
        });
    }
    let set = of.set(number, &arguments)?;
    let descriptor = set.descriptor?;
    if of.listens(&set.others) {
        return None;
    }
    let waits = of.waits()?;
    // Its memory and the count were read at other times than the arguments.
    (fs::read_to_string(&path).ok()? == call).then_some(Wait::Poll(Poll {
        descriptor,
        process,
        thread,
        call,
        waits,
        is_short: set.limit.is_some_and(|limit| limit < SHORTEST_LIMIT),
    }))
}

/// What a thread waits for.
#[derive(Debug, Default)]
struct Set {
    /// The descriptor of the file, if it is one of them.
    descriptor: Option<u32>,
    others: Vec<u32>,
    limit: Option<Duration>,
}

#[derive(Debug)]
struct Thread {
    process: u32,
    thread: u32,
    file: FileIdentity,
}

impl Thread {
    fn path(&self, what: &str) -> String {
        format!("/proc/{}/task/{}/{what}", self.process, self.thread)
    }

    fn has_open(&self, descriptor: u32) -> bool {
        fs::metadata(self.path(&format!("fd/{descriptor}")))
            .is_ok_and(|opened| FileIdentity::of(&opened) == self.file)
    }

    /// What it waits for in the call with this number; `None` if that is none of those that wait for several files.
    fn set(&self, number: u64, arguments: &[u64; 6]) -> Option<Set> {
        let is = |other: Option<u64>| other == Some(number);
        if is(POLL) || number == PPOLL {
            let memory = self.memory()?;
            let mut set = self.polled(&memory, arguments)?;
            set.limit = match is(POLL) {
                true => of_milliseconds(arguments[2]),
                false => of_time(&memory, arguments[2], 1)?,
            };
            return Some(set);
        }
        if is(SELECT) || number == PSELECT6 {
            let memory = self.memory()?;
            let mut set = self.selected(&memory, arguments)?;
            let unit = if is(SELECT) { 1000 } else { 1 };
            set.limit = of_time(&memory, arguments[4], unit)?;
            return Some(set);
        }
        if EPOLL_WAIT.contains(&number) {
            let mut set = self.registered(arguments[0])?;
            set.limit = of_milliseconds(arguments[3]);
            return Some(set);
        }
        if number == EPOLL_PWAIT2 {
            let mut set = self.registered(arguments[0])?;
            set.limit = of_time(&self.memory()?, arguments[3], 1)?;
            return Some(set);
        }
        None
    }

    fn memory(&self) -> Option<File> {
        File::open(format!("/proc/{}/mem", self.process)).ok()
    }

    /// Of `poll`: an array of descriptor, wanted and returned events.
    fn polled(&self, memory: &File, arguments: &[u64; 6]) -> Option<Set> {
        let count = usize::try_from(arguments[1]).ok()?;
        if count > MOST_POLLED {
            return None;
        }
        let mut entries = vec![0; count * 8];
        memory.read_exact_at(&mut entries, arguments[0]).ok()?;
        let entries = entries.chunks_exact(8).filter_map(|entry| {
            let (descriptor, events) = (entry.first_chunk()?, entry[4..].first_chunk()?);
            // Negative ones are left out.
            let descriptor = u32::try_from(i32::from_ne_bytes(*descriptor)).ok()?;
            let events = u32::from(u16::from_ne_bytes(*events));
            Some((descriptor, events & READABLE != 0))
        });
        Some(self.with(entries))
    }

    /// Of `select`: a bit for each descriptor, in words.
    fn selected(&self, memory: &File, arguments: &[u64; 6]) -> Option<Set> {
        let count = usize::try_from(arguments[0]).ok()?;
        if count > MOST_POLLED {
            return None;
        }
        let mut found = Vec::new();
        for (at, is_read) in [(1, true), (2, false), (3, false)] {
            if arguments[at] == 0 {
                continue;
            }
            let mut words = vec![0; count.div_ceil(64) * 8];
            memory.read_exact_at(&mut words, arguments[at]).ok()?;
            let words = words.chunks_exact(8).filter_map(|it| it.first_chunk());
            let words: Vec<u64> = words.map(|it| u64::from_ne_bytes(*it)).collect();
            let set = (0..count).filter(|it| words[it / 64] >> (it % 64) & 1 == 1);
            found.extend(set.filter_map(|it| Some((u32::try_from(it).ok()?, is_read))));
        }
        Some(self.with(found.into_iter()))
    }

    /// Of `epoll`: what is registered with that descriptor, `tfd: 0 events: 19 data: 0 pos:0 ino:a sdev:d`.
    fn registered(&self, epoll: u64) -> Option<Set> {
        let info = self.path(&format!("fdinfo/{}", descriptor(epoll)?));
        let info = fs::read_to_string(info).ok()?;
        let lines = info.lines().filter_map(|line| {
            let mut words = line.strip_prefix("tfd:")?.split_whitespace();
            let descriptor = words.next()?.parse().ok()?;
            let events = u32::from_str_radix(words.nth(1)?, 16).ok()?;
            Some((descriptor, events & READABLE != 0))
        });
        Some(self.with(lines.take(MOST_POLLED)))
    }

    /// Finds the file among descriptors, and whether they are waited for to be read.
    fn with(&self, found: impl Iterator<Item = (u32, bool)>) -> Set {
        let mut set = Set::default();
        for (descriptor, is_read) in found {
            if is_read && set.descriptor.is_none() && self.has_open(descriptor) {
                set.descriptor = Some(descriptor);
            } else {
                set.others.push(descriptor);
            }
        }
        set
    }

    /// Whether one of these is a socket that takes connections, or there are so many that this is a server.
    fn listens(&self, descriptors: &[u32]) -> bool {
        let is_socket = |descriptor: &&u32| {
            fs::read_link(self.path(&format!("fd/{descriptor}")))
                .is_ok_and(|link| link.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
        };
        let sockets = descriptors.iter().filter(is_socket);
        let sockets: Vec<&u32> = sockets.take(MOST_SOCKETS + 1).collect();
        sockets.len() > MOST_SOCKETS
            || sockets.into_iter().any(|socket| {
                // One that cannot be looked at may be anything.
                self.open(*socket)
                    .and_then(|it| rustix::net::sockopt::socket_acceptconn(it).ok())
                    .unwrap_or(true)
            })
    }

    /// What a descriptor of the thread refers to, by the right that reading its memory needs, too.
    fn open(&self, descriptor: u32) -> Option<OwnedFd> {
        let process = Pid::from_raw(i32::try_from(self.process).ok()?)?;
        let process = pidfd_open(process, PidfdFlags::empty()).ok()?;
        let descriptor = i32::try_from(descriptor).ok()?;
        pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty()).ok()
    }

    fn waits(&self) -> Option<u64> {
        let status = fs::read_to_string(self.path("status")).ok()?;
        let mut lines = status.lines();
        let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        count.trim().parse().ok()
    }
}

/// `0 0x3 …`: number, arguments, and two pointers; `running` or `-1 …` if the thread is in no call.
fn parse(call: &str) -> Option<(u64, [u64; 6])> {
    let mut words = call.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    Some((number, arguments))
}

/// A descriptor is an `int`, whatever is in the upper half of the register.
fn descriptor(argument: u64) -> Option<u32> {
    u32::try_from(argument & 0x7fff_ffff).ok()
}

/// A limit in ms as an `int`, of which negative ones are none.
fn of_milliseconds(argument: u64) -> Option<Duration> {
    let low = u32::try_from(argument & 0xffff_ffff).ok()?;
    let limit = u64::try_from(low.cast_signed()).ok()?;
    Some(Duration::from_millis(limit))
}

/// A limit in seconds and parts of `unit` ns, at an address; a null pointer is none.
#[allow(
    clippy::option_option,
    reason = "the outer one says that it could not be read"
)]
fn of_time(memory: &File, address: u64, unit: u64) -> Option<Option<Duration>> {
    if address == 0 {
        return Some(None);
    }
    let mut time = [0; 16];
    memory.read_exact_at(&mut time, address).ok()?;
    let (seconds, parts) = (time.first_chunk()?, time[8..].first_chunk()?);
    let seconds = Duration::from_secs(u64::from_ne_bytes(*seconds));
    let parts = Duration::from_nanos(u64::from_ne_bytes(*parts).saturating_mul(unit));
    Some(Some(seconds.saturating_add(parts)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::process::{Command, Stdio};
    use std::time::Instant;

    use sorna_test_tools::need_that;

    use super::*;
    use crate::kernel::procfs::tree;

    #[test]
    fn a_blocked_reader_is_found_below_a_shell() {
        if !need_that(shows_system_calls(), "/proc/<id>/syscall") {
            return;
        }
        let (reader, writer) = std::io::pipe().unwrap();
        let file = File::from(OwnedFd::from(reader.try_clone().unwrap()));
        let file = FileIdentity::of(&file.metadata().unwrap());
        let mut child = Command::new("sh")
            .args(["-c", "sleep 0; (cat >/dev/null; true)"])
            .stdin(Stdio::from(reader))
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        let reads = |wait| matches!(wait, Some(Wait::Read { descriptor: 0, .. }));
        while !reads(waits_for(&tree(child.id()), file)) {
            assert!(Instant::now() < until, "the reader was not found");
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(writer);
        child.wait().unwrap();
    }

    #[test]
    fn calls_and_limits_are_parsed() {
        assert_eq!(parse("running"), None);
        assert_eq!(parse("-1 0x7ffd 0x1"), None);
        let call = "7 0x3d 0x1 0xffffffff 0x0 0x5 0x6 0x7ffd 0x7ffe\n";
        assert_eq!(parse(call), Some((7, [0x3d, 1, 0xffff_ffff, 0, 5, 6])));
        assert_eq!(of_milliseconds(0xffff_ffff), None);
        assert_eq!(of_milliseconds(1500), Some(Duration::from_millis(1500)));
        assert_eq!(descriptor(0xffff_ffff_0000_003d), Some(61));
    }
}
