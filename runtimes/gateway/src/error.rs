//! Why a gateway does not start.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// A gateway could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not a loopback address. Listen on `127.0.0.1` or `[::1]`, or set
    /// [`allow_remote`](crate::GatewayConfig::allow_remote).
    NotLoopback(SocketAddr),
    /// The address is not a loopback address, and no keys are given. Random ones will not do, as
    /// the clients elsewhere could not know them.
    NoCredentials(SocketAddr),
    /// The address cannot be listened on; perhaps another program does. Choose another port.
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The directory for the kernels' files cannot be made. Check the directory of the
    /// configuration, or `TMPDIR`.
    Directory(io::Error),
    /// Threads or other things of the system cannot be had.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(address) => {
                write!(
                    f,
                    "{address} is not a loopback address, and others must be allowed"
                )
            }
            Self::NoCredentials(address) => {
                write!(
                    f,
                    "{address} is not a loopback address, and no keys are given"
                )
            }
            Self::Listen { address, .. } => write!(f, "cannot listen on {address}"),
            Self::Directory(_) => f.write_str("cannot make the directory for kernels"),
            Self::System(_) => f.write_str("cannot get what the gateway needs from the system"),
        }
    }
}

impl StdError for StartError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NotLoopback(_) | Self::NoCredentials(_) => None,
            Self::Listen { source, .. } | Self::Directory(source) | Self::System(source) => {
                Some(source)
            }
        }
    }
}
