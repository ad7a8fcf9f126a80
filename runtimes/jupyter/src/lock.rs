//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock. What it protects is whole between any two statements, so that a panic elsewhere does not matter.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
