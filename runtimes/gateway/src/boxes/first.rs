//! The first process of a box.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread;

use nix::sched::CloneFlags;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{DumpableBehavior, PidfdFlags, WaitOptions};
use rustix::thread::ThreadNameSpaceType;
use signal_hook::consts::SIGCHLD;

use super::failure::{At, Failure};
use super::message::{self, Kind};
use super::plan::{Plan, Program};
use super::{enter, filter, root, walls};
use crate::NetworkAccess;

/// Limits of a namespace of users, which are no settings of the machine. What they count is counted outside as well, for the
/// user that kernels can have in common, so that one without them could take all that there is from the others.
const LIMITS: [(&str, &str); 5] = [
    ("max_inotify_instances", "32"),
    ("max_inotify_watches", "16384"),
    ("max_fanotify_groups", "8"),
    ("max_fanotify_marks", "4096"),
    // The filter forbids the same.
    ("max_user_namespaces", "0"),
];

/// Furnishes the box, and then reaps what is orphaned in it until the gateway closes the socket.
pub(super) fn first(control: &UnixStream) -> Result<ExitCode, Failure> {
    let (mut ended, signals) = UnixStream::pair().at("socketpair")?;
    ended.set_nonblocking(true).at("socketpair")?;
    signal_hook::low_level::pipe::register(SIGCHLD, signals).at("signals")?;
    let plan = loop {
        match message::receive(control).at("the gateway")? {
            Some(trial) if trial.is(Kind::Trial) => try_out(control, &trial.body)?,
            Some(plan) if plan.is(Kind::Plan) => {
                break Plan::decode(&plan.body).at("the gateway")?;
            }
            _ => return Ok(ExitCode::SUCCESS),
        }
    };
    nix::sched::unshare(CloneFlags::CLONE_NEWNS).at("unshare")?;
    let mounts = File::open("/proc/self/ns/mnt").at("namespaces")?;
    root::build(&plan)?;
    give_to_holder(mounts)?;
    if plan.network == NetworkAccess::Loopback {
        start_loopback().at("loopback")?;
    }
    for (limit, most) in LIMITS {
        // Not all systems have them all.
        let _ = fs::write(format!("/proc/sys/user/{limit}"), most);
    }
    walls::drop_privileges(plan.user)?;
    // Programs of the same user in the box must not look into this process.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at("dumpable")?;
    filter::filter_calls_in_box()?;
    // It shows what is in the namespace of who has opened it, whoever reads it. Not all systems have it.
    let segments = fs::File::open("/proc/sysvipc/shm").ok();
    let files: Vec<_> = segments.iter().map(AsFd::as_fd).collect();
    message::send(control, Kind::Ready, &[], &files).at("the gateway")?;
    drop(files);
    drop(segments);
    loop {
        let mut files = [
            PollFd::new(control, PollFlags::IN),
            PollFd::new(&ended, PollFlags::IN),
        ];
        match poll(&mut files, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).at("poll"),
        }
        if !files[0].revents().is_empty() {
            // The gateway sends nothing more: it is gone, or wants an end.
            return Ok(ExitCode::SUCCESS);
        }
        let mut signals = [0; 64];
        while matches!(ended.read(&mut signals), Ok(1..)) {}
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
    }
}

/// Furnishes the box and enters it, as far as one thread can do that by itself. The mounts, and all that has been given up, end
/// with the thread: so the same box is that of a kernel afterwards.
fn try_out(control: &UnixStream, plan: &[u8]) -> Result<(), Failure> {
    let plan = Plan::decode(plan).at("the gateway")?;
    let program = message::receive(control).at("the gateway")?;
    let program = program.filter(|it| it.is(Kind::Enter));
    let program = program
        .ok_or(io::ErrorKind::UnexpectedEof)
        .at("the gateway")?;
    let program = Program::decode(&program.body).at("the gateway")?;
    let trial = move || {
        nix::sched::unshare(CloneFlags::CLONE_NEWNS).at("unshare")?;
        root::build(&plan)?;
        if plan.network == NetworkAccess::Loopback {
            start_loopback().at("loopback")?;
        }
        // It is in them, so that this changes nothing.
        let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty());
        let own = own.at("pidfd_open")?;
        enter::move_into(own.as_fd(), ThreadNameSpaceType::empty(), plan.network)?;
        enter::confine(&program)
    };
    let thread = thread::Builder::new().spawn(trial).at("start in the box")?;
    let tried = thread.join();
    tried.unwrap_or_else(|_| Err(Failure("it cannot be entered".to_owned())))?;
    message::send(control, Kind::Ready, &[], &[]).at("the gateway")
}

/// Lets the holder keep the mounts of the box, by the socket that is the standard output of this process.
fn give_to_holder(mounts: File) -> Result<(), Failure> {
    let holder = io::stdout().as_fd().try_clone_to_owned();
    let holder = UnixStream::from(holder.at("the holder")?);
    message::send(&holder, Kind::Mounts, &[], &[mounts.as_fd()]).at("the holder")
}

/// Starts the loopback device, by a message of rtnetlink: `RTM_NEWLINK` for link 1, which is `lo` in a new namespace.
fn start_loopback() -> io::Result<()> {
    const NEW_LINK: u16 = 16;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    const UP: u32 = 1;
    let parts: [&[u8]; 11] = [
        // The length of the message, its kind and flags, its number, and who sends it.
        &32_u32.to_ne_bytes(),
        &NEW_LINK.to_ne_bytes(),
        &REQUEST_AND_ACKNOWLEDGE.to_ne_bytes(),
        &1_u32.to_ne_bytes(),
        &0_u32.to_ne_bytes(),
        // Family and padding, type, index, flags, and which of the flags to change.
        &[0, 0],
        &0_u16.to_ne_bytes(),
        &1_i32.to_ne_bytes(),
        &UP.to_ne_bytes(),
        &UP.to_ne_bytes(),
        &[],
    ];
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::send(&socket, &parts.concat(), SendFlags::empty())?;
    let mut answer = [0; 256];
    let (read, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // A header, and the negative number of an error, or 0.
    let error = answer[..read]
        .get(16..20)
        .map(|it| [it[0], it[1], it[2], it[3]]);
    match error.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}
