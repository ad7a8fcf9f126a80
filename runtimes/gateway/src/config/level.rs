//! Levels of isolation.

/// How kernels are isolated from the machine and from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsolationLevel {
    /// Each kernel has namespaces of its own, and in them a root file system, processes, users, shared memory, terminals
    /// and a network; and Landlock and a filter of system calls as well. Needs Linux 5.8, permission to make user namespaces, and
    /// a [program](crate::GatewayConfig::with_box_program) that makes them.
    #[default]
    Namespaces,
    /// Landlock limits which files kernels can open, and which processes they can signal; the filter of system calls is in
    /// force as well. The network, `/dev/shm`, and the names, modes and times of files are not isolated. Needs Linux 5.13.
    Landlock,
    /// Kernels can open all files that the gateway's user can.
    None,
}

/// The network of kernels in namespaces of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkAccess {
    /// None at all.
    #[default]
    None,
    /// A loopback device of each kernel's own: its programs can connect to each other by `127.0.0.1` and `::1`.
    Loopback,
    /// That of the machine, with all its services on `127.0.0.1`.
    Host,
}

impl NetworkAccess {
    /// Its name, such as `loopback`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Loopback => "loopback",
            Self::Host => "host",
        }
    }
}
