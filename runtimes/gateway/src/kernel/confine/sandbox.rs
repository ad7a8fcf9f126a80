//! Which files a kernel's processes can open, by Landlock.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::thread::{
    CapabilitySet, capabilities, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

use super::places::SystemPlaces;
use crate::kernel::home::Home;
use crate::kernel::language::Installed;

/// How long the places of the system are used before they are opened again.
const MAX_AGE: Duration = Duration::from_secs(5);
/// The newest version whose rights are requested; older systems have fewer.
const VERSION: ABI = ABI::V9;

/// The places of the system, opened, and what may be done there.
///
/// Rules apply to opened files, not to names. Some files, such as `/etc/resolv.conf`, are replaced now
/// and then, so these places are not used for longer than [`is_fresh`](Self::is_fresh).
#[derive(Debug)]
pub(super) struct OpenPlaces {
    opened: Instant,
    places: Vec<(PathFd, BitFlags<AccessFs>)>,
}

impl OpenPlaces {
    /// Opens the places that exist.
    pub(super) fn open(system: &SystemPlaces) -> Self {
        let all = AccessFs::from_all(VERSION);
        let device = AccessFs::ReadFile
            | AccessFs::WriteFile
            | AccessFs::Truncate
            | AccessFs::IoctlDev
            | AccessFs::ReadDir;
        let kinds = [
            (&system.readable, AccessFs::from_read(VERSION)),
            (&system.given_readable, AccessFs::from_read(VERSION)),
            (&system.devices, device),
            (&system.shared, all),
            (&system.given_writable, all),
        ];
        let mut places = Vec::new();
        for (paths, rights) in kinds {
            let mut paths: Vec<_> = paths.iter().flat_map(|it| it.canonicalize()).collect();
            paths.sort();
            // A path below another is covered by it.
            paths.dedup_by(|path, above| path.starts_with(above));
            for path in paths {
                let rights = match path.is_dir() {
                    true => rights,
                    false => rights & AccessFs::from_file(VERSION),
                };
                places.extend(PathFd::new(path).map(|place| (place, rights)));
            }
        }
        Self {
            opened: Instant::now(),
            places,
        }
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.opened.elapsed() < MAX_AGE
    }
}

/// The rules of one kernel.
#[derive(Debug)]
pub(crate) struct Sandbox {
    rules: RulesetCreated,
}

impl Sandbox {
    /// The version of Landlock on this system, if it is available and works.
    pub(super) fn probe() -> Option<i32> {
        // On a separate thread, because restrictions cannot be lifted again.
        let probe = || {
            let ruleset = empty().ok()?;
            let status = ruleset.restrict_self().ok()?;
            match (status.ruleset, status.landlock) {
                (RulesetStatus::NotEnforced, _) => None,
                (
                    _,
                    LandlockStatus::Available {
                        effective_abi,
                        kernel_abi,
                    },
                ) => Some(kernel_abi.unwrap_or(effective_abi as i32)),
                _ => None,
            }
        };
        std::thread::spawn(probe).join().ok().flatten()
    }

    /// The rules for a kernel: full access to its own directories, and read access to the files of
    /// the system and its language.
    pub(super) fn new(
        system: &OpenPlaces,
        home: &Home,
        runners: &Path,
        installed: &Installed,
    ) -> io::Result<Self> {
        let all = AccessFs::from_all(VERSION);
        let read = AccessFs::from_read(VERSION);
        let own = [home.work(), home.temp(), home.snippet()];
        let mut readable = installed.places();
        readable.push(runners.to_owned());
        let system = system.places.iter();
        let system = system.map(|(place, rights)| Ok(PathBeneath::new(place, *rights)));
        let rules = empty()
            .and_then(|rules| rules.add_rules(system))
            .and_then(|rules| rules.add_rules(path_beneath_rules(own, all)))
            .and_then(|rules| rules.add_rules(path_beneath_rules(readable, read)))
            .and_then(|rules| {
                let input = AccessFs::ReadFile | AccessFs::WriteFile;
                rules.add_rules(path_beneath_rules([home.stdin()], input))
            })
            .map_err(io::Error::other)?;
        Ok(Self { rules })
    }

    /// Restricts this thread and the processes that it starts.
    pub(super) fn enter(&self) -> io::Result<()> {
        let rules = self.rules.try_clone()?;
        rules.restrict_self().map_err(io::Error::other)?;
        Ok(())
    }
}

/// Rules that allow nothing yet.
fn empty() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?
        .create()
}

/// Keeps this thread and the processes that it starts from gaining privileges. Those processes have
/// no capabilities, also if this user is root.
pub(super) fn forbid_new_privileges() -> io::Result<()> {
    set_no_new_privs(true)?;
    // A process started by root gets the capabilities of the bounding set; one started by any user
    // gets the ambient and inheritable ones. Old systems lack some of these sets.
    let _ = clear_ambient_capability_set();
    let mut own = capabilities(None)?;
    own.inheritable = CapabilitySet::empty();
    set_capabilities(None, own)?;
    for capability in CapabilitySet::all().iter() {
        // Fails for users other than root, which do not have them anyway.
        let _ = remove_capability_from_bounding_set(capability);
    }
    Ok(())
}
