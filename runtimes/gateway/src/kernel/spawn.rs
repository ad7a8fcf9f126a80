//! Starting and ending processes of a kernel: in its environment, apart from everything else.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::confine::Start;
use super::confine::gate::{self, Gate};
use super::language::{Query, Runner};
use super::launch::Arguments;
use super::process::Process;
use super::prompts::{self, Adapted};
use super::setup::Setup;
use super::sweep::MARK;

/// The standard streams of a process.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdin: OwnedFd,
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
    adapted: Adapted<'_>,
) -> io::Result<Process> {
    let own = [
        ("TERM", "dumb"),
        // Python programs in batches show their output at once.
        ("PYTHONUNBUFFERED", "1"),
    ];
    let own = own.map(|(name, value)| (name.into(), value.into()));
    let mut variables: Vec<_> = own.into_iter().chain(environment(setup, mark)).collect();
    prompts::add(&mut variables, setup, adapted);
    if gate == Gate::Shell && setup.installed.language.query.shows_files() {
        show_files(&mut variables, setup);
    }
    let setsid = setup.launcher.setsid().map(OsString::from);
    let has_session = setsid.is_some();
    let usual_signals = setup.launcher.usual_signals();
    if setup.confined.has_box() {
        let own = setsid.iter().chain(usual_signals).cloned();
        let start = Start {
            arguments: own.chain(arguments).collect(),
            makes_session: has_session,
            environment: variables,
            directory: directory.to_owned(),
            input: Some(streams.stdin),
            waits: gate == Gate::Channel,
        };
        return setup
            .confined
            .spawn_in_box(start, streams.stdout, streams.stderr);
    }
    let gated = match gate {
        Gate::Shell => gate::before(arguments),
        Gate::Channel => arguments,
    };
    let mut command_line = setsid.iter().chain(usual_signals).chain(&gated);
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
        .envs(variables);
    if !has_session {
        command.process_group(0);
    }
    let start = || command.spawn();
    let child = setup.confined.spawn(gate, start, |child| child)?;
    Ok(Process::new(child))
}

/// Has Python load what lets programs in files show figures and other media.
fn show_files(variables: &mut Vec<(OsString, OsString)>, setup: &Setup) {
    let mut path = setup.runners.clone().into_os_string();
    if let Some(at) = variables.iter().position(|(name, _)| name == "PYTHONPATH") {
        path.push(":");
        path.push(variables.remove(at).1);
    }
    variables.push(("PYTHONPATH".into(), path));
    variables.push(("SORNA_KERNEL_LINK".into(), setup.home.link().into()));
}

/// The environment of every process of a kernel: nothing of the gateway's own but the path, and what its
/// client asked for.
pub(crate) fn environment(setup: &Setup, mark: &str) -> Vec<(OsString, OsString)> {
    let home = &setup.home;
    // `stdbuf` preloads a library, which the address sanitizer would refuse to accept. To look for leaks, it stops the
    // program as debuggers do, which the filter of calls forbids: every program would fail at its end.
    let (address_sanitizer, leak_sanitizer) = match setup.confined.filters_calls() {
        true => (
            "verify_asan_link_order=0:detect_leaks=0",
            Some("detect_leaks=0"),
        ),
        false => ("verify_asan_link_order=0", None),
    };
    let own = [
        ("PATH", setup.installed.path_before(setup.launcher.path())),
        ("HOME", home.work().into()),
        ("TMPDIR", home.temp().into()),
        ("SHELL", "/bin/bash".into()),
        ("LANG", "C.UTF-8".into()),
        ("ASAN_OPTIONS", address_sanitizer.into()),
    ];
    let leaks = leak_sanitizer.map(|it| ("LSAN_OPTIONS", it.into()));
    let own = own.into_iter().chain(leaks);
    let own = own.map(|(name, value)| (name.into(), value));
    let asked = setup.environ.0.iter();
    let asked = asked.map(|(name, value)| (name.into(), value.into()));
    own.chain(asked)
        .chain(node_options(setup))
        .chain([(MARK.into(), mark.into())])
        .collect()
}

/// What every node of a nodejs kernel loads first, before the options that the client asked for.
fn node_options(setup: &Setup) -> Option<(OsString, OsString)> {
    const NAME: &str = "NODE_OPTIONS";
    if !matches!(
        setup.installed.language.query,
        Query::Interpreter(Runner::Node)
    ) {
        return None;
    }
    let file = setup.runners.join("nodejs_files.js");
    let file = file.to_str()?.replace('\\', r"\\").replace('"', "\\\"");
    let mut value = format!("--require \"{file}\"");
    for (_, asked) in setup.environ.0.iter().filter(|(name, _)| name == NAME) {
        value.push(' ');
        value.push_str(asked);
    }
    Some((NAME.into(), value.into()))
}
