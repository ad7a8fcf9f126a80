//! What a gateway can do to keep kernels apart.

use std::fmt;

/// How kernels are kept apart from the rest of the machine, by what the system offers. Its
/// `Display` is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Isolation {
    /// The version of Landlock that limits which files kernels see; none if the system has none, and
    /// kernels see what the gateway's user sees.
    pub landlock: Option<i32>,
    /// Whether every kernel is in a control group from the start, so that none of its processes is
    /// lost.
    pub has_groups: bool,
    /// Whether a control group limits the memory of a kernel. Otherwise each process has a limit,
    /// and the gateway looks at the sum from time to time.
    pub limits_memory: bool,
    /// Whether a control group limits the processes of a kernel. Otherwise the gateway looks at
    /// their number from time to time.
    pub limits_processes: bool,
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock {
            Some(version) => write!(f, "files: Landlock {version}")?,
            None => f.write_str("files: NOT isolated (no Landlock)")?,
        }
        f.write_str(match self.limits_memory {
            true => "; memory: control group",
            false => "; memory: per process, and by looking",
        })?;
        f.write_str(match self.limits_processes {
            true => "; processes: control group",
            false if self.has_groups => "; processes: by looking, killed by control group",
            false => "; processes: by looking",
        })?;
        f.write_str("; network: NOT isolated")
    }
}
