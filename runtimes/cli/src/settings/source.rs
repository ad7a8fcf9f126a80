//! A setting, and where it comes from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A value and its source.
#[derive(Clone, Debug)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

impl<T> Setting<T> {
    pub(crate) fn new(value: T, source: Source) -> Self {
        Self { value, source }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting {
            value: change(self.value),
            source: self.source,
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An option of the command line.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// A line of the settings file, maybe of a profile in it.
    File {
        path: Arc<Path>,
        line: usize,
        profile: Option<String>,
    },
    /// Set nowhere.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File {
                path,
                line,
                profile,
            } => {
                if let Some(profile) = profile {
                    write!(f, "profile `{profile}` in ")?;
                }
                write!(f, "{}, line {line}", path.display())
            }
            Self::Default => f.write_str("the default"),
        }
    }
}
