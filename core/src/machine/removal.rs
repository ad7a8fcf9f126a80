//! Destroys a kernel, and makes sure of it.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::call::Call;
use super::step::{Exchange, Machine, Step};
use crate::caller::Caller;
use crate::error::{Error, GatewayError, TransportError};
use crate::ident::KernelId;
use crate::instant::Instant;
use crate::moment::Moment;
use crate::ops::{Destroy, Info, KernelInfo, SessionStatus};
use crate::problem::ProblemKind;
use crate::version::{ApiVersion, Dialect};

/// The time between two requests.
const INTERVAL: Duration = Duration::from_millis(500);

/// The most time after the first response.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a session is watched that was destroyed before it ran. Manager 26.9.6 changes what starts every 2 s.
const SETTLING: Duration = Duration::from_secs(10);

/// How long a session is watched that is gone, since it may come back. Manager 23.09.10 starts some sessions that were
/// cancelled while they were scheduled, after a response of success (observed in one of six).
const COMING_BACK: Duration = Duration::from_secs(5);

/// How many internal errors of a manager are followed by another attempt. Manager 23.09.10 has some whenever two
/// transactions of its database meet.
const MOST_FAILURES: u8 = 5;

/// Destroys a kernel.
///
/// Unlike a [`Call`] of [`Destroy`] it asks if the response leaves it open whether the kernel ends: manager 23.09.10 of
/// Backend.AI rejects the destruction of a session that is being prepared with the same 403 as that of one which is being
/// destroyed. The one is destroyed as soon as the manager allows it, within a minute; then the rejection is the error.
/// After an internal error of a manager it looks whether the kernel ends, and tries again, five times at most.
///
/// A session that is destroyed before it runs is to be watched: manager 26.9.6 may go on starting it, so that it stays
/// `PREPARED` after a response of success. [`until_settled`](Self::until_settled) destroys it again then.
///
/// A kernel that does not exist (any more) counts as destroyed.
#[derive(Debug)]
#[must_use = "a removal does nothing until it is polled"]
pub struct Removal {
    kernel: KernelId,
    caller: Caller,
    /// How long to wait until a session that is ending is gone; `None` if it is not waited for.
    watch: Option<Duration>,
    state: State,
    /// Why the manager did not destroy it.
    rejection: Option<Error>,
    /// When there was a first response.
    since: Option<Instant>,
    /// Since when it is not there.
    gone_since: Option<Instant>,
    /// Whether it was seen ending, as one that has run does.
    was_dying: bool,
    failures: u8,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "each removal has one of these, and it is never moved"
)]
enum State {
    Destroying(Call<Destroy>),
    Asking(Call<Info>),
    Waiting(Instant),
    Over(Option<Result<(), Error>>),
}

impl Removal {
    /// A removal. It starts when it is polled. The caller's policy applies to each of its requests.
    pub fn new(kernel: KernelId, caller: Caller) -> Self {
        let call = Call::new(Destroy::new(kernel.clone()), caller.clone());
        Self {
            kernel,
            caller,
            watch: None,
            state: State::Destroying(call),
            rejection: None,
            since: None,
            gone_since: None,
            was_dying: false,
            failures: 0,
        }
    }

    /// Waits until a session of Backend.AI is gone, and its name can be used again. Manager 26.9.6 responds about 3 s
    /// before. Sorna v2 has no such time.
    pub fn until_gone(self) -> Self {
        self.watching(LIMIT)
    }

    /// Waits until a session of Backend.AI that has not run yet is gone, or was ending for 10 s: see above.
    pub fn until_settled(self) -> Self {
        self.watching(SETTLING)
    }

    fn watching(mut self, time: Duration) -> Self {
        let is_waited_for = self.caller.version().dialect() == Dialect::BackendAi;
        self.watch = is_waited_for.then_some(time);
        self
    }

    fn end(&mut self, end: Result<(), Error>) {
        self.state = State::Over(Some(end));
    }

    fn ask(&mut self) {
        let info = Info::new(self.kernel.clone());
        self.state = State::Asking(Call::new(info, self.caller.clone()));
    }

    fn destroyed(&mut self, now: Moment, result: Result<(), Error>) {
        self.since.get_or_insert(now.instant);
        match result {
            Ok(()) if self.watch.is_none() => self.end(Ok(())),
            Ok(()) => {
                self.rejection = None;
                self.ask();
            }
            Err(Error::Gateway(error)) if Destroy::is_gone(self.caller.version(), &error) => {
                if error.is_not_found() {
                    self.end(Ok(()));
                } else {
                    self.rejection = Some(Error::Gateway(error));
                    self.ask();
                }
            }
            Err(error) if self.may_try_again(&error) => {
                self.rejection = Some(error);
                self.ask();
            }
            Err(error) => self.end(Err(error)),
        }
    }

    /// It is not there, and, where that is to be made sure of, stays away.
    fn gone(&mut self, now: Moment) {
        let since = *self.gone_since.get_or_insert(now.instant);
        let is_old = self.caller.version() < ApiVersion::V9_20250722;
        let may_come_back = self.watch.is_some() && is_old && !self.was_dying;
        if may_come_back && now.instant.saturating_duration_since(since) < COMING_BACK {
            self.rejection = None;
            self.state = State::Waiting(now.instant.saturating_add(INTERVAL));
        } else {
            self.end(Ok(()));
        }
    }

    /// Whether it was an internal error of a manager, and not one too many.
    fn may_try_again(&mut self, error: &Error) -> bool {
        let is_internal = self.caller.version().dialect() == Dialect::BackendAi
            && error
                .gateway()
                .is_some_and(|error| error.kind() == Some(ProblemKind::InternalServerError));
        self.failures += u8::from(is_internal);
        is_internal && self.failures <= MOST_FAILURES
    }

    fn answered(&mut self, now: Moment, info: Result<KernelInfo, Error>) {
        let status = match info {
            Ok(info) => info.status().map(SessionStatus::from_name),
            Err(error) if error.is_not_found() => return self.gone(now),
            Err(error) if self.may_try_again(&error) => None,
            Err(error) => {
                let rejection = self.rejection.take();
                return self.end(Err(rejection.unwrap_or(error)));
            }
        };
        self.gone_since = None;
        let is_dying = status.as_ref().is_some_and(SessionStatus::is_dying);
        self.was_dying |= is_dying;
        if is_dying {
            self.rejection = None;
        } else if self.rejection.is_none() {
            // The manager has destroyed it, and then gone on starting it.
            self.rejection = status.map(|status| not_destroyed(&status));
        }
        let since = self.since.unwrap_or(now.instant);
        let most = match is_dying {
            true => self.watch.unwrap_or_default(),
            false => LIMIT,
        };
        if now.instant.saturating_duration_since(since) < most {
            self.state = State::Waiting(now.instant.saturating_add(INTERVAL));
            return;
        }
        // One that is ending ends, but late.
        let end = self.rejection.take().map_or(Ok(()), Err);
        self.end(end);
    }
}

/// For a session that is still there though the manager has reported that it was destroyed.
fn not_destroyed(status: &SessionStatus) -> Error {
    let what = "the gateway did not destroy the session, though it reported that";
    let message = format!("its status is still {status}");
    let error = GatewayError::reported(StatusCode::OK, &Bytes::new(), what, vec![message]);
    Error::Gateway(Box::new(error))
}

impl Machine for Removal {
    type Event = Infallible;
    type Output = Result<(), Error>;

    fn poll(&mut self, now: Moment) -> Step<Infallible, Self::Output> {
        loop {
            match &mut self.state {
                State::Destroying(call) => match call.poll(now).split() {
                    Ok(result) => self.destroyed(now, result.map(|_| ())),
                    Err(step) => return step.within(|never| match never {}),
                },
                State::Asking(call) => match call.poll(now).split() {
                    Ok(info) => self.answered(now, info.map(|reply| reply.value)),
                    Err(step) => return step.within(|never| match never {}),
                },
                State::Waiting(until) if now.instant < *until => return Step::Wait(*until),
                State::Waiting(_) if self.rejection.is_some() => {
                    let destroy = Destroy::new(self.kernel.clone());
                    self.state = State::Destroying(Call::new(destroy, self.caller.clone()));
                }
                State::Waiting(_) => self.ask(),
                State::Over(end) => return end.take().map_or(Step::Idle, Step::Done),
            }
        }
    }

    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        match &mut self.state {
            State::Destroying(call) => Exchange::handle_response(call, now, response),
            State::Asking(call) => Exchange::handle_response(call, now, response),
            State::Waiting(_) | State::Over(_) => {}
        }
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        match &mut self.state {
            State::Destroying(call) => Exchange::handle_failure(call, now, failure),
            State::Asking(call) => Exchange::handle_failure(call, now, failure),
            State::Waiting(_) | State::Over(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Driver, caller, caller_for, problem, reply};
    use super::*;
    use crate::ops::testing::kernel;
    use crate::version::ApiVersion;

    const DESTROY: &str = "DELETE /session/k1";
    const INFO: &str = "GET /session/k1";

    fn removal() -> Removal {
        Removal::new(kernel(), caller_for(ApiVersion::V7_20230615))
    }

    fn terminated() -> Response<Bytes> {
        reply(200, r#"{"stats": {"status": "terminated"}}"#)
    }

    fn status(name: &str) -> Response<Bytes> {
        reply(200, &format!(r#"{{"status": "{name}"}}"#))
    }

    #[test]
    fn it_may_wait_until_the_session_is_gone() {
        let mut run = Driver::new(removal());
        run.sends(DESTROY);
        run.answers(terminated());
        assert!(run.done().is_ok());

        let mut run = Driver::new(removal().until_gone());
        run.sends(DESTROY);
        run.answers(terminated());
        for _ in 0..6 {
            run.sends(INFO);
            run.answers(status("TERMINATING"));
            assert_eq!(run.waits(), INTERVAL);
        }
        run.sends(INFO);
        run.answers(problem(404, "object-not-found"));
        assert!(run.done().is_ok());

        let mut run = Driver::new(Removal::new(kernel(), caller()).until_gone());
        run.sends("DELETE /v2/kernel/k1");
        run.answers(reply(204, ""));
        assert!(run.done().is_ok());
    }

    #[test]
    fn a_session_that_goes_on_starting_is_destroyed_again() {
        let mut run = Driver::new(removal().until_settled());
        run.sends(DESTROY);
        run.answers(terminated());
        run.sends(INFO);
        run.answers(status("TERMINATING"));
        run.waits();
        run.sends(INFO);
        run.answers(status("PREPARED"));
        run.waits();
        run.sends(DESTROY);
        run.answers(terminated());
        run.sends(INFO);
        run.answers(problem(404, "entity-not-found"));
        assert!(run.done().is_ok());

        // One that ends slowly is not waited for.
        let mut run = Driver::new(removal().until_settled());
        run.sends(DESTROY);
        run.answers(terminated());
        for _ in 0..20 {
            run.sends(INFO);
            run.answers(status("TERMINATING"));
            run.waits();
        }
        run.sends(INFO);
        run.answers(status("TERMINATING"));
        assert!(run.done().is_ok());

        let mut run = Driver::new(removal().until_settled());
        for _ in 0..120 {
            run.sends(DESTROY);
            run.answers(terminated());
            run.sends(INFO);
            run.answers(status("PREPARED"));
            run.waits();
        }
        run.sends(DESTROY);
        run.answers(terminated());
        run.sends(INFO);
        run.answers(status("PREPARED"));
        let error = run.done().unwrap_err().to_string();
        assert!(error.ends_with("its status is still PREPARED"), "{error}");
    }

    #[test]
    fn a_cancelled_session_that_comes_back_is_destroyed_again() {
        let mut run = Driver::new(removal().until_gone());
        run.sends(DESTROY);
        run.answers(terminated());
        run.sends(INFO);
        run.answers(problem(404, "object-not-found"));
        run.waits();
        run.sends(INFO);
        run.answers(status("RUNNING"));
        run.waits();
        run.sends(DESTROY);
        run.answers(terminated());
        for _ in 0..10 {
            run.sends(INFO);
            run.answers(problem(404, "object-not-found"));
            run.waits();
        }
        run.sends(INFO);
        run.answers(problem(404, "object-not-found"));
        assert!(run.done().is_ok());

        let new = Removal::new(kernel(), caller_for(ApiVersion::V9_20250722));
        let mut run = Driver::new(new.until_gone());
        run.sends(DESTROY);
        run.answers(terminated());
        run.sends(INFO);
        run.answers(problem(404, "entity-not-found"));
        assert!(run.done().is_ok());
    }

    #[test]
    fn a_403_is_looked_into() {
        let rejected = || {
            let mut run = Driver::new(removal());
            run.sends(DESTROY);
            run.answers(problem(403, "generic-forbidden"));
            run.sends(INFO);
            run
        };
        for response in [problem(404, "object-not-found"), status("TERMINATING")] {
            let mut run = rejected();
            run.answers(response);
            assert!(run.done().is_ok());
        }
        let mut run = rejected();
        run.answers(status("PREPARING"));
        run.waits();
        run.sends(DESTROY);
        run.answers(terminated());
        assert!(run.done().is_ok());
        let mut run = rejected();
        run.answers(status("PREPARING"));
        for _ in 0..120 {
            run.waits();
            run.sends(DESTROY);
            run.answers(problem(403, "generic-forbidden"));
            run.sends(INFO);
            run.answers(status("PREPARING"));
        }
        assert!(run.done().unwrap_err().gateway().unwrap().is_forbidden());
    }

    #[test]
    fn internal_errors_of_managers_are_looked_into() {
        let error = || problem(500, "internal-server-error");
        let mut run = Driver::new(removal());
        run.sends(DESTROY);
        run.answers(error());
        run.sends(INFO);
        run.answers(error());
        run.waits();
        run.sends(DESTROY);
        run.answers(error());
        run.sends(INFO);
        run.answers(status("RUNNING"));
        run.waits();
        run.sends(DESTROY);
        run.answers(terminated());
        assert!(run.done().is_ok());

        // It was destroyed all the same.
        let mut run = Driver::new(removal());
        run.sends(DESTROY);
        run.answers(error());
        run.sends(INFO);
        run.answers(status("TERMINATING"));
        assert!(run.done().is_ok());

        let mut run = Driver::new(removal());
        for _ in 0..MOST_FAILURES {
            run.sends(DESTROY);
            run.answers(error());
            run.sends(INFO);
            run.answers(status("RUNNING"));
            run.waits();
        }
        run.sends(DESTROY);
        run.answers(error());
        assert_eq!(run.done().unwrap_err().gateway().unwrap().status(), 500);

        // The one of 2017 says 500 for what will not get better.
        let mut run = Driver::new(Removal::new(kernel(), caller()));
        run.sends("DELETE /v2/kernel/k1");
        run.answers(error());
        assert!(run.done().is_err());
    }

    #[test]
    fn what_does_not_exist_is_destroyed_and_other_errors_are_reported() {
        let mut run = Driver::new(removal());
        run.sends(DESTROY);
        run.answers(problem(404, "entity-not-found"));
        assert!(run.done().is_ok());
        let mut run = Driver::new(removal());
        run.sends(DESTROY);
        run.answers(problem(400, "generic-bad-request"));
        assert!(run.done().is_err());
    }
}
