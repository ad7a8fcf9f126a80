//! Drives a machine by events, and checks the properties of all machines.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use sorna_core::machine::{Call, Machine, Step};
use sorna_core::server::Route;
use sorna_core::{Caller, Instant, Moment, TransportError, UsageError, Version};

use crate::outcome::{Outcome, success};
use crate::scene::Scene;
use crate::wire::{Exchange, Wire};

/// More steps than any machine needs to end once its gateway responds.
const ENOUGH: usize = 2_000;

/// Longer waits than this are not tried: dates have an end.
const TOO_LONG: Instant = Instant::from_origin(Duration::from_secs(100 * 365 * 24 * 3600));

/// A machine, with the checks that are specific to it.
pub(crate) trait Subject {
    type Machine: Machine<Event: Debug, Output: Debug>;

    fn machine(&mut self) -> &mut Self::Machine;

    fn event(&mut self, event: <Self::Machine as Machine>::Event, wire: &Wire);

    fn done(&mut self, output: <Self::Machine as Machine>::Output, wire: &Wire);

    /// Something is sent.
    fn sends(&mut self, _exchange: &Exchange) {}

    fn cancel(&mut self) {}

    fn awaits_input(&self) -> bool {
        false
    }

    fn answer(&mut self, _input: &str) -> Result<(), UsageError> {
        Err(UsageError::InputNotExpected)
    }
}

pub(crate) struct Harness<'a, S> {
    subject: S,
    scene: &'a Scene,
    caller: Caller,
    now: Moment,
    /// When the rate limit's window ends, as far as responses have said.
    window_end: Option<Instant>,
    wire: Wire,
    in_flight: Option<Exchange>,
    wait: Option<Instant>,
    inputs: usize,
    is_done: bool,
}

impl<'a, S: Subject> Harness<'a, S> {
    pub(crate) fn new(subject: S, scene: &'a Scene, caller: Caller) -> Self {
        let start = sorna_fuzz::at(1_498_699_425);
        Self {
            subject,
            scene,
            caller,
            now: Moment::new(start, Instant::default(), u64::MAX / 3),
            window_end: None,
            wire: Wire::default(),
            in_flight: None,
            wait: None,
            inputs: 0,
            is_done: false,
        }
    }

    pub(crate) fn play(mut self, events: &[u8]) {
        for event in events {
            // The highest bit keeps the machine from being polled in between.
            self.event(event & 0x7f);
            if event & 0x80 == 0 {
                self.settle();
            }
        }
        for _ in 0..ENOUGH {
            self.settle();
            if self.is_done || self.wait.is_some_and(|until| until > TOO_LONG) {
                return;
            }
            if self.in_flight.is_some() {
                self.event(self.scene.last);
            } else if self.wait.is_some() {
                self.event(b'_');
            } else {
                self.event(b'?');
            }
        }
        panic!("it does not end");
    }

    /// Carries out an event. Letters without another meaning end the exchange: see
    /// [`Outcome::read`].
    fn event(&mut self, letter: u8) {
        match letter {
            b',' => self.passes(Duration::from_millis(100)),
            b';' => self.passes(Duration::from_secs(10)),
            // As long as the machine wants to wait, but with a limit.
            b'_' => {
                let until = self.wait.filter(|until| *until <= TOO_LONG);
                self.passes(
                    until
                        .unwrap_or_default()
                        .saturating_duration_since(self.now.instant),
                );
            }
            // The response to another request says when the window of the rate limit ends.
            b'@' | b'W' => {
                let left = Duration::from_secs(if letter == b'@' { 5 } else { 800 });
                self.hears_elsewhere(left);
            }
            b'k' => self.subject.cancel(),
            b'?' => {
                let input = format!("input-{}", self.inputs);
                let awaited = self.subject.awaits_input();
                assert_eq!(self.subject.answer(&input).is_ok(), awaited);
                self.inputs += usize::from(awaited);
            }
            _ => self.exchange_ends(letter),
        }
    }

    /// A response to another request of the same caller arrives.
    pub(crate) fn hears_elsewhere(&mut self, left: Duration) {
        let mut other = Call::new(Version::new(), self.caller.clone());
        assert!(matches!(other.poll(self.now), Step::Send(_)));
        let milliseconds = u64::try_from(left.as_millis()).expect("it is short");
        let mut answer = success(&Route::Version).map(Bytes::from);
        answer
            .headers_mut()
            .insert("x-ratelimit-reset", milliseconds.into());
        other.handle_response(self.now, answer);
        self.window_end = Some(self.now.instant + left);
    }

    fn passes(&mut self, time: Duration) {
        if self.now.instant.saturating_add(time) <= TOO_LONG {
            self.now = self.now.after(time);
        }
    }

    /// The request in flight gets its response, or fails. Without one in flight, the machine must
    /// ignore that.
    fn exchange_ends(&mut self, letter: u8) {
        let exchange = self.in_flight.take();
        let asked = exchange
            .as_ref()
            .map_or(Route::Version, |e| e.asked.clone());
        let Some(outcome) = Outcome::read(letter, &asked, self.wire.exchanges) else {
            self.in_flight = exchange;
            return;
        };
        if let Some(exchange) = &exchange {
            if let Some(left) = outcome.window_left() {
                self.window_end = self.now.instant.checked_add(left);
            }
            self.wire
                .ended(exchange, &outcome, self.now, self.window_end);
        }
        let now = self.now;
        let machine = self.subject.machine();
        match outcome {
            Outcome::Response(answer) => machine.handle_response(now, answer),
            Outcome::Failure(kind, sent) => {
                machine.handle_failure(now, TransportError::new(kind, sent, "it broke"));
            }
        }
    }

    /// Polls until the machine needs an event.
    fn settle(&mut self) {
        for _ in 0..ENOUGH {
            let step = self.subject.machine().poll(self.now);
            if self.is_done {
                assert!(matches!(step, Step::Idle), "after the end: {step:?}");
                return;
            }
            self.wait = None;
            match step {
                Step::Event(event) => self.subject.event(event, &self.wire),
                Step::Send(transmit) => {
                    assert!(self.in_flight.is_none(), "two requests are in flight");
                    let exchange = self.wire.sent(&transmit, self.now, self.scene.policy);
                    self.subject.sends(&exchange);
                    self.in_flight = Some(exchange);
                }
                Step::Wait(until) => {
                    assert!(
                        self.in_flight.is_none(),
                        "it must wait for the response only"
                    );
                    assert!(until > self.now.instant, "it waits for a time that is over");
                    let (started, _) = self.wire.tries.expect("nothing was sent to wait after");
                    let deadline = started
                        .saturating_add(self.scene.policy.budget())
                        .saturating_add(self.wire.allowance);
                    let pace = self.wire.last_sent + Duration::from_millis(200);
                    assert!(until <= deadline.max(pace), "longer than the budget");
                    self.wait = Some(until);
                    return;
                }
                Step::Done(output) => {
                    assert!(self.in_flight.is_none(), "a request is still in flight");
                    self.subject.done(output, &self.wire);
                    self.is_done = true;
                }
                Step::Idle => {
                    let awaits_input = self.subject.awaits_input();
                    assert!(self.in_flight.is_some() || awaits_input, "it is stuck");
                    return;
                }
                _ => unreachable!("a step of a new kind"),
            }
        }
        panic!("it never settles");
    }
}
