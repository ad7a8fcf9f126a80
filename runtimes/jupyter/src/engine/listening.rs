//! A request to the gateway that waits for what is printed while nothing runs.

use std::time::Instant;

use sorna::tokio::Kernel;
use sorna::{Error, ExecutionResult};
use tokio::task::JoinHandle;

pub(super) type Heard = Result<ExecutionResult, Error>;

/// A request that waits for output, or the time until it is made.
pub(super) enum Listening {
    Later(Instant, Box<Kernel>),
    Now(Instant, Waiting),
    /// The kernel is gone.
    Over,
}

/// Which ends when this is dropped.
pub(super) struct Waiting(JoinHandle<Heard>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Waiting {
    pub(super) fn to(kernel: Kernel) -> Self {
        Self(tokio::spawn(async move { kernel.listen().await }))
    }

    /// May be dropped and called again, until it has returned.
    pub(super) async fn response(&mut self) -> Heard {
        match (&mut self.0).await {
            Ok(heard) => heard,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

/// Waits until something was heard. May be dropped and called again; waits for ever if no one listens.
pub(super) async fn heard(listening: &mut Option<Listening>) -> Heard {
    loop {
        match listening {
            None | Some(Listening::Over) => return std::future::pending().await,
            Some(Listening::Later(at, kernel)) => {
                tokio::time::sleep_until((*at).into()).await;
                let request = Waiting::to(Kernel::clone(kernel));
                *listening = Some(Listening::Now(Instant::now(), request));
            }
            Some(Listening::Now(_, request)) => return request.response().await,
        }
    }
}
