//! A kernel that is busy with another execution.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The most characters of a client's name that are shown.
const MOST_CLIENT: usize = 256;

/// What keeps a kernel busy, as far as its gateway says: see [`GatewayError::busy`](super::GatewayError::busy).
///
/// That of `sorna-gateway` sends it as the `data` of a problem, `{"mode": text, "runningFor": ms, "awaitsInput": bool,
/// "client": text}`, the last one only if it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Busy {
    /// `query` for a snippet, `batch` for files.
    pub mode: Option<String>,
    /// For how long it has been running, in ms on the wire.
    #[serde(rename = "runningFor")]
    running_ms: Option<u64>,
    /// Whether it waits for input.
    pub awaits_input: bool,
    /// How the client calls itself that started it, or has attached to it last, if it does: see
    /// [`RunMark::with_client`](crate::RunMark::with_client).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

impl Busy {
    /// By an execution of this mode that began so long ago.
    #[must_use]
    pub fn new(mode: &str, running_for: Duration, awaits_input: bool) -> Self {
        Self {
            mode: Some(mode.to_owned()),
            running_ms: u64::try_from(running_for.as_millis()).ok(),
            awaits_input,
            client: None,
        }
    }

    /// With the name of its client.
    #[must_use]
    pub fn with_client(mut self, client: Option<String>) -> Self {
        self.client = client;
        self
    }

    /// For how long it has been running.
    #[must_use]
    pub fn running_for(&self) -> Option<Duration> {
        self.running_ms.map(Duration::from_millis)
    }
}

/// Words for a sentence: `a snippet has been running for 12 s, started by run on host1, and waits for input`.
impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mode.as_deref() {
            Some("query") => "a snippet",
            Some("batch") => "a program",
            _ => "another execution",
        })?;
        match self.running_for() {
            Some(time) => write!(f, " has been running for {} s", time.as_secs())?,
            None => f.write_str(" is running")?,
        }
        if let Some(client) = &self.client {
            f.write_str(", started by ")?;
            // It comes from another client.
            for c in client.chars().take(MOST_CLIENT) {
                f.write_char(if c.is_control() { ' ' } else { c })?;
            }
        }
        match (self.awaits_input, &self.client) {
            (true, Some(_)) => f.write_str(", and waits for input"),
            (true, None) => f.write_str(" and waits for input"),
            (false, _) => Ok(()),
        }
    }
}
