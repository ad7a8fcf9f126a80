//! Why a kernel does not start.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::{fmt, io};

/// Why a kernel does not start. What is wrong with the gateway is no such error: its cells tell.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The connection file cannot be read.
    Read(PathBuf, io::Error),
    /// The connection file is not one.
    Malformed(PathBuf, serde_json::Error),
    /// It asks for signatures of another kind than `hmac-sha256`.
    Scheme(String),
    /// It has an empty key, so that nothing would be signed, and an address that other machines may reach.
    Unsigned(String),
    /// A socket cannot be opened at its address.
    Bind(io::Error),
    /// Signals cannot be waited for.
    Signals(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, _) => write!(f, "cannot read the connection file {}", path.display()),
            Self::Malformed(path, _) => {
                // Nothing of what it says: it holds a key.
                write!(f, "{} is not a connection file of Jupyter", path.display())
            }
            Self::Scheme(scheme) => write!(
                f,
                "the connection file asks for signatures by {scheme:?}, and only hmac-sha256 is known"
            ),
            Self::Unsigned(ip) => write!(
                f,
                "the connection file has an empty key, so that whoever reaches {ip} could run code: that is for addresses of this machine alone"
            ),
            Self::Bind(_) => f.write_str("cannot listen at the addresses of the connection file"),
            Self::Signals(_) => f.write_str("cannot wait for signals"),
        }
    }
}

impl StdError for StartError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Read(_, error) | Self::Bind(error) | Self::Signals(error) => Some(error),
            Self::Malformed(_, error) => Some(error),
            Self::Scheme(_) | Self::Unsigned(_) => None,
        }
    }
}
