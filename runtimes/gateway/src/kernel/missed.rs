//! Interrupts that are lost between the start of a process and that of its program.
//!
//! A shell that catches the signal of Ctrl-C starts a process, in which the shell's handler is in force until the program is
//! executed. A signal that comes in between is caught there, and gone with the handler: the shell waits for the program, which
//! knows nothing. Such a process was there before the signal, still as a copy of the shell, executes another program after it,
//! and then has neither a handler nor ended, although the signal ends such programs. Others that have got the signal do not look
//! like that: neither what a handler starts, which was not there, nor a program that wants the next signal to end it, nor one that
//! executes another one in its place.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::procfs;

/// The most processes that are looked at: it must not take long, as what is started meanwhile is not seen.
const MOST: usize = 32;
/// The signal of Ctrl-C in the masks of a process.
const INTERRUPT: u64 = 1 << 1;

/// The copies of shells that were there before a signal.
#[derive(Debug, Default)]
pub(crate) struct Before(Vec<Seen>);

/// One of them. An ID may be used again, but not with the same time.
#[derive(Debug)]
struct Seen {
    process: u32,
    parent: u32,
    started: u64,
    command_line: Vec<u8>,
}

impl Before {
    /// Those below a process.
    pub(crate) fn look(root: u32) -> Self {
        let all = procfs::tree(root).into_iter().take(MOST);
        let all: Vec<Seen> = all.filter_map(seen).collect();
        let is_copy = |of: &Seen| {
            let mut all = all.iter();
            all.any(|it| it.process == of.parent && it.command_line == of.command_line)
        };
        let copies: Vec<bool> = all.iter().map(is_copy).collect();
        let copies = all.into_iter().zip(copies).filter(|(_, is_copy)| *is_copy);
        Self(copies.map(|(seen, _)| seen).collect())
    }

    /// Sends the signal of Ctrl-C once more to those that have lost it.
    pub(crate) fn repeat(self) {
        for before in self.0 {
            let id = i32::try_from(before.process).ok().and_then(Pid::from_raw);
            // It stands for this process from here on, whatever has its ID later.
            let file = id.and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok());
            let now = seen(before.process).filter(|now| now.started == before.started);
            if let (Some(file), Some(now)) = (file, now)
                && now.command_line != before.command_line
                && dies_of_interrupts(before.process)
            {
                let _ = pidfd_send_signal(file, Signal::INT);
            }
        }
    }
}

fn seen(process: u32) -> Option<Seen> {
    let stat = procfs::stat(process)?;
    let command_line = procfs::read(process, "cmdline");
    // One that has ended has none.
    (!command_line.is_empty()).then_some(Seen {
        process,
        parent: stat.parent,
        started: stat.started,
        command_line,
    })
}

/// Whether it neither handles nor ignores nor blocks the signal.
fn dies_of_interrupts(process: u32) -> bool {
    let status = procfs::read(process, "status");
    let status = String::from_utf8_lossy(&status);
    let has = |name: &str| {
        let set = status.lines().find_map(|line| line.strip_prefix(name));
        let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        set.is_none_or(|set| set & INTERRUPT != 0)
    };
    !["SigCgt:", "SigIgn:", "SigBlk:"].into_iter().any(has)
}
