//! What kernels have printed, as it grows.

use std::fmt;
use std::time::{Duration, Instant};

use sorna_core::{BuildError, Console, Dialect, Error, FollowLogs, Logs, Record, SessionStatus};

use super::kernel::Kernel;
use crate::net::Transport;

/// How long the gateway is asked to wait for more. It may wait less.
const WAIT: Duration = Duration::from_secs(10);
/// How often those are asked that do not wait. Managers have no other way to follow logs.
const INTERVAL: Duration = Duration::from_secs(1);
/// The same of those that should have waited.
const HASTE: Duration = Duration::from_millis(100);

/// What a kernel has printed, and what it prints, until it ends: see [`Kernel::follow_logs`].
///
/// ```no_run
/// # async fn example(kernel: sorna::tokio::Kernel) -> Result<(), sorna::Error> {
/// let mut logs = kernel.follow_logs();
/// while let Some(console) = logs.next_part().await? {
///     print!("{}", console.stdout());
///     eprint!("{}", console.stderr());
/// }
/// # Ok(())
/// # }
/// ```
///
/// It is a copy, which takes nothing from the clients of the kernel's executions. Gateways of `sorna serve` send what is printed as
/// it comes, by stream. Managers of Backend.AI have only a text of all, for which they are asked every second; it is standard
/// output here.
pub struct LogStream<T> {
    kernel: Kernel<T>,
    way: Way,
    lost: u64,
    end_reason: Option<String>,
}

/// How a log is followed.
enum Way {
    /// Not known yet.
    Unknown,
    /// Part by part, from this byte on.
    Parts(u64),
    /// By comparing it with what it was.
    Whole(String),
    /// It has ended.
    Ended,
}

impl<T: Transport + 'static> Kernel<T> {
    /// What it has printed: its executions, in Backend.AI also its container. For the two streams apart, take the first part of
    /// [`follow_logs`](Self::follow_logs).
    ///
    /// In Sorna v2, and on gateways of `sorna serve` in general, these are the last 256 KiB that its executions have printed,
    /// whether a client has received that or not.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`BuildError::NotOffered`] for a gateway of Sorna v2 that does not have the extension
    /// [`FollowLogs::EXTENSION`].
    pub async fn logs(&self) -> Result<String, Error> {
        let client = self.client();
        let is_offered = match client.caller().await?.version().dialect() {
            Dialect::BackendAi => false,
            _ => client.offers(FollowLogs::EXTENSION).await?,
        };
        let logs = Logs::new(self.id().clone()).with_extension(is_offered);
        Ok(client.call(logs).await?.value)
    }

    /// What it has printed, and what it prints from now on, until it ends. Nothing is requested until the first part is asked
    /// for.
    #[must_use]
    pub fn follow_logs(&self) -> LogStream<T> {
        LogStream {
            kernel: self.clone(),
            way: Way::Unknown,
            lost: 0,
            end_reason: None,
        }
    }
}

impl<T: Transport + 'static> LogStream<T> {
    /// Waits until more was printed; `None` once the kernel has ended. The first part is what is there, even if that is
    /// nothing. May be dropped and called again without loss.
    ///
    /// # Errors
    ///
    /// As [`Kernel::logs`]. It may be called again, and continues then.
    pub async fn next_part(&mut self) -> Result<Option<Console>, Error> {
        match self.way {
            Way::Unknown => self.first_part().await.map(Some),
            Way::Parts(next) => self.wait_for_part(next).await,
            Way::Whole(_) => self.poll_whole().await,
            Way::Ended => Ok(None),
        }
    }

    /// How many bytes were gone before they could be received, up to now: gateways keep only the last ones. Managers do not
    /// tell: what they drop is not counted.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Why the kernel has ended, as the gateway tells people: `the kernel was destroyed by a request`. Gateways of `sorna serve` say
    /// that with the last part.
    #[must_use]
    pub fn end_reason(&self) -> Option<&str> {
        self.end_reason.as_deref()
    }

    async fn first_part(&mut self) -> Result<Console, Error> {
        let client = self.kernel.client();
        let dialect = client.caller().await?.version().dialect();
        if client.offers(FollowLogs::EXTENSION).await? {
            return self.fetch(0, Duration::ZERO).await;
        }
        if dialect == Dialect::SornaV2 {
            return Err(BuildError::NotOffered { what: "logs" }.into());
        }
        let text = self.kernel.logs().await?;
        let console = of_text(&text);
        self.way = Way::Whole(text);
        Ok(console)
    }

    async fn wait_for_part(&mut self, mut next: u64) -> Result<Option<Console>, Error> {
        loop {
            let begun = Instant::now();
            match self.fetch(next, WAIT).await {
                Ok(console) if !console.is_empty() => return Ok(Some(console)),
                Ok(_) => {}
                Err(error) if error.is_not_found() => self.way = Way::Ended,
                Err(error) => return Err(error),
            }
            match self.way {
                Way::Parts(later) => next = later,
                _ => return Ok(None),
            }
            if begun.elapsed() < HASTE {
                self.kernel.client().sleep(HASTE).await;
            }
        }
    }

    async fn fetch(&mut self, from: u64, wait: Duration) -> Result<Console, Error> {
        let follow = FollowLogs::new(self.kernel.id().clone(), from).with_wait(wait);
        let follow = follow.with_extension(true);
        let part = self.kernel.client().call(follow).await?.value;
        self.lost += part.from.saturating_sub(from);
        self.end_reason = part.end_reason;
        self.way = match part.has_ended {
            true => Way::Ended,
            false => Way::Parts(part.next),
        };
        Ok(part.console)
    }

    async fn poll_whole(&mut self) -> Result<Option<Console>, Error> {
        loop {
            self.kernel.client().sleep(INTERVAL).await;
            let text = match self.kernel.logs().await {
                Ok(text) => text,
                // While a session ends, managers have no logs of it: 404, or 500.
                Err(error) if error.gateway().is_some() && self.has_ended(true).await? => {
                    self.way = Way::Ended;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            // Before the text is taken for known, so that nothing is lost if this is dropped.
            let has_ended = self.has_ended(false).await?;
            let Way::Whole(before) = &self.way else {
                return Ok(None);
            };
            let console = of_text(added(before, &text));
            self.way = match has_ended {
                true => Way::Ended,
                false => Way::Whole(text),
            };
            if has_ended || !console.is_empty() {
                return Ok(Some(console));
            }
        }
    }

    /// Whether the session has ended, or is about to, if that is enough.
    async fn has_ended(&self, or_ends: bool) -> Result<bool, Error> {
        match self.kernel.info().await {
            Ok(info) => {
                let status = info.status().map(SessionStatus::from_name);
                Ok(status.is_some_and(|status| {
                    status.is_dying() && (or_ends || status != SessionStatus::Terminating)
                }))
            }
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn of_text(text: &str) -> Console {
    let mut console = Console::new();
    if !text.is_empty() {
        console.push(&Record::Stdout(text.into()));
    }
    console
}

/// What a log has more than before. Where its beginning was left out, that is what follows the longest end of what there was with
/// which it begins.
fn added<'l>(before: &str, log: &'l str) -> &'l str {
    if let Some(rest) = log.strip_prefix(before) {
        return rest;
    }
    // For each beginning of the log, how long the longest shorter one is with which it ends (Knuth, Morris, Pratt). The part of
    // the log that counts is no longer than what there was.
    let pattern = &log.as_bytes()[..log.len().min(before.len())];
    let mut borders = vec![0; pattern.len()];
    let advance = |borders: &[usize], mut matched: usize, byte: u8| {
        while matched > 0 && (matched == pattern.len() || pattern[matched] != byte) {
            matched = borders[matched - 1];
        }
        matched + usize::from(pattern.get(matched) == Some(&byte))
    };
    for at in 1..pattern.len() {
        borders[at] = advance(&borders, borders[at - 1], pattern[at]);
    }
    let matched = before
        .bytes()
        .fold(0, |matched, byte| advance(&borders, matched, byte));
    // A part of a character is no text that both have.
    log.get(matched..).unwrap_or(log)
}

impl<T> fmt::Debug for LogStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStream")
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_given() {
        for (before, log, new) in [
            ("", "a\n", "a\n"),
            ("a\n", "a\nb\n", "b\n"),
            ("a\n", "a\n", ""),
            ("a\nb\n", "b\nc\n", "c\n"),
            ("a\n", "x\n", "x\n"),
            // Lines that are the same.
            (".\n.\n.\n", ".\n.\n.\n.\n", ".\n"),
            ("1\n.\n.\n2\n.\n", ".\n2\n.\n.\n.\n", ".\n.\n"),
            ("a\n.\n", ".\n.\n.\n", ".\n.\n"),
            // Cut in the middle of a line, and shorter than before.
            ("first\nsecond\n", "cond\nthird\n", "third\n"),
            ("first\nsecond\n", "nd\n", ""),
            ("xé", "éy", "y"),
            // Of another container.
            ("a\nb\n", "", ""),
            ("a\nb\n", "b", "b"),
        ] {
            assert_eq!(added(before, log), new, "{before:?} {log:?}");
        }
    }
}
