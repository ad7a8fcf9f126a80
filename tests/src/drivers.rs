//! The four drivers, behind one face.

use std::future::Future;

use bytes::Bytes;
use sorna::ClientOptions;
use sorna::core::machine::{ExecutionEvent, RunPlan, RunReport, UploadProgress};
use sorna::core::terminal::{TerminalEvent, TerminalOptions};
use sorna::core::{
    Answer, Config, Console, Error, ExecuteMode, ExecutionResult, ExecutionStatus, KernelId,
    Operation, UploadFile,
};

/// What a check asks of a driver.
pub trait Driver: Send + Sync + Sized + 'static {
    /// Its terminals.
    type Pty: PtyDriver;

    /// A client.
    fn connect(config: Config, options: ClientOptions) -> Self;

    /// Waits for a future, on a runtime of the driver's kind.
    fn block_on<F: Future>(future: F) -> F::Output;

    /// Waits.
    fn sleep(time: std::time::Duration) -> impl Future<Output = ()> + Send;

    /// Whether its futures can be pending.
    const IS_ASYNC: bool = true;

    /// One operation.
    fn call<O>(
        &self,
        operation: O,
    ) -> impl Future<Output = Result<Answer<O::Output>, Error>> + Send
    where
        O: Operation + Send + Sync + Unpin + 'static,
        O::Output: Send + Unpin;

    /// Uploads; also how often progress was told.
    fn upload(
        &self,
        kernel: KernelId,
        files: Vec<UploadFile>,
    ) -> impl Future<Output = Result<(UploadProgress, usize), Error>> + Send;

    /// Executes, answering input requests in turn.
    fn execute(
        &self,
        kernel: KernelId,
        mode: ExecuteMode,
        answers: &[&str],
    ) -> impl Future<Output = Result<Executed, Error>> + Send;

    /// Carries out a run; after the first output, maybe stops it.
    fn run(
        &self,
        plan: RunPlan,
        stop: Stop,
    ) -> impl Future<Output = Option<(RunReport, String)>> + Send;

    /// Runs checks side by side: the blocking driver on threads.
    fn execute_all(
        &self,
        kernels: Vec<KernelId>,
        code: &'static str,
    ) -> impl Future<Output = Vec<Result<Executed, Error>>> + Send;

    /// Opens a terminal.
    fn stream_pty(
        &self,
        kernel: KernelId,
        options: TerminalOptions,
    ) -> impl Future<Output = Result<Self::Pty, Error>> + Send;
}

/// A terminal of a driver.
pub trait PtyDriver: Send + Sized {
    /// The next event; none after the end.
    fn event(&mut self) -> impl Future<Output = Result<Option<TerminalEvent>, Error>> + Send;
    /// Types.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Error>> + Send;
    /// Changes the window's size.
    fn resize(&mut self, rows: u16, cols: u16) -> impl Future<Output = Result<(), Error>> + Send;
    /// Restarts the kernel.
    fn restart(&mut self) -> impl Future<Output = Result<(), Error>> + Send;
    /// Says goodbye.
    fn close(self) -> impl Future<Output = Result<(), Error>> + Send;
}

/// How a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Not at all.
    Not,
    /// By its canceller.
    Cancel,
    /// By being dropped.
    Drop,
}

/// What came of an execution.
#[derive(Debug)]
pub struct Executed {
    /// With the whole console.
    pub result: ExecutionResult,
    /// Whether each input asked for was a password.
    pub passwords: Vec<bool>,
    /// The statuses of steps on the way.
    pub steps: Vec<ExecutionStatus>,
    /// How many events brought output.
    pub pieces: usize,
}

#[derive(Default)]
struct Gathered {
    console: Console,
    passwords: Vec<bool>,
    steps: Vec<ExecutionStatus>,
    pieces: usize,
}

impl Gathered {
    /// Notes an event; true if it wants an answer.
    fn take(&mut self, event: ExecutionEvent) -> bool {
        match event {
            ExecutionEvent::Console(console) => {
                self.pieces += 1;
                self.console.append(console);
            }
            ExecutionEvent::InputRequested { is_password } => {
                self.passwords.push(is_password);
                return true;
            }
            ExecutionEvent::StepFinished { status, .. } => self.steps.push(status),
            _ => {}
        }
        false
    }

    fn end(self, result: Option<&ExecutionResult>) -> Executed {
        let mut result = result.expect("it ended").clone();
        result.console = self.console;
        Executed {
            result,
            passwords: self.passwords,
            steps: self.steps,
            pieces: self.pieces,
        }
    }
}

/// The text of the output in an event of a run.
fn output(event: &sorna::core::machine::RunEvent) -> Option<String> {
    match event {
        sorna::core::machine::RunEvent::Execution(ExecutionEvent::Console(console)) => {
            Some(console.stdout().into_owned())
        }
        _ => None,
    }
}

/// `sorna::blocking`.
pub struct Blocking(sorna::blocking::Client);

impl Driver for Blocking {
    type Pty = sorna::blocking::Pty;

    fn connect(config: Config, options: ClientOptions) -> Self {
        Self(sorna::blocking::Client::with_options(config, options))
    }

    const IS_ASYNC: bool = false;

    /// Nothing is ever pending.
    fn block_on<F: Future>(future: F) -> F::Output {
        smol::future::block_on(future)
    }

    async fn sleep(time: std::time::Duration) {
        std::thread::sleep(time);
    }

    async fn call<O>(&self, operation: O) -> Result<Answer<O::Output>, Error>
    where
        O: Operation + Send + Sync + Unpin + 'static,
        O::Output: Send + Unpin,
    {
        self.0.call(operation)
    }

    async fn upload(
        &self,
        kernel: KernelId,
        files: Vec<UploadFile>,
    ) -> Result<(UploadProgress, usize), Error> {
        let mut reports = 0;
        let kernel = self.0.kernel(kernel);
        let progress = kernel.upload_with(files, |_| reports += 1)?;
        Ok((progress, reports))
    }

    async fn execute(
        &self,
        kernel: KernelId,
        mode: ExecuteMode,
        answers: &[&str],
    ) -> Result<Executed, Error> {
        let mut execution = self.0.kernel(kernel).execute(mode);
        let mut answers = answers.iter();
        let mut gathered = Gathered::default();
        while let Some(event) = execution.next_event()? {
            if gathered.take(event) {
                execution.answer(*answers.next().expect("an answer"))?;
            }
        }
        Ok(gathered.end(execution.result()))
    }

    async fn run(&self, plan: RunPlan, stop: Stop) -> Option<(RunReport, String)> {
        let mut run = self.0.run(plan);
        let mut text = String::new();
        while let Some(event) = run.next_event().expect("no input is asked for") {
            if let Some(output) = output(&event) {
                text += &output;
                match stop {
                    Stop::Not => {}
                    Stop::Cancel => run.canceller().cancel().expect("it is cancelled"),
                    Stop::Drop => return None,
                }
            }
        }
        Some((run.into_report().expect("a report"), text))
    }

    async fn execute_all(
        &self,
        kernels: Vec<KernelId>,
        code: &'static str,
    ) -> Vec<Result<Executed, Error>> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = kernels
                .into_iter()
                .map(|kernel| {
                    scope.spawn(move || {
                        smol::future::block_on(self.execute(kernel, code.into(), &[]))
                    })
                })
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().expect("ends");
            threads.into_iter().map(join).collect()
        })
    }

    async fn stream_pty(
        &self,
        kernel: KernelId,
        options: TerminalOptions,
    ) -> Result<Self::Pty, Error> {
        self.0.kernel(kernel).stream_pty(options)
    }
}

impl PtyDriver for sorna::blocking::Pty {
    async fn event(&mut self) -> Result<Option<TerminalEvent>, Error> {
        self.next_event()
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        sorna::blocking::Pty::write(self, bytes)
    }

    async fn resize(&mut self, rows: u16, cols: u16) -> Result<(), Error> {
        sorna::blocking::Pty::resize(self, rows, cols)
    }

    async fn restart(&mut self) -> Result<(), Error> {
        sorna::blocking::Pty::restart(self)
    }

    async fn close(self) -> Result<(), Error> {
        sorna::blocking::Pty::close(self)
    }
}

/// An async driver: the same code for every runtime, which the macro names.
macro_rules! async_driver {
    ($driver:ident, $module:ident, $block_on:expr, $sleep:expr) => {
        /// The driver of this runtime.
        pub struct $driver(sorna::$module::Client);

        impl Driver for $driver {
            type Pty = sorna::$module::Pty;

            fn connect(config: Config, options: ClientOptions) -> Self {
                Self(sorna::$module::Client::with_options(config, options))
            }

            fn block_on<F: Future>(future: F) -> F::Output {
                $block_on(future)
            }

            async fn sleep(time: std::time::Duration) {
                $sleep(time).await;
            }

            async fn call<O>(&self, operation: O) -> Result<Answer<O::Output>, Error>
            where
                O: Operation + Send + Sync + Unpin + 'static,
                O::Output: Send + Unpin,
            {
                self.0.call(operation).await
            }

            async fn upload(
                &self,
                kernel: KernelId,
                files: Vec<UploadFile>,
            ) -> Result<(UploadProgress, usize), Error> {
                let mut reports = 0;
                let kernel = self.0.kernel(kernel);
                let progress = kernel.upload_with(files, |_| reports += 1).await?;
                Ok((progress, reports))
            }

            async fn execute(
                &self,
                kernel: KernelId,
                mode: ExecuteMode,
                answers: &[&str],
            ) -> Result<Executed, Error> {
                let mut execution = self.0.kernel(kernel).execute(mode);
                let mut answers = answers.iter();
                let mut gathered = Gathered::default();
                while let Some(event) = execution.next_event().await? {
                    if gathered.take(event) {
                        execution.answer(*answers.next().expect("an answer"))?;
                    }
                }
                Ok(gathered.end(execution.result()))
            }

            async fn run(&self, plan: RunPlan, stop: Stop) -> Option<(RunReport, String)> {
                let mut run = self.0.run(plan);
                let mut text = String::new();
                while let Some(event) = run.next_event().await.expect("no input is asked for") {
                    if let Some(output) = output(&event) {
                        text += &output;
                        match stop {
                            Stop::Not => {}
                            Stop::Cancel => {
                                run.canceller().cancel().await.expect("it is cancelled");
                            }
                            Stop::Drop => {
                                drop(run);
                                // The background needs a runtime that still runs.
                                self.0.version().await.expect("a version");
                                sorna::net::Transport::sleep(
                                    self.0.transport(),
                                    std::time::Duration::from_millis(500),
                                )
                                .await;
                                return None;
                            }
                        }
                    }
                }
                Some((run.into_report().expect("a report"), text))
            }

            async fn execute_all(
                &self,
                kernels: Vec<KernelId>,
                code: &'static str,
            ) -> Vec<Result<Executed, Error>> {
                let all = kernels
                    .into_iter()
                    .map(|kernel| self.execute(kernel, code.into(), &[]));
                futures_util::future::join_all(all).await
            }

            async fn stream_pty(
                &self,
                kernel: KernelId,
                options: TerminalOptions,
            ) -> Result<Self::Pty, Error> {
                self.0.kernel(kernel).stream_pty(options).await
            }
        }

        impl PtyDriver for sorna::$module::Pty {
            async fn event(&mut self) -> Result<Option<TerminalEvent>, Error> {
                self.next_event().await
            }

            async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
                sorna::$module::Pty::write(self, bytes).await
            }

            async fn resize(&mut self, rows: u16, cols: u16) -> Result<(), Error> {
                sorna::$module::Pty::resize(self, rows, cols).await
            }

            async fn restart(&mut self) -> Result<(), Error> {
                sorna::$module::Pty::restart(self).await
            }

            async fn close(self) -> Result<(), Error> {
                sorna::$module::Pty::close(self).await
            }
        }
    };
}

async_driver!(
    Tokio,
    tokio,
    |future| tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future),
    tokio::time::sleep
);
async_driver!(Smol, smol, smol::block_on, smol::Timer::after);
async_driver!(
    AsyncStd,
    async_std,
    async_std::task::block_on,
    async_std::task::sleep
);

/// Reads until a condition holds of all output so far.
///
/// # Panics
///
/// If the terminal breaks or closes before.
pub async fn read_until(
    pty: &mut impl PtyDriver,
    mut is_enough: impl FnMut(&[u8]) -> bool,
) -> Vec<u8> {
    let mut all = Vec::new();
    while !is_enough(&all) {
        match pty.event().await.expect("an event") {
            Some(TerminalEvent::Output(bytes)) => all.extend_from_slice(&bytes),
            Some(_) => {}
            None => panic!("closed after {:?}", Bytes::from(all)),
        }
    }
    all
}
