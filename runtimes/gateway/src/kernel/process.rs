//! A process of a kernel, with its group.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::net::unix::pipe::Receiver;
use tokio::process::Child;

use super::confine::box_status;
use super::procfs;
use crate::boxes::message::{self, Kind};
use crate::boxes::{INTERRUPT, KILL, Spent, URGE};

/// How long a killed process may take to end.
const KILL_TIME: Duration = Duration::from_secs(5);
/// How long a helper may take to pass a signal on.
const CONFIRM_TIME: Duration = Duration::from_millis(250);

/// A process and its group, which end when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    /// The process itself or, in a box, the helper outside whose child it is.
    child: Child,
    /// The socket to the helper.
    control: Option<UnixStream>,
    /// How many signals it has not yet passed on.
    unconfirmed: u32,
    /// Reports the end of a process without a helper, before it is waited for.
    end: Option<Receiver>,
    /// The program's process, once it was looked for.
    program: Option<u32>,
    /// The status of the program, if the helper has told it meanwhile.
    told: Option<i32>,
    /// What it has used, once it has ended.
    spent: Option<Spent>,
    status: Option<ExitStatus>,
}

impl Process {
    /// A process that the gateway has started itself.
    pub(crate) fn new(child: Child) -> Self {
        Self {
            end: child.id().and_then(end_of),
            program: child.id(),
            child,
            control: None,
            unconfirmed: 0,
            told: None,
            spent: None,
            status: None,
        }
    }

    /// A process in a box. Its helper ends it when the socket ends.
    pub(crate) fn in_box(child: Child, control: UnixStream) -> Self {
        Self {
            child,
            control: Some(control),
            unconfirmed: 0,
            end: None,
            program: None,
            told: None,
            spent: None,
            status: None,
        }
    }

    /// The root of its tree of processes, until it was waited for.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The process of the program itself, if it runs.
    pub(crate) fn program(&mut self) -> Option<u32> {
        let helper = self.id()?;
        if self.program.is_none() {
            self.program = procfs::tree(helper).get(1).copied();
        }
        self.program
    }

    /// Waits for its end. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        if let Some(end) = &self.end {
            // Only as long as it is not waited for does the system know what it has used.
            drop(end.readable().await);
            let times = self.child.id().and_then(procfs::stat);
            self.spent = times.map(|stat| Spent {
                cpu: stat.usage.cpu * 1000,
                ..Spent::default()
            });
        }
        let mut status = self.child.wait().await?;
        if let (None, Some(control)) = (self.told, &self.control) {
            // The helper has ended, so this does not block.
            let (told, spent) = box_status(control);
            self.told = told;
            self.spent = spent.or(self.spent);
        }
        if let Some(raw) = self.told {
            status = ExitStatus::from_raw(raw);
        }
        self.status = Some(status);
        Ok(status)
    }

    /// What it has used, with all that it has waited for, once it has ended and that is known.
    pub(crate) fn spent(&self) -> Option<Spent> {
        self.spent
    }

    /// Kills it and its group; it need not be the group's leader yet.
    pub(crate) fn kill_group(&mut self) {
        if self.send(KILL) {
            return;
        }
        if let Some(id) = self.pid() {
            let _ = rustix::process::kill_process_group(id, Signal::KILL);
        }
        let _ = self.child.start_kill();
    }

    /// Sends it and its group the signal of Ctrl-C, as a terminal does. They have it before whatever they are sent next.
    pub(crate) fn interrupt(&mut self) {
        self.signal(INTERRUPT, Signal::INT);
    }

    /// Tells it and its group that it is being interrupted, by a signal that others ignore.
    pub(crate) fn urge(&mut self) {
        self.signal(URGE, Signal::URG);
    }

    /// Sends it and its group a signal, by this order if it has a helper.
    fn signal(&mut self, order: u8, signal: Signal) {
        if self.send(order) {
            self.unconfirmed += 1;
            return self.confirm();
        }
        if let Some(id) = self.pid() {
            // A process that has ended meanwhile is no error.
            let _ = rustix::process::kill_process_group(id, signal);
        }
    }

    /// Waits until the helper has passed all signals on, which takes no time, but not forever.
    fn confirm(&mut self) {
        let Some(control) = &self.control else { return };
        let until = Instant::now() + CONFIRM_TIME;
        while self.unconfirmed > 0 {
            let left = until.saturating_duration_since(Instant::now());
            let mut files = [PollFd::new(control, PollFlags::IN)];
            let left = Timespec::try_from(left).ok();
            match poll(&mut files, left.as_ref()) {
                Err(Errno::INTR) => continue,
                Ok(1..) => {}
                _ => return tracing::debug!("a helper has not passed a signal on in time"),
            }
            match message::receive(control) {
                Ok(Some(message)) if message.is(Kind::Signalled) => self.unconfirmed -= 1,
                Ok(Some(message)) if message.is(Kind::Status) => {
                    self.told = message.body.try_into().ok().map(i32::from_le_bytes);
                    self.unconfirmed = 0;
                }
                Ok(Some(message)) if message.is(Kind::Spent) => {
                    self.spent = Spent::decode(&message.body);
                }
                // It says more, or has ended, and so has the program.
                Ok(Some(_)) => {}
                _ => self.unconfirmed = 0,
            }
        }
    }

    /// Waits for its end after it was killed, but not forever: one that hangs in the system never ends.
    pub(crate) async fn wait_killed(&mut self) {
        if tokio::time::timeout(KILL_TIME, self.wait()).await.is_err() {
            tracing::warn!(process = self.id(), "a killed process does not end");
        }
    }

    /// Has its helper do something; `false` if it has none.
    fn send(&self, order: u8) -> bool {
        let Some(mut control) = self.control.as_ref() else {
            return false;
        };
        // A helper that has ended has nothing to do any more.
        let _ = control.write_all(&[order]);
        true
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.id()?).ok()?)
    }
}

/// Reports the end of a child; `None` on systems that cannot. It is no pipe itself, but tokio waits for it all the same.
fn end_of(child: u32) -> Option<Receiver> {
    let child = Pid::from_raw(i32::try_from(child).ok()?)?;
    let end = rustix::process::pidfd_open(child, PidfdFlags::NONBLOCK).ok()?;
    Receiver::from_owned_fd_unchecked(end).ok()
}
