//! Sessions that do not run.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::ident::KernelId;
use crate::ops::SessionStatus;

/// A session of Backend.AI that was created, but does not run: it ended before, or is not ready in time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotRunning {
    /// The session. If it is [pending](SessionStatus::is_pending), it may still start: destroy it if it should not.
    pub kernel: KernelId,
    /// Its last known state.
    pub status: SessionStatus,
    /// Why it has this status, if the manager says so.
    pub status_info: Option<String>,
    /// How long it was waited for.
    pub waited: Duration,
}

impl NotRunning {
    pub(crate) fn new(
        kernel: KernelId,
        status: SessionStatus,
        status_info: Option<String>,
        waited: Duration,
    ) -> Self {
        Self {
            kernel,
            status,
            status_info,
            waited,
        }
    }
}

impl fmt::Display for NotRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kernel,
            status,
            status_info,
            waited,
        } = self;
        if status.is_dying() {
            write!(f, "session {kernel} has ended ({status}")?;
        } else {
            let seconds = waited.as_secs();
            write!(
                f,
                "session {kernel} does not run after {seconds} s ({status}"
            )?;
        }
        match status_info {
            Some(info) => write!(f, ": {info:?})"),
            None => f.write_str(")"),
        }
    }
}

impl StdError for NotRunning {}
