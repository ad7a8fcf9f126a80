//! The executor of this driver: polls a future on the calling thread, and parks the thread in between.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

thread_local! {
    /// When the future that this thread waits for wants to be polled again.
    static ALARM: Cell<Option<Instant>> = const { Cell::new(None) };
    /// When the innermost [`wait_until`] on this thread gives up.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Restores a thread-local on every way out, since calls nest: a future may drop a run, and the drop
/// waits for its clean-up.
struct Restore(
    &'static thread::LocalKey<Cell<Option<Instant>>>,
    Option<Instant>,
);

impl Restore {
    fn set(key: &'static thread::LocalKey<Cell<Option<Instant>>>, value: Option<Instant>) -> Self {
        Self(key, key.replace(value))
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Wakes one call of [`wait`].
struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Waits for a future whose I/O blocks and whose timers are [`Sleep`]s. Any thread may wake it.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    let parked = Arc::new(Parked {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&parked));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let _restore = Restore::set(&ALARM, None);
    loop {
        ALARM.set(None);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // A flag besides the thread's own token, which a nested call may have used up.
        while !parked.woken.swap(false, Ordering::Acquire) {
            match ALARM.get().map(until) {
                Some(Duration::ZERO) => break,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }
}

/// As [`wait`], but gives up when `limit` is over. So do requests that are sent meanwhile: see
/// [`time_left`].
pub(super) fn wait_at_most<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut limit = Sleep::of(limit);
    let _restore = Restore::set(&DEADLINE, limit.0);
    let mut future = pin!(future);
    wait(poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        Pin::new(&mut limit).poll(context).map(|()| None)
    }))
}

/// How long a request that blocks this thread may take because of [`wait_at_most`].
pub(super) fn time_left() -> Option<Duration> {
    DEADLINE.get().map(until)
}

fn until(at: Instant) -> Duration {
    at.saturating_duration_since(Instant::now())
}

/// A timer for [`wait`]. Without an end if that is too far away to be told.
pub(super) struct Sleep(Option<Instant>);

impl Sleep {
    pub(super) fn of(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let Some(end) = self.0 else {
            return Poll::Pending;
        };
        if Instant::now() >= end {
            return Poll::Ready(());
        }
        ALARM.set(Some(ALARM.get().map_or(end, |at| at.min(end))));
        Poll::Pending
    }
}

/// Returns to the executor once, so that what surrounds this future is polled, too.
pub(super) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_thread_wakes() {
        let mut woken = false;
        wait(poll_fn(|context| {
            if std::mem::replace(&mut woken, true) {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        }));
    }

    #[test]
    fn nested_wait_keeps_outer_alarm_and_wake_up() {
        let mut sleep = Sleep::of(Duration::from_millis(20));
        let start = Instant::now();
        wait(poll_fn(|context| {
            let slept = Pin::new(&mut sleep).poll(context);
            wait(yield_now());
            slept
        }));
        assert!(start.elapsed() >= Duration::from_millis(20));

        wait(async {
            let mut first = true;
            poll_fn(|context| {
                if !std::mem::replace(&mut first, false) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                // Parks, and so takes the thread's token that the line above has left.
                wait(Sleep::of(Duration::from_millis(5)));
                Poll::Pending
            })
            .await;
        });
    }

    #[test]
    fn limit_ends_what_never_ends() {
        assert!(time_left().is_none());
        let limit = Duration::from_millis(20);
        let start = Instant::now();
        let result = wait_at_most(limit, async {
            assert!(time_left().is_some_and(|left| left <= limit));
            std::future::pending::<()>().await;
        });
        assert!(result.is_none());
        assert!(start.elapsed() >= limit);
        assert!(time_left().is_none());
        assert_eq!(wait_at_most(limit, async { 1 }), Some(1));
    }
}
