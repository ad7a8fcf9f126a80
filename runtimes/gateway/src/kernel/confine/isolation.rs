//! How well a gateway can isolate kernels.

use std::fmt;

use crate::{IsolationLevel, NetworkAccess};

/// How kernels are isolated from the rest of the machine, which depends on the system. `Display`
/// gives a summary for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Isolation {
    /// The network of kernels, if they have namespaces of their own. `None` if they do not: then they share the machine's
    /// network, processes, shared memory and terminals.
    pub network: Option<NetworkAccess>,
    /// Whether a filter keeps kernels from system calls that few programs need, such as those for keyrings, and without
    /// namespaces also from those that change other processes, and from shared memory and queues of System V.
    pub filters_calls: bool,
    /// The version of Landlock that limits which files kernels can open. `None` if it is not
    /// available or switched off: then kernels can open every file that the gateway's user can.
    pub landlock: Option<i32>,
    /// Whether every kernel is in a control group from the start, so that none of its processes can
    /// escape being killed.
    pub has_groups: bool,
    /// Whether a control group limits the memory of a kernel. Otherwise each process has a limit,
    /// and the gateway checks the sum periodically.
    pub limits_memory: bool,
    /// Whether the system limits the number of processes of a kernel, by a control group or by its namespaces. Otherwise
    /// the gateway checks it periodically.
    pub limits_processes: bool,
}

impl Isolation {
    /// The level that is in force.
    #[must_use]
    pub fn level(&self) -> IsolationLevel {
        match (self.network, self.landlock) {
            (Some(_), _) => IsolationLevel::Namespaces,
            (None, Some(_)) => IsolationLevel::Landlock,
            (None, None) => IsolationLevel::None,
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_namespaces = self.network.is_some();
        f.write_str("files: ")?;
        if has_namespaces {
            f.write_str("namespaces, ")?;
        }
        match self.landlock {
            Some(version) => write!(f, "Landlock {version}")?,
            None if has_namespaces => f.write_str("no Landlock")?,
            None if self.filters_calls => f.write_str("NOT isolated (no Landlock)")?,
            // As when that is asked for.
            None => f.write_str("NOT isolated")?,
        }
        f.write_str(match self.limits_memory {
            true => "; memory: control group",
            false => "; memory: per process, sum checked periodically",
        })?;
        f.write_str(match self.limits_processes {
            true if has_namespaces => "; processes: namespaces, limited by the system",
            false if has_namespaces => "; processes: namespaces, number checked periodically",
            true => "; processes: control group",
            false if self.has_groups => {
                "; processes: checked periodically, killed by control group"
            }
            false => "; processes: checked periodically",
        })?;
        f.write_str(match self.filters_calls {
            true => "; system calls: filtered",
            false => "; system calls: NOT filtered",
        })?;
        match self.network {
            None => f.write_str("; network: NOT isolated"),
            Some(NetworkAccess::Host) => f.write_str("; network: that of the machine"),
            Some(network) => write!(f, "; network: {}", network.as_str()),
        }
    }
}
