//! Failures, told so that a person can act on them.

use std::error::Error as StdError;
use std::time::SystemTime;

use sorna::core::{BuildError, ConfigError, Error, TransportErrorKind, variables};
use sorna::files::FilesError;
use sorna::net::ProxyError;
use sorna_gateway::StartError;

use crate::exit::Exit;
use crate::nearest::nearest;
use crate::place::Place;
use crate::settings::{SettingsError, Source};
use crate::status::Status;

/// Why the command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A setting that is missing or cannot be used.
    Settings(SettingsError),
    /// An option that says the opposite of `--local`.
    LocalAnd(&'static str),
    /// What a gateway of our own calls itself cannot be used.
    OwnGateway(ConfigError),
    /// A command that `man` has no page of.
    UnknownCommand { name: String, known: Vec<String> },
    /// A cursor outside of the code.
    NoSuchPlace { what: &'static str, most: usize },
    /// A command that needs the ids of kernels.
    NeedsIds,
    /// A proxy in the environment.
    Proxy(ProxyError),
    /// An argument that the gateway would not take.
    Argument(BuildError),
    /// A file that was to be uploaded.
    Files(FilesError),
    /// The local gateway did not start.
    Gateway(StartError),
    /// Something else that is wrong with the command line, or a file that it names.
    Usage {
        words: String,
        advice: Option<&'static str>,
    },
    /// Something of the system.
    System(&'static str, std::io::Error),
}

impl Failure {
    pub(crate) fn usage(words: String) -> Self {
        Self::Usage {
            words,
            advice: None,
        }
    }

    /// With what to do about it, if it is a failure of usage.
    pub(crate) fn with_advice(self, advice: &'static str) -> Self {
        match self {
            Self::Usage { words, .. } => Self::Usage {
                words,
                advice: Some(advice),
            },
            other => other,
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Settings(_)
            | Self::LocalAnd(_)
            | Self::UnknownCommand { .. }
            | Self::NoSuchPlace { .. }
            | Self::NeedsIds
            | Self::Proxy(_)
            | Self::Argument(_)
            | Self::Usage { .. }
            | Self::Files(_) => Exit::USAGE,
            Self::Gateway(_) | Self::OwnGateway(_) | Self::System(..) => Exit::FAILURE,
        }
    }

    pub(crate) fn show(&self) {
        let mut status = Status::new(false);
        match self {
            Self::Settings(error) => {
                status.fail(chain(error));
                if let Some(advice) = error.advice() {
                    status.advice(advice);
                }
            }
            Self::LocalAnd(option) => status.fail(format_args!(
                "--local starts a gateway of its own, and {option} names another: leave one of them out"
            )),
            Self::UnknownCommand { name, known } => {
                status.fail(format_args!("there is no command `{name}`"));
                status.advice(match nearest(name, known.iter().map(String::as_str)) {
                    Some(name) => format!("Did you mean `{name}`?"),
                    None => format!("There are {}.", known.join(", ")),
                });
            }
            Self::NoSuchPlace { what, most } => {
                status.fail(format_args!("{what} is outside of the code: at most {most}"));
            }
            Self::OwnGateway(error) => status.fail(error),
            Self::NeedsIds => {
                status.fail("a token does not find a kernel without making one where there is none");
                status.advice("Name the kernel's ID: `sorna run -t` and `sorna shell -t` show it.");
            }
            Self::Proxy(error) => {
                status.fail(chain(error));
                status.advice("Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.");
            }
            Self::Argument(error) => status.fail(error),
            Self::Files(error) => status.fail(chain(error)),
            Self::Gateway(error) => {
                status.fail(format!("The gateway did not start: {}", chain(error)))
            }
            Self::Usage { words, advice } => {
                status.fail(words);
                if let Some(advice) = advice {
                    status.advice(advice);
                }
            }
            Self::System(what, error) => status.fail(format!("{what}: {error}")),
        }
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

/// What to do about it.
pub(crate) fn advice(error: &Error, place: &Place) -> Vec<String> {
    if let Some(transport) = error.transport() {
        return match transport.kind() {
            TransportErrorKind::Resolve | TransportErrorKind::Connect => vec![format!(
                "The endpoint is {}: is it right, and is the gateway running? With --local none is needed.",
                place.endpoint()
            )],
            TransportErrorKind::Proxy => {
                vec!["Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.".to_owned()]
            }
            TransportErrorKind::Tls if chain(error).contains("CaUsedAsEndEntity") => vec![
                "The gateway's certificate is that of an authority. Make it one of a server: with openssl req -x509, add -addext basicConstraints=critical,CA:FALSE and -addext subjectAltName=DNS:NAME or IP:ADDRESS.".to_owned(),
            ],
            TransportErrorKind::Tls => vec![tls_advice(place)],
            _ => vec![format!("The endpoint is {}.", place.endpoint())],
        };
    }
    let Some(refusal) = error.gateway() else {
        return Vec::new();
    };
    if refusal.is_auth() {
        let check = match place.keys_source() {
            Some(Source::File { .. }) => "its access_key and secret_key".to_owned(),
            _ => format!("{} and {}", variables::ACCESS_KEY, variables::SECRET_KEY),
        };
        vec![format!(
            "{} refuses the access key {}: check {check}, and that they belong to this endpoint.",
            place.endpoint(),
            place.access_key(),
        )]
    } else if refusal.is_clock_skew() {
        vec![clock_advice(refusal.gateway_date())]
    } else if refusal.is_quota_exceeded() {
        vec![format!(
            "The access key {} has as many kernels at a time as it may: destroy some (`sorna destroy ID`), or wait until idle ones end.",
            place.access_key()
        )]
    } else if refusal.is_not_found() && refusal.kind() == Some("kernel-not-found") {
        vec![format!(
            "It has ended, or belongs to another key or gateway. The endpoint is {}.",
            place.endpoint()
        )]
    } else if refusal.is_rate_limited() {
        let wait = refusal.retry_after().map_or_else(
            || "when its window has ended, within 15 minutes".to_owned(),
            |wait| format!("in {} s", wait.as_secs() + 1),
        );
        vec![format!(
            "This key has made too many requests: try again {wait}."
        )]
    } else if refusal.is_creation_failed() {
        vec![
            "Is the language's name right, and is it installed on the gateway? `sorna langs` lists them."
                .to_owned(),
        ]
    } else if error.may_have_acted() {
        vec![
            "That does not tell whether it was done all the same: look before you ask again."
                .to_owned(),
        ]
    } else {
        Vec::new()
    }
}

fn tls_advice(place: &Place) -> String {
    let file = place.settings.as_ref().and_then(|s| s.ca_file.as_ref());
    let authority = match file {
        Some(file) => format!(
            "Besides the system's, the authorities in {} (from {}) are trusted.",
            file.value.display(),
            file.source
        ),
        None => "If the gateway has a private certificate, name its authority's PEM file: --ca-file, SORNA_CA_FILE, or ca_file in a profile.".to_owned(),
    };
    format!("The endpoint is {}. {authority}", place.endpoint())
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
