//! Running on this machine: the options of `--local`.

#[cfg(any(feature = "jupyter", feature = "mcp"))]
use std::ffi::OsString;
#[cfg(any(feature = "jupyter", feature = "mcp"))]
use std::path;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use etcetera::BaseStrategy;
use sorna_gateway::{GatewayConfig, IsolationLevel, NetworkAccess, RunningGateway};

use crate::boxes;
use crate::failure::Failure;
use crate::isolation::{self, Isolation, Network};
use crate::search_path::SearchPathArgs;
use crate::values::{self, Kib};

/// What a program says that has no network: the messages of C libraries, and the names that languages have for them.
const UNREACHABLE: &[&str] = &[
    "network is unreachable",
    "temporary failure in name resolution",
    "name or service not known",
    "could not resolve host",
    "unable to resolve host address",
    "cannot assign requested address",
    "getaddrinfo failed",
    "unknownhostexception",
    "eai_again",
    "enetunreach",
    "eaddrnotavail",
];
/// The same, in words that can mean something else where a program has some network.
const UNCONNECTED: &[&str] = &[
    "couldn't connect to server",
    "fetch failed",
    "cannot open url",
    "failed to establish a new connection",
];
/// The longest of these, in bytes: so much of what came before may belong to one.
const LONGEST: usize = 36;

/// Where to run, if that is this machine.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "On this machine")]
pub(crate) struct LocalArgs {
    /// Run on this machine, on a gateway started for this command only.
    #[arg(long, conflicts_with = "token")]
    pub(crate) local: bool,

    /// The network of the program: none, a loopback device of its own, or that of this machine [default: none, where
    /// namespaces can isolate it]
    #[arg(long, value_name = "NETWORK")]
    network: Option<Network>,

    /// Keep the files of the program in memory, in a file system of this size. Without namespaces, it is killed when it
    /// exceeds the size.
    #[arg(long, value_name = "SIZE", value_parser = values::memory)]
    disk: Option<Kib>,

    /// Let the program read this file or directory as well. Can be repeated.
    #[arg(long, value_name = "PATH")]
    allow_read: Vec<PathBuf>,

    /// Let the program read and write this file or directory as well. Can be repeated.
    #[arg(long, value_name = "PATH")]
    allow_write: Vec<PathBuf>,

    #[command(flatten)]
    search_path: SearchPathArgs,

    /// How to isolate the program from this machine [default: the best that the machine offers]
    #[arg(long, value_enum, value_name = "LEVEL")]
    isolation: Option<Isolation>,

    /// Fail where this machine does not offer that, instead of isolating the program less well.
    #[arg(long)]
    require_isolation: bool,
}

impl LocalArgs {
    /// The configuration of the gateway; `None` without `--local`.
    pub(crate) fn config(&self) -> Result<Option<GatewayConfig>, Failure> {
        self.config_requiring(self.require_isolation)
    }

    /// The same for programs whose code no person has read: a machine that cannot isolate them as well as usual is an error, unless
    /// less is asked for.
    #[cfg(feature = "mcp")]
    pub(crate) fn config_for_agents(&self) -> Result<Option<GatewayConfig>, Failure> {
        self.config_requiring(self.require_isolation || self.isolation.is_none())
    }

    fn config_requiring(&self, is_asked_for: bool) -> Result<Option<GatewayConfig>, Failure> {
        if !self.local {
            return match self.option() {
                Some(option) => Err(Failure::usage(format!(
                    "{option} needs --local; for a gateway, set it with `sorna serve {option}`"
                ))),
                None => Ok(None),
            };
        }
        isolation::check_places("--allow-read", &self.allow_read)?;
        isolation::check_places("--allow-write", &self.allow_write)?;
        let level = self
            .isolation
            .map_or_else(IsolationLevel::default, Into::into);
        let is_required = isolation::is_required(level, self.network, is_asked_for)?;
        let mut config = plain()
            .with_isolation(level)
            .with_require_isolation(is_required)
            .with_network(self.network.map_or_else(NetworkAccess::default, Into::into))
            .with_readable(&self.allow_read)
            .with_writable(&self.allow_write);
        if let Some(Kib(disk)) = self.disk {
            config = config.with_memory_disk(disk.saturating_mul(1024));
        }
        let config = self.search_path.apply(config)?;
        Ok(Some(boxes::provide(config)))
    }

    /// The name of the virtual environment, for people.
    #[cfg(feature = "jupyter")]
    pub(crate) fn environment(&self) -> Option<String> {
        self.search_path.environment()
    }

    /// What programs can read besides what they usually can.
    #[cfg(feature = "mcp")]
    pub(crate) fn readable(&self) -> Vec<PathBuf> {
        absolute(&self.allow_read)
    }

    /// What they can read and change.
    #[cfg(feature = "mcp")]
    pub(crate) fn writable(&self) -> Vec<PathBuf> {
        absolute(&self.allow_write)
    }

    /// The options as words, with paths that hold from anywhere.
    #[cfg(any(feature = "jupyter", feature = "mcp"))]
    pub(crate) fn words(&self) -> Vec<OsString> {
        use clap::ValueEnum as _;

        let mut words: Vec<OsString> = Vec::new();
        if !self.local {
            return words;
        }
        words.push("--local".into());
        if let Some(network) = self.network.and_then(|it| it.to_possible_value()) {
            words.extend(["--network".into(), network.get_name().into()]);
        }
        if let Some(disk) = self.disk {
            words.extend(["--disk".into(), disk.to_string().into()]);
        }
        let places = [
            ("--allow-read", &self.allow_read),
            ("--allow-write", &self.allow_write),
        ];
        for (option, places) in places {
            for place in absolute(places) {
                words.extend([option.into(), place.into_os_string()]);
            }
        }
        words.extend(self.search_path.words());
        if let Some(level) = self.isolation.and_then(|it| it.to_possible_value()) {
            words.extend(["--isolation".into(), level.get_name().into()]);
        }
        if self.require_isolation {
            words.push("--require-isolation".into());
        }
        words
    }

    /// The first option that is given, other than `--local`.
    fn option(&self) -> Option<&'static str> {
        let given = [
            (self.network.is_some(), "--network"),
            (self.disk.is_some(), "--disk"),
            (!self.allow_read.is_empty(), "--allow-read"),
            (!self.allow_write.is_empty(), "--allow-write"),
            (self.isolation.is_some(), "--isolation"),
            (self.require_isolation, "--require-isolation"),
        ];
        let given = given.iter().find(|it| it.0).map(|it| it.1);
        given.or_else(|| self.search_path.option())
    }

    /// What to tell the user about the isolation on this gateway: what it keeps from the program though it was allowed, and
    /// whether it is less than usual.
    pub(crate) fn remarks(&self, gateway: &RunningGateway) -> Vec<String> {
        let closed = gateway.closed_places().iter().map(ToString::to_string);
        self.shortfall(gateway).into_iter().chain(closed).collect()
    }

    /// That the isolation is less than usual, and why.
    fn shortfall(&self, gateway: &RunningGateway) -> Option<String> {
        let reason = gateway.isolation_shortfall()?;
        let (has, accept) = match gateway.isolation().level() {
            IsolationLevel::Landlock => (
                "The program has the network of this machine, and sees its processes",
                "landlock",
            ),
            _ => ("The program can do all that you can", "none"),
        };
        Some(format!(
            "{has}: {reason}. Use --isolation {accept} to accept that, or --require-isolation to refuse it."
        ))
    }
}

/// These paths, so that they hold from anywhere.
#[cfg(any(feature = "jupyter", feature = "mcp"))]
fn absolute(places: &[PathBuf]) -> Vec<PathBuf> {
    let absolute = |place: &PathBuf| path::absolute(place).unwrap_or_else(|_| place.clone());
    places.iter().map(absolute).collect()
}

/// The configuration of a gateway for one user's own programs.
pub(crate) fn plain() -> GatewayConfig {
    // On their own machine, users stop their programs themselves.
    let unlimited = Duration::from_secs(365 * 24 * 60 * 60);
    let config = GatewayConfig::new();
    let config = match etcetera::choose_base_strategy() {
        Ok(strategy) => config.with_cache(strategy.cache_dir().join("sorna").join("bytecode")),
        Err(_) => config,
    };
    config
        .with_exec_timeout(unlimited)
        .with_idle_timeout(unlimited)
        .with_unlimited_memory()
        .with_unlimited_disk()
        .with_max_file_size(u64::MAX)
}

/// Looks for the messages of programs that have no network, in what a program prints.
#[derive(Clone, Debug)]
pub(crate) struct Isolated {
    network: NetworkAccess,
    /// The end of what was printed, in lower case.
    tail: String,
    is_found: bool,
}

impl Isolated {
    /// For programs on this gateway; `None` if they have the network of this machine.
    pub(crate) fn on(gateway: &RunningGateway) -> Option<Self> {
        let network = gateway.isolation().network?;
        (network != NetworkAccess::Host).then(|| Self {
            network,
            tail: String::new(),
            is_found: false,
        })
    }

    /// Looks at what comes next of what a program prints.
    pub(crate) fn note(&mut self, text: &str) {
        if self.is_found {
            return;
        }
        self.tail.push_str(&text.to_ascii_lowercase());
        let more = match self.network {
            NetworkAccess::None => UNCONNECTED,
            _ => &[],
        };
        let mut words = UNREACHABLE.iter().chain(more);
        self.is_found = words.any(|it| self.tail.contains(it));
        let mut from = self.tail.len().saturating_sub(LONGEST);
        while !self.tail.is_char_boundary(from) {
            from += 1;
        }
        self.tail.drain(..from);
    }

    /// Advice at the end of a program or a terminal: that it has no network, if it said so.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        self.is_found.then_some(match self.network {
            NetworkAccess::None => {
                "Programs have no network with --local: allow that of this machine with --network host, or connections \
                 among the program's own processes with --network loopback."
            }
            _ => {
                "The program has only a loopback device of its own: allow the network of this machine with --network host."
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(network: NetworkAccess, pieces: &[&str]) -> Option<&'static str> {
        let mut isolated = Isolated {
            network,
            tail: String::new(),
            is_found: false,
        };
        for piece in pieces {
            isolated.note(piece);
        }
        isolated.advice()
    }

    #[test]
    fn messages_are_found_across_pieces_and_in_any_case() {
        let none = NetworkAccess::None;
        assert!(seen(none, &["OSError: Network is unr", "eachable\n"]).is_some());
        assert!(seen(none, &["dial: network is unreachable"]).is_some());
        assert!(seen(none, &["é漢".repeat(50).as_str(), "Error: EAI_AGAIN x"]).is_some());
        assert_eq!(seen(none, &["The network is", " fine"]), None);
        let advice = seen(NetworkAccess::Loopback, &["connect: ENETUNREACH"]);
        assert!(advice.is_some_and(|it| it.contains("loopback device of its own")));
        let curl = "curl: (7) Couldn't connect to server";
        assert!(seen(none, &[curl]).is_some());
        assert_eq!(seen(NetworkAccess::Loopback, &[curl]), None);
    }

    #[test]
    fn no_message_is_longer_than_what_is_kept() {
        let all = UNREACHABLE.iter().chain(UNCONNECTED);
        assert_eq!(all.map(|it| it.len()).max(), Some(LONGEST));
    }
}
