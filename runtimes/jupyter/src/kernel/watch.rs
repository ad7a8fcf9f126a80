//! What ends a kernel that no one asks to end.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
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
}

impl Ends {
    pub(super) fn new() -> Result<Self, StartError> {
        let of = |kind| signal(kind).map_err(StartError::Signals);
        let parent = std::env::var_os(PARENT).is_some_and(|value| value != "0");
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            _interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
            parent: getppid().filter(|_| parent),
        })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
            () = gone(self.parent) => {}
        }
    }
}

/// Waits until it is gone.
async fn gone(parent: Option<Pid>) {
    let Some(parent) = parent else {
        return std::future::pending().await;
    };
    // Told by the system, which takes a thread that waits; else asked for from time to time.
    let (over, ended) = oneshot::channel();
    let wait = move || {
        let Ok(process) = pidfd_open(parent, PidfdFlags::empty()) else {
            return;
        };
        // If it was gone before, the number may be that of another process.
        let mut waited = [PollFd::new(&process, PollFlags::IN)];
        if getppid() != Some(parent) || poll(&mut waited, None).is_ok() {
            let _ = over.send(());
        }
    };
    let thread = std::thread::Builder::new().name("parent".to_owned());
    if thread.stack_size(STACK).spawn(wait).is_ok() && ended.await.is_ok() {
        return;
    }
    while getppid() == Some(parent) {
        tokio::time::sleep(PAUSE).await;
    }
}
