//! Drives machines with literal responses, in virtual time.

use std::fmt::Debug;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::Response;

use super::step::{Machine, Step, Transmit};
use crate::caller::Caller;
use crate::error::TransportError;
use crate::frame::Frame;
use crate::instant::Instant;
use crate::moment::Moment;
pub(super) use crate::ops::testing::response as reply;
use crate::ops::testing::{signer, signer_for};
use crate::version::ApiVersion;

pub(super) struct Driver<M: Machine> {
    pub(super) machine: M,
    now: Moment,
}

impl<M: Machine<Event: Debug, Output: Debug>> Driver<M> {
    pub(super) fn new(machine: M) -> Self {
        let start = UNIX_EPOCH + Duration::from_secs(1_498_699_425);
        Self {
            machine,
            now: Moment::new(start, Instant::default(), u64::MAX / 3),
        }
    }

    pub(super) fn poll(&mut self) -> Step<M::Event, M::Output> {
        self.machine.poll(self.now)
    }

    /// Replaces the machine, at the same moment.
    pub(super) fn beside<N: Machine>(&self, machine: N) -> Driver<N> {
        let now = self.now;
        Driver { machine, now }
    }

    pub(super) fn passes(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    #[track_caller]
    pub(super) fn sends(&mut self, line: &str) -> Transmit {
        match self.poll() {
            Step::Send(transmit) => {
                let request = &transmit.request;
                assert_eq!(
                    format!("{} {}", request.method(), request.uri().path()),
                    line
                );
                transmit
            }
            step => panic!("sends {line}: {step:?}"),
        }
    }

    /// The body of the request it sends, as text.
    #[track_caller]
    pub(super) fn sends_body(&mut self, line: &str) -> String {
        let transmit = self.sends(line);
        let body = transmit.request.body().as_bytes().unwrap_or(b"(segments)");
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// It requests a WebSocket.
    #[track_caller]
    pub(super) fn opens(&mut self, line: &str) -> Transmit {
        match self.poll() {
            Step::Open(transmit) => {
                let request = &transmit.request;
                let sent = format!("{} {}", request.method(), request.uri().path());
                assert_eq!(sent, line);
                transmit
            }
            step => panic!("opens {line}: {step:?}"),
        }
    }

    pub(super) fn is_open(&mut self) {
        self.machine.handle_open(self.now);
    }

    #[track_caller]
    pub(super) fn sends_frame(&mut self) -> Frame {
        match self.poll() {
            Step::SendFrame(frame) => frame,
            step => panic!("sends a frame: {step:?}"),
        }
    }

    #[track_caller]
    pub(super) fn sends_text(&mut self) -> String {
        match self.sends_frame() {
            Frame::Text(text) => text,
            frame => panic!("sends text: {frame:?}"),
        }
    }

    /// A message arrives on the WebSocket.
    pub(super) fn hears(&mut self, text: &str) {
        self.hears_frame(Frame::Text(text.to_owned()));
    }

    pub(super) fn hears_frame(&mut self, frame: Frame) {
        self.machine.handle_frame(self.now, frame);
    }

    pub(super) fn is_closed(&mut self, code: Option<u16>, reason: &str) {
        self.machine.handle_close(self.now, code, reason);
    }

    #[track_caller]
    pub(super) fn closes(&mut self) {
        let step = self.poll();
        assert!(matches!(step, Step::Close), "closes: {step:?}");
    }

    pub(super) fn answers(&mut self, response: Response<Bytes>) {
        self.machine.handle_response(self.now, response);
    }

    pub(super) fn fails(&mut self, failure: TransportError) {
        self.machine.handle_failure(self.now, failure);
    }

    /// Waits as long as the machine asks for.
    #[track_caller]
    pub(super) fn waits(&mut self) -> Duration {
        match self.poll() {
            Step::Wait(until) => {
                let time = until.saturating_duration_since(self.now.instant);
                self.passes(time);
                time
            }
            step => panic!("waits: {step:?}"),
        }
    }

    #[track_caller]
    pub(super) fn event(&mut self) -> M::Event {
        match self.poll() {
            Step::Event(event) => event,
            step => panic!("event: {step:?}"),
        }
    }

    #[track_caller]
    pub(super) fn done(&mut self) -> M::Output {
        match self.poll() {
            Step::Done(output) => output,
            step => panic!("done: {step:?}"),
        }
    }
}

pub(super) fn caller() -> Caller {
    Caller::new(signer())
}

pub(super) fn caller_for(version: ApiVersion) -> Caller {
    Caller::new(signer_for(version))
}

pub(super) fn problem(status: u16, kind: &str) -> Response<Bytes> {
    reply(
        status,
        &format!(r#"{{"type": "https://api.sorna.io/probs/{kind}", "title": "{kind}"}}"#),
    )
}
