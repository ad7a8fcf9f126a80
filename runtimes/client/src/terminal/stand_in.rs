//! What happens in a terminal between calls, for a driver without a runtime: a background thread
//! stands in for the reader.
//!
//! ```text
//!                     the reader returns with an event
//!           ┌──────────────────────────────────────────────┐
//!           │                                              ▼
//!      reader waits                                  reader is away
//!      (it reads and pings, the stand-in rests)      (the stand-in lets GRACE pass)
//!           ▲                                              │
//!           │ the reader is back                           ▼
//!           └───────────────────────────────  the stand-in reads and pings
//! ```
//!
//! So a reader that soon returns need not wake the stand-in each time.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_io::AsyncRead as _;
use futures_util::future::select;
use sorna_core::Error;

use super::duplex::Duplex;
use super::presence::{Presence, Reader};
use super::pty::{Pty, PtyReader, PtyWriter};
use crate::lock::lock;
use crate::net::UpgradeTransport;

/// How long a reader may be away before the stand-in takes its place.
const GRACE: Duration = Duration::from_millis(20);

/// How long the gateway may take to accept the last frames.
const HANG_UP: Duration = Duration::from_secs(2);

/// Keeps a terminal alive between calls: receives messages, as far as there is room for them, sends
/// pings and what was typed, and ends the connection once the terminal is closed or both its halves are
/// dropped.
pub(crate) struct StandIn<T: UpgradeTransport>(Arc<Mutex<Duplex<T>>>);

impl<T: UpgradeTransport + 'static> StandIn<T> {
    /// A stand-in for this terminal, which has two halves.
    pub(super) fn new(shared: Arc<Mutex<Duplex<T>>>) -> Self {
        lock(&shared).presence = Some(Presence::new());
        Self(shared)
    }

    /// Works until the connection has ended.
    pub(crate) async fn run(self) {
        poll_fn(|context| lock(&self.0).poll_stand_in(context)).await;
        let limit = lock(&self.0).sleep(HANG_UP);
        let leave = async {
            // If the terminal is closed, this does nothing.
            let _ = poll_fn(|context| lock(&self.0).poll_send_close(context)).await;
            poll_fn(|context| lock(&self.0).poll_hang_up(context)).await;
        };
        select(pin!(leave), limit).await;
    }
}

impl<T: UpgradeTransport + 'static> Pty<T> {
    /// The work to run in the background.
    pub(crate) fn stand_in(&self) -> StandIn<T> {
        StandIn::new(Arc::clone(&self.reader.shared))
    }
}

impl<T: UpgradeTransport + 'static> PtyReader<T> {
    /// Waits for output, and takes as much of it as the buffer holds; 0 after the end.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| Pin::new(&mut *self).poll_read(context, buffer)).await
    }

    /// Notes that nothing will be read any more.
    pub(crate) fn leave(&self) {
        if let Some(presence) = &mut lock(&self.shared).presence {
            presence.drop_reader();
        }
    }
}

impl<T: UpgradeTransport + 'static> PtyWriter<T> {
    /// Types as many bytes as there is room for, and leaves it to the stand-in to send what cannot
    /// be sent at once.
    pub(crate) async fn write_some(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        lock(&self.shared).check_open()?;
        let taken = poll_fn(|context| self.poll_type(context, bytes)).await?;
        let mut duplex = lock(&self.shared);
        let mut context = Context::from_waker(Waker::noop());
        if duplex.flush_now(&mut context).is_pending()
            && let Some(presence) = &mut duplex.presence
        {
            presence.leave_unsent();
        }
        Ok(taken)
    }

    /// Another writer to the same terminal.
    pub(crate) fn another(&self) -> Self {
        if let Some(presence) = &mut lock(&self.shared).presence {
            presence.add_writer();
        }
        let shared = Arc::clone(&self.shared);
        Self { shared }
    }

    /// Notes that there is one writer less.
    pub(crate) fn leave(&self) {
        if let Some(presence) = &mut lock(&self.shared).presence {
            presence.drop_writer();
        }
    }
}

impl<T: UpgradeTransport + 'static> Duplex<T> {
    /// Does what a reader would do while there is none, until the terminal is closed or both halves are
    /// dropped.
    fn poll_stand_in(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(presence) = &mut self.presence else {
                return Poll::Ready(());
            };
            presence.stand_in_works(context);
            if presence.is_over() || self.terminal.is_closed() {
                return Poll::Ready(());
            }
            let reader = presence.reader;
            // If this fails, the next writer reports it.
            if presence.unsent && self.flush_now(context).is_ready() {
                self.set(|presence| presence.unsent = false);
            }
            match reader {
                Reader::Waits => {
                    self.set(|presence| (presence.rests, presence.timer) = (true, None));
                    return Poll::Pending;
                }
                Reader::Away(since) => {
                    let left = GRACE.saturating_sub(since.elapsed());
                    if !left.is_zero() {
                        ready!(self.poll_timer(left, context));
                        continue;
                    }
                }
                Reader::Gone => self.events.clear(),
            }
            if !self.events.has_room() {
                self.poll_timeout(context);
                self.set(|presence| presence.rests = true);
                return Poll::Pending;
            }
            ready!(self.poll_receive(context));
        }
    }

    fn set(&mut self, change: impl FnOnce(&mut Presence)) {
        if let Some(presence) = &mut self.presence {
            change(presence);
        }
    }

    /// Waits for the stand-in's timer, and starts it with this duration if it is not running.
    fn poll_timer(&mut self, time: Duration, context: &mut Context<'_>) -> Poll<()> {
        let running = self.presence.as_mut().and_then(|p| p.timer.take());
        let mut timer = running.unwrap_or_else(|| self.sleep(time));
        let polled = timer.as_mut().poll(context);
        if polled.is_pending() {
            self.set(|presence| presence.timer = Some(timer));
        }
        polled
    }
}
