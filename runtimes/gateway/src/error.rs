//! Why a gateway does not start.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// A gateway could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not a loopback address. Listen on `127.0.0.1` or `[::1]`, or allow remote
    /// clients by [`with_allow_remote`](crate::GatewayConfig::with_allow_remote).
    NotLoopback(SocketAddr),
    /// The address is not a loopback address, and no key pairs are given. A random pair would be
    /// of no use, since remote clients could not know it.
    NoCredentials(SocketAddr),
    /// Listening on the address failed; another program may be using it. Choose another port.
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The directory for the kernels' files could not be made. Check the
    /// [directory](crate::GatewayConfig::with_directory) of the configuration, or `TMPDIR`.
    Directory(io::Error),
    /// The level of isolation that the configuration
    /// [requires](crate::GatewayConfig::with_require_isolation) is not to be had: why, and how to allow it.
    Isolation(String),
    /// This process may open too few files at once. Raise the limit (`ulimit -n`), by
    /// [`raise_open_files`](crate::raise_open_files) if it is only the soft one.
    OpenFiles {
        /// How many it may open.
        limit: u64,
        /// How many a gateway with one kernel needs.
        needed: u64,
    },
    /// `/proc` is not mounted, as in a bare `chroot`. By it, the gateway finds the processes of kernels and gives them their input.
    NoProc,
    /// The system refused a thread, a socket or random bytes.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(address) => {
                write!(
                    f,
                    "{address} is not a loopback address; set allow_remote to listen on it"
                )
            }
            Self::NoCredentials(address) => {
                write!(
                    f,
                    "{address} is not a loopback address; remote access requires key pairs"
                )
            }
            Self::Listen { address, .. } => write!(f, "cannot listen on {address}"),
            Self::Directory(_) => f.write_str("cannot make the directory for kernels"),
            Self::Isolation(reason) => {
                write!(f, "kernels cannot be isolated as required: {reason}")
            }
            Self::OpenFiles { limit, needed } => write!(
                f,
                "this process may open {limit} files at once, and a gateway needs {needed}: raise the limit (ulimit -n)"
            ),
            Self::NoProc => f.write_str(
                "/proc is not mounted, by which a gateway finds the processes of kernels: mount -t proc proc /proc",
            ),
            Self::System(_) => f.write_str("cannot start threads or sockets"),
        }
    }
}

impl StdError for StartError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NotLoopback(_)
            | Self::NoCredentials(_)
            | Self::Isolation(_)
            | Self::OpenFiles { .. }
            | Self::NoProc => None,
            Self::Listen { source, .. } | Self::Directory(source) | Self::System(source) => {
                Some(source)
            }
        }
    }
}
