//! Failures, told so that a person can act on them.

use std::error::Error as StdError;
use std::time::SystemTime;

use sorna::core::{BuildError, ConfigError, Error, TransportErrorKind, variables};
use sorna::files::FilesError;
use sorna::net::ProxyError;
use sorna_gateway::StartError;

use crate::exit::Exit;
use crate::place::Place;
use crate::status::Status;

/// Why the command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A setting in the environment.
    Settings(ConfigError),
    /// A proxy in the environment.
    Proxy(ProxyError),
    /// An argument that the gateway would not take.
    Argument(BuildError),
    /// A file that was to be uploaded.
    Files(FilesError),
    /// The local gateway did not start.
    Gateway(StartError),
    /// Something of the system.
    System(&'static str, std::io::Error),
}

impl Failure {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Settings(_) | Self::Proxy(_) | Self::Argument(_) | Self::Files(_) => Exit::USAGE,
            Self::Gateway(_) | Self::System(..) => Exit::FAILURE,
        }
    }

    pub(crate) fn show(&self) {
        let mut status = Status::new(false);
        match self {
            Self::Settings(error) => {
                status.fail(error);
                status.advice(settings_advice(error));
            }
            Self::Proxy(error) => {
                status.fail(chain(error));
                status.advice("Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.");
            }
            Self::Argument(error) => status.fail(error),
            Self::Files(error) => status.fail(chain(error)),
            Self::Gateway(error) => {
                status.fail(format!("The local gateway did not start: {}", chain(error)))
            }
            Self::System(what, error) => status.fail(format!("{what}: {error}")),
        }
    }
}

fn settings_advice(error: &ConfigError) -> String {
    match error {
        ConfigError::MissingVariable { .. } => format!(
            "Set {}, {} and (unless it is the public service) {}; or use --local to run on this machine.",
            variables::ACCESS_KEY,
            variables::SECRET_KEY,
            variables::ENDPOINT
        ),
        ConfigError::Endpoint { .. } => format!("Check {}.", variables::ENDPOINT),
        ConfigError::AccessKey => format!("Check {}.", variables::ACCESS_KEY),
        _ => "Check the SORNA_* variables of the environment.".to_owned(),
    }
}

/// An error with all its causes, each once.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

/// Tells what failed, what the gateway said, and what to do next.
pub(crate) fn show_error(status: &mut Status, error: &Error, place: &Place) {
    status.fail(chain(error));
    for advice in advice(error, place) {
        status.advice(advice);
    }
}

fn advice(error: &Error, place: &Place) -> Vec<String> {
    if let Some(transport) = error.transport() {
        return match transport.kind() {
            TransportErrorKind::Resolve | TransportErrorKind::Connect => vec![format!(
                "The endpoint is {}: is it right, and is the gateway running? With --local none is needed.",
                place.endpoint()
            )],
            TransportErrorKind::Proxy => {
                vec!["Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.".to_owned()]
            }
            TransportErrorKind::Tls => vec![format!(
                "The endpoint is {}. If the gateway has a private certificate, name its authority's file in SSL_CERT_FILE.",
                place.endpoint()
            )],
            _ => vec![format!("The endpoint is {}.", place.endpoint())],
        };
    }
    let Some(refusal) = error.gateway() else {
        return Vec::new();
    };
    if refusal.is_auth() {
        vec![format!(
            "{} refuses the access key {}: check {} and {}, and that they belong to this endpoint.",
            place.endpoint(),
            place.client.config().credentials().access_key(),
            variables::ACCESS_KEY,
            variables::SECRET_KEY
        )]
    } else if refusal.is_clock_skew() {
        vec![clock_advice(refusal.gateway_date())]
    } else if refusal.is_quota_exceeded() {
        vec![
            "This key has as many kernels as it may: destroy some, or wait until idle ones end."
                .to_owned(),
        ]
    } else if refusal.is_rate_limited() {
        let wait = refusal.retry_after().map_or_else(
            || "later".to_owned(),
            |wait| format!("in {} s", wait.as_secs() + 1),
        );
        vec![format!(
            "This key has made too many requests: try again {wait}."
        )]
    } else if refusal.is_creation_failed() {
        vec!["Is the language's name right, and is it installed on the gateway?".to_owned()]
    } else {
        Vec::new()
    }
}

/// A request lives for 15 minutes by the gateway's clock.
fn clock_advice(gateway: Option<&str>) -> String {
    let here = sorna::core::http_date(SystemTime::now())
        .unwrap_or_else(|_| "outside the years 1970 to 9999".to_owned());
    let there = gateway.map_or_else(String::new, |date| {
        format!(", and the gateway's answer is dated {date}")
    });
    format!(
        "This machine's clock is probably wrong by more than 15 minutes: it says {here}{there}. Set it, then try again."
    )
}
