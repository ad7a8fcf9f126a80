//! Finding and killing the processes that a kernel left behind.
//!
//! A process that made its own session is in no process group that we know, and one whose parent has
//! ended is not found as a child. Both still have the mark in their environment, or a working
//! directory in the kernel's. A process that changes both is not found; that needs control groups.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::procfs;

/// The environment variable that marks every process of a kernel.
pub(crate) const MARK: &str = "SORNA_KERNEL_MARK";

/// How long to keep killing what a program starts as fast as it is killed.
const KILL_TIME: Duration = Duration::from_secs(5);

/// Kills every process whose mark begins with `mark`, or whose working directory is `directory`
/// or below, until there are none. Blocks.
pub(crate) fn sweep(mark: &str, directory: Option<&Path>) {
    let variable = format!("{MARK}={mark}");
    let until = Instant::now() + KILL_TIME;
    loop {
        let found: Vec<Pid> = procfs::processes()
            .filter(|process| {
                carries(&procfs::read(*process, "environ"), &variable)
                    || directory.is_some_and(|directory| procfs::works_in(*process, directory))
            })
            .filter_map(|process| Pid::from_raw(i32::try_from(process).ok()?))
            .collect();
        if found.is_empty() {
            return;
        }
        for process in &found {
            let _ = rustix::process::kill_process(*process, Signal::KILL);
        }
        if Instant::now() > until {
            tracing::warn!(
                processes = found.len(),
                "killed processes of a kernel do not end"
            );
            return;
        }
        // A killed process is visible until the system has removed it.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills these processes, and returns how many of them were alive. A dead process that is still
/// visible has no memory.
pub(super) fn kill(processes: &[u32]) -> usize {
    let is_living = |id: &&u32| procfs::stat(**id).is_some_and(|stat| stat.usage.memory > 0);
    let living: Vec<&u32> = processes.iter().filter(is_living).collect();
    for id in &living {
        if let Some(id) = i32::try_from(**id).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(id, Signal::KILL);
        }
    }
    living.len()
}

/// Kills these processes, as long as there are any, except those of these sessions. Blocks.
pub(super) fn kill_new(new: impl Fn() -> Vec<u32>, sessions: &BTreeSet<u32>) {
    let until = Instant::now() + KILL_TIME;
    let is_other = |id: &u32| {
        let stat = procfs::stat(*id);
        !stat.is_some_and(|stat| sessions.contains(&stat.session))
    };
    // Repeats, since they may start others meanwhile.
    while Instant::now() < until {
        let new: Vec<u32> = new().into_iter().filter(is_other).collect();
        if new.is_empty() {
            return;
        }
        for id in new {
            if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(id, Signal::KILL);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the process that this directory of a `/proc` is about has a mark that begins with `mark`.
pub(super) fn is_marked(process: &Path, mark: &str) -> bool {
    carries(
        &procfs::read_of(process, "environ"),
        &format!("{MARK}={mark}"),
    )
}

/// Whether a variable in an environment begins with `variable`. A dead process has no environment.
fn carries(environment: &[u8], variable: &str) -> bool {
    let mut variables = environment.split(|byte| *byte == 0);
    variables.any(|it| it.starts_with(variable.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use super::*;

    /// A process that is killed when the test fails.
    struct Sleeper(std::process::Child);

    impl Sleeper {
        fn start(mark: &str, directory: &Path) -> Self {
            let mut command = Command::new("sleep");
            command.arg("1000").env(MARK, mark).current_dir(directory);
            Self(command.stdin(Stdio::null()).spawn().unwrap())
        }

        /// Waits for its end: killing a process takes a moment.
        fn is_killed(&mut self) -> bool {
            self.0.wait().unwrap().signal() == Some(9)
        }

        fn lives(&mut self) -> bool {
            self.0.try_wait().unwrap().is_none()
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn marked_processes_are_killed_and_others_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let mark = format!("test{}", std::process::id());
        let mut marked = Sleeper::start(&format!("{mark}.1.1"), Path::new("/"));
        let mut inside = Sleeper::start("another", directory.path());
        let mut other = Sleeper::start(&format!("x{mark}"), Path::new("/"));
        sweep(&format!("{mark}.1."), None);
        assert!(marked.is_killed());
        assert!(inside.lives() && other.lives());
        sweep(&mark, Some(directory.path()));
        assert!(inside.is_killed());
        assert!(other.lives());
    }
}
