//! How far a request has come, and the clock that watches it.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::{Either, select};
use sorna_core::{Sent, TransportError, TransportErrorKind};

use crate::runtime::Runtime;

/// What one request is doing. Written by the work, read by the clock beside it: both are polled by
/// one task, so nothing here needs an order.
#[derive(Debug, Default)]
pub(super) struct Progress {
    phase: AtomicU8,
    /// Counts reads and writes that moved something.
    moves: AtomicU64,
    sent: AtomicBool,
    received: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    Resolving,
    Connecting,
    Tunneling,
    Encrypting,
    Sending,
    Receiving,
}

impl Progress {
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    fn phase(&self) -> Phase {
        use Phase::*;
        let all = [
            Resolving, Connecting, Tunneling, Encrypting, Sending, Receiving,
        ];
        all[usize::from(self.phase.load(Relaxed)).min(all.len() - 1)]
    }

    /// What the request waits for, to stand behind "while".
    pub(super) fn doing(&self) -> &'static str {
        match self.phase() {
            Phase::Resolving => "resolving the name",
            Phase::Connecting => "connecting",
            Phase::Tunneling => "waiting for the proxy",
            Phase::Encrypting => "setting up TLS",
            Phase::Sending => "sending the request",
            Phase::Receiving if self.received() => "receiving the answer",
            Phase::Receiving => "waiting for the answer",
        }
    }

    pub(super) fn wrote(&self) {
        self.sent.store(true, Relaxed);
        self.moves.fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) {
        self.received.store(true, Relaxed);
        self.moves.fetch_add(1, Relaxed);
    }

    /// Whether any byte of the answer came.
    pub(super) fn received(&self) -> bool {
        self.received.load(Relaxed)
    }

    /// What to say of the request if it fails now.
    pub(super) fn sent(&self) -> Sent {
        if self.sent.load(Relaxed) {
            Sent::Maybe
        } else {
            Sent::Nothing
        }
    }

    /// The connection was idle for too long.
    pub(super) fn silent(
        &self,
        peer: &(dyn fmt::Display + Sync),
        idle: Duration,
    ) -> TransportError {
        let doing = self.doing();
        late(
            self,
            format!("not a byte to or from {peer} for {idle:?} while {doing}"),
        )
    }
}

/// How often to look whether a connection is idle.
pub(super) fn step(idle: Duration) -> Duration {
    (idle / 4).max(Duration::from_millis(1))
}

/// Does the work, unless it takes longer than `total`, or its connection is silent for `idle`.
///
/// Time is counted by the runtime's timer alone, in steps, so one timer serves both limits and a
/// program that runs on simulated time stays in it.
pub(super) async fn watch<R: Runtime, T>(
    runtime: &R,
    progress: &Progress,
    peer: &(dyn fmt::Display + Sync),
    total: Duration,
    idle: Duration,
    work: Pin<&mut impl Future<Output = Result<T, TransportError>>>,
) -> Result<T, TransportError> {
    let clock = async {
        let step = step(idle);
        let (mut left, mut silent, mut seen) = (total, Duration::ZERO, 0);
        while !left.is_zero() {
            let step = step.min(left);
            runtime.sleep(step).await;
            left -= step;
            let moves = progress.moves.load(Relaxed);
            if moves != seen || progress.phase() < Phase::Sending {
                (seen, silent) = (moves, Duration::ZERO);
                continue;
            }
            silent += step;
            if silent >= idle {
                return progress.silent(peer, idle);
            }
        }
        let doing = progress.doing();
        late(
            progress,
            format!("no complete answer from {peer} within {total:?}: time ran out while {doing}"),
        )
    };
    match select(work, pin!(clock)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right((error, _)) => Err(error),
    }
}

fn late(progress: &Progress, message: String) -> TransportError {
    TransportError::new(TransportErrorKind::Timeout, progress.sent(), message)
}
