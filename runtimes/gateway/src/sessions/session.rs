//! One session.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime};

use serde_json::Value;
use sorna_core::server::ProblemReply;
use sorna_core::server::backend_ai::CreateSession;
use sorna_core::{ExecutionStatus, KernelId, KernelSpec, ProblemKind, SessionStatus};
use tokio::sync::watch;

use crate::kernel::Log;
use crate::kernels::Entry;
use crate::lock::lock;

/// A session, from its creation until it is forgotten.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its ID, which is its kernel's as well.
    pub(crate) id: KernelId,
    /// The access key that it belongs to.
    pub(crate) owner: String,
    pub(crate) spec: KernelSpec,
    /// Whether it ends with its startup command.
    pub(crate) is_batch: bool,
    pub(crate) born: Instant,
    /// The language that its image stands for.
    pub(crate) language: String,
    state: Mutex<State>,
    status: watch::Sender<SessionStatus>,
    /// The latest run.
    pub(super) run: Mutex<Option<Run>>,
}

/// A run of a session.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: String,
    /// How it ended, once that was reported.
    pub(super) end: Option<End>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) status: ExecutionStatus,
    pub(super) exit_code: Option<i32>,
    pub(super) options: Value,
}

#[derive(Debug)]
struct State {
    name: String,
    history: Vec<(SessionStatus, SystemTime)>,
    reason: Option<String>,
    entry: Option<Arc<Entry>>,
    failure: Option<ProblemReply>,
    /// How a batch session ended.
    result: &'static str,
    /// What its kernel has printed, which outlives that.
    log: Option<Arc<Log>>,
}

impl Session {
    /// A session that waits for its kernel.
    pub(super) fn new(
        id: KernelId,
        owner: &str,
        request: &CreateSession,
        language: String,
    ) -> Self {
        Self {
            id,
            owner: owner.to_owned(),
            spec: request.spec.clone(),
            is_batch: request.is_batch,
            born: Instant::now(),
            language,
            state: Mutex::new(State {
                name: request.name.as_str().to_owned(),
                history: vec![(SessionStatus::Pending, SystemTime::now())],
                reason: None,
                entry: None,
                failure: None,
                result: "UNDEFINED",
                log: None,
            }),
            status: watch::Sender::new(SessionStatus::Pending),
            run: Mutex::default(),
        }
    }

    /// The session of a kernel that was made by a client of Sorna v2, and runs.
    pub(super) fn of_kernel(entry: Arc<Entry>, name: &str, language: String) -> Self {
        let age = entry.kernel.age();
        let state = State {
            name: name.to_owned(),
            history: [SessionStatus::Pending, SessionStatus::Running]
                .map(|status| (status, SystemTime::now() - age))
                .into(),
            reason: None,
            entry: Some(Arc::clone(&entry)),
            failure: None,
            result: "UNDEFINED",
            log: Some(entry.kernel.log()),
        };
        Self {
            id: entry.id.clone(),
            owner: entry.owner.clone(),
            spec: KernelSpec::new(&*entry.lang),
            is_batch: false,
            born: Instant::now().checked_sub(age).unwrap_or_else(Instant::now),
            language,
            state: Mutex::new(state),
            status: watch::Sender::new(SessionStatus::Running),
            run: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.state().name.clone()
    }

    pub(super) fn set_name(&self, name: &str) {
        name.clone_into(&mut self.state().name);
    }

    pub(crate) fn status(&self) -> SessionStatus {
        self.status.borrow().clone()
    }

    /// Each status that it had, and since when.
    pub(crate) fn history(&self) -> Vec<(SessionStatus, SystemTime)> {
        self.state().history.clone()
    }

    /// When it came into its current status.
    pub(crate) fn changed(&self) -> SystemTime {
        let state = self.state();
        state
            .history
            .last()
            .map_or(SystemTime::UNIX_EPOCH, |(_, time)| *time)
    }

    /// Since when it has, or had, this status.
    pub(crate) fn since(&self, status: &SessionStatus) -> Option<SystemTime> {
        let state = self.state();
        let entry = state.history.iter().rev().find(|(of, _)| of == status);
        entry.map(|(_, time)| *time)
    }

    /// Why it is in its status, if there is a reason.
    pub(crate) fn reason(&self) -> Option<String> {
        self.state().reason.clone()
    }

    /// `UNDEFINED`, or how a batch session ended.
    pub(crate) fn result(&self) -> &'static str {
        self.state().result
    }

    pub(super) fn set_result(&self, result: &'static str) {
        self.state().result = result;
    }

    /// Changes its status, unless it has ended. Returns whether it did.
    pub(super) fn enter(&self, status: SessionStatus, reason: Option<&str>) -> bool {
        let mut state = self.state();
        let has_ended = matches!(
            *self.status.borrow(),
            SessionStatus::Terminated | SessionStatus::Cancelled
        );
        if has_ended {
            return false;
        }
        state.history.push((status.clone(), SystemTime::now()));
        state.reason = reason.map(str::to_owned);
        self.status.send_replace(status);
        true
    }

    /// Lets it run, if it was going to: it may have been destroyed meanwhile.
    pub(super) fn enter_running(&self) {
        if self.status().is_pending() {
            self.enter(SessionStatus::Running, None);
        }
    }

    /// Waits until its status fulfils a condition.
    pub(super) async fn wait_for(&self, condition: impl Fn(&SessionStatus) -> bool) {
        let mut status = self.status.subscribe();
        // The sender lives as long as the session.
        let _ = status.wait_for(|status| condition(status)).await;
    }

    /// Its kernel, if it runs.
    ///
    /// # Errors
    ///
    /// 400 `generic-bad-request` if it does not run yet.
    pub(crate) fn running(&self) -> Result<Arc<Entry>, ProblemReply> {
        let status = self.status();
        let entry = self.entry().filter(|_| status == SessionStatus::Running);
        entry.ok_or_else(|| {
            ProblemKind::GenericBadRequest.reply_with(&format!("the session is {status}"))
        })
    }

    /// Its kernel, if there is one yet.
    pub(crate) fn entry(&self) -> Option<Arc<Entry>> {
        self.state().entry.clone()
    }

    pub(super) fn set_entry(&self, entry: Arc<Entry>) {
        let mut state = self.state();
        state.log = Some(entry.kernel.log());
        state.entry = Some(entry);
    }

    /// Lets its kernel go, which has ended.
    pub(super) fn clear_entry(&self) {
        self.state().entry = None;
    }

    /// Why it could not be created, if it could not.
    pub(super) fn failure(&self) -> Option<ProblemReply> {
        self.state().failure.clone()
    }

    pub(super) fn set_failure(&self, problem: ProblemReply) {
        self.state().failure = Some(problem);
    }

    /// What its programs have printed. An empty log if it has no kernel yet, or never had one.
    pub(crate) fn log(&self) -> Arc<Log> {
        let log = self.state().log.clone();
        log.unwrap_or_else(|| {
            let log = Log::default();
            let status = self.status();
            if matches!(status, SessionStatus::Terminated | SessionStatus::Cancelled) {
                log.end();
            }
            Arc::new(log)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
