//! A gateway that is a process of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use sorna::blocking::Client;
use sorna::{AccessKey, ApiVersion, Config, Credentials, SecretKey};

use super::wait;

/// A gateway of its own process. It ends when this is dropped.
pub(crate) struct Served {
    child: Child,
    id: u32,
    settings: HashMap<String, String>,
}

impl Served {
    pub(crate) fn start(mut command: Command) -> Self {
        // The keys are not printed then.
        let has = |option: &str| command.get_args().any(|argument| argument == option);
        let has_keys_file = has("--keys");
        // The token is that of a file, or printed.
        let of_jupyter = match has("--jupyter") {
            true => 1 + usize::from(!has("--jupyter-token")),
            false => 0,
        };
        let mut child = command.spawn().expect("sorna runs");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let lines = stdout.lines().map(|line| line.expect("text"));
        let settings = lines.filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        // The pipe may be open in what runs it.
        let number = if has_keys_file { 1 } else { 3 } + of_jupyter;
        let settings = settings.take(number).collect();
        let id = child.id();
        Self {
            child,
            id,
            settings,
        }
    }

    /// Knows a key pair that the gateway has from a file.
    pub(crate) fn with_keys(mut self, access_key: &str, secret_key: &str) -> Self {
        for (name, value) in [
            ("SORNA_ACCESS_KEY", access_key),
            ("SORNA_SECRET_KEY", secret_key),
        ] {
            self.settings.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Takes the only child of the process for the gateway: that of `unshare`, which does not pass signals on.
    pub(crate) fn descend(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.id);
        let children = std::fs::read_to_string(children).expect("it lives");
        self.id = children.trim().parse().expect("one child");
    }

    pub(crate) fn client(&self) -> Client {
        let of = |name: &str| self.settings[name].as_str();
        let access_key = AccessKey::new(of("SORNA_ACCESS_KEY")).expect("a key");
        let secret_key = SecretKey::new(of("SORNA_SECRET_KEY")).expect("a key");
        let credentials = Credentials::new(access_key, secret_key);
        let endpoint = of("SORNA_ENDPOINT").parse().expect("an endpoint");
        let config = Config::new(endpoint, credentials);
        Client::new(config.with_version(ApiVersion::V2_20170315))
    }

    /// What a client needs to know, by the names of environment variables.
    pub(crate) fn settings(&self) -> &HashMap<String, String> {
        &self.settings
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        let _ = id.map(|id| kill_process(id, Signal::TERM));
        wait(&mut self.child);
    }
}
