//! Sessions: which kernel belongs to which notebook.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use serde_json::{Value, json};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::kernels::Entry;
use super::reply::Problem;
use crate::lock::lock;

/// The most sessions that are known at a time.
const MOST: usize = 4096;

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) path: String,
    pub(super) name: String,
    pub(super) kind: String,
    /// The ID of its kernel.
    pub(super) kernel: String,
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: Mutex<Vec<Session>>,
    /// Of those that are being changed, by their IDs.
    turns: Mutex<HashMap<String, Weak<Turn<()>>>>,
}

impl Sessions {
    pub(super) fn all(&self) -> Vec<Session> {
        lock(&self.all).clone()
    }

    pub(super) fn find(&self, id: &str) -> Result<Session, Problem> {
        let all = lock(&self.all);
        let found = all.iter().find(|it| it.id == id).cloned();
        found.ok_or_else(|| Problem::not_found(format!("Session not found: session_id='{id}'")))
    }

    pub(super) fn of_path(&self, path: &str) -> Option<Session> {
        lock(&self.all).iter().find(|it| it.path == path).cloned()
    }

    /// Adds a session, or replaces the one with this ID.
    pub(super) fn put(&self, session: Session) {
        let mut all = lock(&self.all);
        match all.iter_mut().find(|it| it.id == session.id) {
            Some(known) => *known = session,
            None => {
                if all.len() == MOST {
                    all.remove(0);
                }
                all.push(session);
            }
        }
    }

    /// Waits for those who change or end a session, which others must not do until this is dropped.
    pub(super) async fn turn(&self, id: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = lock(&self.turns);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let known = turns.get(id).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turn = Arc::default();
                turns.insert(id.to_owned(), Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }

    pub(super) fn remove(&self, id: &str) {
        lock(&self.all).retain(|it| it.id != id);
    }

    /// Forgets those whose kernels are none of these.
    pub(super) fn keep_those_of(&self, kernels: &[Arc<Entry>]) {
        lock(&self.all).retain(|it| kernels.iter().any(|kernel| kernel.id == it.kernel));
    }
}

impl Session {
    /// What clients are told of it.
    pub(super) fn model(&self, kernel: &Entry) -> Value {
        let mut model = json!({
            "id": self.id,
            "path": self.path,
            "name": self.name,
            "type": self.kind,
            "kernel": kernel.model(),
        });
        if self.kind == "notebook" {
            model["notebook"] = json!({"path": self.path, "name": self.name});
        }
        model
    }
}
