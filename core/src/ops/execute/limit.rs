//! Limits that executions exceed.

use std::fmt;

use serde_json::{Map, Value};

/// A limit of a kernel or an execution, as [`Exceeded`] names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// The time that an execution may take, in ms.
    Time,
    /// Memory of all processes, in bytes.
    Memory,
    /// What files take, in bytes.
    Disk,
    /// The number of files and directories.
    Files,
    /// The number of processes and threads.
    Processes,
    /// The number of open files of all processes.
    OpenFiles,
    /// The number of sockets of all processes.
    Sockets,
    /// What an execution may write to standard output and standard error, in bytes.
    Output,
    /// A limit that this crate does not know.
    Other(String),
}

impl Limit {
    /// The limit's name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Files => "files",
            Self::Processes => "processes",
            Self::OpenFiles => "open-files",
            Self::Sockets => "sockets",
            Self::Output => "output",
            Self::Other(name) => name,
        }
    }

    fn from_name(name: &str) -> Self {
        let known = [
            Self::Time,
            Self::Memory,
            Self::Disk,
            Self::Files,
            Self::Processes,
            Self::OpenFiles,
            Self::Sockets,
            Self::Output,
        ];
        let found = known.into_iter().find(|limit| limit.as_str() == name);
        found.unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// That an execution was ended since it exceeded a limit. See [`ExecutionResult::exceeded`](super::ExecutionResult::exceeded).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exceeded {
    /// Which limit.
    pub limit: Limit,
    /// How much it allows, in the unit of the limit, if the gateway says.
    pub max: Option<u64>,
}

impl Exceeded {
    /// What a gateway says in the options of a result (`limit`, `limitMax`), and by its status, if that is about time.
    pub(super) fn of(is_too_late: bool, options: &Map<String, Value>) -> Option<Self> {
        let name = options.get("limit").and_then(Value::as_str);
        let of_status = is_too_late.then_some(Limit::Time);
        Some(Self {
            limit: name.map(Limit::from_name).or(of_status)?,
            max: options.get("limitMax").and_then(Value::as_u64),
        })
    }
}
