//! How a gateway recognizes the requests of one execution: an extension.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a request says of the execution that it belongs to: see [`Execute::with_mark`](super::Execute::with_mark).
///
/// On the wire it is `{"id": text, "request": number, "wait": bool, "timeLimit": ms, "unclaimed": bool, "piped": bool}`,
/// of which all but the first two may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunMark {
    /// The ID of the execution, which no other in the kernel has: at most 256 bytes.
    pub id: String,
    /// The number of the request, from 0, with which the execution starts. The same number is the same request, sent once
    /// more since its response did not arrive.
    pub request: u64,
    /// Whether the gateway may hold the first request while the kernel is busy, for as long as it holds requests for output.
    #[serde(rename = "wait", default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// The most time that the execution may take, in place of what the kernel was created with. Counts in the first
    /// request.
    #[serde(default, with = "ms", skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<Duration>,
    /// Whether its client takes what earlier executions have left. Counts in the first request.
    #[serde(
        rename = "unclaimed",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub takes_unclaimed: bool,
    /// Whether the standard input of its client is no terminal. Counts in the first request.
    #[serde(rename = "piped", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_piped: bool,
}

impl RunMark {
    /// The longest ID, in bytes.
    pub const MAX_ID: usize = 256;

    /// Of the first request of an execution. A [machine](crate::machine::Execution) makes an ID if there is none.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    /// Lets the gateway hold the first request while the kernel is busy.
    #[must_use]
    pub fn with_wait(mut self, waits: bool) -> Self {
        self.waits = waits;
        self
    }

    /// Limits the time of the execution; sent in whole ms, and at least 1.
    #[must_use]
    pub fn with_time_limit(mut self, limit: Option<Duration>) -> Self {
        self.time_limit = limit;
        self
    }

    /// Takes what earlier executions of the kernel have printed and no client has received, or not: those whose clients were
    /// killed, for instance. It comes once, in one [`Record::Unclaimed`](crate::Record::Unclaimed) at the beginning of this
    /// execution. Without this, the gateway keeps it for an execution that takes it.
    ///
    /// Gateways that know marks, but not this, ignore it.
    #[must_use]
    pub fn with_unclaimed(mut self, takes_unclaimed: bool) -> Self {
        self.takes_unclaimed = takes_unclaimed;
        self
    }

    /// Says that answers come from a pipe or a file, or not. Prompts that a language shows only on a terminal, as `read -p` of
    /// bash and `readline` of php and ruby, are then not shown. Without this, they are, since a person may answer.
    ///
    /// Gateways that know marks, but not this, ignore it.
    #[must_use]
    pub fn with_piped_input(mut self, is_piped: bool) -> Self {
        self.is_piped = is_piped;
        self
    }
}

mod ms {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let ms = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        time.as_ref().map(ms).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let ms = Option::<u64>::deserialize(deserializer)?;
        Ok(ms.filter(|ms| *ms > 0).map(Duration::from_millis))
    }
}
