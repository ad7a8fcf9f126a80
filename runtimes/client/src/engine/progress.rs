//! The progress of a request, and its time limits.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Poll, ready};
use std::time::Duration;

use sorna_core::{Sent, TransportError};

use crate::net::explain::{Doing, Peer, Phase};
use crate::runtime::Runtime;

/// What one request is doing. Written by the work, read by the timer beside it: both are polled by
/// one task, so nothing here needs an order.
#[derive(Debug)]
pub(crate) struct Progress {
    phase: AtomicU8,
    /// Counts reads and writes that moved at least one byte.
    moves: AtomicU64,
    sent: AtomicBool,
    received: AtomicBool,
}

impl Progress {
    pub(crate) const fn new() -> Self {
        Self {
            phase: AtomicU8::new(0),
            moves: AtomicU64::new(0),
            sent: AtomicBool::new(false),
            received: AtomicBool::new(false),
        }
    }

    /// Resets this for another request.
    #[cfg(feature = "ureq")]
    pub(crate) fn reset(&self) {
        self.phase.store(0, Relaxed);
        self.sent.store(false, Relaxed);
        self.received.store(false, Relaxed);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Relaxed)).min(Phase::ALL.len() - 1)]
    }

    /// What the request waits for.
    pub(crate) fn doing(&self) -> Doing {
        Doing {
            phase: self.phase(),
            received: self.received(),
        }
    }

    pub(crate) fn wrote(&self) {
        self.sent.store(true, Relaxed);
        self.moves.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) {
        self.received.store(true, Relaxed);
        self.moves.fetch_add(1, Relaxed);
    }

    /// Whether any byte of the response arrived.
    pub(crate) fn received(&self) -> bool {
        self.received.load(Relaxed)
    }

    /// How much of the request may have been sent, if it fails now.
    pub(crate) fn sent(&self) -> Sent {
        if self.sent.load(Relaxed) {
            Sent::Maybe
        } else {
            Sent::Nothing
        }
    }
}

/// How often to look whether a connection is idle.
pub(super) fn step(idle: Duration) -> Duration {
    (idle / 4).max(Duration::from_millis(1))
}

/// Does the work, unless it takes longer than `total`, or its connection is silent for `idle`.
///
/// Only the runtime's timer counts time, in steps. So one timer serves both limits, and a program
/// on simulated time works, too.
pub(super) async fn watch<R: Runtime, T>(
    runtime: &R,
    progress: &Progress,
    peer: Peer<'_>,
    total: Duration,
    idle: Duration,
    mut work: Pin<&mut impl Future<Output = Result<T, TransportError>>>,
) -> Result<T, TransportError> {
    let (mut left, mut silent, mut seen) = (total, Duration::ZERO, 0);
    let mut step = step(idle).min(left);
    let longest = step;
    let mut timer = pin!(runtime.sleep(step));
    poll_fn(|context| {
        if let Poll::Ready(outcome) = work.as_mut().poll(context) {
            return Poll::Ready(outcome);
        }
        loop {
            if left.is_zero() {
                let late = peer.late(total, progress.doing(), progress.sent());
                return Poll::Ready(Err(late));
            }
            ready!(timer.as_mut().poll(context));
            left -= step;
            let moves = progress.moves.load(Relaxed);
            if moves != seen || progress.phase() < Phase::Sending {
                (seen, silent) = (moves, Duration::ZERO);
            } else {
                silent += step;
            }
            if silent >= idle {
                let silent = peer.silent(idle, progress.doing(), progress.sent());
                return Poll::Ready(Err(silent));
            }
            if !left.is_zero() {
                step = longest.min(left);
                timer.set(runtime.sleep(step));
            }
        }
    })
    .await
}
