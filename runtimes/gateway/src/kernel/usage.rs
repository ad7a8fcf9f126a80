//! What results say of what a program has used.

use std::time::Duration;

use serde_json::{Value, json};

use super::meter::Used;

/// What a program has used, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The time that counts for its limit.
    pub(crate) wall: Duration,
    pub(crate) used: Used,
    /// What it has written, in bytes.
    pub(crate) output: u64,
}

impl Usage {
    /// Adds it to the options of a result, as `sorna_core::Usage` reads it.
    pub(crate) fn add_to(self, options: &mut Value) {
        let mut usage = json!({
            "wallUs": u64::try_from(self.wall.as_micros()).unwrap_or(u64::MAX),
            "cpuUs": self.used.cpu,
            "output": self.output,
        });
        if self.used.peak > 0 {
            usage["peakMemory"] = json!(self.used.peak);
        }
        options["usage"] = usage;
    }
}
