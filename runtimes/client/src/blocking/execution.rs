//! One execution, as a stream of events.

use std::time::Duration;

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
/// Dropping it in the middle does not stop the program: it continues in the kernel. While it does, the gateway in
/// `sorna-gateway` rejects the kernel's next execution ([`Error::is_busy`]), or lets it
/// [wait](Self::with_busy_wait). Other gateways of Sorna v2 take it for a continuation of this one: it returns the
/// output that was not fetched, and its own code is not run. Restart or destroy the kernel to stop
/// the program, or `attach` to it again. With a manager of Backend.AI the next execution waits: [give this one
/// up](Self::give_up) before it is dropped. If its output comes over a WebSocket, that is closed, and the program may be
/// interrupted; with the gateway in `sorna-gateway` only in a temporary kernel.
///
/// In Backend.AI output comes over a WebSocket, as it is written, if the gateway has one; else it is asked for. With a
/// manager, it is also asked for in a kernel that is kept, unless the
/// [options](crate::ClientOptions::with_streaming) say otherwise. Nothing is
/// ever executed twice: the code is sent by a request if the WebSocket is refused, and once it was sent, a connection
/// that breaks is an [`Error::MayHaveRun`], unless the gateway lets it go on by requests, as that in `sorna-gateway` in a
/// kernel that is kept. Where all output is collected at the end ([`finish`](Self::finish),
/// `Kernel::run`), it is asked for: the kernel then stays usable in more cases.
#[derive(Debug)]
#[must_use = "nothing is executed until its events are asked for"]
pub struct Execution(pub(super) crate::Execution<UreqTransport>);

impl Execution {
    /// Asks for the output every 2 s, and uses no WebSocket: see [`ClientOptions::with_streaming`]. Call this before
    /// the first event.
    ///
    /// [`ClientOptions::with_streaming`]: crate::ClientOptions::with_streaming
    pub fn polled(self) -> Self {
        Self(self.0.polled())
    }

    /// Waits at most this long for another execution that keeps the kernel busy, without disturbing it; then, or without this,
    /// that is an error for which [`Error::is_busy`] is true. [`KernelBusy`](sorna_core::machine::ExecutionEvent::KernelBusy)
    /// says that it waits. `Duration::MAX` is no limit. Call this before the first event.
    ///
    /// Only gateways that [say so](sorna_core::CreatedKernel::has_marked_executions) tell that a kernel is busy, and the client
    /// knows it when it has created a kernel, got one by its token, or negotiated the version. Managers of Backend.AI let an execution
    /// wait by themselves.
    pub fn with_busy_wait(self, limit: Duration) -> Self {
        Self(self.0.with_busy_wait(limit))
    }

    /// Executes with this run ID: see [`run_id`](Self::run_id). Call this before the first event.
    pub fn with_run_id(self, run_id: impl Into<String>) -> Self {
        Self(self.0.with_run_id(run_id))
    }

    /// In Backend.AI, the ID with which its requests are sent, which is random unless it was [set](Self::with_run_id). If
    /// this program is killed before the end, a manager lets all later executions in the kernel wait, until
    /// `Kernel::free` is called with this ID: keep it in a file, say, before the first event. It has no effect in
    /// Sorna v2, nor over a WebSocket, where only the manager knows the ID: use [`polled`](Self::polled).
    #[must_use]
    pub fn run_id(&self) -> &str {
        self.0.run_id()
    }

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

    /// Answers the program's request for input with bytes, which need not be UTF-8, and to which nothing is added. For gateways
    /// that take them: [`ExecutionEvent::InputRequested`] says so.
    ///
    /// # Errors
    ///
    /// [`UsageError::InputNotExpected`] if the program is not waiting for input; [`UsageError::BytesNotTaken`] if the gateway
    /// takes only text.
    pub fn answer_bytes(&mut self, input: impl Into<Vec<u8>>) -> Result<(), UsageError> {
        self.0.answer_bytes(input)
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
    /// waits for it, and would take the code of the next execution: use `Kernel::run`, which stops it.
    pub fn finish(self) -> Result<ExecutionResult, Error> {
        wait(self.0.finish())
    }

    /// Gives the execution up. Then ask for its events to the end: the program is interrupted, and its kernel is freed for
    /// the next one. The end is [`Error::Aborted`], which says whether that succeeded; or a result, if the program ended
    /// first. Gateways of Sorna v2 other than those of `sorna serve` cannot do that; there, restart the kernel.
    pub fn give_up(&mut self) {
        self.0.give_up();
    }
}

impl Iterator for Execution {
    type Item = Result<ExecutionEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}
