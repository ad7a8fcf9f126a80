//! Making the namespaces of a box, and waiting for its end.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use nix::sched::CloneFlags;
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::{
    CapabilitySets, ThreadNameSpaceType, capabilities, configure_capability_in_ambient_set,
    move_into_thread_name_spaces, set_capabilities,
};

use super::failure::{At, Failure};
use super::message::{self, Kind};
use super::words::{FIRST, HOLD};

/// That the gateway maps the users of the box before it is furnished, as this process may map only its own.
pub(crate) const MAPPED_BY_GATEWAY: &str = "--mapped-by-gateway";
/// That the box has the network of the machine.
pub(crate) const HOST_NETWORK: &str = "--host-network";
/// That the box is made within the user and mount namespaces of another process, which is sent first.
pub(crate) const WITHIN: &str = "--within";

/// Makes the namespaces, starts the first process in them, and waits for its end.
pub(super) fn hold(
    control: &UnixStream,
    options: impl Iterator<Item = OsString>,
) -> Result<ExitCode, Failure> {
    let options: Vec<OsString> = options.collect();
    let has = |option: &str| options.iter().any(|it| it == option);
    // A signal from the gateway's terminal must not end a box, nor may that be its terminal.
    let _ = rustix::process::setsid();
    // Not that of mounts: it may be long until the box is furnished, and mounts of the machine must not be kept in use.
    let mut namespaces = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    if !has(HOST_NETWORK) {
        namespaces |= CloneFlags::CLONE_NEWNET;
    }
    if has(WITHIN) {
        join(control)?;
        nix::sched::unshare(namespaces).at("unshare")?;
    } else {
        namespaces |= CloneFlags::CLONE_NEWUSER;
        separate(namespaces, has(MAPPED_BY_GATEWAY))?;
    }
    keep_capabilities().at("capabilities")?;
    let socket = control.as_fd().try_clone_to_owned().at("the gateway")?;
    // Only a child is in the new namespace of processes, and only as another program does it start anew.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("sorna-box")
        .args(own_arguments())
        .arg(FIRST)
        .stdin(Stdio::from(socket));
    let (from_first, to_holder) = UnixStream::pair().at("socketpair")?;
    let mut first = command
        .stdout(OwnedFd::from(to_holder))
        .spawn()
        .at("start in the box")?;
    drop(command);
    let id = i32::try_from(first.id()).ok().and_then(Pid::from_raw);
    let id = id
        .ok_or(io::ErrorKind::InvalidData)
        .at("start in the box")?;
    let file = rustix::process::pidfd_open(id, PidfdFlags::empty()).at("pidfd_open")?;
    let body = id.as_raw_nonzero().get().to_string();
    message::send(control, Kind::First, body.as_bytes(), &[file.as_fd()]).at("the gateway")?;
    // The last to let go of a namespace of mounts waits until the system has removed them. It is to be this process, so that
    // those in the box end at once.
    let _mounts = message::receive(&from_first);
    let _ = first.wait();
    Ok(ExitCode::SUCCESS)
}

/// Moves into the user and mount namespaces of the process that the gateway sends.
fn join(control: &UnixStream) -> Result<(), Failure> {
    let message = message::receive(control).at("the gateway")?;
    let message = message.filter(|it| it.is(Kind::Within));
    let process = message.and_then(|it| it.files.into_iter().next());
    let process = process
        .ok_or(io::ErrorKind::UnexpectedEof)
        .at("the gateway")?;
    let namespaces = ThreadNameSpaceType::USER | ThreadNameSpaceType::MOUNT;
    move_into_thread_name_spaces(process.as_fd(), namespaces).at("setns")
}

/// Makes namespaces, among them one of users, in which the only one is that of this process, unless the gateway maps others.
pub(super) fn separate(namespaces: CloneFlags, is_mapped: bool) -> Result<(), Failure> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    nix::sched::unshare(namespaces).at("unshare")?;
    if is_mapped {
        return Ok(());
    }
    map(user.as_raw(), group.as_raw())
}

/// The arguments before the one that says what this process is to do.
fn own_arguments() -> Vec<OsString> {
    let all = std::env::args_os().skip(1);
    all.take_while(|argument| argument != HOLD).collect()
}

/// Maps the only user and group that an ordinary user may map: its own.
fn map(user: u32, group: u32) -> Result<(), Failure> {
    // The system asks for this before groups may be mapped.
    let _ = fs::write("/proc/self/setgroups", "deny");
    fs::write("/proc/self/uid_map", format!("{user} {user} 1")).at("uid_map")?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1")).at("gid_map")
}

/// Keeps the capabilities in the new namespaces when another program is started: only root would.
fn keep_capabilities() -> io::Result<()> {
    let own = capabilities(None)?;
    let sets = CapabilitySets {
        inheritable: own.permitted,
        ..own
    };
    set_capabilities(None, sets)?;
    for capability in own.permitted.iter() {
        configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}
