//! How a terminal starts and stays alive.

use std::time::Duration;

/// How a terminal starts and stays alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalOptions {
    directory: Option<String>,
    size: (u16, u16),
    ping_interval: Duration,
}

impl Default for TerminalOptions {
    /// In the work directory, 24 lines of 80 columns, and a ping every 30 s.
    fn default() -> Self {
        Self {
            directory: None,
            size: (24, 80),
            ping_interval: Duration::from_secs(30),
        }
    }
}

impl TerminalOptions {
    /// The defaults: see [`Default`](Self::default).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the shell start in this directory, relative to the work directory and below it. An extension of
    /// `sorna-gateway` in both dialects: see [`OpenTerminal::with_directory`](super::OpenTerminal::with_directory). The
    /// [state machine](super::Terminal) has no use for it.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<String>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// The window's size at the start, in lines and columns. Without one, the window of the original gateway
    /// has no lines and no columns.
    #[must_use]
    pub fn with_size(mut self, rows: u16, cols: u16) -> Self {
        self.size = (rows, cols);
        self
    }

    /// Sends a ping after this time without a message. Pings prevent the kernel's idle timeout.
    #[must_use]
    pub fn with_ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// The directory that the shell starts in, if that is not the work directory.
    #[must_use]
    pub fn directory(&self) -> Option<&str> {
        self.directory.as_deref()
    }

    /// The window's size at the start, in lines and columns.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// The time without a message after which a ping is sent.
    #[must_use]
    pub fn ping_interval(&self) -> Duration {
        self.ping_interval
    }
}
