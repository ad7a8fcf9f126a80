//! Starting and ending processes of a kernel: in its environment, apart from everything else.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use super::confine::gate::{self, Gate};
use super::launch::Arguments;
use super::setup::Setup;
use super::sweep::MARK;

/// How long a killed process may take to end.
const KILL_TIME: Duration = Duration::from_secs(5);

/// The standard streams of a process.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdin: Stdio,
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
}

/// Starts a process in its own session, or at least process group, in a scrubbed environment.
/// `mark` is how [`sweep`](super::sweep::sweep) finds it and its descendants again.
pub(crate) fn spawn(
    setup: &Setup,
    gate: Gate,
    arguments: Arguments,
    directory: &Path,
    mark: &str,
    streams: Streams,
) -> io::Result<Child> {
    let setsid = setup.launcher.setsid().map(OsString::from);
    let has_session = setsid.is_some();
    let gated = match gate {
        Gate::Shell => gate::before(arguments),
        Gate::Channel => arguments,
    };
    let interruptible = setup.launcher.interruptible();
    let mut command_line = setsid.iter().chain(interruptible).chain(&gated);
    let program = command_line
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "empty command"))?;
    let mut command = Command::new(program);
    command
        .args(command_line)
        .current_dir(directory)
        .stdin(streams.stdin)
        .stdout(streams.stdout)
        .stderr(streams.stderr)
        .kill_on_drop(true)
        .env_clear()
        .env("TERM", "dumb")
        // Python programs in batches show their output at once.
        .env("PYTHONUNBUFFERED", "1")
        // `stdbuf` preloads a library, which the address sanitizer would refuse to accept.
        .env("ASAN_OPTIONS", "verify_asan_link_order=0")
        .envs(environment(setup, mark));
    if !has_session {
        command.process_group(0);
    }
    setup
        .confined
        .spawn(gate, || command.spawn(), |child| child)
}

/// The environment of every process of a kernel: nothing of the gateway's own but the path, and what its
/// client asked for.
pub(crate) fn environment(setup: &Setup, mark: &str) -> Vec<(OsString, OsString)> {
    let home = &setup.home;
    let own = [
        ("PATH", setup.installed.path_before(setup.launcher.path())),
        ("HOME", home.work().into()),
        ("TMPDIR", home.temp().into()),
        ("SHELL", "/bin/bash".into()),
        ("LANG", "C.UTF-8".into()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.into(), value));
    let asked = setup.environ.0.iter();
    let asked = asked.map(|(name, value)| (name.into(), value.into()));
    own.chain(asked)
        .chain([(MARK.into(), mark.into())])
        .collect()
}

/// Kills a process and its group; the process need not be the group's leader yet.
pub(crate) fn kill_group(child: &mut Child) {
    if let Some(id) = child.id().and_then(pid) {
        let _ = rustix::process::kill_process_group(id, Signal::KILL);
    }
    let _ = child.start_kill();
}

/// Sends a process and its group the signal of Ctrl-C, as a terminal does.
pub(crate) fn interrupt(child: &Child) {
    if let Some(id) = child.id().and_then(pid) {
        // A process that has ended meanwhile is no error.
        let _ = rustix::process::kill_process_group(id, Signal::INT);
    }
}

/// Tells a process, and its group, that it is being interrupted, by a signal that others ignore.
pub(crate) fn urge(child: &Child) {
    if let Some(id) = child.id().and_then(pid) {
        let _ = rustix::process::kill_process_group(id, Signal::URG);
    }
}

/// Waits for a killed process to end, but not forever: one that hangs in the system never does.
pub(crate) async fn wait(child: &mut Child) {
    if tokio::time::timeout(KILL_TIME, child.wait()).await.is_err() {
        tracing::warn!(process = child.id(), "a killed process does not end");
    }
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}
