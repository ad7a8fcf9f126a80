//! Watches the bytes of each exchange, since ureq's errors do not say how far it came.
//!
//! ureq runs a request on the thread that asks for it, so a thread's own cell is enough.

use std::cell::Cell;

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

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

/// The last link in ureq's chain of connectors. What goes through before it (a proxy, TLS) is not
/// yet the exchange.
#[derive(Debug)]
pub(super) struct TrackingConnector;

impl<In: Transport> Connector<In> for TrackingConnector {
    type Out = Tracked<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Tracked<In>>, ureq::Error> {
        Progress::update(|progress| progress.fresh = true);
        Ok(chained.map(Tracked))
    }
}

/// A connection whose traffic is noted.
#[derive(Debug)]
pub(super) struct Tracked<T>(T);

impl<T: Transport> Transport for Tracked<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        // Before it is tried: what a failed write may have sent cannot be known.
        Progress::update(|progress| progress.sent |= amount > 0);
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let progressed = self.0.await_input(timeout)?;
        Progress::update(|progress| progress.received |= progressed);
        Ok(progressed)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
