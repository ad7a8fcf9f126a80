//! Control groups, version 2: one for each kernel.
//!
//! A group can be killed as a whole, whatever its processes do. Limits need the `memory` and `pids`
//! controllers, which the system must have delegated to this user.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::bounds::Bounds;

/// How long to wait until killed processes have left a group.
const KILL_TIME: Duration = Duration::from_secs(5);

/// The group of a gateway, which contains the groups of kernels. Removed when dropped.
#[derive(Debug)]
pub(crate) struct GroupRoot {
    directory: PathBuf,
    memory: bool,
    processes: bool,
}

/// The group of a kernel. Dropping it kills its processes and removes it.
#[derive(Debug)]
pub(crate) struct Group {
    directory: PathBuf,
    /// The file with its members, kept open because it is read often.
    procs: Option<File>,
}

impl GroupRoot {
    /// Makes the group in `parent`, or in the group that this process is in.
    pub(super) fn create(parent: Option<&Path>, mark: &str) -> io::Result<Self> {
        let parent = match parent {
            Some(parent) => parent.to_owned(),
            None => own_group()
                .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "no cgroup2"))?,
        };
        if !parent.join("cgroup.procs").exists() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a directory of control groups",
            ));
        }
        let directory = parent.join(format!("sorna-gateway-{mark}"));
        fs::create_dir(&directory)?;
        let mut this = Self {
            directory,
            memory: false,
            processes: false,
        };
        if !this.directory.join("cgroup.kill").exists() {
            // Before Linux 5.14. Removes the directory.
            return Err(io::Error::new(io::ErrorKind::Unsupported, "no cgroup.kill"));
        }
        let enable = |controller: &str| {
            let word = format!("+{controller}");
            [&parent, &this.directory]
                .iter()
                .all(|group| fs::write(group.join("cgroup.subtree_control"), &word).is_ok())
        };
        (this.memory, this.processes) = (enable("memory"), enable("pids"));
        Ok(this)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn limits_memory(&self) -> bool {
        self.memory
    }

    pub(super) fn limits_processes(&self) -> bool {
        self.processes
    }

    /// A group for a kernel.
    pub(super) fn group(&self, number: u64, bounds: Bounds) -> io::Result<Group> {
        let directory = self.directory.join(format!("kernel-{number}"));
        fs::create_dir(&directory)?;
        let procs = File::open(directory.join("cgroup.procs")).ok();
        let group = Group { directory, procs };
        if self.memory
            && let Some(memory) = bounds.memory
        {
            group.set("memory.max", &memory.to_string())?;
            // Kill all processes of the kernel together: the rest could not work correctly.
            group.set("memory.oom.group", "1")?;
            // The file is missing on systems without swap.
            let _ = group.set("memory.swap.max", "0");
        }
        if self.processes {
            group.set("pids.max", &bounds.processes.to_string())?;
        }
        Ok(group)
    }
}

impl Group {
    /// Adds a process. Best effort: it may have ended already.
    pub(super) fn admit(&self, process: u32) {
        let _ = self.set("cgroup.procs", &process.to_string());
    }

    pub(super) fn members(&self) -> Vec<u32> {
        let (mut members, mut piece) = (Vec::new(), [0; 1024]);
        let read = |piece: &mut [u8], at| self.procs.as_ref()?.read_at(piece, at).ok();
        while let Some(length @ 1..) = read(&mut piece, members.len() as u64) {
            members.extend_from_slice(&piece[..length]);
        }
        let members = members.split(|byte| *byte == b'\n');
        members
            .filter_map(|line| std::str::from_utf8(line).ok()?.parse().ok())
            .collect()
    }

    /// Kills all at once, so that none can escape by forking, and waits until they are gone. Blocks.
    pub(super) fn kill_all(&self) -> bool {
        let until = Instant::now() + KILL_TIME;
        while self.set("cgroup.kill", "1").is_ok() {
            if self.members().is_empty() {
                return true;
            }
            if Instant::now() > until {
                tracing::warn!("killed processes of a kernel do not end");
                return true;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        false
    }

    /// Removes the group. Blocks.
    pub(super) fn remove(&self) {
        remove(&self.directory);
    }

    pub(super) fn out_of_memory_kills(&self) -> u64 {
        let events = fs::read_to_string(self.directory.join("memory.events")).unwrap_or_default();
        events
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "))
            .and_then(|count| count.parse().ok())
            .unwrap_or(0)
    }

    /// The processor time of all processes that were in it, in µs.
    pub(super) fn cpu(&self) -> Option<u64> {
        let stat = fs::read_to_string(self.directory.join("cpu.stat")).ok()?;
        let usage = stat.lines().find_map(|it| it.strip_prefix("usage_usec "))?;
        usage.parse().ok()
    }

    /// What says how much memory it has had from now on; `None` before Linux 6.12.
    pub(super) fn peak(&self) -> Option<File> {
        let path = self.directory.join("memory.peak");
        let file = File::options().read(true).write(true).open(path).ok()?;
        file.write_at(b"reset", 0).ok()?;
        Some(file)
    }

    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.directory.join(file), value)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.set("cgroup.kill", "1");
        self.remove();
    }
}

impl Drop for GroupRoot {
    fn drop(&mut self) {
        let _ = fs::write(self.directory.join("cgroup.kill"), "1");
        for entry in fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path());
            }
        }
        remove(&self.directory);
    }
}

/// Removes a group. This fails while the system still removes dead processes.
fn remove(directory: &Path) {
    let until = Instant::now() + KILL_TIME;
    while let Err(error) = fs::remove_dir(directory) {
        if error.kind() == io::ErrorKind::NotFound {
            return;
        }
        if Instant::now() > until {
            tracing::warn!(directory = %directory.display(), %error, "a control group could not be removed");
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The directory of the group that this process is in.
fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts.lines().find_map(mount_point)?;
    Some(mount.join(group))
}

/// Where a line of `mountinfo` mounts control groups, if it does.
fn mount_point(line: &str) -> Option<PathBuf> {
    let (mount, system) = line.split_once(" - ")?;
    let is_cgroup2 = system.split_whitespace().next() == Some("cgroup2");
    let point = mount.split_whitespace().nth(4)?;
    is_cgroup2.then(|| PathBuf::from(point))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use sorna_test_tools::need_that;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        memory: Some(4096),
        processes: 7,
        file_size: 1,
        disk: None,
        cores: None,
    };

    #[test]
    fn only_cgroup2_mounts_are_recognized() {
        let line = "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw";
        assert_eq!(mount_point(line), Some("/sys/fs/cgroup".into()));
        let line = "30 31 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu";
        assert_eq!(mount_point(line), None);
    }

    #[test]
    fn limits_are_written_where_controllers_are_delegated() {
        // A directory that looks like a group; the system's own may lack the controllers.
        let parent = tempfile::tempdir().unwrap();
        let root = GroupRoot {
            directory: parent.path().to_owned(),
            memory: true,
            processes: true,
        };
        let group = root.group(3, BOUNDS).unwrap();
        let read = |file: &str| fs::read_to_string(group.directory.join(file)).unwrap();
        assert_eq!(read("memory.max"), "4096");
        assert_eq!(read("pids.max"), "7");
        fs::write(group.directory.join("memory.events"), "oom 3\noom_kill 2\n").unwrap();
        assert_eq!(group.out_of_memory_kills(), 2);
        assert_eq!(group.cpu(), None);
        fs::write(
            group.directory.join("cpu.stat"),
            "usage_usec 41\nuser_usec 40\n",
        )
        .unwrap();
        assert_eq!(group.cpu(), Some(41));
        assert!(group.peak().is_none());
        fs::remove_dir_all(&group.directory).unwrap();
        std::mem::forget((group, root));
    }

    #[test]
    fn a_group_is_killed_and_removed() {
        let root = GroupRoot::create(None, &format!("test-{}", std::process::id()));
        if !need_that(root.is_ok(), "permission to make control groups") {
            return;
        }
        let root = root.unwrap();
        let group = root.group(1, BOUNDS).unwrap();
        let mut child = Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        group.admit(child.id());
        assert_eq!(group.members(), [child.id()]);
        let directory = root.directory().to_owned();
        drop(group);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        drop(root);
        assert!(!directory.exists());
    }

    #[test]
    fn a_plain_directory_is_not_a_group() {
        let directory = tempfile::tempdir().unwrap();
        assert!(GroupRoot::create(Some(directory.path()), "x").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
