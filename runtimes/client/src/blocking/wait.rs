//! The executor of this driver: polls a future on the calling thread, and parks the thread in between.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::park::{Parker, Readiness, Tcp};

thread_local! {
    static PARKER: Arc<Parker> = Parker::new();
    /// What the future that this thread polls waits for.
    static WANTED: RefCell<Wanted> = const { RefCell::new(Wanted::new()) };
    /// When the innermost [`wait_at_most`] on this thread gives up.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

struct Wanted {
    /// How many calls of [`wait`] are nested on this thread: a future may drop a run, and the drop
    /// waits for its clean-up.
    depth: usize,
    alarm: Option<Instant>,
    sockets: Vec<(Arc<Tcp>, Readiness)>,
}

impl Wanted {
    const fn new() -> Self {
        Self {
            depth: 0,
            alarm: None,
            sockets: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.alarm = None;
        self.sockets.clear();
    }
}

/// Accesses this thread's [`WANTED`], unless the thread is ending and it is gone.
fn wanted<T>(act: impl FnOnce(&mut Wanted) -> T) -> Option<T> {
    WANTED.try_with(|wanted| act(&mut wanted.borrow_mut())).ok()
}

/// One call of [`wait`].
struct Call {
    parker: Arc<Parker>,
    /// What the call around this one waits for.
    outer: Option<Wanted>,
}

impl Call {
    fn begin() -> Self {
        let parker = PARKER.try_with(Arc::clone);
        Self {
            parker: parker.unwrap_or_else(|_| Parker::new()),
            outer: wanted(|wanted| {
                wanted.depth += 1;
                let depth = wanted.depth;
                (depth > 1).then(|| {
                    std::mem::replace(
                        wanted,
                        Wanted {
                            depth,
                            ..Wanted::new()
                        },
                    )
                })
            })
            .flatten(),
        }
    }

    fn park(&self) {
        let parked = wanted(std::mem::take).map(|mut taken| {
            self.parker.park(&taken.sockets, taken.alarm);
            taken.clear();
            wanted(|wanted| *wanted = taken)
        });
        if parked.is_none() {
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let outer = self.outer.take();
        if outer.is_some() {
            // The outer call may have been woken in the meantime.
            Waker::from(Arc::clone(&self.parker)).wake();
        }
        wanted(|wanted| {
            let depth = wanted.depth - 1;
            match outer {
                Some(outer) => *wanted = outer,
                None => wanted.clear(),
            }
            wanted.depth = depth;
        });
    }
}

impl Default for Wanted {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits for a future. The future may block when it is polled; otherwise it may wait for sockets
/// and timers of this driver, or be woken by any thread.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    let call = Call::begin();
    let waker = Waker::from(Arc::clone(&call.parker));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        call.parker.reset();
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        call.park();
    }
}

/// Makes the thread poll again once the socket is ready. Does nothing outside of [`wait`].
pub(super) fn until_ready(socket: &Arc<Tcp>, readiness: Readiness) {
    wanted(|wanted| {
        let known = |(other, what): &(Arc<Tcp>, Readiness)| {
            Arc::ptr_eq(other, socket) && *what == readiness
        };
        if wanted.depth > 0 && !wanted.sockets.iter().any(known) {
            wanted.sockets.push((Arc::clone(socket), readiness));
        }
    });
}

/// As [`wait`], but gives up when `limit` is over.
pub(super) fn wait_for<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut limit = Sleep::of(limit);
    let mut future = pin!(future);
    wait(poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        Pin::new(&mut limit).poll(context).map(|()| None)
    }))
}

/// As [`wait_for`], and also limits requests that are sent meanwhile: see [`time_left`].
pub(super) fn wait_at_most<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let deadline = Instant::now().checked_add(limit);
    let _restore = Restore(DEADLINE.replace(deadline));
    wait_for(limit, future)
}

struct Restore(Option<Instant>);

impl Drop for Restore {
    fn drop(&mut self) {
        DEADLINE.set(self.0);
    }
}

/// How long a request that blocks this thread may take, according to [`wait_at_most`].
pub(super) fn time_left() -> Option<Duration> {
    let deadline = DEADLINE.get()?;
    Some(deadline.saturating_duration_since(Instant::now()))
}

/// A timer for [`wait`]. `None` if the end is too far in the future for the clock.
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
        wanted(|wanted| wanted.alarm = Some(wanted.alarm.map_or(end, |at| at.min(end))));
        Poll::Pending
    }
}

/// Returns to the executor once, so that the futures around this one are polled, too.
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
                // Parks, and so takes the thread's token, which the line above has set.
                wait(Sleep::of(Duration::from_millis(5)));
                Poll::Pending
            })
            .await;
        });
    }

    #[test]
    fn limit_ends_a_future_that_never_ends() {
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
