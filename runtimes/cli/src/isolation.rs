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

/// Whether to fail where this level is not to be had: as that was asked for, or as the network can be had with namespaces
/// only. The error is why the options contradict each other.
pub(crate) fn is_required(
    level: IsolationLevel,
    network: Option<Network>,
    is_asked_for: bool,
) -> Result<bool, Failure> {
    let network_needs_namespaces = matches!(network, Some(Network::None | Network::Loopback));
    match level {
        IsolationLevel::Namespaces => Ok(is_asked_for || network_needs_namespaces),
        _ if network_needs_namespaces => Err(Failure::usage(
            "--network none and loopback need --isolation namespaces: otherwise kernels have the network of this machine"
                .to_owned(),
        )),
        IsolationLevel::None if is_asked_for => Err(Failure::usage(
            "--require-isolation and --isolation none exclude each other: leave out one of them".to_owned(),
        )),
        _ => Ok(is_asked_for),
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
