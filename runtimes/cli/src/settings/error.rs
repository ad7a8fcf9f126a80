//! Settings that cannot be used, and how to correct them.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

use sorna::{ConfigError, EnvNames};

use super::source::Source;
use super::text::quoted;
use crate::nearest::nearest;

/// A setting that is wrong or missing.
#[derive(Debug)]
pub(crate) enum SettingsError {
    /// The settings file cannot be read.
    Read { path: PathBuf, error: io::Error },
    /// There is no directory for a settings file.
    NoHome,
    /// A settings file that was asked for does not exist.
    NoFile { path: PathBuf, source: Source },
    /// The settings file is not TOML.
    Syntax {
        path: PathBuf,
        line: usize,
        message: String,
    },
    /// An unknown key in the settings file.
    UnknownKey {
        path: PathBuf,
        line: usize,
        key: String,
        is_table: bool,
        profile: Option<String>,
        known: &'static [&'static str],
    },
    /// A key in the settings file with a wrong value.
    WrongValue {
        path: PathBuf,
        line: usize,
        key: String,
        message: &'static str,
    },
    /// A profile that the settings file does not have.
    UnknownProfile {
        name: String,
        source: Source,
        path: Option<PathBuf>,
        known: Box<[String]>,
    },
    /// A variable that is not text.
    NotText { variable: &'static str },
    /// Sorna v2, and an endpoint that users log in to.
    SornaWebServer { source: Source },
    /// An endpoint that users do not log in to.
    NoWebServer { source: Source },
    /// A web server to which the user has not logged in.
    NotLoggedIn {
        endpoint: String,
        /// The profile that was chosen by an option.
        profile: Option<String>,
        /// Where keys come from, which are not used there.
        unused_keys: Option<Source>,
    },
    /// There is no directory for what is kept between commands.
    NoState,
    /// A session that was kept.
    LoginFile {
        path: PathBuf,
        problem: LoginFileProblem,
    },
    /// No endpoint is set.
    NoEndpoint(Box<Missing>),
    /// No keys are set.
    NoKeys(Box<Missing>),
    /// A secret key that no gateway can have issued.
    Secret { source: Source },
    /// A source has only one of the two keys.
    HalfAPair {
        missing: &'static str,
        /// Where the other one is.
        present: Source,
    },
    /// A value that the client rejects.
    Value {
        error: ConfigError,
        source: Source,
        /// What was probably meant.
        meant: Option<String>,
    },
}

/// What is wrong with a file that keeps a session.
#[derive(Debug)]
pub(crate) enum LoginFileProblem {
    Read(io::Error),
    Write(io::Error),
    Remove(io::Error),
    /// Others than the user can read or write it.
    Open,
    /// It is a directory, a link or something else in place of a file.
    NoFile,
    /// It is a directory that is not empty.
    Full,
    /// It is not what this program writes.
    Content,
}

/// Where something that is not set could be set.
#[derive(Debug)]
pub(crate) struct Missing {
    /// The settings file.
    pub(super) path: Option<PathBuf>,
    /// The profile in use.
    pub(super) profile: Option<String>,
    /// All profiles.
    pub(super) profiles: Vec<String>,
    /// Whether the keys are set.
    pub(super) has_keys: bool,
    /// The names of the variables that count.
    pub(super) names: EnvNames,
    /// A variable of the others that has a key.
    pub(super) elsewhere: Option<&'static str>,
    /// What needs none of it.
    pub(super) local: &'static str,
}

impl Missing {
    /// How to set it; `has_endpoint`: only keys are missing.
    fn advice(&self, has_endpoint: bool) -> String {
        let local = format!(
            "`{}` needs none of this; `sorna serve` starts a gateway on this machine, and prints what to set.",
            self.local
        );
        if let (Some(other), false) = (self.elsewhere, self.has_keys) {
            let names = &self.names;
            return format!(
                "{other} is not used beside {}: set {} and {}.",
                names.endpoint, names.access_key, names.secret_key
            );
        }
        let path = self.path.as_ref().map(|path| path.display());
        if self.has_keys {
            let file = match (&self.profile, path) {
                (Some(profile), Some(path)) => {
                    format!(", or add `endpoint` to the profile `{profile}` in {path}")
                }
                _ => String::new(),
            };
            return format!(
                "Set {} or use --endpoint URL{file}. {local}",
                self.names.endpoint
            );
        }
        let file = match path {
            Some(path) if !self.profiles.is_empty() => format!(
                ", or choose a profile of {path} with --profile ({})",
                self.profiles.join(", ")
            ),
            Some(path) => format!(", or write a profile into {path} (see `sorna config --help`)"),
            None => String::new(),
        };
        let names = &self.names;
        let (access_key, secret_key) = (names.access_key, names.secret_key);
        match names.endpoint == EnvNames::BACKEND.endpoint {
            true if has_endpoint => format!(
                "Set {access_key} and {secret_key}{file}. For a web server, set {}=session instead, and log in with `sorna login`. {local}",
                names.endpoint_type.unwrap_or("the endpoint type")
            ),
            true => format!(
                "Set {}, {access_key} and {secret_key}{file}. {local}",
                names.endpoint
            ),
            false => format!(
                "Set {}, {access_key} and {secret_key} (for a manager of Backend.AI, {}, {} and {}){file}. {local}",
                names.endpoint,
                EnvNames::BACKEND.endpoint,
                EnvNames::BACKEND.access_key,
                EnvNames::BACKEND.secret_key
            ),
        }
    }
}

/// For an endpoint to which users log in, beside keys.
pub(crate) fn keys_are_not_used(source: &Source) -> String {
    let source = match source {
        Source::Variable(name) => (*name).to_owned(),
        source => format!("The key of {source}"),
    };
    format!("{source} is not used there: keys are for endpoints of type api.")
}

impl SettingsError {
    /// The same, with this command as one that needs no settings.
    #[cfg(feature = "mcp")]
    pub(crate) fn with_local(mut self, command: &'static str) -> Self {
        if let Self::NoEndpoint(missing) | Self::NoKeys(missing) = &mut self {
            missing.local = command;
        }
        self
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::UnknownKey {
                key,
                is_table,
                known,
                profile,
                ..
            } => Some(match nearest(key, known.iter().copied()) {
                Some(name) => format!("Did you mean `{name}`?"),
                None if *is_table && profile.is_none() => {
                    format!("Write a profile as [profiles.{key}].")
                }
                None if profile.is_some() => format!("Known keys: {}.", known.join(", ")),
                None => format!("Known settings: {}.", known.join(", ")),
            }),
            Self::UnknownProfile { name, source, known, .. } if name.is_empty() => {
                Some(match known.is_empty() {
                    true => format!("Leave {source} out."),
                    false => format!("Profiles: {}.", known.join(", ")),
                })
            }
            Self::UnknownProfile { name, known, .. } => {
                Some(match nearest(name, known.iter().map(String::as_str)) {
                    Some(name) => format!("Did you mean `{name}`?"),
                    None if known.is_empty() => {
                        format!("Add a table [profiles.{name}] to the settings file, or do not select a profile.")
                    }
                    None => format!("Profiles: {}.", known.join(", ")),
                })
            }
            Self::NoFile { source, .. } => {
                Some(format!("Check {source}, or create the file: see `sorna config --help`."))
            }
            Self::NoEndpoint(missing) => Some(missing.advice(false)),
            Self::NoKeys(missing) => Some(missing.advice(true)),
            Self::Secret { source } => Some(format!("Check {source}.")),
            Self::HalfAPair { .. } => Some(
                "Both keys must come from the same source: set both there, or neither. `sorna config` shows all settings."
                    .to_owned(),
            ),
            Self::Value { source, meant, .. } => Some(match (source, meant) {
                (Source::Default, _) => "Check the settings with `sorna config`.".to_owned(),
                (source, Some(meant)) => format!("Check {source}: did you mean {meant}?"),
                (source, None) => format!("Check {source}."),
            }),
            Self::SornaWebServer { .. } => Some("Web servers belong to Backend.AI: leave the API out, or use the endpoint of a gateway and endpoint type api.".to_owned()),
            Self::NoWebServer { .. } => Some("To log in to a web server of Backend.AI, set BACKEND_ENDPOINT_TYPE=session, or endpoint_type = \"session\" in the profile. With keys there is no need to log in.".to_owned()),
            Self::NotLoggedIn { profile, unused_keys, .. } => {
                let option = profile.as_ref().map(|name| format!(" --profile {}", quoted(name)));
                let keys = unused_keys.as_ref().map(|source| {
                    format!(" {}", keys_are_not_used(source))
                });
                Some(format!(
                    "Log in with `sorna login{}`.{}",
                    option.unwrap_or_default(),
                    keys.unwrap_or_default()
                ))
            }
            Self::NoState => Some("Set HOME or XDG_STATE_HOME.".to_owned()),
            Self::LoginFile { problem: LoginFileProblem::Open, .. } => Some("Someone may have copied it: end the session with `sorna logout`, then log in again with `sorna login`.".to_owned()),
            Self::LoginFile { problem: LoginFileProblem::NoFile, .. } => Some("Remove it with `sorna logout`, then log in again with `sorna login`.".to_owned()),
            Self::LoginFile { problem: LoginFileProblem::Full, .. } => Some("Remove it yourself if nothing in it is needed, then log in again with `sorna login`.".to_owned()),
            Self::LoginFile { problem: LoginFileProblem::Content, .. } => Some("Log in again with `sorna login`, which replaces it.".to_owned()),
            Self::NoHome => Some("Give the file with --config or SORNA_CONFIG.".to_owned()),
            Self::Read { .. }
            | Self::LoginFile { .. }
            | Self::Syntax { .. }
            | Self::WrongValue { .. }
            | Self::NotText { .. } => None,
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => write!(f, "cannot read {}", path.display()),
            Self::NoHome => {
                f.write_str("cannot find the home directory, where the settings file would be")
            }
            Self::NoFile { path, source } => {
                write!(f, "no such settings file: {} ({source})", path.display())
            }
            Self::Syntax {
                path,
                line,
                message,
            } => {
                write!(f, "{}, line {line}: {message}", path.display())
            }
            Self::UnknownKey {
                path,
                line,
                key,
                profile,
                ..
            } => {
                write!(f, "{}, line {line}: ", path.display())?;
                match profile {
                    Some(profile) => write!(f, "unknown key `{key}` in profile `{profile}`"),
                    None => write!(f, "unknown setting `{key}`"),
                }
            }
            Self::WrongValue {
                path,
                line,
                key,
                message,
            } => write!(f, "{}, line {line}: `{key}` {message}", path.display()),
            Self::UnknownProfile { name, source, .. } if name.is_empty() => {
                write!(f, "the name of the profile is empty ({source})")
            }
            Self::UnknownProfile {
                name, source, path, ..
            } => {
                write!(f, "unknown profile `{name}` ({source})")?;
                match path {
                    Some(path) => write!(f, " in {}", path.display()),
                    None => f.write_str(": there is no settings file"),
                }
            }
            Self::NotText { variable } => write!(f, "{variable} is not valid UTF-8"),
            Self::SornaWebServer { source } => write!(
                f,
                "the API is sorna ({source}), but the endpoint type is session"
            ),
            Self::NoWebServer { source } => {
                write!(f, "the endpoint type is api ({source}), not session")
            }
            Self::NotLoggedIn { endpoint, .. } => write!(f, "not logged in to {endpoint}"),
            Self::NoState => {
                f.write_str("cannot find the home directory, where the session would be kept")
            }
            Self::LoginFile { path, problem } => {
                let path = path.display();
                match problem {
                    LoginFileProblem::Read(_) => write!(f, "cannot read {path}"),
                    LoginFileProblem::Write(_) => write!(f, "cannot write {path}"),
                    LoginFileProblem::Remove(_) => write!(f, "cannot remove {path}"),
                    LoginFileProblem::Open => {
                        write!(f, "{path} keeps a session, but others can read or write it")
                    }
                    LoginFileProblem::NoFile => {
                        write!(
                            f,
                            "{path} is not a regular file, so not a session that `sorna login` has kept"
                        )
                    }
                    LoginFileProblem::Full => {
                        write!(
                            f,
                            "{path} is a directory with files in it, which is not removed"
                        )
                    }
                    LoginFileProblem::Content => {
                        write!(f, "{path} is not a session that `sorna login` has kept")
                    }
                }
            }
            Self::NoEndpoint(_) => f.write_str("no endpoint is set"),
            Self::NoKeys(_) => f.write_str("no access key and secret key are set"),
            Self::Secret { .. } => {
                f.write_str("the secret key contains a line end or another invisible character")
            }
            Self::HalfAPair { missing, present } => match present {
                Source::Variable(name) => write!(f, "{name} is set, but {missing} is not"),
                present => {
                    let other = match *missing {
                        "access_key" => "secret_key",
                        _ => "access_key",
                    };
                    write!(f, "{other} is set, but {missing} is not ({present})")
                }
            },
            Self::Value { error, .. } => error.fmt(f),
        }
    }
}

impl StdError for SettingsError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Read { error, .. } => Some(error),
            Self::LoginFile { problem, .. } => match problem {
                LoginFileProblem::Read(error)
                | LoginFileProblem::Write(error)
                | LoginFileProblem::Remove(error) => Some(error),
                LoginFileProblem::Open
                | LoginFileProblem::NoFile
                | LoginFileProblem::Full
                | LoginFileProblem::Content => None,
            },
            _ => None,
        }
    }
}
