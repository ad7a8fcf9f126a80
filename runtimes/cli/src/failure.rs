//! Failures, told so that a person can act on them.

use std::error::Error as StdError;

use sorna::core::{BuildError, ConfigError, Error, GatewayError, KernelId};
use sorna::files::FilesError;
use sorna::net::ProxyError;
use sorna_gateway::StartError;

use crate::advice::advice;
use crate::exit::Exit;
use crate::nearest::nearest;
use crate::reporter::Reporter;
use crate::settings::SettingsError;
use crate::target::Target;
use crate::values::is_id;

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
            Self::OwnGateway(error) => reporter.fail(error),
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

/// An error with all its causes, for a person: of a certificate that is not trusted, the name of the
/// cause alone, in words.
pub(crate) fn words(error: &Error) -> String {
    in_words(chain(error))
}

/// Rustls mostly writes down such a cause as a value of its own, with all that is in it.
fn in_words(text: String) -> String {
    const CERTIFICATE: &str = "invalid peer certificate: ";

    let Some((before, cause)) = text.split_once(CERTIFICATE) else {
        return text;
    };
    let name = cause.split(" {").next().unwrap_or_default();
    let name = name.rsplit('(').next().unwrap_or_default();
    let name = name.trim_end_matches(')').trim_end_matches("Context");
    let is_name = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !cause.starts_with(|first: char| first.is_ascii_uppercase()) || !is_name {
        return text;
    }
    let mut text = format!("{before}{CERTIFICATE}");
    for (index, character) in name.char_indices() {
        if index > 0 && character.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

/// Tells what failed, what the gateway said, and what to do next.
pub(crate) fn show_error(reporter: &mut Reporter, error: &Error, target: &Target) {
    reporter.fail(words(error));
    for advice in advice(error, target) {
        reporter.advice(advice);
    }
}

/// The same for a kernel that was named by its id; `otherwise` is what to do if that was no id at all.
pub(crate) fn show_error_of(
    reporter: &mut Reporter,
    error: &Error,
    target: &Target,
    id: &KernelId,
    otherwise: &str,
) {
    let is_unknown = error.gateway().and_then(GatewayError::kind) == Some("kernel-not-found");
    if is_unknown && !is_id(id.as_str()) {
        reporter.fail(words(error));
        reporter.advice(format_args!("{id} is taken for a kernel's ID. {otherwise}"));
    } else {
        show_error(reporter, error, target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_of_certificates_are_words() {
        for (cause, words) in [
            ("UnknownIssuer", "unknown issuer"),
            (
                "Other(OtherError(UnsupportedAlgorithmContext { id: [6, 8, 42], supported: [] }))",
                "unsupported algorithm",
            ),
            (
                "certificate not valid for name \"a\"; it is for DnsName(\"b\")",
                "certificate not valid for name \"a\"; it is for DnsName(\"b\")",
            ),
            ("Odd: (1, 2)", "Odd: (1, 2)"),
        ] {
            let text = |end| format!("no connection: invalid peer certificate: {end}");
            assert_eq!(in_words(text(cause)), text(words));
        }
        assert_eq!(in_words("no {answer}".to_owned()), "no {answer}");
    }
}
