//! What is begun once, however many ask for it at a time.

use std::collections::HashMap;
use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use super::reply::Problem;
use crate::lock::lock;

type Begun<T> = BoxFuture<'static, Result<T, Problem>>;

/// What was begun and is not there yet, by its key.
pub(super) struct Once<T>(Mutex<HashMap<String, WeakShared<Begun<T>>>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Once<T> {
    /// What `find` finds; else the outcome of what was begun with this key; else that of what `begin` begins, after which `find`
    /// has to find it. What was begun goes on until it is there, or everyone who waits for it has left.
    pub(super) async fn get(
        &self,
        key: &str,
        find: impl FnOnce() -> Option<T>,
        begin: impl FnOnce() -> Begun<T>,
    ) -> Result<T, Problem> {
        let outcome = {
            let mut begun = lock(&self.0);
            if let Some(found) = find() {
                return Ok(found);
            }
            begun.retain(|_, it| it.upgrade().is_some());
            match begun.get(key).and_then(WeakShared::upgrade) {
                Some(outcome) => outcome,
                None => {
                    let outcome = begin().shared();
                    if let Some(weak) = outcome.downgrade() {
                        begun.insert(key.to_owned(), weak);
                    }
                    outcome
                }
            }
        };
        outcome.await
    }

    /// Waits until what was begun with this key is there, or has failed.
    pub(super) async fn settled(&self, key: &str) {
        let begun: Option<Shared<_>> = lock(&self.0).get(key).and_then(WeakShared::upgrade);
        if let Some(begun) = begun {
            let _ = begun.await;
        }
    }
}
