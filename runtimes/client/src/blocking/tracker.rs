//! Watches the bytes of each exchange, since ureq's errors do not say how far it got.
//!
//! ureq runs a request on the thread that asks for it, so thread-local state is enough.

use std::cell::Cell;
use std::time::Instant;

use sorna_core::Sent;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use crate::engine::Progress;
use crate::net::explain::{Doing, Foreign, Phase};
use crate::wire::interim;

/// The exchange of one thread.
struct Exchange {
    progress: Progress,
    /// A connection was made for it.
    fresh: Cell<bool>,
    /// What came first, on a connection that was made for it, is another protocol.
    foreign: Cell<Option<Foreign>>,
    /// A body follows the head that is sent next.
    body_follows: Cell<bool>,
    /// When the head of the response must have arrived, if ureq's own limits do not say.
    head_by: Cell<Option<Instant>>,
}

thread_local! {
    static EXCHANGE: Exchange = const {
        Exchange {
            progress: Progress::new(),
            fresh: Cell::new(false),
            foreign: Cell::new(None),
            body_follows: Cell::new(false),
            head_by: Cell::new(None),
        }
    };
}

/// Begins to watch an exchange.
pub(super) fn begin(body_follows: bool, head_by: Option<Instant>) {
    EXCHANGE.with(|exchange| {
        exchange.progress.reset();
        exchange.fresh.set(false);
        exchange.foreign.set(None);
        exchange.body_follows.set(body_follows);
        exchange.head_by.set(head_by);
    });
}

/// The time limit for a response's head does not apply from here on.
pub(super) fn head_is_over() {
    EXCHANGE.with(|exchange| exchange.head_by.set(None));
}

/// This time limit or the one for the response's head, whichever is earlier.
pub(super) fn limited(mut timeout: NextTimeout) -> NextTimeout {
    if let Some(head_by) = EXCHANGE.with(|exchange| exchange.head_by.get()) {
        let left = head_by.saturating_duration_since(Instant::now());
        if timeout.after > left.into() {
            timeout.after = left.into();
            timeout.reason = ureq::Timeout::Global;
        }
    }
    timeout
}

/// Makes a connection for the exchange.
pub(super) fn connecting<T>(connect: impl FnOnce(&Progress) -> T) -> T {
    EXCHANGE.with(|exchange| {
        exchange.fresh.set(true);
        connect(&exchange.progress)
    })
}

/// What the exchange is doing.
pub(super) fn doing() -> Doing {
    EXCHANGE.with(|exchange| exchange.progress.doing())
}

/// How much of the request may have reached the gateway, if the connection has ended.
pub(super) fn sent_if_closed() -> Sent {
    EXCHANGE.with(|exchange| match exchange.progress.sent() {
        Sent::Maybe if !exchange.fresh.get() && !exchange.progress.received() => {
            Sent::StaleConnection
        }
        sent => sent,
    })
}

/// The protocol that is spoken instead of HTTP, if it is known.
pub(super) fn foreign() -> Option<Foreign> {
    EXCHANGE.with(|exchange| exchange.foreign.get())
}

/// How much of the request may have reached the gateway.
pub(super) fn sent() -> Sent {
    EXCHANGE.with(|exchange| exchange.progress.sent())
}

/// The most interim responses that are removed before one response.
const INTERIMS: usize = 100;

/// A connection whose traffic is noted.
///
/// It also
///
/// - removes interim responses, since ureq-proto 0.7 rejects a 100 that carries headers, which a proxy
///   may send;
/// - sends a head together with the beginning of its body, where ureq sends them one by one, which
///   makes two packets, and which the original gateway may misread;
/// - looks once whether an idle connection is open, where ureq looks twice.
#[derive(Debug)]
pub(super) struct Tracked<T> {
    connection: T,
    /// A head that waits for its body.
    held: Vec<u8>,
    /// Whether there was traffic since the last look.
    used: bool,
    /// How many may still come before the response; none once it has begun.
    interims: usize,
}

impl<T: Transport> Tracked<T> {
    pub(super) fn new(connection: T) -> Self {
        Self {
            connection,
            held: Vec::new(),
            used: false,
            interims: INTERIMS,
        }
    }

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

impl<T: Transport> Transport for Tracked<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let body_follows = EXCHANGE.with(|exchange| exchange.body_follows.get());
        if body_follows && (1..=HELD).contains(&amount) {
            EXCHANGE.with(|exchange| exchange.body_follows.set(false));
            let head = &self.connection.buffers().output()[..amount];
            self.held.extend_from_slice(head);
            return Ok(());
        }
        let head = self.held.len();
        // Before the attempt: no one can know what a failed write has sent.
        EXCHANGE.with(|exchange| {
            exchange.progress.enter(Phase::Sending);
            if head + amount > 0 {
                exchange.progress.wrote();
            }
        });
        self.interims = INTERIMS;
        self.used = true;
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
        EXCHANGE.with(|exchange| exchange.progress.enter(Phase::Receiving));
        let progressed = self.connection.await_input(timeout)?;
        if progressed {
            let input = self.connection.buffers().input();
            EXCHANGE.with(|exchange| {
                if exchange.fresh.get() && !exchange.progress.received() {
                    exchange.foreign.set(Foreign::of(input));
                }
                exchange.progress.read();
            });
        }
        self.skip_interims();
        Ok(progressed)
    }

    fn is_open(&mut self) -> bool {
        // Not when it is put back into the pool: it is checked again when it is taken out.
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
        begin(body_follows, None);
        Tracked::new(Recorder {
            buffers: LazyBuffers::new(8, 8),
            sent: Vec::new(),
            looks: 0,
        })
    }

    fn transmit(connection: &mut Tracked<Recorder>, bytes: &[u8]) {
        connection.buffers().output()[..bytes.len()].copy_from_slice(bytes);
        let sent = connection.transmit_output(bytes.len(), NextTimeout::default());
        sent.expect("it is recorded");
    }

    #[test]
    fn head_is_sent_with_the_beginning_of_its_body() {
        let mut connection = tracked(true);
        transmit(&mut connection, b"head");
        assert_eq!(sent(), Sent::Nothing);
        transmit(&mut connection, b"body");
        transmit(&mut connection, b"more");
        assert_eq!(sent(), Sent::Maybe);
        assert_eq!(connection.connection.sent, [&b"headbody"[..], b"more"]);
    }

    #[test]
    fn body_that_fills_the_buffer_loses_nothing() {
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
    fn held_head_is_sent_before_a_response_is_awaited() {
        let mut connection = tracked(true);
        transmit(&mut connection, b"head");
        let awaited = connection.await_input(NextTimeout::default());
        assert!(awaited.expect("it is recorded"));
        assert_eq!(connection.connection.sent, [b"head"]);
    }

    #[test]
    fn head_without_a_body_is_sent_at_once() {
        let mut connection = tracked(false);
        transmit(&mut connection, b"head");
        assert_eq!(connection.connection.sent, [b"head"]);
    }

    #[test]
    fn idle_connection_is_checked_when_it_is_taken_out_of_the_pool() {
        let mut connection = tracked(false);
        transmit(&mut connection, b"head");
        assert!(connection.is_open());
        assert_eq!(connection.connection.looks, 0);
        assert!(connection.is_open());
        assert_eq!(connection.connection.looks, 1);
    }
}
