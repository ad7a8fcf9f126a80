//! Locks that a panic on another thread does not break.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks it. A mutex of this crate guards plain values that are whole after each statement, so what a
/// panicking thread left is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
