//! Options of every command.

use std::path::PathBuf;

use clap::Args;
use colorchoice_clap::Color;
use sorna::{Exchange, Observer, with_causes};

use crate::reporter::Reporter;
use crate::settings::Api;
use crate::values;

/// The options. They override the environment and the settings file: see `settings`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Globals {
    /// URL of the gateway; overrides BACKEND_ENDPOINT and SORNA_ENDPOINT.
    #[arg(long, global = true, value_name = "URL", help_heading = HEADING)]
    pub(crate) endpoint: Option<String>,

    /// PEM file with certificate authorities to trust besides the system's; overrides SORNA_CA_FILE.
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    pub(crate) ca_file: Option<PathBuf>,

    /// Profile to use for settings not given elsewhere; overrides SORNA_PROFILE.
    #[arg(long, global = true, value_name = "NAME", help_heading = HEADING, value_parser = values::name)]
    pub(crate) profile: Option<String>,

    /// Settings file; overrides SORNA_CONFIG.
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    pub(crate) config: Option<PathBuf>,

    /// API to speak; auto is Backend.AI if the gateway speaks it, else Sorna v2. By default auto with
    /// BACKEND_ENDPOINT, else what the profile says, else sorna.
    #[arg(long, global = true, value_name = "API", help_heading = HEADING)]
    pub(crate) api: Option<Api>,

    /// Log each gateway request to standard error.
    #[arg(short, long, global = true, help_heading = HEADING)]
    pub(crate) verbose: bool,

    #[command(flatten)]
    pub(crate) color: Color,

    /// Whether a profile that is named on the command line comes before the environment, too.
    #[arg(skip)]
    pub(crate) is_profile_first: bool,
}

/// The heading of the options about gateways in the help.
pub(crate) const HEADING: &str = "Settings";

impl Globals {
    /// The observer that logs each request, with --verbose.
    pub(crate) fn observer(&self) -> Option<Observer> {
        self.verbose.then(|| Observer::new(log))
    }

    /// The option that selects a gateway, if one was given.
    pub(crate) fn names_a_gateway(&self) -> Option<&'static str> {
        if self.endpoint.is_some() {
            Some("--endpoint")
        } else {
            self.profile.as_ref().map(|_| "--profile")
        }
    }
}

fn log(exchange: &Exchange<'_>) {
    let outcome = match exchange.outcome {
        Ok((status, _)) => status.as_u16().to_string(),
        Err(error) => format!("no response ({})", with_causes(error)),
    };
    Reporter::new(false).info(format_args!(
        "{} {}: {outcome}, attempt {}, {} ms",
        exchange.method,
        exchange.target,
        exchange.attempt,
        exchange.time.as_millis()
    ));
}
