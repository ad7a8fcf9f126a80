//! Limits that a kernel, or what runs in it, has exceeded.

use std::time::Duration;

use serde_json::{Value, json};

/// A limit, and how much it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// As `sorna_core::Limit` names it.
    name: &'static str,
    /// In ms or bytes, or a number of things.
    max: Option<u64>,
}

impl Exceeded {
    pub(crate) fn time(limit: Duration) -> Self {
        let max = u64::try_from(limit.as_millis()).ok();
        Self { name: "time", max }
    }

    pub(crate) fn memory(bytes: Option<u64>) -> Self {
        Self {
            name: "memory",
            max: bytes,
        }
    }

    pub(crate) fn disk(bytes: u64) -> Self {
        Self::of("disk", bytes)
    }

    pub(crate) fn files(number: u64) -> Self {
        Self::of("files", number)
    }

    pub(crate) fn processes(number: u64) -> Self {
        Self::of("processes", number)
    }

    pub(crate) fn open_files(number: u64) -> Self {
        Self::of("open-files", number)
    }

    pub(crate) fn sockets(number: u64) -> Self {
        Self::of("sockets", number)
    }

    pub(crate) fn output(bytes: u64) -> Self {
        Self::of("output", bytes)
    }

    fn of(name: &'static str, max: u64) -> Self {
        Self {
            name,
            max: Some(max),
        }
    }

    /// The limit on memory, if it is that.
    pub(crate) fn of_memory(self) -> Option<u64> {
        self.max.filter(|_| self.name == "memory")
    }

    /// Adds it to the options of a result.
    pub(crate) fn add_to(self, options: &mut Value) {
        options["limit"] = json!(self.name);
        if let Some(max) = self.max {
            options["limitMax"] = json!(max);
        }
    }
}

/// What the options of a result say of a limit, of what was used, and of the interpreter, and nothing else; null if that is nothing.
pub(crate) fn only_extensions(options: &Value) -> Value {
    let mut only = Value::Null;
    for name in ["limit", "limitMax", "usage", "restarted", "restartedBefore"] {
        if let Some(value) = options.get(name) {
            only[name] = value.clone();
        }
    }
    only
}
