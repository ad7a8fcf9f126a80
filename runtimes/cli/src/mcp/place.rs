//! Where programs of agents run, and what they may take.

use std::env;
use std::ffi::OsString;

use sorna_gateway::{GatewayConfig, IsolationLevel, NetworkAccess, RunningGateway};
use sorna_mcp::Options;

use super::args::PlaceArgs;
use crate::failure::Failure;
use crate::units::size;
use crate::values::{self, Kib};

/// Where programs are if no path says so, as for a client that starts this one without any environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The defaults of limits.
const MEMORY: Kib = Kib(2 * 1024 * 1024);
const DISK: Kib = Kib(2 * 1024 * 1024);
const PROCESSES: u64 = 256;

fn bytes(Kib(kib): Kib) -> usize {
    usize::try_from(kib.saturating_mul(1024)).unwrap_or(usize::MAX)
}

impl PlaceArgs {
    /// What the server allows, with what agents are told of the place.
    pub(super) fn options(&self, about: String) -> Options {
        let options = Options::new()
            .with_max_time(self.max_time)
            .with_patience(self.max_wait)
            .with_idle_timeout(self.idle_timeout)
            .with_max_sessions(self.max_sessions)
            .with_max_output(bytes(self.max_output))
            .with_place(about);
        match self.max_mem.filter(|_| !self.local.local) {
            Some(Kib(memory)) => options.with_max_memory(memory.saturating_mul(1024)),
            None => options,
        }
    }

    /// The options as words, with paths that hold from anywhere.
    pub(super) fn words(&self) -> Vec<OsString> {
        let mut words = self.local.words();
        let kib = |kib: Kib| kib.to_string();
        let given = [
            ("--max-time", Some(values::time_word(self.max_time)), "1h"),
            ("--max-wait", Some(values::time_word(self.max_wait)), "50s"),
            ("--max-mem", self.max_mem.map(kib), ""),
            (
                "--max-processes",
                self.max_processes.map(|it| it.to_string()),
                "",
            ),
            ("--max-disk", self.max_disk.map(kib), ""),
            (
                "--idle-timeout",
                Some(values::time_word(self.idle_timeout)),
                "30m",
            ),
            ("--max-sessions", Some(self.max_sessions.to_string()), "16"),
            ("--max-output", Some(kib(self.max_output)), "16k"),
        ];
        for (option, value, usual) in given {
            if let Some(value) = value.filter(|value| value != usual) {
                words.extend([option.into(), value.into()]);
            }
        }
        words
    }

    /// The configuration of the gateway; `None` without `--local`.
    pub(super) fn config(&self) -> Result<Option<GatewayConfig>, Failure> {
        let Some(config) = self.local.config_for_agents()? else {
            let given = [
                (self.max_processes.is_some(), "--max-processes"),
                (self.max_disk.is_some(), "--max-disk"),
            ];
            return match given.iter().find(|it| it.0) {
                Some((_, option)) => Err(Failure::usage(format!(
                    "{option} needs --local; for a gateway, set it with `sorna serve {option}`"
                ))),
                None => Ok(None),
            };
        };
        let Kib(memory) = self.max_mem.unwrap_or(MEMORY);
        let Kib(disk) = self.max_disk.unwrap_or(DISK);
        let mut config = config
            .with_max_memory(memory.saturating_mul(1024))
            .with_max_processes(self.max_processes.unwrap_or(PROCESSES))
            .with_max_disk(disk.saturating_mul(1024))
            .with_max_file_size(disk.saturating_mul(1024));
        if config.path().is_none() && env::var_os("PATH").is_none() {
            config = config.with_path(PATH);
        }
        Ok(Some(config))
    }
}

/// What agents are told of the programs' place.
pub(super) fn about(place: &PlaceArgs, gateway: &RunningGateway) -> String {
    let isolation = gateway.isolation();
    let network = match isolation.network {
        Some(NetworkAccess::None) => "without network (so nothing can be installed or fetched)",
        Some(NetworkAccess::Loopback) => "with a loopback device only",
        _ => "with the network of this machine",
    };
    let memory = size(place.max_mem.unwrap_or(MEMORY).0 as f64);
    let files = match isolation.level() {
        IsolationLevel::None => "and can read and write all that the user can",
        _ => "and has files of its own",
    };
    let mut about = format!(
        "Each session runs on the user's machine, {network}, {files}; it may take {memory} of memory."
    );
    let given = [
        ("It can also read", place.local.readable()),
        (
            "It can also read and change these of the user",
            place.local.writable(),
        ),
    ];
    for (what, places) in given {
        let places: Vec<_> = places.iter().map(|it| it.display().to_string()).collect();
        if !places.is_empty() {
            about.push_str(&format!(" {what}: {}.", places.join(", ")));
        }
    }
    about
}
