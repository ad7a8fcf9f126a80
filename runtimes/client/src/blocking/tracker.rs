//! Watches the bytes of each exchange, since ureq's errors do not say how far it came.
//!
//! ureq runs a request on the thread that asks for it, so a thread's own cell is enough.

use std::cell::Cell;

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use crate::wire::interim;

/// How far the exchange on this thread has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// A connection was made for it.
    pub(super) fresh: bool,
    /// Something of the request was written.
    pub(super) sent: bool,
    /// Something of the answer was read.
    pub(super) received: bool,
}

thread_local! {
    static PROGRESS: Cell<Progress> = const {
        Cell::new(Progress { fresh: false, sent: false, received: false })
    };
}

impl Progress {
    /// Begins to watch an exchange.
    pub(super) fn reset() {
        PROGRESS.set(Self::default());
    }

    /// How far it has come.
    pub(super) fn get() -> Self {
        PROGRESS.get()
    }

    fn update(change: impl FnOnce(&mut Self)) {
        let mut progress = PROGRESS.get();
        change(&mut progress);
        PROGRESS.set(progress);
    }
}

/// The last link in ureq's chain of connectors. What goes through before it (TLS) is not yet the
/// exchange; neither is what is said to a proxy, to which ureq connects by the same chain.
#[derive(Debug)]
pub(super) struct TrackingConnector {
    pub(super) through_proxy: bool,
}

impl<In: Transport> Connector<In> for TrackingConnector {
    type Out = Tracked<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Tracked<In>>, ureq::Error> {
        // The connection to the proxy itself is made with a configuration that has none.
        let is_whole = !self.through_proxy || details.config.proxy().is_some();
        Progress::update(|progress| progress.fresh |= is_whole);
        Ok(chained.map(|connection| Tracked {
            connection,
            is_whole,
            interims: INTERIMS,
        }))
    }
}

/// The most interim answers that are taken away from before one answer.
const INTERIMS: usize = 100;

/// A connection whose traffic is noted if it goes all the way to the gateway.
///
/// It also takes interim answers away, since ureq-proto 0.7 refuses a 100 that carries headers, which
/// a proxy may send.
#[derive(Debug)]
pub(super) struct Tracked<T> {
    connection: T,
    is_whole: bool,
    /// How many may still come before the answer; none once it has begun.
    interims: usize,
}

impl<T: Transport> Tracked<T> {
    fn skip_interims(&mut self) {
        while self.interims > 0 {
            let input = self.connection.buffers().input();
            if let Some(length) = interim(input) {
                self.connection.buffers().input_consume(length);
                self.interims -= 1;
            } else if input.is_empty() || input.starts_with(b"HTTP/1.1 1") {
                return;
            } else {
                self.interims = 0;
            }
        }
    }
}

impl<T: Transport> Transport for Tracked<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        // Before it is tried: what a failed write may have sent cannot be known.
        Progress::update(|progress| progress.sent |= self.is_whole && amount > 0);
        self.interims = INTERIMS;
        self.connection.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let progressed = self.connection.await_input(timeout)?;
        Progress::update(|progress| progress.received |= self.is_whole && progressed);
        self.skip_interims();
        Ok(progressed)
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_open()
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}
