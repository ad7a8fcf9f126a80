//! All sessions.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use sorna_core::server::ProblemReply;
use sorna_core::{KernelId, ProblemKind, SessionStatus};
use tokio::sync::broadcast;

use super::events::{Event, Events};
use super::session::Session;
use crate::kernel::KernelStartError;
use crate::kernels::{Cause, Entry, Kernels};
use crate::lock::lock;

/// How many sessions that have ended are remembered.
const ENDED: usize = 64;
/// Of how many all output is kept that is kept of living ones.
const WITH_LOGS: usize = 16;

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub(crate) kernels: Arc<Kernels>,
    pub(super) events: Events,
    table: Mutex<Table>,
}

/// The living sessions by ID and by owner and name, and the last ones that ended, the latest last.
#[derive(Debug, Default)]
struct Table {
    living: HashMap<String, Arc<Session>>,
    names: HashMap<(String, String), Arc<Session>>,
    ended: VecDeque<Arc<Session>>,
}

impl Sessions {
    pub(crate) fn new(kernels: Arc<Kernels>) -> Self {
        Self {
            kernels,
            events: Events::new(),
            table: Mutex::default(),
        }
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.listen()
    }

    /// The living session with this ID or name, if it belongs to this key: other keys do not see it.
    ///
    /// # Errors
    ///
    /// 404 `object-not-found` if it is asked for by ID, `entity-not-found` by name.
    pub(crate) fn find(
        self: &Arc<Self>,
        owner: &str,
        id: &KernelId,
    ) -> Result<Arc<Session>, ProblemReply> {
        self.adopt(owner);
        let table = self.table();
        let by_id = table.living.get(id.as_str()).filter(|it| it.owner == owner);
        let key = (owner.to_owned(), id.as_str().to_owned());
        let found = by_id.or_else(|| table.names.get(&key)).cloned();
        found.ok_or_else(|| {
            let mut ended = table.ended.iter().rev();
            let last =
                ended.find(|it| it.owner == owner && (it.id == *id || it.name() == id.as_str()));
            let id_of_last = last.map(|it| it.id.clone());
            drop(table);
            let cause = id_of_last.and_then(|id| self.kernels.cause_of_end(owner, &id));
            no_session(id.as_str(), cause.as_ref())
        })
    }

    /// As [`find`](Self::find), but also a session that has ended, by its ID.
    pub(crate) fn find_any(
        self: &Arc<Self>,
        owner: &str,
        id: &KernelId,
    ) -> Result<Arc<Session>, ProblemReply> {
        self.find(owner, id).or_else(|problem| {
            let table = self.table();
            let mut ended = table.ended.iter().rev();
            let found = ended.find(|it| it.owner == owner && it.id == *id);
            found.cloned().ok_or(problem)
        })
    }

    /// All sessions of a key, the latest first.
    pub(crate) fn list(self: &Arc<Self>, owner: &str) -> Vec<Arc<Session>> {
        self.adopt(owner);
        let table = self.table();
        let all = table.living.values().chain(&table.ended);
        let mut list: Vec<_> = all.filter(|it| it.owner == owner).cloned().collect();
        list.sort_by_key(|session| std::cmp::Reverse(session.born));
        list
    }

    /// The living sessions of a key, the latest first.
    pub(crate) fn living(self: &Arc<Self>, owner: &str) -> Vec<Arc<Session>> {
        let mut list = self.list(owner);
        let ended = [SessionStatus::Terminated, SessionStatus::Cancelled];
        list.retain(|session| !ended.contains(&session.status()));
        list
    }

    /// Ends sessions whose kernels a client of Sorna v2 has just destroyed: [`follow`](super::create::follow) may not have
    /// seen it yet.
    pub(super) fn end_gone(&self, owner: &str) {
        let is_gone = |session: &Session| {
            let entry = session.entry();
            entry.is_some_and(|entry| entry.is_of_sorna_v2() && entry.kernel.is_gone())
        };
        let own: Vec<_> = {
            let table = self.table();
            let living = table.living.values();
            living.filter(|it| it.owner == owner).cloned().collect()
        };
        for session in own.iter().filter(|session| is_gone(session)) {
            self.end(session, SessionStatus::Terminated, "terminated");
        }
    }

    /// Whether there is a living session with this ID.
    pub(super) fn has(&self, id: &KernelId) -> bool {
        self.table().living.contains_key(id.as_str())
    }

    /// Adds a new session, unless its owner has one of that name, which is returned then.
    pub(super) fn insert(&self, session: &Arc<Session>) -> Result<(), Arc<Session>> {
        let mut table = self.table();
        let key = (session.owner.clone(), session.name());
        if let Some(existing) = table.names.get(&key) {
            return Err(Arc::clone(existing));
        }
        table.names.insert(key, Arc::clone(session));
        let id = session.id.as_str().to_owned();
        table.living.insert(id, Arc::clone(session));
        Ok(())
    }

    /// The living session that a creation by this name finds: one of this name, or with this ID.
    pub(super) fn by_name(&self, owner: &str, name: &str) -> Option<Arc<Session>> {
        let key = (owner.to_owned(), name.to_owned());
        let table = self.table();
        let by_id = || table.living.get(name).filter(|it| it.owner == owner);
        table.names.get(&key).or_else(by_id).cloned()
    }

    /// Gives a session another name.
    ///
    /// # Errors
    ///
    /// 400 `session-already-exists` if it is taken.
    pub(crate) fn rename(&self, session: &Arc<Session>, name: &str) -> Result<(), ProblemReply> {
        let mut table = self.table();
        let key = |name: &str| (session.owner.clone(), name.to_owned());
        if table.names.contains_key(&key(name)) {
            let detail = format!("Session with name '{name}' already exists");
            return Err(ProblemKind::SessionAlreadyExists.reply_with(&detail));
        }
        // It may have ended meanwhile.
        if table.names.remove(&key(&session.name())).is_some() {
            table.names.insert(key(name), Arc::clone(session));
        }
        session.set_name(name);
        Ok(())
    }

    /// Starts a session's interpreter again; its files are kept. Returns when it runs.
    pub(crate) async fn restart(
        &self,
        session: &Arc<Session>,
        entry: &Arc<Entry>,
    ) -> Result<(), KernelStartError> {
        let (session, entry) = (Arc::clone(session), Arc::clone(entry));
        // In a separate task, so that a client that hangs up does not leave it in the middle.
        let task = tokio::spawn(async move {
            session.enter(SessionStatus::Restarting, None);
            let restarted = entry.kernel.restart().await;
            session.enter_running();
            restarted
        });
        let interrupted = || Err(KernelStartError::new("the gateway is closing"));
        task.await.unwrap_or_else(|_| interrupted())
    }

    /// Destroys a session, and waits until it is gone. Returns its last status, as responses have it.
    pub(crate) async fn destroy(&self, session: &Arc<Session>) -> &'static str {
        let reason = "user-requested";
        self.events.tell(session, "session_terminating", reason);
        let Some(entry) = session.entry() else {
            self.end(session, SessionStatus::Cancelled, reason);
            // It may have got its kernel just before, and who made it does not know the end yet.
            if let Some(entry) = session.entry() {
                self.kernels.destroy(entry, Cause::Requested).await;
            }
            return "cancelled";
        };
        session.enter(SessionStatus::Terminating, Some(reason));
        self.kernels.destroy(entry, Cause::Requested).await;
        self.end(session, SessionStatus::Terminated, reason);
        "terminated"
    }

    /// Notes that a session has ended. Does nothing if that is known.
    pub(super) fn end(&self, session: &Arc<Session>, status: SessionStatus, reason: &str) {
        {
            let mut table = self.table();
            if table.living.remove(session.id.as_str()).is_none() {
                return;
            }
            let key = (session.owner.clone(), session.name());
            table.names.remove(&key);
            table.ended.push_back(Arc::clone(session));
            if let Some(old) = table.ended.iter().rev().nth(WITH_LOGS) {
                old.log().shrink();
            }
            if table.ended.len() > ENDED {
                table.ended.pop_front();
            }
        }
        let is_cancelled = status == SessionStatus::Cancelled;
        session.enter(status, Some(reason));
        if !is_cancelled {
            session.clear_entry();
        }
        if is_cancelled {
            self.events.tell(session, "session_cancelled", reason);
        } else {
            self.events.tell(session, "kernel_terminated", reason);
            self.events.tell(session, "session_terminated", reason);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

/// The error response for a session that does not exist, with the reason if there was such a session, and it is known.
fn no_session(id: &str, cause: Option<&Cause>) -> ProblemReply {
    let reason = match cause {
        Some(Cause::Requested) | None => String::new(),
        Some(cause) => format!(": {}", cause.text()),
    };
    let is_uuid = id.len() == 36 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if is_uuid {
        let end = if reason.is_empty() { "." } else { "" };
        let detail = format!("Session (id={id}) does not exist{reason}{end}");
        let reply = ProblemKind::ObjectNotFound.reply_with(&detail);
        return reply.with_title("No such session.");
    }
    let name: String = id.chars().take(80).collect();
    ProblemKind::EntityNotFound.reply_with(&format!("No session has the name {name:?}{reason}"))
}
