//! One execution, as a stream of events.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use sorna_core::machine::{self, ExecutionEvent};
use sorna_core::{Console, Error, Execute, ExecutionResult, Interrupt, RunMark, UsageError};

use super::deferred::Deferred;
use super::driver::Driven;
use super::handle::Client;
use crate::net::Transport;
use crate::random_token;

/// Code that runs in a kernel. Ask for its events to get its output as it arrives; answer its input
/// requests in between. It is also a [`Stream`] of events.
///
/// ```no_run
/// # use sorna::net::Transport;
/// use sorna::ExecutionEvent;
/// # async fn example<T: Transport + 'static>(kernel: sorna::Kernel<T>) -> Result<(), Box<dyn std::error::Error>> {
///
/// let mut execution = kernel.execute("name = input('name? '); print('hi', name)");
/// while let Some(event) = execution.next_event().await? {
///     match event {
///         ExecutionEvent::Console(console) => print!("{}", console.stdout()),
///         ExecutionEvent::InputRequested { .. } => execution.answer("lablup")?,
///         _ => {}
///     }
/// }
/// let result = execution.result().expect("it ended");
/// println!("{}: exit code {:?}", result.status, result.exit_code());
/// # Ok(())
/// # }
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
/// In Backend.AI output comes over a WebSocket, as it is written, if the gateway has one, and the transport
/// [can upgrade connections](Client::with_upgrades); else it is asked for. With a manager, it is also asked for in a kernel
/// that is kept, unless the [options](crate::ClientOptions::with_streaming) say otherwise. Nothing is ever executed twice: the code is sent
/// by a request if the WebSocket is refused, and once it was sent, a connection that breaks is an
/// [`Error::MayHaveRun`], unless the gateway lets it go on by requests, as that in `sorna-gateway` in a kernel that is kept. Where all output is collected at the end ([`finish`](Self::finish), `Kernel::run`), it is asked
/// for: the kernel then stays usable in more cases.
#[must_use = "nothing is executed until its events are asked for"]
pub struct Execution<T> {
    driver: Deferred<T, machine::Execution>,
    run_id: String,
    result: Option<ExecutionResult>,
    failed: bool,
}

/// What an execution does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is executed to its end.
    Whole,
    /// It is only started.
    Detached,
    /// It takes over what runs.
    Attached,
}

impl<T: Transport + 'static> Execution<T> {
    pub(super) fn new(
        client: Client<T>,
        start: Execute,
        way: Way,
        carries_bytes: Option<bool>,
        is_kept: bool,
        persists: bool,
        mark: RunMark,
    ) -> Self {
        let streams = client.clone();
        let run_id = random_token().to_string();
        let chosen = run_id.clone();
        let make = move |caller| {
            let mark = match way {
                Way::Attached => RunMark::of_attached(),
                _ => mark
                    .with_unclaimed(way == Way::Whole)
                    .with_detached(way == Way::Detached)
                    .with_persistence(persists),
            };
            let carries_bytes =
                carries_bytes.unwrap_or_else(|| streams.has_extension(Execute::BYTES));
            let start = start.with_bytes(carries_bytes);
            let is_marked = way != Way::Whole || streams.uses_marks();
            let execution =
                machine::Execution::of(start.with_mark(is_marked.then_some(mark)), caller)
                    .with_attaching(streams.has_extension(Execute::ATTACH))
                    .with_run_id(chosen)
                    .with_interrupts(streams.has_extension(Interrupt::EXTENSION));
            match streams
                .streaming()
                .filter(|it| !is_kept || it.never_blocks() || streams.inner.channels.always)
            {
                Some(streaming) => execution.with_streaming(streaming),
                None => execution,
            }
        };
        let driver = match way {
            Way::Whole => Deferred::new(&client, make),
            _ => Deferred::after_asking(&client, Execute::ATTACH, make),
        };
        Self {
            driver,
            run_id,
            result: None,
            failed: false,
        }
    }

    /// Asks for the output every 2 s, and uses no WebSocket: see [`ClientOptions::with_streaming`]. Call this before
    /// the first event.
    ///
    /// [`ClientOptions::with_streaming`]: crate::ClientOptions::with_streaming
    pub fn polled(mut self) -> Self {
        self.driver.change(machine::Execution::poll_only);
        self
    }

    /// Waits at most this long for another execution that keeps the kernel busy, without disturbing it; then, or without this,
    /// that is an error for which [`Error::is_busy`] is true. [`KernelBusy`](sorna_core::machine::ExecutionEvent::KernelBusy)
    /// says that it waits. `Duration::MAX` is no limit. Call this before the first event.
    ///
    /// Only gateways that [say so](sorna_core::CreatedKernel::has_marked_executions) tell that a kernel is busy, and the client
    /// knows it when it has created a kernel, got one by its token, or negotiated the version. Managers of Backend.AI let an execution
    /// wait by themselves.
    pub fn with_busy_wait(mut self, limit: Duration) -> Self {
        self.driver
            .change(move |execution| execution.wait_while_busy(limit));
        self
    }

    /// Executes with this run ID: see [`run_id`](Self::run_id). Call this before the first event.
    pub fn with_run_id(mut self, run_id: impl Into<String>) -> Self {
        self.run_id = run_id.into();
        let run_id = self.run_id.clone();
        self.driver
            .change(move |execution| execution.set_run_id(run_id));
        self
    }

    /// In Backend.AI, the ID with which its requests are sent, which is random unless it was [set](Self::with_run_id). If
    /// this program is killed before the end, a manager lets all later executions in the kernel wait, until
    /// `Kernel::free` is called with this ID: keep it in a file, say, before the first event. It has no effect in
    /// Sorna v2, nor over a WebSocket, where only the manager knows the ID: use [`polled`](Self::polled).
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Waits for the next event; `None` after the end. May be dropped and called again without loss.
    ///
    /// # Errors
    ///
    /// See [`Error`]. After an error there are no more events, except after
    /// [`UsageError::InputExpected`]: the program waits for input. Answer, and continue.
    pub async fn next_event(&mut self) -> Result<Option<ExecutionEvent>, Error> {
        std::future::poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<ExecutionEvent>, Error>> {
        if self.failed || self.result.is_some() {
            return Poll::Ready(Ok(None));
        }
        self.driver.poll(context).map(|driven| match driven {
            Ok(Driven::Event(event)) => Ok(Some(event)),
            Ok(Driven::Idle) => Err(UsageError::InputExpected.into()),
            Ok(Driven::Done(Ok(result))) => {
                self.result = Some(result);
                Ok(None)
            }
            Ok(Driven::Done(Err(error))) | Err(error) => {
                self.failed = true;
                Err(error)
            }
        })
    }

    /// Answers the program's request for input; a line end is not needed.
    ///
    /// # Errors
    ///
    /// [`UsageError::InputNotExpected`] if the program is not waiting for input.
    pub fn answer(&mut self, input: impl Into<String>) -> Result<(), UsageError> {
        match self.driver.machine() {
            Some(execution) => execution.answer(input),
            None => Err(UsageError::InputNotExpected),
        }
    }

    /// Answers the program's request for input with bytes, which need not be UTF-8, and to which nothing is added. For gateways
    /// that take them: [`ExecutionEvent::InputRequested`] says so.
    ///
    /// # Errors
    ///
    /// [`UsageError::InputNotExpected`] if the program is not waiting for input; [`UsageError::BytesNotTaken`] if the gateway
    /// takes only text.
    pub fn answer_bytes(&mut self, input: impl Into<Vec<u8>>) -> Result<(), UsageError> {
        match self.driver.machine() {
            Some(execution) => execution.answer_bytes(input),
            None => Err(UsageError::InputNotExpected),
        }
    }

    /// The result, once the program has ended. Its console is empty: the output came as events.
    #[must_use]
    pub fn result(&self) -> Option<&ExecutionResult> {
        self.result.as_ref()
    }

    /// Waits for the end, and collects all output that was not fetched yet in the result's console.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`UsageError::InputExpected`] if the program asks for input, and
    /// [`UsageError::ExecutionFailed`] if an earlier call failed already. A program that asked for input still
    /// waits for it, and would take the code of the next execution: use `Kernel::run`, which stops it.
    pub async fn finish(self) -> Result<ExecutionResult, Error> {
        self.polled().collect().await
    }

    /// Gives the execution up. Then ask for its events to the end: the program is interrupted, and its kernel is freed for
    /// the next one. The end is [`Error::Aborted`], which says whether that succeeded; or a result, if the program ended
    /// first. Gateways of Sorna v2 other than those of `sorna serve` cannot do that; there, restart the kernel.
    pub fn give_up(&mut self) {
        match self.driver.machine() {
            Some(execution) => execution.give_up(),
            None => self.driver.machine_without_version().give_up(),
        }
        self.driver.wake();
    }

    /// As [`finish`](Self::finish), and leaves it as it is on an error.
    pub(super) async fn collect(&mut self) -> Result<ExecutionResult, Error> {
        let mut all = Console::new();
        while let Some(event) = self.next_event().await? {
            if let ExecutionEvent::Console(console) = event {
                all.append(console);
            }
        }
        let mut result = self.result.take().ok_or(UsageError::ExecutionFailed)?;
        result.console = all;
        Ok(result)
    }
}

impl<T> fmt::Debug for Execution<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution")
            .field("driver", &self.driver)
            .field("result", &self.result)
            .finish_non_exhaustive()
    }
}

impl<T: Transport + 'static> Stream for Execution<T> {
    type Item = Result<ExecutionEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(context).map(Result::transpose)
    }
}
