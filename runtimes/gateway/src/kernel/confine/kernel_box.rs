//! The box of a kernel: its own namespaces, with all its processes. See [`boxes`](crate::boxes).

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::NetworkAccess;
use crate::boxes::message::{self, Kind, Message};
use crate::boxes::plan::{Mount, Plan, Program};
use crate::boxes::{ENTER, HOLD, HOST_NETWORK, MAPPED_BY_GATEWAY, WITHIN};
use crate::kernel::memory::Held;
use crate::kernel::{procfs, sweep};

/// The directories of boxes that are in memory, below their roots.
const SCRATCH: [&str; 2] = ["tmp", "dev/shm"];
/// How long a helper may take for an answer.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(20);
/// How long all processes of a box may take to end.
const END_TIME: Duration = Duration::from_secs(5);

/// A program that makes and enters boxes, and its first arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoxProgram {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

/// Processes by what identifies their namespace.
pub(crate) type Census = HashMap<u64, Vec<u32>>;

/// A box. Dropping it ends everything in it.
#[derive(Debug)]
pub(super) struct KernelBox {
    holder: Holder,
    /// Its end is the end of the box.
    control: UnixStream,
    /// The first process of the box, and a file that stands for it.
    first: u32,
    first_file: OwnedFd,
    /// What identifies its namespace of processes.
    processes: u64,
    /// The list of its shared memory of System V.
    segments: Option<File>,
    /// Where it has files of its own in memory, below its root.
    scratch: Vec<&'static str>,
}

/// A box with nothing in it yet but its first process.
#[derive(Debug)]
pub(super) struct Unfurnished {
    made: KernelBox,
    /// Whether the gateway has yet to map its users.
    lacks_users: bool,
    /// The user that the gateway has mapped.
    user: Option<u32>,
}

/// The users of a box.
#[derive(Clone, Copy, Debug)]
pub(super) enum Users<'p> {
    /// That of the gateway.
    Own,
    /// Those that the gateway maps into it when it is furnished.
    Mapped,
    /// Those of this process, within whose namespaces of users and mounts the box is made.
    Within(BorrowedFd<'p>),
}

impl BoxProgram {
    /// A command that starts the program with this word and a socket.
    pub(super) fn command(&self, word: &str, socket: UnixStream) -> Command {
        let mut command = Command::new(&self.path);
        command
            .arg0("sorna-box")
            .args(&self.arguments)
            .arg(word)
            .current_dir("/")
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(socket)));
        command
    }
}

impl Unfurnished {
    /// Makes the namespaces of a box. Blocks.
    pub(super) fn start(
        program: &BoxProgram,
        network: NetworkAccess,
        users: Users<'_>,
    ) -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        control.set_read_timeout(Some(ANSWER_TIME))?;
        control.set_write_timeout(Some(ANSWER_TIME))?;
        let mut command = program.command(HOLD, theirs);
        if network == NetworkAccess::Host {
            command.arg(HOST_NETWORK);
        }
        match users {
            Users::Own => {}
            Users::Mapped => {
                command.arg(MAPPED_BY_GATEWAY);
            }
            Users::Within(_) => {
                command.arg(WITHIN);
            }
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let holder = Holder(Some(command.spawn()?));
        drop(command);
        if let Users::Within(process) = users {
            message::send(&control, Kind::Within, &[], &[process])?;
        }
        let missing = || io::Error::from(io::ErrorKind::InvalidData);
        let first = answer(&control, Kind::First)?;
        let id: u32 = first.text().parse().map_err(io::Error::other)?;
        let first_file = first.files.into_iter().next().ok_or_else(missing)?;
        let processes = namespace(id).ok_or_else(missing)?;
        Ok(Self {
            made: KernelBox {
                holder,
                control,
                first: id,
                first_file,
                processes,
                segments: None,
                scratch: Vec::new(),
            },
            lacks_users: matches!(users, Users::Mapped),
            user: None,
        })
    }

    /// Whether it is still there.
    pub(super) fn lives(&self) -> bool {
        self.made.lives()
    }

    /// Whether it can be that of a kernel which is this user.
    pub(super) fn suits(&self, user: Option<u32>) -> bool {
        self.user.is_none() || self.user == user
    }

    /// Makes what it needs before it can be furnished.
    fn prepare(&mut self, plan: &Plan) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&plan.scratch) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if let Some(user) = plan.user.filter(|_| self.lacks_users) {
            map(self.made.holder(), user)?;
            self.lacks_users = false;
            self.user = Some(user);
        }
        Ok(())
    }

    /// Sees whether it can be furnished like this and entered with a program. It is as empty as before then. Blocks.
    pub(super) fn try_out(&mut self, plan: &Plan, program: &Program) -> io::Result<()> {
        self.prepare(plan)?;
        tell(&self.made.control, Kind::Trial, &plan.encode())?;
        tell(&self.made.control, Kind::Enter, &program.encode())?;
        answer(&self.made.control, Kind::Ready).map(drop)
    }

    /// Puts the root of the box together. Blocks.
    pub(super) fn furnish(mut self, plan: &Plan) -> io::Result<KernelBox> {
        self.prepare(plan)?;
        let Self { mut made, .. } = self;
        tell(&made.control, Kind::Plan, &plan.encode())?;
        let ready = answer(&made.control, Kind::Ready)?;
        // They may be those of the machine, if that is asked for.
        let is_own = |place: &&str| {
            let is_there = |(path, mount): &(PathBuf, Mount)| {
                matches!(mount, Mount::ReadOnly | Mount::Writable)
                    && path
                        .strip_prefix("/")
                        .is_ok_and(|it| it == Path::new(place))
            };
            !plan.mounts.iter().any(is_there)
        };
        made.scratch = SCRATCH.iter().copied().filter(is_own).collect();
        made.segments = ready.files.into_iter().next().map(File::from);
        Ok(made)
    }
}

impl KernelBox {
    /// Whether it is still there.
    pub(super) fn lives(&self) -> bool {
        !self.has_ended(Duration::ZERO)
    }

    /// The process that waits for its end.
    pub(super) fn holder(&self) -> u32 {
        self.holder.0.as_ref().map_or(0, Child::id)
    }

    /// The processes in it, but for the first, which belongs to the gateway.
    pub(super) fn members(&self, census: &Census) -> Vec<u32> {
        let all = census.get(&self.processes).cloned().unwrap_or_default();
        all.into_iter().filter(|id| *id != self.first).collect()
    }

    /// A place in it, as seen from outside.
    fn inside(&self, place: &str) -> PathBuf {
        let process = Path::new("/proc").join(self.first.to_string());
        process.join("root").join(place)
    }

    /// The processes in it by their IDs there.
    pub(super) fn inner_ids(&self) -> Vec<u32> {
        let entries = fs::read_dir(self.inside("proc"));
        let names = entries.into_iter().flatten().flatten();
        names
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// Whether a process in it can have this mark: not if those that are there show none.
    pub(super) fn may_have(&self, mark: &str) -> bool {
        let ids = self.inner_ids();
        // Its first process is always there, if any can be seen.
        ids.is_empty()
            || ids
                .iter()
                .any(|id| sweep::is_marked(&self.inside(&format!("proc/{id}")), mark))
    }

    /// Its `/tmp` and `/dev/shm`, which are in memory, and its shared memory of System V.
    pub(super) fn scratch(&self) -> Held {
        let mut held = Held::default();
        for place in &self.scratch {
            let place = self.inside(place);
            let state = rustix::fs::statvfs(&place);
            if let (Ok(state), Ok(metadata)) = (state, fs::metadata(place)) {
                let used = (state.f_blocks - state.f_bfree) * state.f_frsize;
                held.add_file_system(metadata.dev(), used);
            }
        }
        if let Some(segments) = &self.segments {
            held.add_segments(segments);
        }
        held
    }

    /// Lets a helper that waits enter with a program, whose input this is.
    pub(super) fn admit(
        &self,
        socket: &UnixStream,
        program: &Program,
        input: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let files: Vec<_> = [self.first_file.as_fd()].into_iter().chain(input).collect();
        message::send(socket, Kind::Enter, &program.encode(), &files)
    }

    /// Ends everything in it. Blocks, but not forever.
    fn end(&mut self) {
        let _ = self.control.shutdown(std::net::Shutdown::Both);
        let until = Instant::now() + END_TIME;
        // Its first process ends last.
        while !self.has_ended(until.saturating_duration_since(Instant::now())) {
            if Instant::now() > until {
                tracing::warn!("the box of a kernel does not end");
                return;
            }
        }
    }

    /// Whether all in it have ended, or will within this time.
    fn has_ended(&self, time: Duration) -> bool {
        let mut end = [PollFd::new(&self.first_file, PollFlags::IN)];
        let time = Timespec::try_from(time).unwrap_or_default();
        poll(&mut end, Some(&time)).is_ok_and(|ended| ended > 0)
    }
}

impl Drop for KernelBox {
    fn drop(&mut self) {
        self.end();
    }
}

/// The process that waits for the end of a box. Dropping it kills it.
#[derive(Debug)]
struct Holder(Option<Child>);

impl Drop for Holder {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else {
            return;
        };
        let _ = child.kill();
        // It is the last that has the mounts of the box, and the system takes some milliseconds to remove those.
        let wait = move || child.wait();
        let _ = thread::Builder::new()
            .name("sorna-reap".to_owned())
            .spawn(wait);
    }
}

/// Waits for an answer of a helper.
pub(super) fn answer(socket: &UnixStream, kind: Kind) -> io::Result<Message> {
    match message::receive(socket).map_err(silence)? {
        Some(message) if message.is(kind) => Ok(message),
        Some(message) if message.is(Kind::Failed) => Err(io::Error::other(message.text())),
        Some(_) => Err(io::ErrorKind::InvalidData.into()),
        None => Err(silence(io::ErrorKind::BrokenPipe.into())),
    }
}

/// Tells a helper something.
pub(super) fn tell(socket: &UnixStream, kind: Kind, body: &[u8]) -> io::Result<()> {
    let sent = message::send(socket, kind, body, &[]);
    match sent {
        // It may have said why it ended.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => answer(socket, kind).map(drop),
        sent => sent,
    }
}

/// Why a helper does not answer.
fn silence(error: io::Error) -> io::Error {
    let reason = match error.kind() {
        io::ErrorKind::WouldBlock => "the program for boxes does not answer in time",
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            "the program for boxes ended without an answer: it has to call box_main"
        }
        _ => return error,
    };
    io::Error::new(error.kind(), reason)
}

/// Maps root and a user that is no other's into the namespace of a helper, as only a gateway that is root may.
pub(super) fn map(helper: u32, user: u32) -> io::Result<()> {
    let map = format!("0 0 1\n{user} {user} 1\n");
    for file in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{helper}/{file}"), &map)
            .map_err(|error| io::Error::other(format!("{file}: {error}")))?;
    }
    Ok(())
}

/// The processes of the machine by what identifies their namespace. Takes some microseconds for each.
pub(crate) fn census() -> Census {
    let mut found = Census::new();
    for id in procfs::processes() {
        if let Some(space) = namespace(id) {
            found.entry(space).or_default().push(id);
        }
    }
    found
}

/// What identifies a process's namespace of processes, if it may be known.
pub(crate) fn namespace(process: u32) -> Option<u64> {
    let metadata = fs::metadata(format!("/proc/{process}/ns/pid")).ok()?;
    Some(metadata.ino())
}

/// Whether a box failed because the system is short of something at the moment, by the message: that of a helper is all that
/// there is.
pub(super) fn is_shortage(reason: &str) -> bool {
    [
        libc::EAGAIN,
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::ETOOMANYREFS,
    ]
    .iter()
    .any(|error| reason.contains(&format!("(os error {error})")))
}

/// How to allow what a box failed at.
pub(super) fn advice(reason: &str) -> &'static str {
    let is = |step: &str| reason.starts_with(step);
    if is_shortage(reason) {
        "the system is short of that at the moment: end programs of this user that have many open files or processes, or \
         raise the limits of `ulimit -n` and `ulimit -u`, and start again"
    } else if is("unshare") && reason.contains("os error 28") {
        "raise the limits on namespaces, such as `sysctl -w user.max_user_namespaces=15000`"
    } else if is("unshare") {
        "allow user namespaces: in a container by its seccomp profile, such as `docker run --security-opt \
         seccomp=unconfined`; elsewhere by `sysctl -w kernel.unprivileged_userns_clone=1`"
    } else if is("mount /proc") {
        "the container hides parts of /proc: start it with `docker run --security-opt systempaths=unconfined`, or \
         `podman run --security-opt unmask=ALL`"
    } else if is("uid_map") || is("gid_map") || is("mount") || is("bind") || is("capabilities") {
        "if AppArmor restricts user namespaces, allow them: `sysctl -w \
         kernel.apparmor_restrict_unprivileged_userns=0`, or a profile with `userns,` for this program"
    } else {
        "see the documentation of sorna-gateway on isolation"
    }
}

/// The helper that enters, and the socket to it.
pub(super) fn entering(program: &BoxProgram) -> io::Result<(Command, UnixStream)> {
    let (control, theirs) = UnixStream::pair()?;
    control.set_read_timeout(Some(ANSWER_TIME))?;
    control.set_write_timeout(Some(ANSWER_TIME))?;
    Ok((program.command(ENTER, theirs), control))
}
