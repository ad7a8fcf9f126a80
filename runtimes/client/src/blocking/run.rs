//! A whole run, and how to stop one from another thread.

use sorna_core::machine::{RunEvent, RunPlan, RunReport};
use sorna_core::{Error, UsageError};

use super::client::Client;
use super::transport::UreqTransport;
use super::wait::wait;

/// A run: create a kernel, upload files, execute, destroy the kernel.
///
/// ```no_run
/// use sorna::{ExecutionEvent, RunEvent, RunPlan};
/// use sorna::blocking::Client;
///
/// let plan = RunPlan::temporary("python3", ["print('hello world')"]);
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
/// Dropping it in the middle destroys its temporary kernel, and tries for at most 5 s. Where that
/// fails (no connection, a process that is killed), the kernel lives until the gateway's idle
/// timeout.
#[derive(Debug)]
#[must_use = "nothing is run until its events are asked for"]
pub struct Run(pub(super) crate::Run<UreqTransport>);

impl Client {
    /// Carries out a whole run: create, upload, execute, destroy.
    pub fn run(&self, plan: RunPlan) -> Run {
        Run(self.0.run(plan))
    }
}

impl Run {
    /// Waits for the next event; `None` after the end, when there is a [`report`](Self::report).
    ///
    /// # Errors
    ///
    /// [`UsageError::InputExpected`] if the program waits for input that was not given. Failures of
    /// the run itself are in the report.
    pub fn next_event(&mut self) -> Result<Option<RunEvent>, Error> {
        wait(self.0.next_event())
    }

    /// Answers the program's request for input; a line end is not needed.
    ///
    /// # Errors
    ///
    /// [`UsageError::InputNotExpected`] if the program is not waiting for input.
    pub fn answer(&mut self, input: impl Into<String>) -> Result<(), UsageError> {
        self.0.answer(input)
    }

    /// Answers the program's request for input with bytes: see [`Execution::answer_bytes`](super::Execution::answer_bytes).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn answer_bytes(&mut self, input: impl Into<Vec<u8>>) -> Result<(), UsageError> {
        self.0.answer_bytes(input)
    }

    /// Whether the program waits for input: then [`InputRequested`](crate::ExecutionEvent::InputRequested) is the last of the
    /// events that there are, or was. Before that, there may be output.
    #[must_use]
    pub fn awaits_input(&mut self) -> bool {
        self.0.awaits_input()
    }

    /// Whether the gateway carries output and input that are not UTF-8: others put U+FFFD in place of such output, and take
    /// only text. `false` before the kernel is ready.
    #[must_use]
    pub fn carries_bytes(&mut self) -> bool {
        self.0.carries_bytes()
    }

    /// Whether the kernel is new: `false` for one that the run found by its token, which keeps its environment, resources
    /// and mounts. `None` before the kernel is ready, and if that is not known: gateways of 2017 do not say.
    #[must_use]
    pub fn is_new(&mut self) -> Option<bool> {
        self.0.is_new()
    }

    /// The languages of other kernels with the same token, which have variables and files of their own: in Sorna v2, as far as
    /// the gateway says. Empty before the kernel is ready, and after the run.
    #[must_use]
    pub fn other_languages(&mut self) -> Vec<String> {
        self.0.other_languages()
    }

    /// Whether the gateway sends [values of expressions](RunPlan::with_echo) in the language of the kernel. `None` before the
    /// kernel is ready, and after the run.
    pub fn echoes(&mut self) -> Option<bool> {
        self.0.echoes()
    }

    /// Whether the gateway keeps the executions of this run and those of others apart: see
    /// [`Execute::with_mark`](sorna_core::Execute::with_mark). Known once the kernel is ready.
    #[must_use]
    pub fn has_marked_executions(&mut self) -> bool {
        self.0.has_marked_executions()
    }

    /// The [run ID](super::Execution::run_id) of the execution that has started, if it has one: known from
    /// [`RunEvent::ExecutionStarted`] on, before its code is sent.
    #[must_use]
    pub fn run_id(&mut self) -> Option<&str> {
        self.0.run_id()
    }

    /// How the run ended, once it has.
    #[must_use]
    pub fn report(&self) -> Option<&RunReport> {
        self.0.report()
    }

    /// Takes the report out, once the run has ended.
    #[must_use]
    pub fn into_report(self) -> Option<RunReport> {
        self.0.into_report()
    }

    /// A handle that stops this run from another thread.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller(self.0.canceller())
    }
}

/// Stops a [`Run`].
#[derive(Clone, Debug)]
pub struct Canceller(crate::Canceller<UreqTransport>);

impl Canceller {
    /// Ends the run as soon as possible. A temporary kernel that exists already is destroyed at
    /// once, on a separate connection, which ends the request that the run is waiting for; one that
    /// is still being created is destroyed by the run once it exists. The run itself reports when
    /// all is done.
    ///
    /// # Errors
    ///
    /// The kernel could not be destroyed by this call; the run will try again.
    pub fn cancel(&self) -> Result<(), Error> {
        wait(self.0.cancel())
    }

    /// Ends the run once the response that it waits for has come, which gateways hold for up to 2 s. A temporary kernel is
    /// destroyed by the run itself, after [`RunEvent::CleaningUp`](crate::RunEvent::CleaningUp): until then, files can
    /// be fetched from it.
    pub fn stop(&self) {
        self.0.stop();
    }
}
