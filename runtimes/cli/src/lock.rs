//! Locks that a panic on another thread does not break.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. The values that mutexes of this crate guard are consistent after each statement,
/// even if a thread panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
