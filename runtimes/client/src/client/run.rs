//! A whole run, and how to stop one from another task.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream;
use sorna_core::machine::{self, RunEvent, RunPlan, RunReport};
use sorna_core::{
    ApiVersion, Destroy, Dialect, Error, KernelId, RetryPolicy, UploadFiles, UsageError,
};

use super::deferred::Deferred;
use super::driver::Driven;
use super::handle::Client;
use crate::ClientOptions;
use crate::lock::lock;
use crate::net::Transport;
use crate::random::random;

/// A run: create a kernel, upload files, execute, destroy the kernel. It is also a [`Stream`] of
/// events.
///
/// ```no_run
/// # use sorna::net::Transport;
/// use sorna::{ExecutionEvent, RunEvent, RunPlan};
/// # async fn example<T: Transport + 'static>(client: sorna::Client<T>) -> Result<(), Box<dyn std::error::Error>> {
///
/// let plan = RunPlan::temporary("python3", ["print('hello world')"]);
/// let mut run = client.run(plan);
/// while let Some(event) = run.next_event().await? {
///     if let RunEvent::Execution(ExecutionEvent::Console(console)) = event {
///         print!("{}", console.stdout());
///     }
/// }
/// println!("{:?}", run.report().expect("it ended").ending);
/// # Ok(())
/// # }
/// ```
///
/// Dropping it in the middle destroys its temporary kernel in the background, on the runtime that
/// the [`Transport`] names. If no runtime takes the work (any more), or the process ends before it
/// is done, the kernel lives until the gateway's idle timeout. Where that matters,
/// [`cancel`](Canceller::cancel) and wait for the report.
#[must_use = "nothing is run until its events are asked for"]
pub struct Run<T: Transport + 'static> {
    client: Client<T>,
    /// `None` once the run is over or was handed to the background.
    driver: Option<Deferred<T, machine::Run>>,
    temporary: bool,
    shared: Arc<Mutex<Shared>>,
    report: Option<RunReport>,
}

/// What a run and its cancellers share.
#[derive(Debug, Default)]
struct Shared {
    cancelled: bool,
    /// The temporary kernel while it lives.
    kernel: Option<KernelId>,
    /// Wakes the task that waits for the next event.
    waker: Option<Waker>,
}

impl<T: Transport + 'static> Client<T> {
    /// Carries out a whole run: create, upload, execute, destroy.
    pub fn run(&self, plan: RunPlan) -> Run<T> {
        Run::new(self.clone(), plan)
    }
}

impl<T: Transport + 'static> Run<T> {
    pub(super) fn new(client: Client<T>, plan: RunPlan) -> Self {
        let temporary = !plan.keeps_kernel();
        let random = random();
        let known = client.clone();
        // The lowest limit that there is.
        let limit = ApiVersion::V9_20250722.upload_limits().max_file_size;
        let is_large = plan.files().iter().any(|file| file.size() > limit);
        let make = move |caller| {
            let is_any_size = is_large && known.has_extension(UploadFiles::ANY_SIZE);
            let run = machine::Run::new(plan.with_any_size(is_any_size), caller, random);
            let run = run.with_upload_check(known.may_lose_uploads());
            match known.streaming() {
                Some(streaming) => run.with_streaming(streaming),
                None => run,
            }
        };
        Self {
            driver: Some(match is_large {
                true => Deferred::after_asking(&client, UploadFiles::ANY_SIZE, make),
                false => Deferred::new(&client, make),
            }),
            temporary,
            client,
            shared: Arc::default(),
            report: None,
        }
    }

    /// Waits for the next event; `None` after the end, when there is a [`report`](Self::report). May
    /// be dropped and called again without loss.
    ///
    /// # Errors
    ///
    /// [`UsageError::InputExpected`] if the program waits for input that was not given. Failures of
    /// the run itself are in the report.
    pub async fn next_event(&mut self) -> Result<Option<RunEvent>, Error> {
        poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<RunEvent>, Error>> {
        let Some(driver) = &mut self.driver else {
            return Poll::Ready(Ok(None));
        };
        let mut shared = lock(&self.shared);
        if shared.cancelled {
            // Before the version is known, it ends without a request.
            driver.machine_without_version().cancel();
            driver.wake();
        } else {
            shared.waker = Some(context.waker().clone());
        }
        drop(shared);
        let driven = match ready!(driver.poll(context)) {
            Ok(driven) => driven,
            Err(error) => {
                driver.machine_without_version().give_up(error);
                ready!(driver.poll(context))?
            }
        };
        Poll::Ready(match driven {
            Driven::Event(event) => {
                if let RunEvent::KernelReady(kernel) = &event {
                    let run = driver.machine();
                    let marks = run.is_some_and(|run| run.has_marked_executions());
                    self.client.note_marks(marks);
                    if self.temporary {
                        lock(&self.shared).kernel = Some(kernel.clone());
                    }
                }
                Ok(Some(event))
            }
            Driven::Idle => Err(UsageError::InputExpected.into()),
            Driven::Done(report) => {
                lock(&self.shared).kernel = None;
                self.report = Some(report);
                self.driver = None;
                Ok(None)
            }
        })
    }

    /// Answers the program's request for input; a line end is not needed.
    ///
    /// # Errors
    ///
    /// [`UsageError::InputNotExpected`] if the program is not waiting for input.
    pub fn answer(&mut self, input: impl Into<String>) -> Result<(), UsageError> {
        match self.driver.as_mut().and_then(Deferred::machine) {
            Some(run) => run.answer(input),
            None => Err(UsageError::InputNotExpected),
        }
    }

    /// Answers the program's request for input with bytes: see [`Execution::answer_bytes`](super::Execution::answer_bytes).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn answer_bytes(&mut self, input: impl Into<Vec<u8>>) -> Result<(), UsageError> {
        match self.driver.as_mut().and_then(Deferred::machine) {
            Some(run) => run.answer_bytes(input),
            None => Err(UsageError::InputNotExpected),
        }
    }

    /// Whether the program waits for input: then [`InputRequested`](crate::ExecutionEvent::InputRequested) is the last of the
    /// events that there are, or was. Before that, there may be output.
    #[must_use]
    pub fn awaits_input(&mut self) -> bool {
        let run = self.driver.as_mut().and_then(Deferred::machine);
        run.is_some_and(|run| run.awaits_input())
    }

    /// Whether the gateway carries output and input that are not UTF-8: others put U+FFFD in place of such output, and take
    /// only text. `false` before the kernel is ready.
    #[must_use]
    pub fn carries_bytes(&mut self) -> bool {
        let run = self.driver.as_mut().and_then(Deferred::machine);
        run.is_some_and(|run| run.carries_bytes())
    }

    /// Whether the kernel is new: `false` for one that the run found by its token, which keeps its environment, resources
    /// and mounts. `None` before the kernel is ready, and if that is not known: gateways of 2017 do not say.
    #[must_use]
    pub fn is_new(&mut self) -> Option<bool> {
        self.driver.as_mut()?.machine()?.is_new()
    }

    /// The languages of other kernels with the same token, which have variables and files of their own: in Sorna v2, as far as
    /// the gateway says. Empty before the kernel is ready, and after the run.
    #[must_use]
    pub fn other_languages(&mut self) -> Vec<String> {
        let run = self.driver.as_mut().and_then(Deferred::machine);
        run.map_or_else(Vec::new, |run| run.other_languages().to_vec())
    }

    /// Whether the gateway sends [values of expressions](RunPlan::with_echo) in the language of the kernel. `None` before the
    /// kernel is ready, and after the run.
    pub fn echoes(&mut self) -> Option<bool> {
        self.driver.as_mut()?.machine()?.echoes()
    }

    /// Whether the gateway keeps the executions of this run and those of others apart: see
    /// [`Execute::with_mark`](sorna_core::Execute::with_mark). Known once the kernel is ready.
    #[must_use]
    pub fn has_marked_executions(&mut self) -> bool {
        let run = self.driver.as_mut().and_then(Deferred::machine);
        run.is_some_and(|run| run.has_marked_executions())
    }

    /// The [run ID](crate::Execution::run_id) of the execution that has started, if it has one: known from
    /// [`RunEvent::ExecutionStarted`] on, before its code is sent.
    #[must_use]
    pub fn run_id(&mut self) -> Option<&str> {
        self.driver.as_mut()?.machine()?.run_id()
    }

    /// How the run ended, once it has.
    #[must_use]
    pub fn report(&self) -> Option<&RunReport> {
        self.report.as_ref()
    }

    /// Takes the report out, once the run has ended.
    #[must_use]
    pub fn into_report(mut self) -> Option<RunReport> {
        self.report.take()
    }

    /// Leaves the kernel alone.
    pub(super) fn forget(mut self) {
        self.driver = None;
    }

    /// A handle that stops this run from another task or thread.
    #[must_use]
    pub fn canceller(&self) -> Canceller<T> {
        Canceller {
            client: self.client.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: Transport + 'static> Drop for Run<T> {
    fn drop(&mut self) {
        let Some(mut driver) = self.driver.take().filter(|_| self.temporary) else {
            return;
        };
        match driver.machine() {
            Some(run) => run.cancel(),
            // Nothing was sent.
            None => return,
        }
        driver.wake();
        // Waits for a request in flight, since it may be the one that creates the kernel.
        let work = self.client.inner.background.begin();
        let clean_up = async move {
            while !matches!(
                poll_fn(|context| driver.poll(context)).await,
                Ok(Driven::Done(_)) | Err(_)
            ) {}
            drop(work);
        };
        self.client.transport().detach(Box::pin(clean_up));
    }
}

impl<T: Transport + 'static> Stream for Run<T> {
    type Item = Result<RunEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(context).map(Result::transpose)
    }
}

impl<T: Transport + 'static> fmt::Debug for Run<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("driver", &self.driver)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

/// Stops a [`Run`].
pub struct Canceller<T> {
    client: Client<T>,
    shared: Arc<Mutex<Shared>>,
}

impl<T: Transport + 'static> Canceller<T> {
    /// Ends the run as soon as possible. A temporary kernel that exists already is destroyed at
    /// once, on a separate connection, which ends the request that the run is waiting for; one that
    /// is still being created is destroyed by the run once it exists. The run itself reports when
    /// all is done: keep asking it for events.
    ///
    /// # Errors
    ///
    /// The kernel could not be destroyed by this call; the run will try again.
    pub async fn cancel(&self) -> Result<(), Error> {
        let Some(kernel) = self.mark_cancelled() else {
            return Ok(());
        };
        let caller = self.client.caller().await?;
        let version = caller.version();
        let limit = match version.dialect() {
            Dialect::SornaV2 => ClientOptions::LAST_TRY,
            // Agents of 23.09.10 wait 10 s for a program that is not ended by an interrupt (observed).
            _ => 3 * ClientOptions::LAST_TRY,
        };
        let policy = RetryPolicy::default()
            .with_attempt_limit(limit)
            .with_budget(limit);
        let caller = caller.with_retry(policy);
        match self.client.call_with(Destroy::new(kernel), caller).await {
            Err(Error::Gateway(error)) if Destroy::is_gone(version, &error) => Ok(()),
            result => result.map(|_| ()),
        }
    }

    /// Ends the run once the response that it waits for has come, which gateways hold for up to 2 s. A temporary kernel is
    /// destroyed by the run itself, after [`RunEvent::CleaningUp`]: until then, files can be fetched from it.
    pub fn stop(&self) {
        let _ = self.mark_cancelled();
    }

    /// The temporary kernel, if there is one.
    fn mark_cancelled(&self) -> Option<KernelId> {
        let mut shared = lock(&self.shared);
        shared.cancelled = true;
        if let Some(waker) = shared.waker.take() {
            waker.wake();
        }
        shared.kernel.clone()
    }
}

impl<T> Clone for Canceller<T> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> fmt::Debug for Canceller<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}
