//! Options that every command has.

use std::path::PathBuf;

use clap::Args;
use colorchoice_clap::Color;
use sorna::{Exchange, Observer};

use crate::chain::chain;
use crate::reporter::Reporter;

/// The options. What they do not say, the environment, the settings file and the defaults do: see
/// `settings`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Globals {
    /// The gateway's URL, in place of SORNA_ENDPOINT.
    #[arg(long, global = true, value_name = "URL", help_heading = HEADING)]
    pub(crate) endpoint: Option<String>,

    /// Also trust the certificate authorities in this PEM file, in place of SORNA_CA_FILE.
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    pub(crate) ca_file: Option<PathBuf>,

    /// Take what is not said otherwise from this profile of the settings file, in place of
    /// SORNA_PROFILE.
    #[arg(long, global = true, value_name = "NAME", help_heading = HEADING)]
    pub(crate) profile: Option<String>,

    /// The settings file, in place of SORNA_CONFIG.
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    pub(crate) config: Option<PathBuf>,

    /// Tell of each request to the gateway on the standard error.
    #[arg(short, long, global = true, help_heading = HEADING)]
    pub(crate) verbose: bool,

    #[command(flatten)]
    pub(crate) color: Color,
}

/// What the options about gateways have in common.
pub(crate) const HEADING: &str = "Settings";

impl Globals {
    /// Tells of each request, if that was asked for.
    pub(crate) fn observer(&self) -> Option<Observer> {
        self.verbose.then(|| Observer::new(tell))
    }

    /// The first option that says which gateway to talk to, if any does.
    pub(crate) fn names_a_gateway(&self) -> Option<&'static str> {
        if self.endpoint.is_some() {
            Some("--endpoint")
        } else {
            self.profile.as_ref().map(|_| "--profile")
        }
    }
}

fn tell(exchange: &Exchange<'_>) {
    let outcome = match exchange.outcome {
        Ok((status, _)) => status.as_u16().to_string(),
        Err(error) => format!("no answer ({})", chain(error)),
    };
    Reporter::new(false).info(format_args!(
        "{} {}: {outcome}, try {}, {} ms",
        exchange.method,
        exchange.target,
        exchange.attempt,
        exchange.time.as_millis()
    ));
}
