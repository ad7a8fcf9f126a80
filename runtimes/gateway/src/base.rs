//! The gateway's directory and processes, and removing them.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, PipeWriter, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::kernel::{Bytecode, Runner, prompts, remove_tree, sweep};
use crate::random;
use crate::shortage::{forbids_programs, shortage};

/// Where the runners' files lie, below the gateway's directory.
const RUNNERS: &str = "runners";
/// How long the watchdog may take to exit.
const EXIT_TIME: Duration = Duration::from_secs(5);
/// How often to check whether it has.
const PAUSE: Duration = Duration::from_micros(200);

/// A directory for the kernels, and a mark for their processes. Dropping this removes the directory
/// and the processes; if the gateway is killed, a watchdog does.
#[derive(Debug)]
pub(crate) struct Base {
    directory: TempDir,
    mark: String,
    bytecode: Bytecode,
    /// Whether each kernel ends with its box.
    is_boxed: bool,
    watchdog: Option<Watchdog>,
}

/// A shell that waits until the gateway ends, which closes a pipe, and then cleans up.
#[derive(Debug)]
struct Watchdog {
    child: Child,
    lifeline: PipeWriter,
}

impl Base {
    /// Makes the directory in `parent`, or the system's place for temporary files. In `cache`, gateways find what earlier ones
    /// have left for them.
    pub(crate) fn create(parent: Option<&Path>, cache: Option<&Path>) -> io::Result<Self> {
        let is_usual = parent.is_none();
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let this = Self::create_in(&parent, cache).map_err(|error| {
            let text = shortage(&error, &parent).unwrap_or_else(|| {
                let place = parent.display();
                match is_usual {
                    true => format!("{place}: {error}; name another directory with TMPDIR"),
                    false => format!("{place}: {error}"),
                }
            });
            io::Error::new(error.kind(), text)
        })?;
        if forbids_programs(this.directory()) {
            tracing::warn!(
                directory = %this.directory().display(),
                "this file system is mounted with noexec: what kernels build cannot be run; use another place with TMPDIR, or `sorna serve --directory`"
            );
        }
        Ok(this)
    }

    fn create_in(parent: &Path, cache: Option<&Path>) -> io::Result<Self> {
        // Canonical, as in the working directory of processes, by which they are recognized.
        let parent = parent.canonicalize()?;
        let directory = tempfile::Builder::new()
            .prefix("sorna-gateway-")
            .tempdir_in(parent)?;
        let mark = random::mark()?;
        let runners = directory.path().join(RUNNERS);
        // Below a directory that is closed to others; kernels may be another user.
        DirBuilder::new().mode(0o755).create(&runners)?;
        for (name, content) in Runner::FILES {
            fs::write(runners.join(name), content)?;
        }
        prompts::write(&runners)?;
        let bytecode = Bytecode::create(&runners, cache)?;
        Ok(Self {
            directory,
            mark,
            bytecode,
            is_boxed: false,
            watchdog: None,
        })
    }

    /// Lets other users pass through the directory to what is open to them in it.
    pub(crate) fn open_up(&self) -> io::Result<()> {
        fs::set_permissions(self.directory(), Permissions::from_mode(0o711))
    }

    /// Says that nothing of a kernel outlives its box, so that no process of the machine has to be looked at.
    pub(crate) fn has_boxes(&mut self) {
        self.is_boxed = true;
    }

    /// Starts a watchdog, which cleans up if the gateway is killed. `group` is the control group of
    /// all kernels.
    pub(crate) fn watch(&mut self, group: Option<&Path>) {
        self.watchdog = Watchdog::start(&self.mark, self.directory.path(), group)
            .inspect_err(|error| {
                tracing::warn!(%error, "no watchdog: kernels will remain if the gateway is killed");
            })
            .ok();
    }

    /// The beginning of the marks of all processes.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// Where everything lies.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the runners' files lie.
    pub(crate) fn runners(&self) -> PathBuf {
        self.directory.path().join(RUNNERS)
    }

    /// What interpreters have compiled of them.
    pub(crate) fn bytecode(&self) -> &Bytecode {
        &self.bytecode
    }

    /// The directory of the kernel with this number.
    pub(crate) fn kernel(&self, number: u64) -> PathBuf {
        self.directory.path().join(format!("kernel-{number}"))
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        let directory = self.directory.path();
        if !self.is_boxed {
            sweep(&self.mark, Some(directory));
        }
        if let Err(error) = remove_tree(directory) {
            tracing::warn!(%error, "the gateway's directory could not be removed");
        }
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss();
        }
    }
}

impl Watchdog {
    fn start(mark: &str, directory: &Path, group: Option<&Path>) -> io::Result<Self> {
        let (reader, lifeline) = io::pipe()?;
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                include_str!("runners/watchdog.sh"),
                "sorna-watchdog",
                mark,
            ])
            .arg(directory)
            .args(group)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .current_dir("/")
            .stdin(reader)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal from the terminal that ends the gateway must not end its watchdog.
            .process_group(0);
        Ok(Self {
            child: command.spawn()?,
            lifeline,
        })
    }

    fn dismiss(mut self) {
        let _ = self.lifeline.write_all(b"done\n");
        drop(self.lifeline);
        let until = Instant::now() + EXIT_TIME;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::kernel::MARK;

    fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !condition() {
            assert!(Instant::now() < until, "{what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn the_watchdog_cleans_up_after_a_gateway_was_killed() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("base");
        fs::create_dir(&target).unwrap();
        let mark = random::mark().unwrap();
        let mut process = Command::new("sleep")
            .arg("1000")
            .env(MARK, format!("{mark}.1.1."))
            .spawn()
            .unwrap();
        // A directory without permissions, and a process that is recognized by its directory only.
        let closed = target.join("closed/inner");
        fs::create_dir_all(&closed).unwrap();
        fs::set_permissions(target.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::create_dir(target.join("work")).unwrap();
        let mut hidden = Command::new("sleep")
            .arg("1000")
            .env_clear()
            .current_dir(target.join("work"))
            .spawn()
            .unwrap();
        let Watchdog {
            mut child,
            lifeline,
        } = Watchdog::start(&mark, &target, None).unwrap();
        drop(lifeline);
        wait_until("the directory is removed", || !target.exists());
        assert!(!process.wait().unwrap().success());
        assert!(!hidden.wait().unwrap().success());
        child.wait().unwrap();
    }

    #[test]
    fn dropping_it_removes_everything() {
        let parent = tempfile::tempdir().unwrap();
        let mut base = Base::create(Some(parent.path()), None).unwrap();
        base.watch(None);
        assert!(base.runners().join("python3.py").exists());
        drop(base);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
