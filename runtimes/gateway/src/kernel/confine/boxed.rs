//! What a gateway needs to give each kernel a box, and the box of one kernel.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::kernel_box::{self, BoxProgram, Census, KernelBox, Unfurnished, Users, answer};
use super::layout::Layout;
use super::memory_disk::MemoryDisk;
use super::places::SystemPlaces;
use super::supply::Supply;
use crate::NetworkAccess;
use crate::boxes::disk::DiskPlan;
use crate::boxes::message::{self, Kind};
use crate::boxes::plan::{Mount, Plan, Program};
use crate::boxes::{SEEN, Spent};
use crate::kernel::home::Home;
use crate::kernel::language::Installed;
use crate::kernel::memory::Held;
use crate::lock::lock;

/// How long it is taken for granted that the files of the system are those found last.
const MAX_AGE: Duration = Duration::from_secs(5);
/// The size of `/tmp` and `/dev/shm` of a kernel whose memory is not limited, in bytes.
const SCRATCH_SIZE: u64 = 512 << 20;

/// How often to try again what fails because the system is short of something, and how long to wait before that.
const SHORTAGE_TRIES: u32 = 5;
const SHORTAGE_PAUSE: Duration = Duration::from_millis(200);

/// The first of the users that the kernels of a gateway which is root are, and how many there are: in a range that no
/// system gives out, neither to people nor to services and containers.
const FIRST_USER: u32 = 1_900_000_000;
const USERS: u64 = 65_536;

/// What a gateway needs to give each kernel a box.
#[derive(Debug)]
pub(super) struct Boxes {
    supply: Arc<Supply>,
    /// Whether Landlock is used in boxes.
    has_landlock: bool,
    /// An empty directory, in which the roots of boxes are put together: each box sees its own there.
    scratch: PathBuf,
    system: Mutex<Option<(Instant, Layout)>>,
}

/// The box of one kernel. A new one is made when the first has ended.
#[derive(Debug)]
pub(super) struct Boxed {
    supply: Arc<Supply>,
    plan: Plan,
    /// Where its programs may write, for Landlock.
    writable: Vec<PathBuf>,
    has_landlock: bool,
    /// Its files, if they are in memory.
    disk: Option<Arc<MemoryDisk>>,
    current: Mutex<Option<Arc<Mutex<KernelBox>>>>,
}

/// What to start in a box.
pub(crate) struct Start {
    pub(crate) arguments: Vec<OsString>,
    /// Whether it makes a session of its own, and so must not lead a group.
    pub(crate) makes_session: bool,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) directory: PathBuf,
    /// Its input; without it, the program gets a terminal.
    pub(crate) input: Option<OwnedFd>,
    /// Whether it may run before it is in its control group, since it does nothing before it gets a message.
    pub(crate) waits: bool,
}

/// A helper that waits to be let in with its program.
pub(super) struct Waiting {
    control: UnixStream,
    start: Start,
}

impl Boxes {
    /// Makes a box to see whether that is possible, and keeps it for the first kernel. The error says what is missing, and how to
    /// allow it. Blocks.
    pub(super) fn try_out(
        program: &BoxProgram,
        network: NetworkAccess,
        has_landlock: bool,
        system: &SystemPlaces,
        directory: &Path,
    ) -> Result<Self, String> {
        let supply = |has_users| Arc::new(Supply::new(program.clone(), network, has_users));
        let is_root = rustix::process::geteuid().is_root();
        let mut this = Self {
            supply: supply(is_root),
            has_landlock,
            scratch: directory.join("box"),
            system: Mutex::default(),
        };
        let mut tried = this.try_in(directory, system);
        for _ in 0..SHORTAGE_TRIES {
            match &tried {
                Err(error) if kernel_box::is_shortage(&error.to_string()) => {}
                _ => break,
            }
            thread::sleep(SHORTAGE_PAUSE);
            tried = this.try_in(directory, system);
        }
        if let Err(error) = &tried
            && is_root
            && !kernel_box::is_shortage(&error.to_string())
        {
            // Root of a container has only some of the users.
            this.supply = supply(false);
            let again = this.try_in(directory, system);
            if again.is_ok() {
                tracing::warn!(%error, "kernels cannot be other users: they are root, without its privileges");
            }
            tried = again;
        }
        match tried {
            Ok(()) => Ok(this),
            Err(error) => {
                let reason = error.to_string();
                Err(format!("{reason} ({})", kernel_box::advice(&reason)))
            }
        }
    }

    /// Keeps no box for the first kernel: those with files in memory need others.
    pub(super) fn keep_none(&self) {
        self.supply.keep(None);
    }

    /// Whether the system limits the number of processes in each box: that of root has no limit.
    pub(super) fn limits_processes(&self) -> bool {
        self.supply.has_users() || !rustix::process::geteuid().is_root()
    }

    /// The user that a kernel is, if it is not that of the gateway.
    pub(super) fn user(&self, kernel: u64) -> Option<u32> {
        let number = u32::try_from(kernel % USERS).unwrap_or_default();
        self.supply.has_users().then_some(FIRST_USER + number)
    }

    fn try_in(&self, directory: &Path, system: &SystemPlaces) -> io::Result<()> {
        let directory = tempfile::tempdir_in(directory)?;
        let user = self.user(0);
        let home = Home::create(directory.path().join("home"), false, user)?;
        let layout = self.layout(system, &home, None, []);
        let boxed = self.boxed(layout, &home, user, SCRATCH_SIZE);
        let start = Start {
            arguments: Vec::new(),
            makes_session: false,
            environment: Vec::new(),
            directory: home.work(),
            input: None,
            waits: false,
        };
        let mut made = self.supply.take(user)?;
        made.try_out(&boxed.plan, &boxed.program(&start))?;
        self.supply.keep(Some(made));
        Ok(())
    }

    /// Puts the files of a kernel in memory, before there are any. Blocks.
    pub(super) fn disk(
        &self,
        number: u64,
        home: &Home,
        size: u64,
        files: u64,
    ) -> io::Result<MemoryDisk> {
        let directories = [home.work(), home.temp(), home.snippet()];
        let directories: Vec<_> = directories.into_iter().filter(|it| it.exists()).collect();
        // These, and the root.
        let own = directories.len() as u64 + 1;
        let plan = DiskPlan {
            place: home.root().join("disk"),
            directories,
            // To the system, 0 means no limit.
            size: size.max(1),
            // Each takes memory as well, which does not count as that of the kernel.
            files: files.min(size / 1024 + 1024) + own,
        };
        MemoryDisk::start(self.supply.program(), self.user(number), &plan)
    }

    /// The box of a kernel.
    pub(super) fn kernel(
        &self,
        number: u64,
        system: &SystemPlaces,
        home: &Home,
        runners: &Path,
        installed: &Installed,
        memory: Option<u64>,
    ) -> Boxed {
        let places = installed.places();
        let readable = places.iter().map(PathBuf::as_path).chain([runners]);
        let layout = self.layout(system, home, Some(home.snippet()), readable);
        let size = memory.map_or(SCRATCH_SIZE, |memory| memory / 2);
        self.boxed(layout, home, self.user(number), size)
    }

    fn layout<'p>(
        &self,
        system: &SystemPlaces,
        home: &Home,
        snippet: Option<PathBuf>,
        readable: impl IntoIterator<Item = &'p Path>,
    ) -> Layout {
        let mut kept = lock(&self.system);
        let fresh = kept.take().filter(|(found, _)| found.elapsed() < MAX_AGE);
        let fresh = fresh.unwrap_or_else(|| {
            let directory = self.scratch.parent().unwrap_or(&self.scratch);
            (Instant::now(), Layout::of_system(system, directory))
        });
        let mut layout = kept.insert(fresh).1.clone();
        drop(kept);
        for path in readable {
            layout.add(path, Mount::ReadOnly);
        }
        // Each by itself: a program must not be able to put anything in the place of these directories.
        let own = [home.work(), home.temp(), home.stdin()];
        for path in own.into_iter().chain(snippet) {
            layout.add(&path, Mount::Writable);
        }
        layout
    }

    fn boxed(&self, layout: Layout, home: &Home, user: Option<u32>, scratch_size: u64) -> Boxed {
        let (mounts, links) = layout.finish();
        let writable = mounts.iter().filter(|(_, mount)| {
            matches!(mount, Mount::Writable | Mount::Devices | Mount::Temporary)
        });
        Boxed {
            supply: Arc::clone(&self.supply),
            writable: writable.map(|(path, _)| path.clone()).collect(),
            plan: Plan {
                scratch: self.scratch.clone(),
                mounts,
                links,
                scratch_size,
                network: self.supply.network(),
                user,
                home: home.work(),
            },
            has_landlock: self.has_landlock,
            disk: home.disk().cloned(),
            current: Mutex::default(),
        }
    }
}

impl Boxed {
    /// Makes the box, for the first program that enters it, and then whatever the next one can take. Blocks.
    pub(super) fn prepare(self: Arc<Self>) {
        // An error is one of that program as well.
        let _ = self.make();
        if self.disk.is_some() {
            // The files of each kernel are elsewhere, and so are its boxes.
            return;
        }
        let supply = Arc::downgrade(&self.supply);
        drop(self);
        Supply::refill(&supply);
    }

    /// A command that starts a helper, which waits to be admitted.
    pub(super) fn helper(&self, start: Start) -> io::Result<(Command, Waiting)> {
        let (command, control) = kernel_box::entering(self.supply.program())?;
        Ok((command, Waiting { control, start }))
    }

    /// Lets a helper enter and start its program. Makes the box if there is none. Blocks.
    pub(super) fn admit(&self, waiting: &Waiting) -> io::Result<()> {
        let Waiting { control, start } = waiting;
        let program = self.program(start);
        let kernel_box = self.make()?;
        let kernel_box = lock(&kernel_box);
        let input = start.input.as_ref().map(AsFd::as_fd);
        kernel_box.admit(control, &program, input)
    }

    fn program(&self, start: &Start) -> Program {
        Program {
            arguments: start.arguments.clone(),
            environment: start.environment.clone(),
            directory: start.directory.clone(),
            writable: self.writable.clone(),
            landlock: self.has_landlock,
            network: self.plan.network,
            user: self.plan.user,
            terminal: start.input.is_none(),
            makes_session: start.makes_session,
            is_announced: start.waits,
        }
    }

    /// The box; a new one if there is none.
    fn make(&self) -> io::Result<Arc<Mutex<KernelBox>>> {
        let mut current = lock(&self.current);
        if let Some(kernel_box) = current.as_ref().filter(|it| lock(it).lives()) {
            return Ok(Arc::clone(kernel_box));
        }
        let unfurnished = match &self.disk {
            Some(disk) => {
                let users = Users::Within(disk.helper());
                Unfurnished::start(self.supply.program(), self.plan.network, users)
            }
            None => self.supply.take(self.plan.user),
        };
        let made = unfurnished?.furnish(&self.plan)?;
        Ok(Arc::clone(current.insert(Arc::new(Mutex::new(made)))))
    }

    /// Ends everything in the box. Blocks.
    pub(super) fn end(&self) {
        // Held meanwhile, so that nothing enters a box that is about to end.
        let mut current = lock(&self.current);
        drop(current.take());
    }

    /// The process that holds the box.
    pub(super) fn holder(&self) -> Option<u32> {
        let current = lock(&self.current).clone();
        current.map(|it| lock(&it).holder())
    }

    /// The process that keeps the files in memory.
    pub(super) fn disk_helper(&self) -> Option<u32> {
        Some(self.disk.as_ref()?.helper_id())
    }

    /// The processes in the box.
    pub(super) fn members(&self, census: &Census) -> Vec<u32> {
        let current = lock(&self.current).clone();
        current.map_or_else(Vec::new, |it| lock(&it).members(census))
    }

    /// The processes in the box, by their IDs there. Far faster than [`members`](Self::members).
    pub(super) fn inner_ids(&self) -> Vec<u32> {
        let current = lock(&self.current).clone();
        current.map_or_else(Vec::new, |it| lock(&it).inner_ids())
    }

    /// Whether a process in the box can have this mark.
    pub(super) fn may_have(&self, mark: &str) -> bool {
        let current = lock(&self.current).clone();
        current.is_some_and(|it| lock(&it).may_have(mark))
    }

    /// Its `/tmp` and `/dev/shm`, and its other files if they are in memory as well, and its shared memory of System V.
    pub(super) fn scratch(&self) -> Held {
        let current = lock(&self.current).clone();
        let mut held = current.map_or_else(Held::default, |it| lock(&it).scratch());
        if let Some(disk) = &self.disk {
            disk.add_to(&mut held);
        }
        held
    }
}

impl Waiting {
    /// Calls `see_to` with the process of a program that waits, after its helper was admitted. Blocks.
    pub(super) fn when_started(&self, see_to: impl FnOnce(u32)) -> io::Result<()> {
        let body = answer(&self.control, Kind::Started)?.body;
        let id = body.try_into().map_or(0, u32::from_le_bytes);
        if id != 0 {
            see_to(id);
        }
        (&self.control).write_all(&[SEEN])
    }

    /// The terminal that a helper which was admitted has made. Blocks.
    pub(super) fn terminal(&self) -> io::Result<OwnedFd> {
        let terminal = answer(&self.control, Kind::Terminal)?
            .files
            .into_iter()
            .next();
        terminal.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    pub(super) fn into_control(self) -> UnixStream {
        self.control
    }
}

/// How a program in a box ended, and what it has used, by what its helper has sent until its end. Blocks until then.
pub(crate) fn status(control: &UnixStream) -> (Option<i32>, Option<Spent>) {
    let mut spent = None;
    while let Ok(Some(message)) = message::receive(control) {
        if message.is(Kind::Failed) {
            tracing::warn!(reason = message.text(), "a program could not enter its box");
        } else if message.is(Kind::Spent) {
            spent = Spent::decode(&message.body);
        } else if message.is(Kind::Status) {
            let status = message.body.try_into().ok().map(i32::from_le_bytes);
            return (status, spent);
        }
    }
    (None, spent)
}
