//! Isolating a kernel's processes: what they can access, and their limits.
//!
//! Everything is best effort and depends on the system; [`Isolation`] reports what is in force.
//!
//! - [`boxed`]: namespaces of a kernel's own, at the highest level.
//! - [`sandbox`]: which files they can open, by Landlock; no new privileges.
//! - [`boxes::filter`](crate::boxes): which calls of the system they can make.
//! - [`cgroup`]: the memory and number of processes of a kernel, by control groups.
//! - [`rlimits`]: the limits of each process.
//! - [`gate`]: no program runs before it is under its limits.
//! - [`process_table`](super::process_table): without control groups, the gateway finds a kernel's
//!   processes and checks their resource use itself.

mod bounds;
mod boxed;
mod cgroup;
pub(crate) mod gate;
mod given;
mod isolation;
pub(crate) mod kernel_box;
mod layout;
mod memory_disk;
mod not_isolated;
mod places;
mod rlimits;
mod rules;
mod sandbox;
mod supply;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::{Handle, RuntimeFlavor};

pub(crate) use self::bounds::{Bounds, Cores, size};
use self::boxed::{Boxed, Boxes, Waiting};
pub(crate) use self::boxed::{Start, status as box_status};
use self::cgroup::{Group, GroupRoot};
use self::gate::Gate;
pub use self::given::ClosedPlace;
pub use self::isolation::Isolation;
pub(crate) use self::kernel_box::{BoxProgram, Census};
pub(crate) use self::memory_disk::MemoryDisk;
use self::not_isolated::NotIsolated;
use self::places::SystemPlaces;
pub(crate) use self::rules::Rules;
use self::sandbox::{OpenPlaces, Sandbox};
use super::bystanders::Bystanders;
use super::home::Home;
use super::language::Installed;
use super::launch::search_path;
use super::memory::Held;
use super::process::Process;
use super::{procfs, sweep};
use crate::IsolationLevel;
use crate::boxes::{Around, filter_calls, supports_filter};
use crate::lock::lock;

const NO_LANDLOCK: &str =
    "this system has no Landlock (Linux 5.13, and `landlock` in /sys/kernel/security/lsm)";

/// The means by which a gateway confines its kernels.
#[derive(Debug)]
pub(crate) struct Confinement {
    isolation: Isolation,
    /// Why that is less than was asked for.
    shortfall: Option<String>,
    /// What kernels cannot use of what they are given.
    closed_places: Vec<ClosedPlace>,
    places: SystemPlaces,
    open_places: Mutex<Option<Arc<OpenPlaces>>>,
    boxes: Option<Boxes>,
    groups: Option<GroupRoot>,
}

/// The confinement of one kernel.
#[derive(Debug)]
pub(crate) struct Confined {
    sandbox: Option<Sandbox>,
    /// Whether the calls of its programs are filtered. In a box, its own program does that.
    filters_calls: bool,
    boxed: Option<Arc<Boxed>>,
    group: Option<Group>,
    bounds: Bounds,
    /// Whether the system enforces the limit on memory, so that the gateway need not check it.
    memory_is_limited: bool,
    /// The same for the number of processes.
    processes_are_limited: bool,
}

impl Confinement {
    /// Detects what this system offers. The error is why that is less than is required.
    pub(crate) fn new(mark: &str, rules: Rules<'_>) -> Result<Self, String> {
        let cgroup = rules.cgroup;
        let groups = GroupRoot::create(cgroup, mark);
        if let (Some(directory), Err(error)) = (cgroup, &groups) {
            tracing::warn!(directory = %directory.display(), %error, "control groups cannot be made there");
        }
        let groups = groups.ok();
        let landlock = match rules.level {
            IsolationLevel::None => None,
            _ => Sandbox::probe(),
        };
        let path = search_path(rules.path);
        let places = SystemPlaces::find(&path, rules.readable, rules.writable);
        let boxes = match rules.level {
            IsolationLevel::Namespaces => Some(match rules.box_program {
                None => Err("no program for boxes is configured (see with_box_program)".to_owned()),
                Some(program) => {
                    let has_landlock = landlock.is_some();
                    Boxes::try_out(
                        program,
                        rules.network,
                        has_landlock,
                        &places,
                        rules.directory,
                    )
                }
            }),
            _ => None,
        };
        let (boxes, shortfall) = match boxes.transpose() {
            Err(reason) => (None, Some(format!("no namespaces: {reason}"))),
            Ok(None) if rules.level == IsolationLevel::Landlock && landlock.is_none() => {
                (None, Some(NO_LANDLOCK.to_owned()))
            }
            Ok(boxes) => (boxes, None),
        };
        if let Some(boxes) = boxes.as_ref().filter(|_| rules.has_memory_disks) {
            boxes.keep_none();
        }
        if let Some(shortfall) = &shortfall {
            if rules.is_required {
                return Err(shortfall.clone());
            }
            match rules.box_program {
                // That a library is used without one is no fault of the system.
                None => tracing::info!(reason = shortfall, "kernels are isolated less well"),
                Some(_) => tracing::warn!(reason = shortfall, "kernels are isolated less well"),
            }
        }
        if boxes.is_some() || landlock.is_some() {
            given::warn_of_missing(rules.readable);
            given::warn_of_missing(rules.writable);
        }
        let mut closed_places = Vec::new();
        if rustix::process::geteuid().is_root() && (boxes.is_some() || landlock.is_some()) {
            let are_other_users = boxes.as_ref().is_some_and(|it| it.user(0).is_some());
            match are_other_users {
                true => closed_places = given::closed(rules.readable, rules.writable),
                false => given::warn(rules.readable, rules.writable),
            }
        }
        let limits_processes = groups.as_ref().is_some_and(GroupRoot::limits_processes);
        let isolation = Isolation {
            network: boxes.as_ref().map(|_| rules.network),
            filters_calls: rules.level != IsolationLevel::None && supports_filter(),
            landlock,
            has_groups: groups.is_some(),
            limits_memory: groups.as_ref().is_some_and(GroupRoot::limits_memory),
            limits_processes: limits_processes
                || boxes.as_ref().is_some_and(Boxes::limits_processes),
        };
        Ok(Self {
            isolation,
            shortfall,
            closed_places,
            places,
            open_places: Mutex::default(),
            boxes,
            groups,
        })
    }

    pub(crate) fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Why that is less than was asked for.
    pub(crate) fn shortfall(&self) -> Option<&str> {
        self.shortfall.as_deref()
    }

    /// What kernels cannot use of what they are given.
    pub(crate) fn closed_places(&self) -> &[ClosedPlace] {
        &self.closed_places
    }

    /// The control group of the gateway, for the watchdog.
    pub(crate) fn group_directory(&self) -> Option<&Path> {
        self.groups.as_ref().map(GroupRoot::directory)
    }

    /// The user that a kernel is, if it is not that of the gateway.
    pub(crate) fn user(&self, number: u64) -> Option<u32> {
        self.boxes.as_ref()?.user(number)
    }

    /// Puts the files of a kernel in memory, before there are any; `None` where that is not possible. Blocks.
    pub(crate) fn disk(
        &self,
        number: u64,
        home: &Home,
        size: u64,
        files: u64,
    ) -> io::Result<Option<MemoryDisk>> {
        let boxes = self.boxes.as_ref();
        let disk = boxes.map(|boxes| boxes.disk(number, home, size, files));
        disk.transpose()
            .map_err(|error| io::Error::new(error.kind(), NotIsolated(error)))
    }

    /// The places of the system, opened recently.
    fn open_places(&self) -> Arc<OpenPlaces> {
        let mut open = lock(&self.open_places);
        let fresh = open.take().filter(|places| places.is_fresh());
        let places = fresh.unwrap_or_else(|| Arc::new(OpenPlaces::open(&self.places)));
        Arc::clone(open.insert(places))
    }

    /// Prepares the confinement of a kernel.
    pub(crate) fn kernel(
        &self,
        number: u64,
        home: &Home,
        runners: &Path,
        installed: &Installed,
        bounds: Bounds,
    ) -> io::Result<Confined> {
        let boxed = self.boxes.as_ref().map(|boxes| {
            let memory = bounds.memory;
            Arc::new(boxes.kernel(number, &self.places, home, runners, installed, memory))
        });
        if let Some(boxed) = &boxed {
            // It takes longer than the rest of the preparations.
            let boxed = Arc::clone(boxed);
            thread::Builder::new()
                .name("sorna-prepare".to_owned())
                .spawn(move || boxed.prepare())?;
        }
        let sandbox = match self.isolation.landlock {
            // In a box, its own program does that.
            Some(_) if boxed.is_none() => {
                let places = self.open_places();
                Some(Sandbox::new(&places, home, runners, installed)?)
            }
            _ => None,
        };
        let group = match &self.groups {
            Some(groups) => Some(groups.group(number, bounds)?),
            None => None,
        };
        Ok(Confined {
            sandbox,
            filters_calls: self.isolation.filters_calls,
            boxed,
            group,
            bounds,
            memory_is_limited: self.isolation.limits_memory,
            processes_are_limited: self.isolation.limits_processes,
        })
    }
}

impl Confined {
    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Whether the gateway has to check the kernel's resource use.
    pub(crate) fn needs_checks(&self) -> bool {
        !self.processes_are_limited || self.needs_sums()
    }

    /// Starts a process that waits at the [`gate`] until it is under all limits. `start` runs on a
    /// separate thread within the caller's tokio runtime, and the process that it starts is confined.
    pub(crate) fn spawn<T: Send>(
        &self,
        gate: Gate,
        start: impl FnOnce() -> io::Result<T> + Send,
        child: impl FnOnce(&T) -> &Child,
    ) -> io::Result<T> {
        let runtime = Handle::current();
        let within = runtime.clone();
        let spawn = || {
            // Restrictions apply to a thread and its children, and cannot be lifted again.
            let started = thread::scope(|scope| {
                let confined = move || {
                    sandbox::forbid_new_privileges()?;
                    if let Some(sandbox) = &self.sandbox {
                        sandbox.enter()?;
                    }
                    if self.filters_calls {
                        filter_calls(Around::Machine)?;
                    }
                    let _within = within.enter();
                    start()
                };
                let thread = thread::Builder::new()
                    .name("sorna-spawn".to_owned())
                    .spawn_scoped(scope, confined)?;
                thread
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a process could not be started")))
            })?;
            if let Some(id) = child(&started).id() {
                match gate {
                    Gate::Shell => gate::admit(id, || self.limit(id))?,
                    Gate::Channel => self.limit(id),
                }
            }
            Ok(started)
        };
        blocking(spawn)
    }

    /// Whether a filter keeps its programs from some calls, such as those of debuggers.
    pub(crate) fn filters_calls(&self) -> bool {
        self.filters_calls
    }

    /// Whether its processes are in a box.
    pub(crate) fn has_box(&self) -> bool {
        self.boxed.is_some()
    }

    /// Starts a program in the kernel's box.
    pub(crate) fn spawn_in_box(
        &self,
        start: Start,
        stdout: Stdio,
        stderr: Stdio,
    ) -> io::Result<Process> {
        let (process, _) = self.enter(start, stdout, stderr, |_| Ok(()))?;
        Ok(process)
    }

    /// Starts a program on a new terminal in the kernel's box, and returns the gateway's side of that.
    pub(crate) fn spawn_on_terminal(&self, start: Start) -> io::Result<(Process, OwnedFd)> {
        self.enter(start, Stdio::null(), Stdio::null(), Waiting::terminal)
    }

    /// Starts a program in the kernel's box. `then` runs when the helper was told to start it.
    fn enter<T>(
        &self,
        mut start: Start,
        stdout: Stdio,
        stderr: Stdio,
        then: impl FnOnce(&Waiting) -> io::Result<T>,
    ) -> io::Result<(Process, T)> {
        let Some(boxed) = &self.boxed else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        // To put a process into a control group takes the system some milliseconds, in which a program can start.
        start.waits &= self.group.is_some();
        let waits = start.waits;
        blocking(|| {
            let (command, waiting) = boxed.helper(start)?;
            let mut command = Command::from(command);
            let mut helper = command.stdout(stdout).stderr(stderr).spawn()?;
            // Its copies of the helper's files.
            drop(command);
            let done = (|| {
                if let Some(id) = helper.id() {
                    self.limit_itself(id);
                    if !waits {
                        self.join(id);
                    }
                }
                boxed.admit(&waiting)?;
                if waits {
                    waiting.when_started(|id| self.join(id))?;
                }
                then(&waiting)
            })();
            match done {
                Ok(done) => Ok((Process::in_box(helper, waiting.into_control()), done)),
                Err(error) => {
                    let _ = helper.start_kill();
                    Err(io::Error::new(error.kind(), NotIsolated(error)))
                }
            }
        })
    }

    /// Puts a process under the kernel's limits. Best effort: it may have ended already.
    fn limit(&self, id: u32) {
        self.join(id);
        self.limit_itself(id);
    }

    /// Puts a process into the kernel's control group, if it has one.
    fn join(&self, id: u32) {
        if let Some(group) = &self.group {
            group.admit(id);
        }
    }

    /// Puts a process under its own limits, which those that it starts get as well.
    fn limit_itself(&self, id: u32) {
        rlimits::set(id, self.bounds, self.memory_is_limited, self.has_box());
    }

    /// The processes of the kernel, for [`kill_new`](Self::kill_new): those of a box by their IDs in it.
    pub(crate) fn bystanders(&self) -> Bystanders {
        match (&self.boxed, &self.group) {
            (Some(boxed), _) => Bystanders::of(boxed.inner_ids()),
            (None, Some(group)) => Bystanders::of(group.members()),
            (None, None) => Bystanders::default(),
        }
    }

    /// The processes of the kernel, by its box or control group, if it has one. For a box, they are among those in `census`,
    /// which is made when it is needed. Blocks.
    pub(crate) fn members(&self, census: &OnceCell<Census>) -> Option<Vec<u32>> {
        match &self.boxed {
            Some(boxed) => Some(boxed.members(census.get_or_init(kernel_box::census))),
            None => self.group.as_ref().map(Group::members),
        }
    }

    /// The process of the gateway that holds the kernel's box, if it has one.
    pub(crate) fn holder(&self) -> Option<u32> {
        self.boxed.as_ref()?.holder()
    }

    /// The process of the gateway that keeps its files in memory, if there is one.
    pub(crate) fn disk_helper(&self) -> Option<u32> {
        self.boxed.as_ref()?.disk_helper()
    }

    /// The kernel's own files that are in memory, and its shared memory of System V, if it has a box.
    pub(crate) fn scratch(&self) -> Held {
        let boxed = self.boxed.as_ref();
        boxed.map_or_else(Held::default, |boxed| boxed.scratch())
    }

    /// Whether the gateway has to add up the kernel's memory.
    pub(crate) fn needs_sums(&self) -> bool {
        self.bounds.memory.is_some() && !self.memory_is_limited
    }

    /// Whether a process of the kernel can have this mark: not if none of its box has. Far faster than to look at all processes of
    /// the machine. Blocks.
    pub(crate) fn may_have(&self, mark: &str) -> bool {
        let boxed = self.boxed.as_ref();
        boxed.is_none_or(|boxed| boxed.may_have(mark))
    }

    /// Kills everything in the kernel's box or control group and waits until it is gone; `false` if it
    /// has neither. Blocks.
    pub(crate) fn kill_all(&self) -> bool {
        if let Some(boxed) = &self.boxed {
            boxed.end();
        }
        self.group.as_ref().is_some_and(Group::kill_all) || self.has_box()
    }

    /// Kills the new processes in the kernel's box or control group, if it has one, except for the session of a
    /// terminal, and for an interpreter that may just have been started, with what is below it. Blocks.
    pub(crate) fn kill_new(
        &self,
        bystanders: &Bystanders,
        terminal: Option<u32>,
        interpreter: Option<u32>,
    ) {
        let mut sessions: BTreeSet<u32> = terminal.into_iter().collect();
        if self.has_box() {
            // The terminal's process in the box leads a session, and not its helper outside.
            let tree = terminal.map(procfs::tree).unwrap_or_default();
            sessions.extend(tree.into_iter().take(2));
        }
        if self.boxed.is_some() || self.group.is_some() {
            let is_new = |id: &u32| match self.boxed {
                Some(_) => procfs::inner_id(*id).is_some_and(|inner| !bystanders.has(inner, *id)),
                None => !bystanders.has(*id, *id),
            };
            let members = || self.members(&OnceCell::new()).unwrap_or_default();
            let new = || {
                let spared = interpreter.map(procfs::tree).unwrap_or_default();
                let mut new = members();
                new.retain(|id| !spared.contains(id) && is_new(id));
                new
            };
            sweep::kill_new(new, &sessions);
        }
    }

    /// Ends its box and removes its control group. Blocks.
    pub(crate) fn close(&self) {
        if let Some(boxed) = &self.boxed {
            boxed.end();
        }
        if let Some(group) = &self.group {
            group.remove();
        }
    }

    /// The processor time of the kernel's control group so far, in µs, if it has one.
    pub(crate) fn group_cpu(&self) -> Option<u64> {
        self.group.as_ref().and_then(Group::cpu)
    }

    /// The most memory that its control group will have had, from now on, if the system counts that.
    pub(crate) fn group_peak(&self) -> Option<File> {
        let group = self.group.as_ref().filter(|_| self.memory_is_limited)?;
        group.peak()
    }

    /// How often the system killed a process of the kernel because memory ran out.
    pub(crate) fn out_of_memory_kills(&self) -> u64 {
        self.group.as_ref().map_or(0, Group::out_of_memory_kills)
    }
}

/// Does what blocks for some milliseconds, so that other tasks need not wait.
fn blocking<T>(action: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(action),
        _ => action(),
    }
}
