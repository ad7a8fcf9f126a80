//! What ends a kernel that no one asks to end.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::error::StartError;

/// How often to look for the parent where the system does not tell of its end.
const PAUSE: Duration = Duration::from_millis(500);
/// Of the thread that waits, in bytes.
const STACK: usize = 64 * 1024;
/// What Jupyter sets for kernels that are to end with it.
const PARENT: &str = "JPY_PARENT_PID";

/// SIGTERM, and the end of the process that has started this one.
pub(super) struct Ends {
    terminate: Signal,
    /// Taken and forgotten: a terminal sends it to kernels, too, when it means Jupyter.
    _interrupt: Signal,
    hangup: Signal,
    parent: Option<Pid>,
    /// The process that Jupyter names, if another one is between: a script that starts this one, say.
    jupyter: Option<OwnedFd>,
}

impl Ends {
    pub(super) fn new() -> Result<Self, StartError> {
        let of = |kind| signal(kind).map_err(StartError::Signals);
        let named = std::env::var(PARENT).ok().filter(|value| value != "0");
        let parent = getppid().filter(|_| named.is_some());
        let jupyter = named.and_then(|it| Pid::from_raw(it.trim().parse().ok()?));
        let jupyter = jupyter.filter(|it| parent != Some(*it));
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            _interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
            parent,
            jupyter: jupyter.and_then(above),
        })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
            () = gone(self.parent) => {}
            () = over(self.jupyter.take()) => {}
        }
    }
}

/// A process, if this one descends from it: elsewhere, as in a container, the number may be that of any other.
fn above(process: Pid) -> Option<OwnedFd> {
    // First, so that the number cannot become that of another one.
    let opened = pidfd_open(process, PidfdFlags::empty()).ok()?;
    let mut above = getppid();
    while let Some(it) = above {
        if it == process {
            return Some(opened);
        }
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", it.as_raw_nonzero())).ok()?;
        // The name may have spaces and brackets.
        let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?;
        above = Pid::from_raw(parent.parse().ok()?);
    }
    None
}

/// Waits until it has ended; forever, if there is none.
async fn over(process: Option<OwnedFd>) {
    let is_over = match process {
        Some(process) => has_ended(process).await,
        None => false,
    };
    if !is_over {
        std::future::pending().await
    }
}

/// Waits until it is gone.
async fn gone(parent: Option<Pid>) {
    let Some(parent) = parent else {
        return std::future::pending().await;
    };
    // Told by the system; else asked for from time to time.
    if let Ok(process) = pidfd_open(parent, PidfdFlags::empty()) {
        // If it was gone before, the number may be that of another process.
        if getppid() != Some(parent) || has_ended(process).await {
            return;
        }
    }
    while getppid() == Some(parent) {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for the end of a process, which takes a thread that waits. Returns whether the system has told of it.
async fn has_ended(process: OwnedFd) -> bool {
    let (over, ended) = oneshot::channel();
    let wait = move || {
        let mut waited = [PollFd::new(&process, PollFlags::IN)];
        if retry_on_intr(|| poll(&mut waited, None)).is_ok() {
            let _ = over.send(());
        }
    };
    let thread = std::thread::Builder::new().name("parent".to_owned());
    thread.stack_size(STACK).spawn(wait).is_ok() && ended.await.is_ok()
}
