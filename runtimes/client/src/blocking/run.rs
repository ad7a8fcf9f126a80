//! A whole run, and how to stop one from another thread.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sorna_core::machine::{self, RetryPolicy, RunEvent, RunPlan, RunReport};
use sorna_core::{BuildError, Destroy, Error, KernelId};

use super::Client;
use super::client::Driven;
use crate::ClientOptions;

/// A run: create a kernel, upload files, execute, destroy the kernel.
///
/// ```no_run
/// use sorna::blocking::Client;
/// use sorna::core::CreateKernel;
/// use sorna::core::machine::{ExecutionEvent, RunEvent, RunPlan};
/// use sorna::random_token;
///
/// let create = CreateKernel::new("python3", random_token());
/// let plan = RunPlan::temporary(create, vec!["print('hello world')".into()]);
/// let mut run = Client::from_env()?.run(plan);
/// while let Some(event) = run.next_event()? {
///     if let RunEvent::Execution(ExecutionEvent::Console(console)) = event {
///         print!("{}", console.stdout());
///     }
/// }
/// println!("{:?}", run.report().expect("it ended").ending);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropping it in the middle destroys its temporary kernel, trying for at most 5 s. What that cannot
/// reach (no connection, a process that is killed) lives until the gateway's idle timeout.
#[derive(Debug)]
pub struct Run {
    client: Client,
    machine: machine::Run,
    temporary: bool,
    shared: Arc<Shared>,
    report: Option<RunReport>,
}

/// What a run and its cancellers share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    /// The temporary kernel while it lives.
    kernel: Option<KernelId>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole at every moment, whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps, but not past a cancellation.
    fn sleep(&self, time: Duration) {
        let state = self.state();
        if state.cancelled {
            // The run knows that already, and waits for something else.
            drop(state);
            return std::thread::sleep(time);
        }
        let _ = self
            .changed
            .wait_timeout_while(state, time, |state| !state.cancelled);
    }
}

impl Run {
    pub(super) fn new(client: Client, plan: RunPlan) -> Self {
        let policy = client.options().retry;
        Self {
            temporary: plan.temporary,
            machine: machine::Run::new(plan, client.signer(), policy),
            client,
            shared: Arc::default(),
            report: None,
        }
    }

    /// Waits for the next event; `None` after the end, when there is a [`report`](Self::report).
    ///
    /// # Errors
    ///
    /// [`BuildError::InputExpected`] if the program waits for input that was not given. Failures of
    /// the run itself are in the report.
    pub fn next_event(&mut self) -> Result<Option<RunEvent>, BuildError> {
        if self.report.is_some() {
            return Ok(None);
        }
        let shared = Arc::clone(&self.shared);
        // Also between requests that bring nothing to tell, a cancellation must be noticed.
        let check = |machine: &mut machine::Run| {
            if shared.state().cancelled {
                machine.cancel();
            }
        };
        loop {
            let driven = self
                .client
                .drive(&mut self.machine, |time| shared.sleep(time), check);
            match driven {
                Driven::Event(event) => {
                    if let (RunEvent::KernelReady(kernel), true) = (&event, self.temporary) {
                        shared.state().kernel = Some(kernel.clone());
                    }
                    return Ok(Some(event));
                }
                Driven::Idle if shared.state().cancelled => {}
                Driven::Idle => return Err(BuildError::InputExpected),
                Driven::Done(report) => {
                    shared.state().kernel = None;
                    self.report = Some(report);
                    return Ok(None);
                }
            }
        }
    }

    /// Answers the program's request for input; a line end is not needed.
    ///
    /// # Errors
    ///
    /// [`BuildError::InputNotExpected`] if it does not wait for input.
    pub fn answer(&mut self, input: impl Into<String>) -> Result<(), BuildError> {
        self.machine.answer(input)
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn report(&self) -> Option<&RunReport> {
        self.report.as_ref()
    }

    /// How it ended, once it has, to be taken apart.
    #[must_use]
    pub fn into_report(mut self) -> Option<RunReport> {
        self.report.take()
    }

    /// Leaves the kernel alone.
    pub(super) fn forget(self) {
        self.shared.state().kernel = None;
    }

    /// A handle that stops this run from another thread.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller {
            client: self.client.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let kernel = self.shared.state().kernel.take();
        if let Some(kernel) = kernel {
            // Nobody is left to tell of a failure.
            let _ = destroy(&self.client, kernel);
        }
    }
}

/// Stops a [`Run`].
#[derive(Clone, Debug)]
pub struct Canceller {
    client: Client,
    shared: Arc<Shared>,
}

impl Canceller {
    /// Ends the run as soon as possible. A temporary kernel that exists already is destroyed at
    /// once, on a connection of its own, which ends whatever request the run is waiting for; one
    /// that is just being created is destroyed by the run when it is there. The run itself reports
    /// when all is done.
    ///
    /// # Errors
    ///
    /// The kernel could not be destroyed from here; the run will try again.
    pub fn cancel(&self) -> Result<(), Error> {
        let kernel = {
            let mut state = self.shared.state();
            state.cancelled = true;
            state.kernel.clone()
        };
        self.shared.changed.notify_all();
        match kernel {
            Some(kernel) => destroy(&self.client, kernel),
            None => Ok(()),
        }
    }
}

/// Destroys a kernel without much patience.
fn destroy(client: &Client, kernel: KernelId) -> Result<(), Error> {
    let policy = RetryPolicy::default()
        .with_attempt_limit(ClientOptions::LAST_TRY)
        .with_budget(ClientOptions::LAST_TRY);
    match client.call_with(Destroy::new(kernel), policy) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
