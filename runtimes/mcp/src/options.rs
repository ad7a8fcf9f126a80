//! What a server allows, and how much it says.

use std::time::Duration;

/// The settings of a server.
///
/// ```
/// use std::time::Duration;
/// use sorna_mcp::Options;
///
/// let options = Options::new().with_max_time(Duration::from_secs(600)).with_max_memory(1 << 30);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub(crate) time: Duration,
    pub(crate) max_time: Duration,
    pub(crate) patience: Duration,
    pub(crate) max_output: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_sessions: usize,
    pub(crate) max_memory: Option<u64>,
    pub(crate) place: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(120),
            max_time: Duration::from_secs(60 * 60),
            // Some clients give a call up after 60 s.
            patience: Duration::from_secs(50),
            max_output: 16 * 1024,
            idle_timeout: Duration::from_secs(30 * 60),
            max_sessions: 16,
            max_memory: None,
            place: String::new(),
        }
    }
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The time that a program may take if the client says nothing, and it was not started to go on by itself: 2 minutes by default.
    #[must_use]
    pub fn with_time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// The longest that any program may take: 1 hour by default.
    #[must_use]
    pub fn with_max_time(mut self, time: Duration) -> Self {
        self.max_time = time;
        self
    }

    /// After which time a call returns with what there is, while its program keeps running: 50 s by default.
    #[must_use]
    pub fn with_patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// How much output of a program is shown at once, in bytes: 16 KiB by default. The rest is in a file.
    #[must_use]
    pub fn with_max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// After which time a session ends that is not used: 30 minutes by default.
    #[must_use]
    pub fn with_idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = time;
        self
    }

    /// How many sessions there may be at a time: 16 by default.
    #[must_use]
    pub fn with_max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// The memory of a session, in bytes, if it is to be less than what the gateway gives.
    #[must_use]
    pub fn with_max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = Some(bytes);
        self
    }

    /// What clients are told of the place where programs run: sentences.
    #[must_use]
    pub fn with_place(mut self, place: impl Into<String>) -> Self {
        self.place = place.into();
        self
    }

    /// The time that a program gets for which a client asks for so many seconds.
    pub(crate) fn time_for(&self, asked: Option<f64>, usual: Duration) -> Duration {
        let asked = asked.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        asked.unwrap_or(usual).min(self.max_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_program_gets_more_than_the_most() {
        let options = Options::new();
        let seconds = |asked| options.time_for(asked, options.time).as_secs_f64();
        assert_eq!(seconds(None), 120.0);
        assert_eq!(seconds(Some(0.5)), 0.5);
        assert_eq!(seconds(Some(1e9)), 3600.0);
        assert_eq!(seconds(Some(f64::MAX)), 120.0);
    }
}
