//! How well a gateway can isolate kernels.

use std::fmt;

/// How kernels are isolated from the rest of the machine, which depends on the system. `Display`
/// gives a summary for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Isolation {
    /// The version of Landlock that limits which files kernels can open. `None` if it is not
    /// available or switched off: then kernels can open every file that the gateway's user can.
    pub landlock: Option<i32>,
    /// Whether every kernel is in a control group from the start, so that none of its processes can
    /// escape being killed.
    pub has_groups: bool,
    /// Whether a control group limits the memory of a kernel. Otherwise each process has a limit,
    /// and the gateway checks the sum periodically.
    pub limits_memory: bool,
    /// Whether a control group limits the number of processes of a kernel. Otherwise the gateway
    /// checks it periodically.
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
            false => "; memory: per process, sum checked periodically",
        })?;
        f.write_str(match self.limits_processes {
            true => "; processes: control group",
            false if self.has_groups => {
                "; processes: checked periodically, killed by control group"
            }
            false => "; processes: checked periodically",
        })?;
        f.write_str("; network: NOT isolated")
    }
}
