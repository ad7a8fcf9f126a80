//! Isolating a kernel's processes: what they can access, and their limits.
//!
//! Everything is best effort and depends on the system; [`Isolation`] reports what is in force.
//!
//! - [`sandbox`]: which files they can open, by Landlock; no new privileges.
//! - [`cgroup`]: the memory and number of processes of a kernel, by control groups.
//! - [`rlimits`]: the limits of each process.
//! - [`gate`]: no program runs before it is under its limits.
//! - [`process_table`](super::process_table): without control groups, the gateway finds a kernel's
//!   processes and checks their resource use itself.

mod bounds;
mod cgroup;
pub(crate) mod gate;
mod isolation;
mod places;
mod rlimits;
mod rules;
mod sandbox;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::process::Child;
use tokio::runtime::{Handle, RuntimeFlavor};

pub(crate) use self::bounds::{Bounds, Cores};
use self::cgroup::{Group, GroupRoot};
use self::gate::Gate;
pub use self::isolation::Isolation;
use self::places::SystemPlaces;
pub(crate) use self::rules::Rules;
use self::sandbox::{OpenPlaces, Sandbox};
use super::home::Home;
use super::language::Installed;
use super::launch::search_path;
use crate::lock::lock;

/// The means by which a gateway confines its kernels.
#[derive(Debug)]
pub(crate) struct Confinement {
    isolation: Isolation,
    places: SystemPlaces,
    open_places: Mutex<Option<Arc<OpenPlaces>>>,
    groups: Option<GroupRoot>,
}

/// The confinement of one kernel.
#[derive(Debug)]
pub(crate) struct Confined {
    sandbox: Option<Sandbox>,
    group: Option<Group>,
    bounds: Bounds,
    /// Whether the system enforces the limit on memory, so that the gateway need not check it.
    memory_is_limited: bool,
    /// The same for the number of processes.
    processes_are_limited: bool,
}

impl Confinement {
    /// Detects what this system offers.
    pub(crate) fn new(mark: &str, rules: Rules<'_>) -> Self {
        let cgroup = rules.cgroup;
        let groups = GroupRoot::create(cgroup, mark);
        if let (Some(directory), Err(error)) = (cgroup, &groups) {
            tracing::warn!(directory = %directory.display(), %error, "control groups cannot be made there");
        }
        let groups = groups.ok();
        let isolation = Isolation {
            landlock: rules.isolate_files.then(Sandbox::probe).flatten(),
            has_groups: groups.is_some(),
            limits_memory: groups.as_ref().is_some_and(GroupRoot::limits_memory),
            limits_processes: groups.as_ref().is_some_and(GroupRoot::limits_processes),
        };
        let path = search_path(rules.path);
        let places = SystemPlaces::find(&path, rules.readable, rules.writable);
        Self {
            isolation,
            places,
            open_places: Mutex::default(),
            groups,
        }
    }

    pub(crate) fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// The control group of the gateway, for the watchdog.
    pub(crate) fn group_directory(&self) -> Option<&Path> {
        self.groups.as_ref().map(GroupRoot::directory)
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
        let sandbox = match self.isolation.landlock {
            Some(_) => {
                let places = self.open_places();
                Some(Sandbox::new(&places, home, runners, installed)?)
            }
            None => None,
        };
        let group = match &self.groups {
            Some(groups) => Some(groups.group(number, bounds)?),
            None => None,
        };
        Ok(Confined {
            sandbox,
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
        !self.processes_are_limited || (self.bounds.memory.is_some() && !self.memory_is_limited)
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
                let limit = || {
                    if let Some(group) = &self.group {
                        group.admit(id);
                    }
                    rlimits::set(id, self.bounds, self.memory_is_limited);
                };
                match gate {
                    Gate::Shell => gate::admit(id, limit)?,
                    Gate::Channel => limit(),
                }
            }
            Ok(started)
        };
        // Blocks for some milliseconds; other tasks need not wait.
        match runtime.runtime_flavor() {
            RuntimeFlavor::MultiThread => tokio::task::block_in_place(spawn),
            _ => spawn(),
        }
    }

    /// The processes in the kernel's control group, if there is one.
    pub(crate) fn members(&self) -> Option<Vec<u32>> {
        self.group.as_ref().map(Group::members)
    }

    /// Kills everything in the kernel's control group and waits until it is gone; `false` if there
    /// is no group. Blocks.
    pub(crate) fn kill_all(&self) -> bool {
        self.group.as_ref().is_some_and(Group::kill_all)
    }

    /// Kills the new processes in the kernel's control group, if there is one, except for the session of a
    /// terminal. Blocks.
    pub(crate) fn kill_new(&self, bystanders: &[u32], terminal: Option<u32>) {
        if let Some(group) = &self.group {
            group.kill_new(bystanders, terminal);
        }
    }

    /// Removes its control group. Blocks.
    pub(crate) fn close(&self) {
        if let Some(group) = &self.group {
            group.remove();
        }
    }

    /// How often the system killed a process of the kernel because memory ran out.
    pub(crate) fn out_of_memory_kills(&self) -> u64 {
        self.group.as_ref().map_or(0, Group::out_of_memory_kills)
    }
}
