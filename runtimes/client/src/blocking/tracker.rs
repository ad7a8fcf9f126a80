//! Watches the bytes of each exchange, since ureq's errors do not say how far it came.
//!
//! ureq runs a request on the thread that asks for it, so a thread's own cell is enough.

use std::cell::Cell;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, Transport, time,
};

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
    /// A body follows the head that is sent next.
    body_follows: bool,
    /// When the head of the response must be here, if ureq's own limits do not say.
    head_by: Option<Instant>,
}

thread_local! {
    static PROGRESS: Cell<Progress> = const {
        Cell::new(Progress { fresh: false, sent: false, received: false, body_follows: false, head_by: None })
    };
}

impl Progress {
    /// Begins to watch an exchange.
    pub(super) fn reset(body_follows: bool, head_by: Option<Instant>) {
        PROGRESS.set(Self {
            body_follows,
            head_by,
            ..Self::default()
        });
    }

    /// How far it has come.
    pub(super) fn get() -> Self {
        PROGRESS.get()
    }

    /// The limit on the time for a response's head does not concern what is done from here on.
    pub(super) fn head_is_over() {
        Self::update(|progress| progress.head_by = None);
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
            held: Vec::new(),
            used: false,
            interims: INTERIMS,
        }))
    }
}

/// The most interim answers that are taken away from before one answer.
const INTERIMS: usize = 100;

/// A connection whose traffic is noted if it goes all the way to the gateway.
///
/// It also
///
/// - takes interim answers away, since ureq-proto 0.7 refuses a 100 that carries headers, which a proxy
///   may send;
/// - sends a head together with the beginning of its body, where ureq sends them one by one, which
///   makes two packets, and which the original gateway may misread;
/// - does without the system calls of ureq that change nothing.
#[derive(Debug)]
pub(super) struct Tracked<T> {
    connection: T,
    is_whole: bool,
    /// A head that waits for its body.
    held: Vec<u8>,
    /// Whether there was traffic since it was last looked at.
    used: bool,
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

/// A head up to this long waits for its body, bytes; ureq's buffer has 128 KiB.
const HELD: usize = 16 * 1024;

/// ureq asks the system for each new time limit, so one that is a little shorter than the last is not
/// new: it is rounded up to this.
const STEP: Duration = Duration::from_millis(10);

fn rounded(mut timeout: NextTimeout) -> NextTimeout {
    if let time::Duration::Exact(after) = &mut timeout.after
        && *after > 100 * STEP
    {
        let beyond = after.as_nanos() % STEP.as_nanos();
        if beyond > 0 {
            *after = after.saturating_add(STEP - Duration::from_nanos(beyond as u64));
        }
    }
    timeout
}

/// The time limit for the next read or write.
fn limited(timeout: NextTimeout) -> NextTimeout {
    let mut timeout = rounded(timeout);
    if let Some(head_by) = Progress::get().head_by {
        let left = head_by.saturating_duration_since(Instant::now());
        if timeout.after > left.into() {
            timeout.after = left.into();
            timeout.reason = ureq::Timeout::Global;
        }
    }
    timeout
}

impl<T: Transport> Transport for Tracked<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let progress = Progress::get();
        if self.is_whole && progress.body_follows && (1..=HELD).contains(&amount) {
            Progress::update(|progress| progress.body_follows = false);
            let head = &self.connection.buffers().output()[..amount];
            self.held.extend_from_slice(head);
            return Ok(());
        }
        let head = self.held.len();
        // Before it is tried: what a failed write may have sent cannot be known.
        Progress::update(|progress| progress.sent |= self.is_whole && head + amount > 0);
        self.interims = INTERIMS;
        self.used = true;
        let timeout = limited(timeout);
        if head == 0 {
            return self.connection.transmit_output(amount, timeout);
        }
        let output = self.connection.buffers().output();
        let rest = (head + amount).saturating_sub(output.len());
        let first = amount - rest;
        let rest = output[first..amount].to_vec();
        output.copy_within(..first, head);
        output[..head].copy_from_slice(&self.held);
        self.held.clear();
        self.connection.transmit_output(head + first, timeout)?;
        if rest.is_empty() {
            return Ok(());
        }
        self.connection.buffers().output()[..rest.len()].copy_from_slice(&rest);
        self.connection.transmit_output(rest.len(), timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        if !self.held.is_empty() {
            self.transmit_output(0, timeout)?;
        }
        let progressed = self.connection.await_input(limited(timeout))?;
        Progress::update(|progress| progress.received |= self.is_whole && progressed);
        self.skip_interims();
        Ok(progressed)
    }

    fn is_open(&mut self) -> bool {
        // ureq looks twice, when it puts a connection by and when it takes it up again. Once does.
        std::mem::take(&mut self.used) || self.connection.is_open()
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use ureq::unversioned::transport::LazyBuffers;

    use super::*;

    #[derive(Debug)]
    struct Recorder {
        buffers: LazyBuffers,
        sent: Vec<Vec<u8>>,
        looks: usize,
    }

    impl Transport for Recorder {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.buffers
        }

        fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
            let output = self.buffers.output()[..amount].to_vec();
            self.sent.push(output);
            Ok(())
        }

        fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
            Ok(true)
        }

        fn is_open(&mut self) -> bool {
            self.looks += 1;
            true
        }
    }

    /// A connection for one request, with a buffer of eight bytes.
    fn tracked(body_follows: bool) -> Tracked<Recorder> {
        Progress::reset(body_follows, None);
        Tracked {
            connection: Recorder {
                buffers: LazyBuffers::new(8, 8),
                sent: Vec::new(),
                looks: 0,
            },
            is_whole: true,
            held: Vec::new(),
            used: false,
            interims: INTERIMS,
        }
    }

    fn transmit(connection: &mut Tracked<Recorder>, bytes: &[u8]) {
        connection.buffers().output()[..bytes.len()].copy_from_slice(bytes);
        let sent = connection.transmit_output(bytes.len(), NextTimeout::default());
        sent.expect("it is recorded");
    }

    #[test]
    fn a_head_is_sent_with_the_beginning_of_its_body() {
        let mut connection = tracked(true);
        transmit(&mut connection, b"head");
        assert!(!Progress::get().sent);
        transmit(&mut connection, b"body");
        transmit(&mut connection, b"more");
        assert!(Progress::get().sent);
        assert_eq!(connection.connection.sent, [&b"headbody"[..], b"more"]);
    }

    #[test]
    fn a_body_that_fills_the_buffer_loses_nothing() {
        let mut connection = tracked(true);
        transmit(&mut connection, b"head");
        transmit(&mut connection, b"12345678");
        transmit(&mut connection, b"9");
        assert_eq!(
            connection.connection.sent,
            [&b"head1234"[..], b"5678", b"9"]
        );
    }

    #[test]
    fn a_head_that_waits_is_sent_before_anything_is_awaited() {
        let mut connection = tracked(true);
        transmit(&mut connection, b"head");
        let awaited = connection.await_input(NextTimeout::default());
        assert!(awaited.expect("it is recorded"));
        assert_eq!(connection.connection.sent, [b"head"]);
    }

    #[test]
    fn a_head_without_a_body_waits_for_nothing() {
        let mut connection = tracked(false);
        transmit(&mut connection, b"head");
        assert_eq!(connection.connection.sent, [b"head"]);
    }

    #[test]
    fn a_connection_is_looked_at_when_it_is_taken_up_again() {
        let mut connection = tracked(false);
        transmit(&mut connection, b"head");
        assert!(connection.is_open());
        assert_eq!(connection.connection.looks, 0);
        assert!(connection.is_open());
        assert_eq!(connection.connection.looks, 1);
    }

    #[test]
    fn time_limits_are_never_shortened() {
        for ms in [1, 999, 1_000, 1_001, 29_999, 30_000] {
            let limit = Duration::from_micros(ms * 1_000 - 1);
            let timeout = NextTimeout {
                after: limit.into(),
                ..NextTimeout::default()
            };
            let rounded = *rounded(timeout).after;
            assert!(rounded >= limit && rounded < limit + STEP, "{limit:?}");
        }
        let never = rounded(NextTimeout::default());
        assert!(never.after.is_not_happening());
    }
}
