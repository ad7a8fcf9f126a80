//! Failures, told so that a person can act on them.

use sorna::core::BuildError;
use sorna::files::FilesError;
use sorna::net::ProxyError;
use sorna_gateway::StartError;

use crate::chain::chain;
use crate::exit::Exit;
use crate::nearest::nearest;
use crate::reporter::Reporter;
use crate::settings::SettingsError;

/// Why the command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A setting that is missing or cannot be used.
    Settings(SettingsError),
    /// An option that says the opposite of `--local`.
    LocalAnd(&'static str),
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
            Self::Gateway(_) | Self::System(..) => Exit::FAILURE,
        }
    }

    pub(crate) fn show(&self) {
        let mut reporter = Reporter::new(false);
        match self {
            Self::Settings(error) => {
                reporter.fail(chain(error));
                if let Some(advice) = error.advice() {
                    reporter.advice(advice);
                }
            }
            Self::LocalAnd(option) => reporter.fail(format_args!(
                "--local starts a gateway of its own, and {option} names another: leave one of them out"
            )),
            Self::UnknownCommand { name, known } => {
                reporter.fail(format_args!("there is no command `{name}`"));
                reporter.advice(match nearest(name, known.iter().map(String::as_str)) {
                    Some(name) => format!("Did you mean `{name}`?"),
                    None => format!("There are {}.", known.join(", ")),
                });
            }
            Self::NoSuchPlace { what, most } => {
                reporter.fail(format_args!("{what} is outside of the code: at most {most}"));
            }
            Self::NeedsIds => {
                reporter.fail("a token does not find a kernel without making one where there is none");
                reporter.advice("Name the kernel's ID: `sorna run -t` and `sorna shell -t` show it.");
            }
            Self::Proxy(error) => {
                reporter.fail(chain(error));
                reporter.advice("Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.");
            }
            Self::Argument(error) => reporter.fail(error),
            Self::Files(error) => reporter.fail(chain(error)),
            Self::Gateway(error) => {
                reporter.fail(format!("The gateway did not start: {}", chain(error)))
            }
            Self::Usage { words, advice } => {
                reporter.fail(words);
                if let Some(advice) = advice {
                    reporter.advice(advice);
                }
            }
            Self::System(what, error) => reporter.fail(format!("{what}: {error}")),
        }
    }
}
