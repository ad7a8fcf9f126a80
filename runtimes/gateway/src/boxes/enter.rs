//! Entering a box, and watching over a program there.

use std::fs;
use std::io;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::failure::{At, Failure};
use super::message::{self, Kind};
use super::plan::Program;
use super::spent::Spent;
use super::{filter, open_files, utf8, walls};
use crate::NetworkAccess;

/// What a gateway sends while the program runs: for it and its group the signal of Ctrl-C, `SIGURG`, or an end.
pub(crate) const INTERRUPT: u8 = b'i';
pub(crate) const URGE: u8 = b'u';
pub(crate) const KILL: u8 = b'k';
/// What a gateway sends when it has seen to a program that was announced to it.
pub(crate) const SEEN: u8 = b'.';
/// By how much the memory of this process grows at most until it starts the program, in bytes.
const OWN_GROWTH: u64 = 1 << 20;
/// The exit codes of shells for a program that is not there, or cannot be started.
const NOT_FOUND: i32 = 127;
const NOT_STARTED: i32 = 126;

/// Enters a box and runs a program there.
pub(super) fn enter(control: &UnixStream) -> Result<ExitCode, Failure> {
    // The terminal of the gateway must not be that of its kernels.
    let _ = rustix::process::setsid();
    let Some(message) = message::receive(control).at("the gateway")? else {
        return Ok(ExitCode::SUCCESS);
    };
    let program = Program::decode(&message.body).at("the gateway")?;
    let mut files = message.files.into_iter();
    let missing = || io::Error::from(io::ErrorKind::InvalidData);
    let first = files.next().ok_or_else(missing).at("the gateway")?;
    // In the box, it is not to be seen.
    let own = own_memory();
    let of_who_made_it = ThreadNameSpaceType::USER | ThreadNameSpaceType::MOUNT;
    move_into(first.as_fd(), of_who_made_it, program.network)?;
    drop(first);
    confine(&program)?;
    let started = if program.terminal {
        start_on_terminal(&program, control)?
    } else {
        start(&program, files.next())
    };
    if program.is_announced {
        announce(started.as_ref().ok(), control)?;
    }
    let status = match started {
        Ok(child) => watch(child, control)?,
        Err(error) => {
            eprintln!("{}: {error}", program.arguments[0].display());
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            let code = if is_missing { NOT_FOUND } else { NOT_STARTED };
            code << 8
        }
    };
    message::send(control, Kind::Spent, &spent(own), &[]).at("the gateway")?;
    message::send(control, Kind::Status, &status.to_le_bytes(), &[]).at("the gateway")?;
    Ok(ExitCode::SUCCESS)
}

/// Moves into these namespaces of a process of the box, and all that every box has of its own.
pub(super) fn move_into(
    process: BorrowedFd<'_>,
    namespaces: ThreadNameSpaceType,
    network: NetworkAccess,
) -> Result<(), Failure> {
    let mut namespaces = namespaces
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::CONTROL_GROUP;
    if network != NetworkAccess::Host {
        namespaces |= ThreadNameSpaceType::NETWORK;
    }
    move_into_thread_name_spaces(process, namespaces).at("setns")
}

/// Gives up what the program must not have, for good.
pub(super) fn confine(program: &Program) -> Result<(), Failure> {
    rustix::process::chdir(&program.directory).at("chdir")?;
    walls::drop_privileges(program.user)?;
    if program.landlock {
        walls::limit_writing(&program.writable, program.network)?;
    }
    filter::filter_calls_in_box()
}

/// The most memory that this process had so far, in bytes.
fn own_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// What the program has used, and all that it has waited for: see [`Spent`].
fn spent(own: Option<u64>) -> Vec<u8> {
    let Ok(program) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Vec::new();
    };
    let bytes = |kib: i64| u64::try_from(kib).unwrap_or_default() * 1024;
    let times = [program.user_time(), program.system_time()];
    let micros = times.map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    let spent = Spent {
        cpu: u64::try_from(micros.iter().sum::<i64>()).unwrap_or_default(),
        peak: bytes(program.max_rss()),
        least: own.map_or(u64::MAX, |own| own + OWN_GROWTH),
    };
    spent.encode()
}

fn start(program: &Program, stdin: Option<OwnedFd>) -> io::Result<Child> {
    open_files::limit();
    let mut command = Command::new(&program.arguments[0]);
    command
        .args(&program.arguments[1..])
        .env_clear()
        .envs(program.environment.iter().cloned())
        .stdin(stdin.map_or_else(Stdio::null, Stdio::from));
    if !program.makes_session {
        command.process_group(0);
    }
    command.spawn()
}

/// Starts a program on a terminal of the box, and sends the gateway the other side of it.
fn start_on_terminal(
    program: &Program,
    control: &UnixStream,
) -> Result<io::Result<Child>, Failure> {
    let (terminal, side) = pty_process::blocking::open()
        .map_err(io::Error::other)
        .at("terminal")?;
    utf8::of_utf8(&terminal).at("terminal")?;
    message::send(control, Kind::Terminal, &[], &[terminal.as_fd()]).at("the gateway")?;
    open_files::limit();
    let command = pty_process::blocking::Command::new(&program.arguments[0])
        .args(&program.arguments[1..])
        .env_clear()
        .envs(program.environment.iter().cloned());
    Ok(command.spawn(side).map_err(io::Error::other))
}

/// Tells the gateway which process the program is, and waits until it has seen to that. It is not reaped meanwhile, so
/// that its ID remains its own.
fn announce(child: Option<&Child>, control: &UnixStream) -> Result<(), Failure> {
    let id = child.map_or(0, Child::id);
    message::send(control, Kind::Started, &id.to_le_bytes(), &[]).at("the gateway")?;
    let mut control = control;
    // At the end of the gateway, there is an end here as well, which `watch` sees to.
    let _ = control.read(&mut [0]).at("the gateway")?;
    Ok(())
}

/// Passes on what the gateway sends until the program has ended, and returns its status.
fn watch(mut child: Child, control: &UnixStream) -> Result<i32, Failure> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let id = id.ok_or(Errno::SRCH).at("start")?;
    let end = rustix::process::pidfd_open(id, PidfdFlags::empty()).at("pidfd_open")?;
    let signal = |signal| {
        let _ = rustix::process::kill_process_group(id, signal);
    };
    let pass_on = |number| {
        signal(number);
        message::send(control, Kind::Signalled, &[], &[]).at("the gateway")
    };
    let kill = || {
        signal(Signal::KILL);
        let _ = rustix::process::kill_process(id, Signal::KILL);
    };
    loop {
        let mut files = [
            PollFd::new(&end, PollFlags::IN),
            PollFd::new(control, PollFlags::IN),
        ];
        match poll(&mut files, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error).at("poll"),
        }
        if !files[0].revents().is_empty() {
            break;
        }
        let mut order = [0];
        let mut orders = control;
        match orders.read(&mut order) {
            Ok(1) if order == [INTERRUPT] => pass_on(Signal::INT)?,
            Ok(1) if order == [URGE] => pass_on(Signal::URG)?,
            Ok(1) => kill(),
            // The gateway is gone.
            _ => {
                kill();
                break;
            }
        }
    }
    child.wait().map(ExitStatusExt::into_raw).at("wait")
}
