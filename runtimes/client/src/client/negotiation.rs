//! Finds out, once for all clones of a client, which version of the API to speak.
//!
//! ```text
//!                 the first request            success
//!   unknown ────────────────────► in flight ────────────► known, for as long as the client lives
//!      ▲                            │ others join it
//!      └────────────────────────────┘
//!        failure, which all of them get; or all were dropped
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Wake, Waker};

use sorna_core::machine::Negotiated;
use sorna_core::{Caller, Error, Sent, TransportError, TransportErrorKind};

use crate::copy;
use crate::lock::lock;
use crate::net::BoxFuture;

/// What is known about the version, and who is finding it out.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    known: OnceLock<Known>,
    /// Those who wait for it keep it alive, so that it never lies idle in the middle.
    flight: Mutex<Weak<Flight>>,
}

/// A version that is in use.
#[derive(Debug)]
pub(super) struct Known {
    /// Speaks it.
    pub(super) caller: Caller,
    pub(super) negotiated: Negotiated,
    /// The extensions that the gateway told when it first created a kernel or was asked: all that is known of them if the
    /// version is fixed.
    extensions: OnceLock<Vec<String>>,
}

impl Known {
    /// Whether the gateway understands this extension of the protocol.
    pub(super) fn has_extension(&self, name: &str) -> bool {
        let told = self.extensions.get().into_iter().flatten();
        told.map(String::as_str)
            .chain(self.negotiated.extensions())
            .any(|it| it == name)
    }

    /// Whether the gateway has told its extensions.
    pub(super) fn knows_extensions(&self) -> bool {
        self.negotiated.info.is_some() || self.extensions.get().is_some()
    }

    pub(super) fn learn_extensions(&self, names: Vec<String>) {
        // They are those of the gateway, not of the kernel.
        let _ = self.extensions.set(names);
    }
}

impl Negotiation {
    /// One that has nothing to find out if the configuration of this caller has a fixed version.
    pub(super) fn of(caller: &Caller) -> Self {
        let this = Self::default();
        if let Some(version) = caller.signer().config().fixed_version() {
            this.learn(caller, Negotiated::fixed(version));
        }
        this
    }

    /// The version, once it is known.
    pub(super) fn known(&self) -> Option<&Known> {
        self.known.get()
    }

    /// Remembers a version.
    pub(super) fn learn(&self, caller: &Caller, negotiated: Negotiated) {
        let caller = caller.clone().with_version(negotiated.version);
        // If two find it out at the same time, the first counts.
        let _ = self.known.set(Known {
            caller,
            negotiated,
            extensions: OnceLock::new(),
        });
    }

    /// Takes part in the negotiation in flight, or starts one.
    pub(super) fn join(
        &self,
        start: impl FnOnce() -> BoxFuture<Result<Negotiated, Error>>,
    ) -> Joined {
        let mut current = lock(&self.flight);
        let flight = current.upgrade().filter(|flight| !flight.is_over());
        let flight = flight.unwrap_or_else(|| Arc::new(Flight::new(start())));
        *current = Arc::downgrade(&flight);
        let is_done = false;
        Joined { flight, is_done }
    }
}

/// A negotiation in flight. All tasks that wait for it drive it, so that it continues if one of them is dropped.
struct Flight {
    work: Mutex<Work>,
    waiting: Arc<Waiting>,
}

enum Work {
    Idle(BoxFuture<Result<Negotiated, Error>>),
    /// Someone polls it, and wakes the others afterwards.
    Taken,
    Done(Result<Negotiated, Error>),
}

impl Flight {
    fn new(work: BoxFuture<Result<Negotiated, Error>>) -> Self {
        Self {
            work: Mutex::new(Work::Idle(work)),
            waiting: Arc::default(),
        }
    }

    fn is_over(&self) -> bool {
        matches!(&*lock(&self.work), Work::Done(_))
    }
}

impl std::fmt::Debug for Flight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flight").finish_non_exhaustive()
    }
}

/// Wakes all who wait.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Waiting {
    fn add(&self, waker: &Waker) {
        let mut wakers = lock(&self.0);
        if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let wakers = std::mem::take(&mut *lock(&self.0));
        for waker in wakers {
            waker.wake();
        }
    }
}

/// Waits for the negotiation in flight.
pub(super) struct Joined {
    flight: Arc<Flight>,
    is_done: bool,
}

impl Future for Joined {
    type Output = Result<Negotiated, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let flight = Arc::clone(&self.flight);
        flight.waiting.add(context.waker());
        // The lock is not held while it is polled, since the blocking driver blocks there.
        let work = std::mem::replace(&mut *lock(&flight.work), Work::Taken);
        let (next, result) = match work {
            Work::Taken => return Poll::Pending,
            Work::Idle(mut future) => {
                let waker = Waker::from(Arc::clone(&flight.waiting));
                let abandoned = Abandoned(&flight);
                let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                std::mem::forget(abandoned);
                match polled {
                    Poll::Pending => {
                        *lock(&flight.work) = Work::Idle(future);
                        return Poll::Pending;
                    }
                    Poll::Ready(result) => (copied(&result), result),
                }
            }
            Work::Done(result) => {
                let copy = copied(&result);
                (result, copy)
            }
        };
        *lock(&flight.work) = Work::Done(next);
        self.is_done = true;
        flight.waiting.wake_by_ref();
        Poll::Ready(result)
    }
}

/// Ends a flight if polling it panics, so that nothing waits for it.
struct Abandoned<'a>(&'a Flight);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        let message = "finding out the version of the API panicked in another task";
        let failure = TransportError::new(TransportErrorKind::Other, Sent::Maybe, message);
        *lock(&self.0.work) = Work::Done(Err(failure.into()));
        self.0.waiting.wake_by_ref();
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if !self.is_done {
            // This one may be the only one that the work would have woken.
            self.flight.waiting.wake_by_ref();
        }
    }
}

fn copied(result: &Result<Negotiated, Error>) -> Result<Negotiated, Error> {
    match result {
        Ok(found) => Ok(found.clone()),
        Err(error) => Err(copy::error(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sorna_core::{ApiVersion, BuildError};

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Task {
        fn poll(self: &Arc<Self>, joined: &mut Joined) -> Poll<Result<Negotiated, Error>> {
            let waker = Waker::from(Arc::clone(self));
            Pin::new(joined).poll(&mut Context::from_waker(&waker))
        }

        fn woken(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// A negotiation that ends when its switch says so.
    #[derive(Clone, Default)]
    struct Switch(Arc<Mutex<(bool, Option<Waker>)>>);

    impl Switch {
        fn work(&self, result: Result<Negotiated, Error>) -> BoxFuture<Result<Negotiated, Error>> {
            let (this, mut result) = (self.clone(), Some(result));
            Box::pin(std::future::poll_fn(move |context| {
                let mut state = lock(&this.0);
                if state.0 {
                    return Poll::Ready(result.take().expect("it is polled once more"));
                }
                state.1 = Some(context.waker().clone());
                Poll::Pending
            }))
        }

        fn turn(&self) {
            let mut state = lock(&self.0);
            state.0 = true;
            let waker = state.1.take();
            drop(state);
            waker.expect("someone waits").wake();
        }
    }

    fn found() -> Negotiated {
        Negotiated::fixed(ApiVersion::V7_20230615)
    }

    fn never() -> BoxFuture<Result<Negotiated, Error>> {
        panic!("it is in flight already")
    }

    #[test]
    fn those_who_join_get_the_result_of_the_one_in_flight() {
        let (negotiation, switch) = (Negotiation::default(), Switch::default());
        let [one, two] = [Arc::<Task>::default(), Arc::default()];
        let mut first = negotiation.join(|| switch.work(Err(BuildError::Clock.into())));
        assert!(one.poll(&mut first).is_pending());
        let mut second = negotiation.join(never);
        assert!(two.poll(&mut second).is_pending());
        switch.turn();
        assert!(one.woken() >= 1 && two.woken() >= 1);
        for (task, joined) in [(two, &mut second), (one, &mut first)] {
            let result = task.poll(joined);
            assert!(matches!(
                result,
                Poll::Ready(Err(Error::Build(BuildError::Clock)))
            ));
        }
        // A failure is not remembered.
        let mut third = negotiation.join(|| Box::pin(async { Ok(found()) }));
        assert!(matches!(
            Arc::<Task>::default().poll(&mut third),
            Poll::Ready(Ok(_))
        ));
    }

    #[test]
    fn another_one_continues_if_the_first_is_dropped() {
        let (negotiation, switch) = (Negotiation::default(), Switch::default());
        let [one, two] = [Arc::<Task>::default(), Arc::default()];
        let mut first = negotiation.join(|| switch.work(Ok(found())));
        let mut second = negotiation.join(never);
        assert!(two.poll(&mut second).is_pending());
        assert!(one.poll(&mut first).is_pending());
        drop(first);
        assert_eq!(two.woken(), 1);
        assert!(two.poll(&mut second).is_pending());
        switch.turn();
        assert_eq!(two.woken(), 2);
        assert!(matches!(two.poll(&mut second), Poll::Ready(Ok(_))));
    }

    #[test]
    fn a_panic_leaves_no_one_waiting() {
        let negotiation = Negotiation::default();
        let mut first = negotiation.join(|| Box::pin(async { panic!("for the test") }));
        let mut second = negotiation.join(never);
        let one = Arc::<Task>::default();
        let panics = std::panic::AssertUnwindSafe(|| one.poll(&mut first));
        assert!(std::panic::catch_unwind(panics).is_err());
        let result = Arc::<Task>::default().poll(&mut second);
        assert!(matches!(result, Poll::Ready(Err(Error::Transport(_)))));
    }

    #[test]
    fn one_that_everyone_left_is_not_continued() {
        let (negotiation, switch) = (Negotiation::default(), Switch::default());
        let mut first = negotiation.join(|| switch.work(Ok(found())));
        assert!(Arc::<Task>::default().poll(&mut first).is_pending());
        drop(first);
        let mut anew = negotiation.join(|| Box::pin(async { Ok(found()) }));
        assert!(Arc::<Task>::default().poll(&mut anew).is_ready());
    }
}
