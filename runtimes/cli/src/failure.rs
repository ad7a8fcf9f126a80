//! Failures of the command, and how they are shown.

use sorna::files::FilesError;
use sorna::net::ProxyError;
use sorna::{BuildError, Dialect, Error, with_causes};
use sorna_gateway::StartError;
use std::borrow::Cow;
use std::path::Path;

use crate::chain::message;
use crate::exit::Exit;
use crate::nearest::nearest;
use crate::reporter::Reporter;
use crate::settings::SettingsError;

/// Why the command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A setting that is missing or cannot be used.
    Settings(SettingsError),
    /// An option that contradicts `--local`.
    LocalAnd(&'static str),
    /// A command that `man` has no page of.
    UnknownCommand { name: String, known: Vec<String> },
    /// A command that needs the IDs of kernels.
    NeedsIds,
    /// A proxy in the environment.
    Proxy(ProxyError),
    /// A request that failed before the work began.
    Request {
        error: Box<Error>,
        advice: Vec<String>,
    },
    /// A gateway of Sorna v2, where Backend.AI was asked for.
    NotBackendAi { endpoint: String },
    /// Several sessions or kernels that may be meant, one per line.
    Ambiguous {
        text: String,
        sessions: Vec<String>,
        /// What they are.
        noun: &'static str,
    },
    /// A session that does not exist.
    NoSession {
        text: String,
        endpoint: String,
        /// Why there is none any more, if the gateway says so.
        reason: Option<String>,
    },
    /// An argument that the gateway would reject.
    Argument(BuildError),
    /// A file that was to be uploaded.
    Files(FilesError),
    /// The local gateway did not start.
    Gateway(StartError),
    /// Another mistake in the command line, or in a file that it names.
    Usage {
        message: String,
        advice: Option<Cow<'static, str>>,
    },
    /// The operating system reported an error.
    System(&'static str, std::io::Error),
}

impl Failure {
    pub(crate) fn usage(message: String) -> Self {
        Self::Usage {
            message,
            advice: None,
        }
    }

    /// Adds what to do about it, to a failure of usage.
    pub(crate) fn with_advice(self, advice: &'static str) -> Self {
        match self {
            Self::Usage { message, .. } => Self::Usage {
                message,
                advice: Some(advice.into()),
            },
            other => other,
        }
    }

    /// Whether it is about one of several sessions, so that the others can be dealt with all the same.
    pub(crate) fn is_of_one_session(&self) -> bool {
        matches!(self, Self::Ambiguous { .. } | Self::NoSession { .. })
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Settings(_)
            | Self::LocalAnd(_)
            | Self::UnknownCommand { .. }
            | Self::NeedsIds
            | Self::Proxy(_)
            | Self::Argument(_)
            | Self::Usage { .. }
            | Self::Files(_) => Exit::USAGE,
            Self::Ambiguous { .. } | Self::NoSession { .. } => Exit::FAILURE,
            Self::Request { .. } | Self::NotBackendAi { .. } => Exit::FAILURE,
            Self::Gateway(_) | Self::System(..) => Exit::FAILURE,
        }
    }

    pub(crate) fn show(&self) {
        let mut reporter = Reporter::new(false);
        if let Self::Request { error, .. } = self {
            reporter.note_error(error);
        }
        let (message, advice) = self.words();
        reporter.fail(message);
        for advice in advice {
            reporter.advice(advice);
        }
    }

    /// What has failed, and what to do about it.
    pub(crate) fn words(&self) -> (String, Vec<String>) {
        let mut advice = Vec::new();
        let message = match self {
            Self::Settings(error) => {
                advice.extend(error.advice());
                with_causes(error)
            }
            Self::LocalAnd(option) => format!("--local cannot be used with {option}"),
            Self::UnknownCommand { name, known } => {
                advice.push(match nearest(name, known.iter().map(String::as_str)) {
                    Some(name) => format!("Did you mean `{name}`?"),
                    None => format!("Commands: {}.", known.join(", ")),
                });
                format!("unknown command `{name}`")
            }
            Self::NeedsIds => {
                advice.push("Use the kernel's ID, which `sorna run -t` and `sorna shell -t` show; on gateways of `sorna serve` also its token, and in Backend.AI the session's name, without -t.".to_owned());
                "this command has no option -t: it takes kernels without one".to_owned()
            }
            Self::Proxy(error) => {
                advice.push("Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.".to_owned());
                with_causes(error)
            }
            Self::Request {
                error,
                advice: known,
            } => {
                advice.clone_from(known);
                message(error)
            }
            Self::Ambiguous {
                text,
                sessions,
                noun,
            } => {
                advice.clone_from(sessions);
                format!("`{text}` may be one of several {noun}s")
            }
            Self::NoSession {
                text,
                endpoint,
                reason,
            } => {
                let ended = reason.as_ref();
                advice.extend(ended.map(|reason| format!("There was one: {reason}.")));
                advice.push(format!(
                    "`sorna ps` lists your sessions that have not ended. The endpoint is {endpoint}."
                ));
                format!("no session has a name or ID that is or starts with `{text}`")
            }
            Self::NotBackendAi { endpoint } => {
                advice.push("Check the endpoint, or use --api auto or --api sorna.".to_owned());
                format!("{endpoint} speaks Sorna v2, and not Backend.AI")
            }
            Self::Argument(error) => {
                advice.extend(build_advice(error).map(str::to_owned));
                error.to_string()
            }
            Self::Files(error) => {
                if let FilesError::Empty(path) = error
                    && !is_empty_directory(path)
                {
                    advice.push(
                        "With --no-ignore, files that are hidden or ignored are uploaded, too."
                            .to_owned(),
                    );
                }
                with_causes(error)
            }
            Self::Gateway(error) => format!("cannot start the gateway: {}", with_causes(error)),
            Self::Usage {
                message,
                advice: known,
            } => {
                advice.extend(known.as_deref().map(str::to_owned));
                message.clone()
            }
            Self::System(what, error) => format!("{what}: {error}"),
        };
        (message, advice)
    }
}

/// What to do about a request that cannot be made.
pub(crate) fn build_advice(error: &BuildError) -> Option<&'static str> {
    let version = match error {
        BuildError::Unsupported { version, .. } => version,
        // Managers do not have these either.
        BuildError::NotOffered {
            what: "executions without a client" | "attaching to what runs",
        } => return Some("Gateways of `sorna serve` have it; others do not."),
        BuildError::NotOffered { .. } => {
            return Some(
                "Gateways of `sorna serve` have it, and so does Backend.AI: if the gateway speaks that, use --api backend-ai, or put api = \"backend-ai\" into the profile.",
            );
        }
        BuildError::FileTooLarge { .. } => {
            return Some(
                "Split it, let the program fetch it, or mount a folder that has it (--mount).",
            );
        }
        _ => return None,
    };
    Some(match version.dialect() {
        Dialect::SornaV2 => {
            "Only Backend.AI has that. If the gateway speaks Backend.AI, use --api backend-ai, or put api = \"backend-ai\" into the profile."
        }
        _ => "This version of Backend.AI does not have that: leave it out.",
    })
}

/// Whether this is a directory without any entry.
pub(crate) fn is_empty_directory(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}
