//! Starting processes: where, with which environment, and apart from everything else.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use super::Setup;
use super::confine::gate::{self, Gate};
use super::sweep::MARK;

/// Where programs are looked for if the gateway itself has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a killed process may take to end.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// What all processes of a gateway have in common.
#[derive(Debug)]
pub(crate) struct Launcher {
    path: OsString,
    /// Gives a process a session of its own, without a controlling terminal.
    setsid: Option<PathBuf>,
    /// Makes C programs write whole lines at once, and prompts before they read.
    stdbuf: Option<PathBuf>,
}

/// A program and its arguments.
pub(crate) type Arguments = Vec<OsString>;

/// The standard streams of a process.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdin: Stdio,
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
}

impl Launcher {
    /// Looks for the tools that help. The default for `path` is that of the gateway itself.
    pub(crate) fn new(path: Option<OsString>) -> Self {
        let mut this = Self {
            path: search_path(path),
            setsid: None,
            stdbuf: None,
        };
        this.setsid = this.find("setsid");
        this.stdbuf = this.find("stdbuf");
        this
    }

    /// The full path of a program.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(program))
            .find(|path| is_executable(path))
    }

    /// Prefixes a program so that what it prints is seen as it comes.
    pub(crate) fn line_buffered(&self, arguments: Arguments) -> Arguments {
        let Some(stdbuf) = &self.stdbuf else {
            return arguments;
        };
        // Unbuffered input makes the C library flush the prompt before it reads.
        let prefix = [stdbuf.into(), "-oL".into(), "-i0".into()];
        prefix.into_iter().chain(arguments).collect()
    }

    /// Starts a process in its own session, or at least process group, in a scrubbed
    /// environment. `mark` is how [`sweep`](super::sweep::sweep) finds it and its descendants again.
    pub(crate) fn spawn(
        &self,
        gate: Gate,
        arguments: Arguments,
        directory: &Path,
        setup: &Setup,
        mark: &str,
        streams: Streams,
    ) -> io::Result<Child> {
        let setsid = self.setsid.as_ref().map(|tool| tool.as_os_str().to_owned());
        let has_session = setsid.is_some();
        let gated = match gate {
            Gate::Shell => gate::before(arguments),
            Gate::Channel => arguments,
        };
        let mut words = setsid.iter().chain(&gated);
        let program = words
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "empty command"))?;
        let mut command = Command::new(program);
        command
            .args(words)
            .current_dir(directory)
            .stdin(streams.stdin)
            .stdout(streams.stdout)
            .stderr(streams.stderr)
            .kill_on_drop(true)
            .env_clear()
            .envs(self.environment(setup, mark))
            .env("TERM", "dumb")
            // Python programs in batches show their output as it comes.
            .env("PYTHONUNBUFFERED", "1")
            // `stdbuf` preloads a library, which the address sanitizer would refuse to accept.
            .env("ASAN_OPTIONS", "verify_asan_link_order=0");
        if !has_session {
            command.process_group(0);
        }
        setup
            .confined
            .spawn(gate, || command.spawn(), |child| child)
    }

    /// The environment of every process of a kernel: nothing of the gateway's own but the path.
    pub(crate) fn environment(&self, setup: &Setup, mark: &str) -> [(&'static str, OsString); 6] {
        let home = &setup.home;
        [
            ("PATH", setup.installed.path_before(&self.path)),
            ("HOME", home.work().into()),
            ("TMPDIR", home.temp().into()),
            ("SHELL", "/bin/bash".into()),
            ("LANG", "C.UTF-8".into()),
            (MARK, mark.into()),
        ]
    }
}

/// Where programs are looked for: by default where the gateway's own are.
pub(crate) fn search_path(path: Option<OsString>) -> OsString {
    path.or_else(|| std::env::var_os("PATH"))
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| DEFAULT_PATH.into())
}

/// Kills a process and its group; the process need not be the group's leader yet.
pub(crate) fn kill_group(child: &mut Child) {
    if let Some(id) = child.id().and_then(pid) {
        let _ = rustix::process::kill_process_group(id, Signal::KILL);
    }
    let _ = child.start_kill();
}

/// Waits for a killed process to end; not for ever, as one that hangs in the system never does.
pub(crate) async fn wait(child: &mut Child) {
    if tokio::time::timeout(LAST_BREATH, child.wait())
        .await
        .is_err()
    {
        tracing::warn!(process = child.id(), "a process does not die");
    }
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
