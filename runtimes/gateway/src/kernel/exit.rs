//! How a process ended.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitKind {
    Code(i32),
    Signal(i32),
    /// The system did not report it.
    Unknown,
}

impl From<io::Result<ExitStatus>> for ExitKind {
    fn from(status: io::Result<ExitStatus>) -> Self {
        let Ok(status) = status else {
            return Self::Unknown;
        };
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

impl ExitKind {
    /// The exit code as a shell reports it: for a signal, 128 plus its number.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
            Self::Unknown => 1,
        }
    }

    /// Whether it was killed by `SIGKILL`.
    pub(crate) fn is_kill(self) -> bool {
        self == Self::Signal(9)
    }

    /// The message of a shell for the signal; `None` if the process exited.
    pub(crate) fn signal_text(self) -> Option<String> {
        let Self::Signal(signal) = self else {
            return None;
        };
        Some(match signal {
            2 => "Interrupted".to_owned(),
            4 => "Illegal instruction".to_owned(),
            6 => "Aborted".to_owned(),
            7 => "Bus error".to_owned(),
            8 => "Floating point exception".to_owned(),
            9 => "Killed".to_owned(),
            11 => "Segmentation fault".to_owned(),
            15 => "Terminated".to_owned(),
            _ => format!("Terminated by signal {signal}"),
        })
    }
}

impl fmt::Display for ExitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("an unknown status"),
        }
    }
}
