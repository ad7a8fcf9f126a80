//! Settings that cannot be used, told so that they can be put right.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

use sorna::core::{ConfigError, variables};

use super::source::Source;
use crate::nearest::nearest;

/// A setting that is wrong or missing.
#[derive(Debug)]
pub(crate) enum SettingsError {
    /// The settings file cannot be read.
    Read { path: PathBuf, error: io::Error },
    /// No place for a settings file.
    NoHome,
    /// A settings file that was asked for does not exist.
    NoFile { path: PathBuf, source: Source },
    /// The settings file is not TOML.
    Syntax {
        path: PathBuf,
        line: usize,
        words: String,
    },
    /// A key in the settings file that has no meaning.
    UnknownKey {
        path: PathBuf,
        line: usize,
        key: String,
        is_table: bool,
        profile: Option<String>,
        known: &'static [&'static str],
    },
    /// A key in the settings file with a value that it cannot have.
    WrongValue {
        path: PathBuf,
        line: usize,
        key: String,
        words: &'static str,
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
    /// There is no endpoint.
    NoEndpoint(Missing),
    /// There are no keys.
    NoKeys(Missing),
    /// A secret key that no gateway can have given out.
    Secret { source: Source },
    /// One place has one key of the pair only.
    HalfAPair {
        missing: &'static str,
        /// Where the other one is.
        present: Source,
    },
    /// A value that the client does not take.
    Value {
        error: ConfigError,
        source: Source,
        /// What was probably meant.
        meant: Option<String>,
    },
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
}

impl Missing {
    /// How to set it.
    fn advice(&self) -> String {
        const LOCAL: &str = "`sorna run --local` needs none of this.";

        let path = self.path.as_ref().map(|path| path.display());
        if self.has_keys {
            let file = match (&self.profile, path) {
                (Some(profile), Some(path)) => {
                    format!(", or add `endpoint` to the profile `{profile}` in {path}")
                }
                _ => String::new(),
            };
            return format!(
                "Set {} or use --endpoint URL{file}. {LOCAL}",
                variables::ENDPOINT
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
        format!(
            "Set {}, {} and {}{file}. {LOCAL}",
            variables::ENDPOINT,
            variables::ACCESS_KEY,
            variables::SECRET_KEY
        )
    }
}

impl SettingsError {
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
                    format!("A profile is written [profiles.{key}].")
                }
                None => format!("Known are {}.", known.join(", ")),
            }),
            Self::UnknownProfile { name, known, .. } => {
                Some(match nearest(name, known.iter().map(String::as_str)) {
                    Some(name) => format!("Did you mean `{name}`?"),
                    None if known.is_empty() => {
                        format!("Write one: a table [profiles.{name}], or leave the profile out.")
                    }
                    None => format!("There are {}.", known.join(", ")),
                })
            }
            Self::NoFile { source, .. } => {
                Some(format!("Check {source}, or write the file: see `sorna config --help`."))
            }
            Self::NoEndpoint(missing) | Self::NoKeys(missing) => Some(missing.advice()),
            Self::Secret { source } => Some(format!("Check {source}.")),
            Self::HalfAPair { .. } => Some(
                "The two keys are taken from one place, never half from one and half from another: set both there, or neither. `sorna config` shows all settings."
                    .to_owned(),
            ),
            Self::Value { source, meant, .. } => Some(match (source, meant) {
                (Source::Default, _) => "Check the settings with `sorna config`.".to_owned(),
                (source, Some(meant)) => format!("Check {source}: did you mean {meant}?"),
                (source, None) => format!("Check {source}."),
            }),
            Self::NoHome => Some("Name the file with --config or SORNA_CONFIG.".to_owned()),
            Self::Read { .. }
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
            Self::NoHome => f.write_str("there is no home directory for a settings file"),
            Self::NoFile { path, source } => {
                write!(f, "there is no settings file {} ({source})", path.display())
            }
            Self::Syntax { path, line, words } => {
                write!(f, "{}, line {line}: {words}", path.display())
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
                    Some(profile) => write!(f, "a profile has no `{key}` (in `{profile}`)"),
                    None => write!(f, "`{key}` is no setting"),
                }
            }
            Self::WrongValue {
                path,
                line,
                key,
                words,
            } => write!(f, "{}, line {line}: `{key}` {words}", path.display()),
            Self::UnknownProfile {
                name, source, path, ..
            } => {
                write!(f, "there is no profile `{name}` ({source})")?;
                match path {
                    Some(path) => write!(f, " in {}", path.display()),
                    None => f.write_str(": there is no settings file"),
                }
            }
            Self::NotText { variable } => write!(f, "{variable} is not UTF-8 text"),
            Self::NoEndpoint(_) => f.write_str("no endpoint is set"),
            Self::NoKeys(_) => f.write_str("no access key and secret key are set"),
            Self::Secret { .. } => {
                f.write_str("the secret key contains a line end or another control character")
            }
            Self::HalfAPair { missing, present } => match present {
                Source::Variable(name) => write!(f, "{name} is set, but {missing} is not"),
                present => {
                    let other = match *missing {
                        "access_key" => "secret_key",
                        _ => "access_key",
                    };
                    write!(f, "there is no {missing} beside the {other} ({present})")
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
            _ => None,
        }
    }
}
