//! The machine of a creation.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use crate::caller::Caller;
use crate::error::{Error, GatewayError, NotRunning, TransportError};
use crate::ident::KernelId;
use crate::instant::Instant;
use crate::machine::call::Call;
use crate::machine::step::{Exchange, Machine, Step};
use crate::moment::Moment;
use crate::ops::{CreateKernel, CreatedKernel, Info, KernelInfo, SessionStatus};
use crate::version::Dialect;

/// How long a manager is to hold the request for a session to run. Longer ones are asked about, so that what they
/// wait for can be reported.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The time between two questions about a session.
const INTERVAL: Duration = Duration::from_secs(1);

/// The time limit, if the caller gives none.
const DEFAULT_LIMIT: Duration = Duration::from_secs(600);

/// The most creations, if each gives a session that ends.
const MOST_CREATIONS: u32 = 5;

/// The most questions in a row to which the manager responds with an error of its own. Manager 23.09.10 does so now and
/// then when several sessions change (500 `internal-server-error`, after a conflict in its database).
const MOST_FAILURES: u32 = 5;

/// Creates a kernel, and waits until it can run code.
///
/// ```text
///   new ─► Calling ─────────────────────────────────► Over: it can run code
///           ▲    │ it is to run            ▲    │
///           │    ├──► Waiting ◄─► Asking ──┘    └──► Over: an error, the time limit
///           │    │ it is about to end
///           │    └──► Waiting ◄─► Asking
///           └──────── it is gone ───┘
/// ```
///
/// In Sorna v2 it is the same as a [`Call`]. In Backend.AI a session may be returned that is pending, or, for about
/// 3 s after it was destroyed, one that is `TERMINATING` (observed on 26.9.6): the machine asks about the one until it
/// runs, and about the other until it is gone, and then creates the session again. So it does if the name is taken by a
/// session that is about to end.
///
/// The manager holds the request for 5 s at most, and then responds with `TIMEOUT`, which says nothing about the session;
/// from then on each change of its status is an event. With
/// [`enqueue_only`](crate::KernelSpec::with_enqueue_only), a pending session is the result. With
/// [`max_wait`](crate::KernelSpec::with_max_wait), that is the time limit.
///
/// The end is [`Error::NotRunning`] for a session that ended before it ran, or that is still pending at the time limit,
/// and an error with [`is_creation_failed`](crate::GatewayError::is_creation_failed) if the manager does not know it any
/// more. It is not destroyed: see [`kernel`](Self::kernel).
#[derive(Debug)]
#[must_use = "a creation does nothing until it is polled"]
pub struct Create {
    operation: CreateKernel,
    caller: Caller,
    limit: Duration,
    started: Option<Instant>,
    creations: u32,
    /// Questions in a row that failed.
    failures: u32,
    state: State,
    /// The last session that was returned, unless it is about to end.
    found: Option<CreatedKernel>,
    /// That the name is taken, perhaps by a session that is about to end.
    taken: Option<Error>,
    /// Whether a request that failed may have created a session.
    may_exist: bool,
    /// Whether the response is to a repeated request, so that the first one may have created what it found.
    is_repeated: bool,
    /// What was reported last.
    reported: Option<(SessionStatus, Option<String>)>,
    event: Option<SessionPending>,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "each creation has one of these, and it is never moved"
)]
enum State {
    Calling(Call<CreateKernel>),
    Asking(Call<Info>, Wish),
    Waiting(Instant, Wish),
    Over(Option<Result<CreatedKernel, Error>>),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Running,
    Gone,
}

/// A session that does not run yet, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionPending {
    /// The session.
    pub kernel: KernelId,
    /// Its state: `PENDING` while it waits for resources, `PULLING` for its image, …; `TERMINATING` for an older session
    /// of its name.
    pub status: SessionStatus,
    /// Why it has this status, if the manager says so.
    pub status_info: Option<String>,
    /// How long it is waited for so far.
    pub waited: Duration,
}

impl Create {
    /// A creation. It starts when it is polled. The caller's policy applies to each of its requests.
    pub fn new(operation: CreateKernel, caller: Caller) -> Self {
        let limit = operation.spec.max_wait().unwrap_or(DEFAULT_LIMIT);
        let call = Call::new(bounded(&operation, &caller), caller.clone());
        Self {
            operation,
            caller,
            limit,
            started: None,
            creations: 1,
            failures: 0,
            state: State::Calling(call),
            found: None,
            taken: None,
            may_exist: false,
            is_repeated: false,
            reported: None,
            event: None,
        }
    }

    /// Waits this long for the session to run. Without this, it is the [`max_wait`](crate::KernelSpec::max_wait) of the
    /// specification, or 10 minutes.
    pub fn with_time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The session, once it is known, whether it runs or not. If the creation is given up, destroy it.
    #[must_use]
    pub fn kernel(&self) -> Option<&KernelId> {
        self.found.as_ref().map(|found| &found.id)
    }

    /// Whether this creation made the kernel, or found it, as far as is known.
    pub(in crate::machine) fn is_new(&self, created: &CreatedKernel) -> Option<bool> {
        created
            .created
            .filter(|is_new| *is_new || !self.is_repeated)
    }

    /// Whether a request is in flight.
    pub(in crate::machine) fn is_in_flight(&self) -> bool {
        match &self.state {
            State::Calling(call) => call.is_in_flight(),
            State::Asking(call, _) => call.is_in_flight(),
            State::Waiting(..) | State::Over(_) => false,
        }
    }

    /// Whether there may be a kernel, known or not.
    pub(in crate::machine) fn may_have_acted(&self) -> bool {
        match &self.state {
            State::Calling(call) => call.may_have_acted(),
            _ => self.found.is_some() || self.may_exist,
        }
    }

    /// Creates it again, after a response that does not say whether there is a kernel.
    pub(in crate::machine) fn again(&mut self) {
        let operation = bounded(&self.operation, &self.caller);
        self.is_repeated |= self.may_have_acted();
        self.found = None;
        self.state = State::Calling(Call::new(operation, self.caller.clone()));
    }

    fn end(&mut self, end: Result<CreatedKernel, Error>) {
        self.state = State::Over(Some(end));
    }

    fn waited(&self, now: Moment) -> Duration {
        let started = self.started.unwrap_or(now.instant);
        now.instant.saturating_duration_since(started)
    }

    fn created(&mut self, now: Moment, created: CreatedKernel) {
        if created.is_dying() {
            self.dying(now, created, None);
        } else if created.is_pending() && !self.operation.spec.enqueue_only() {
            let status = created.status.clone();
            self.found = Some(created);
            if status == Some(SessionStatus::Timeout) {
                // Says only how long the manager has waited, not what the session does.
                self.ask(Wish::Running);
            } else {
                self.pending(now, status, None);
            }
        } else {
            self.found = Some(created.clone());
            self.end(Ok(created));
        }
    }

    fn failed(&mut self, error: Error) {
        let is_taken = error.gateway().is_some_and(GatewayError::is_name_taken);
        if is_taken && !self.may_exist && self.creations < MOST_CREATIONS {
            self.taken = Some(error);
            self.ask(Wish::Gone);
        } else {
            self.end(Err(error));
        }
    }

    /// A session that will not run (any more).
    fn dying(&mut self, now: Moment, created: CreatedKernel, info: Option<String>) {
        let status = created.status.clone().unwrap_or(SessionStatus::Terminating);
        let is_other = created.created == Some(false);
        if is_other && self.creations < MOST_CREATIONS && self.waited(now) < self.limit {
            self.found = None;
            self.report(now, created.id, status, info);
            self.state = State::Waiting(self.next_time(now), Wish::Gone);
        } else {
            let waited = self.waited(now);
            self.end(Err(NotRunning::new(created.id, status, info, waited).into()));
        }
    }

    /// A session that is to run.
    fn pending(&mut self, now: Moment, status: Option<SessionStatus>, info: Option<String>) {
        let status = status.unwrap_or(SessionStatus::Pending);
        let Some(kernel) = self.kernel().cloned() else {
            return;
        };
        let waited = self.waited(now);
        if waited >= self.limit {
            self.end(Err(NotRunning::new(kernel, status, info, waited).into()));
            return;
        }
        self.report(now, kernel, status, info);
        self.state = State::Waiting(self.next_time(now), Wish::Running);
    }

    fn next_time(&self, now: Moment) -> Instant {
        let end = self
            .started
            .unwrap_or(now.instant)
            .saturating_add(self.limit);
        now.instant
            .saturating_add(INTERVAL)
            .min(end.max(now.instant))
    }

    /// Reports what is new.
    fn report(
        &mut self,
        now: Moment,
        kernel: KernelId,
        status: SessionStatus,
        status_info: Option<String>,
    ) {
        let new = Some((status.clone(), status_info.clone()));
        if self.reported == new {
            return;
        }
        self.reported = new;
        self.event = Some(SessionPending {
            kernel,
            status,
            status_info,
            waited: self.waited(now),
        });
    }

    fn ask(&mut self, wish: Wish) {
        // The name may be used again when it is free, not when one session of it is gone.
        let name = || KernelId::new(self.operation.token.as_str()).ok();
        let kernel = match wish {
            Wish::Running => self.kernel().cloned(),
            Wish::Gone => name(),
        };
        match kernel {
            Some(kernel) => {
                let call = Call::new(Info::new(kernel), self.caller.clone());
                self.state = State::Asking(call, wish);
            }
            None => self.create_again(),
        }
    }

    fn create_again(&mut self) {
        self.creations += 1;
        self.again();
    }

    fn answered(&mut self, now: Moment, wish: Wish, info: Result<KernelInfo, Error>) {
        let (status, status_info) = match info {
            Ok(info) => (
                info.status().map(SessionStatus::from_name),
                info.status_info().map(str::to_owned),
            ),
            Err(Error::Gateway(error)) if error.is_session_missing() => {
                return match wish {
                    Wish::Gone => {
                        self.taken = None;
                        self.create_again();
                    }
                    Wish::Running => self.end(Err(Error::Gateway(Box::new(error.of_creation())))),
                };
            }
            Err(Error::Gateway(error))
                if error.status().is_server_error()
                    && self.failures < MOST_FAILURES
                    && self.waited(now) < self.limit =>
            {
                self.failures += 1;
                self.state = State::Waiting(self.next_time(now), wish);
                return;
            }
            Err(error) => {
                let error = self.taken.take().unwrap_or(error);
                return self.end(Err(error));
            }
        };
        self.failures = 0;
        let is_dying = status.as_ref().is_some_and(SessionStatus::is_dying);
        let is_pending = status.as_ref().is_none_or(SessionStatus::is_pending);
        match (wish, self.found.take()) {
            (Wish::Running, Some(mut found)) => {
                found.status.clone_from(&status);
                if is_dying {
                    self.dying(now, found, status_info);
                } else if is_pending {
                    self.found = Some(found);
                    self.pending(now, status, status_info);
                } else {
                    self.found = Some(found.clone());
                    self.end(Ok(found));
                }
            }
            (Wish::Gone, _) if is_dying && self.waited(now) < self.limit => {
                self.state = State::Waiting(self.next_time(now), Wish::Gone);
            }
            _ => match self.taken.take() {
                Some(error) => self.end(Err(error)),
                None => self.create_again(),
            },
        }
    }
}

/// The operation with a wait that is short enough for one request.
fn bounded(operation: &CreateKernel, caller: &Caller) -> CreateKernel {
    let mut operation = operation.clone();
    if caller.version().dialect() == Dialect::BackendAi && !operation.spec.enqueue_only() {
        let wait = operation.spec.max_wait().unwrap_or(FIRST_WAIT);
        operation.spec = operation.spec.with_max_wait(wait.min(FIRST_WAIT));
    }
    operation
}

impl Machine for Create {
    type Event = SessionPending;
    type Output = Result<CreatedKernel, Error>;

    fn poll(&mut self, now: Moment) -> Step<SessionPending, Self::Output> {
        self.started.get_or_insert(now.instant);
        loop {
            if let Some(event) = self.event.take() {
                return Step::Event(event);
            }
            match &mut self.state {
                State::Calling(call) => match call.poll(now).split() {
                    Ok(Ok(reply)) => {
                        self.is_repeated |= call.may_have_acted();
                        self.created(now, reply.value);
                    }
                    Ok(Err(error)) => {
                        self.may_exist = call.may_have_acted();
                        self.failed(error);
                    }
                    Err(step) => return step.within(|never| match never {}),
                },
                State::Asking(call, wish) => match call.poll(now).split() {
                    Ok(info) => {
                        let wish = *wish;
                        self.answered(now, wish, info.map(|reply| reply.value));
                    }
                    Err(step) => return step.within(|never| match never {}),
                },
                State::Waiting(until, _) if now.instant < *until => return Step::Wait(*until),
                State::Waiting(_, wish) => {
                    let wish = *wish;
                    self.ask(wish);
                }
                State::Over(end) => return end.take().map_or(Step::Idle, Step::Done),
            }
        }
    }

    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        match &mut self.state {
            State::Calling(call) => Exchange::handle_response(call, now, response),
            State::Asking(call, _) => Exchange::handle_response(call, now, response),
            State::Waiting(..) | State::Over(_) => {}
        }
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        match &mut self.state {
            State::Calling(call) => Exchange::handle_failure(call, now, failure),
            State::Asking(call, _) => Exchange::handle_failure(call, now, failure),
            State::Waiting(..) | State::Over(_) => {}
        }
    }
}
