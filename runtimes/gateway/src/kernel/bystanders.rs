//! The processes of a kernel that a run has not started, and that are not killed with it.

use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};

use super::procfs;

/// Processes that were there at some time, of those in a kernel's box or control group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bystanders {
    /// Those that were listed, which takes a while. What a run adds to them is known by when it was started.
    listed: Arc<[u32]>,
    /// When they were listed, in the system's ticks.
    listed_at: u64,
    /// When the run began. What was started in the same tick is taken to be the run's.
    before: u64,
}

impl Bystanders {
    /// Those that are there now, which are these.
    pub(crate) fn of(listed: Vec<u32>) -> Self {
        let now = ticks();
        Self {
            listed: listed.into(),
            listed_at: now,
            before: now,
        }
    }

    /// Those that are there now, some time later.
    pub(crate) fn now(&self) -> Self {
        Self {
            before: ticks(),
            ..self.clone()
        }
    }

    /// Whether a process is one of them: by its ID as in the list, and by that in `/proc`.
    pub(super) fn has(&self, listed: u32, process: u32) -> bool {
        let is_listed = self.listed.contains(&listed);
        match procfs::stat(process) {
            // One that has got the ID of another is none of them.
            Some(stat) => stat.started < self.before || is_listed && stat.started <= self.listed_at,
            None => is_listed,
        }
    }
}

/// How long the system runs, in the unit of `/proc/<id>/stat`.
pub(super) fn ticks() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let per_second = rustix::param::clock_ticks_per_second();
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds * per_second + nanoseconds * per_second / 1_000_000_000
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::process::{Child, Command, Stdio};
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    fn cat() -> Child {
        Command::new("cat").stdin(Stdio::piped()).spawn().unwrap()
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn what_is_started_later_is_none_of_them() {
        let tick = Duration::from_millis(20);
        let (first, second) = (cat(), cat());
        let listed = Bystanders::of(vec![first.id()]);
        assert!(listed.has(first.id(), first.id()));
        sleep(tick);
        let later = listed.now();
        let third = cat();
        assert!(later.has(first.id(), first.id()));
        assert!(later.has(second.id(), second.id()));
        assert!(!later.has(third.id(), third.id()));
        sleep(tick);
        // The ID of one that was listed, which is another's now.
        assert!(!later.has(first.id(), third.id()));
        assert!(later.now().has(third.id(), third.id()));
        for child in [first, second, third] {
            end(child);
        }
    }
}
