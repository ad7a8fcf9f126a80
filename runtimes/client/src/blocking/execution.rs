//! One execution, as a stream of events.

use sorna_core::machine::ExecutionEvent;
use sorna_core::{Error, ExecutionResult, UsageError};

use super::transport::UreqTransport;
use super::wait::wait;

/// Code that runs in a kernel. Ask for its events to get its output as it arrives; answer its input
/// requests in between.
///
/// ```no_run
/// use sorna::ExecutionEvent;
/// # let kernel = sorna::blocking::Client::from_env()?.create("python3")?;
///
/// let mut execution = kernel.execute("name = input('name? '); print('hi', name)");
/// while let Some(event) = execution.next_event()? {
///     match event {
///         ExecutionEvent::Console(console) => print!("{}", console.stdout()),
///         ExecutionEvent::InputRequested { .. } => execution.answer("lablup")?,
///         _ => {}
///     }
/// }
/// let result = execution.result().expect("it ended");
/// println!("{}: exit code {:?}", result.status, result.exit_code());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropping it in the middle does not stop the program: it continues in the kernel. While it does,
/// the gateway takes the kernel's next execution for a continuation of this one: it returns the
/// output that was not fetched, and its own code is not run. Restart or destroy the kernel to stop
/// the program.
#[derive(Debug)]
#[must_use = "nothing is executed until its events are asked for"]
pub struct Execution(pub(super) crate::Execution<UreqTransport>);

impl Execution {
    /// Waits for the next event; `None` after the end.
    ///
    /// # Errors
    ///
    /// See [`Error`]. After an error there are no more events, except after
    /// [`UsageError::InputExpected`]: the program waits for input. Answer, and continue.
    pub fn next_event(&mut self) -> Result<Option<ExecutionEvent>, Error> {
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

    /// The result, once the program has ended. Its console is empty: the output came as events.
    #[must_use]
    pub fn result(&self) -> Option<&ExecutionResult> {
        self.0.result()
    }

    /// Waits for the end, and collects all output that was not fetched yet in the result's console.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`UsageError::InputExpected`] if the program asks for input, and
    /// [`UsageError::ExecutionFailed`] if an earlier call failed already. A program that asked for input still
    /// waits for it, and would take the code of the next execution: restart the kernel, or use `Kernel::run`, which
    /// does.
    pub fn finish(self) -> Result<ExecutionResult, Error> {
        wait(self.0.finish())
    }
}

impl Iterator for Execution {
    type Item = Result<ExecutionEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}
