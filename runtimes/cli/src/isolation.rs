//! The isolation of kernels on this machine, as options name it.

use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use sorna_gateway::{IsolationLevel, NetworkAccess};

use crate::failure::Failure;

/// A level of isolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Isolation {
    /// Namespaces of their own, Landlock, and a filter of system calls.
    Namespaces,
    /// Landlock limits files and signals; processes, network and shared memory are those of this machine.
    Landlock,
    /// Kernels can read and write everything that this user can.
    None,
}

impl Default for Isolation {
    fn default() -> Self {
        match IsolationLevel::default() {
            IsolationLevel::Landlock => Self::Landlock,
            IsolationLevel::None => Self::None,
            _ => Self::Namespaces,
        }
    }
}

impl From<Isolation> for IsolationLevel {
    fn from(isolation: Isolation) -> Self {
        match isolation {
            Isolation::Namespaces => Self::Namespaces,
            Isolation::Landlock => Self::Landlock,
            Isolation::None => Self::None,
        }
    }
}

/// The network of kernels that have namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Network {
    None,
    Loopback,
    Host,
}

impl From<Network> for NetworkAccess {
    fn from(network: Network) -> Self {
        match network {
            Network::None => Self::None,
            Network::Loopback => Self::Loopback,
            Network::Host => Self::Host,
        }
    }
}

/// Whether this network can be had only with namespaces; the error is why it cannot be had at all.
pub(crate) fn needs_namespaces(
    network: Option<Network>,
    level: IsolationLevel,
) -> Result<bool, String> {
    match (network, level) {
        (None | Some(Network::Host), _) => Ok(false),
        (Some(_), IsolationLevel::Namespaces) => Ok(true),
        (Some(_), _) => Err(
            "--network none and loopback need --isolation namespaces: otherwise kernels have the network of this machine".to_owned(),
        ),
    }
}

/// Checks that what an option lets kernels use is there.
pub(crate) fn check_places(option: &str, places: &[PathBuf]) -> Result<(), Failure> {
    for place in places {
        if let Err(error) = fs::metadata(place) {
            let failure = Failure::usage(format!("{option} {}: {error}", place.display()));
            return Err(match place.starts_with("~") {
                true => failure.with_advice(
                    "Shells do not expand `~` in quotes or after `=`: use $HOME in its place.",
                ),
                false => failure,
            });
        }
    }
    Ok(())
}
