//! The four drivers, behind one interface.

use std::future::Future;

use bytes::Bytes;
use sorna::{
    ClientOptions, Config, Console, Error, ExecuteMode, ExecutionEvent, ExecutionResult,
    ExecutionStatus, KernelId, KernelSpec, Negotiated, Operation, Reply, RunPlan, RunReport,
    SessionToken, TerminalEvent, TerminalOptions, UploadFile, UploadProgress,
};

/// What a check needs from a driver.
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
    const IS_ASYNC: bool;

    /// One operation.
    fn call<O>(&self, operation: O) -> impl Future<Output = Result<Reply<O::Output>, Error>> + Send
    where
        O: Operation + Send + Sync + Unpin + 'static,
        O::Output: Send + Unpin;

    /// Uploads; also returns how often progress was reported.
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

    /// Executes, and calls `seen` for each event.
    fn follow(
        &self,
        kernel: KernelId,
        mode: ExecuteMode,
        seen: impl FnMut(&ExecutionEvent) + Send,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Executes in a new kernel, gives the program these bytes as its input, and returns its standard output.
    fn filter(
        &self,
        lang: &str,
        mode: ExecuteMode,
        input: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;

    /// Executes, and waits for the end.
    fn run_code(
        &self,
        kernel: KernelId,
        code: &str,
    ) -> impl Future<Output = Result<ExecutionResult, Error>> + Send;

    /// Creates a kernel with a new token.
    fn create(&self, lang: &str) -> impl Future<Output = Result<KernelId, Error>> + Send;

    /// Gets the kernel with this token, or creates it.
    fn get_or_create(
        &self,
        spec: KernelSpec,
        token: SessionToken,
    ) -> impl Future<Output = Result<KernelId, Error>> + Send;

    /// What is spoken.
    fn negotiated(&self) -> impl Future<Output = Result<Negotiated, Error>> + Send;

    /// All bytes of a response that is read as it arrives.
    fn stream<O>(&self, operation: O) -> impl Future<Output = Result<Vec<u8>, Error>> + Send
    where
        O: Operation + Send + Sync + Unpin + 'static,
        O::Output: Send + Unpin;

    /// Carries out a run, and stops it after the first output if requested.
    fn run(
        &self,
        plan: RunPlan,
        stop: Stop,
    ) -> impl Future<Output = Option<(RunReport, String)>> + Send;

    /// Runs checks at the same time: the blocking driver on threads.
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
    /// Closes it.
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

/// The outcome of an execution.
#[derive(Debug)]
pub struct Executed {
    /// With the whole console.
    pub result: ExecutionResult,
    /// For each input request, whether it was for a password.
    pub passwords: Vec<bool>,
    /// The steps before the end: their statuses and exit codes.
    pub steps: Vec<(ExecutionStatus, Option<i64>)>,
    /// How many events contained output.
    pub pieces: usize,
}

#[derive(Default)]
struct Gathered {
    console: Console,
    passwords: Vec<bool>,
    steps: Vec<(ExecutionStatus, Option<i64>)>,
    pieces: usize,
}

impl Gathered {
    /// Notes an event; true if it requests input.
    fn take(&mut self, event: ExecutionEvent) -> bool {
        match event {
            ExecutionEvent::Console(console) => {
                self.pieces += 1;
                self.console.append(console);
            }
            ExecutionEvent::InputRequested { is_password, .. } => {
                self.passwords.push(is_password);
                return true;
            }
            ExecutionEvent::StepFinished {
                status, exit_code, ..
            } => {
                self.steps.push((status, exit_code));
            }
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
fn output(event: &sorna::RunEvent) -> Option<String> {
    match event {
        sorna::RunEvent::Execution(ExecutionEvent::Console(console)) => {
            Some(console.stdout().into_owned())
        }
        _ => None,
    }
}

/// Waits for what a driver's method returns, if that is a future.
macro_rules! wait {
    (async, $call:expr) => {
        $call.await
    };
    (blocking, $call:expr) => {
        $call
    };
}

macro_rules! is_async {
    (async) => {
        true
    };
    (blocking) => {
        false
    };
}

/// Waits for futures at the same time. Those of the blocking driver are never pending, so each has a thread.
macro_rules! wait_for_all {
    (async, $futures:expr) => {
        futures_util::future::join_all($futures).await
    };
    (blocking, $futures:expr) => {
        std::thread::scope(|scope| {
            let start = |future| scope.spawn(|| smol::future::block_on(future));
            let threads: Vec<_> = $futures.map(start).collect();
            let results = threads.into_iter().map(|thread| thread.join());
            results.map(|result| result.expect("it ends")).collect()
        })
    };
}

/// A driver: the same code for each, except for the waiting.
macro_rules! driver {
    ($kind:tt $driver:ident, $module:ident, $block_on:expr, $sleep:expr) => {
        #[doc = concat!("`sorna::", stringify!($module), "`.")]
        pub struct $driver(sorna::$module::Client);

        impl Driver for $driver {
            type Pty = sorna::$module::Pty;

            fn connect(config: Config, options: ClientOptions) -> Self {
                Self(sorna::$module::Client::with_options(config, options))
            }

            const IS_ASYNC: bool = is_async!($kind);

            fn block_on<F: Future>(future: F) -> F::Output {
                $block_on(future)
            }

            async fn sleep(time: std::time::Duration) {
                $sleep(time).await;
            }

            async fn call<O>(&self, operation: O) -> Result<Reply<O::Output>, Error>
            where
                O: Operation + Send + Sync + Unpin + 'static,
                O::Output: Send + Unpin,
            {
                wait!($kind, self.0.call(operation))
            }

            async fn upload(
                &self,
                kernel: KernelId,
                files: Vec<UploadFile>,
            ) -> Result<(UploadProgress, usize), Error> {
                let mut reports = 0;
                let kernel = self.0.kernel(kernel);
                let progress = wait!($kind, kernel.upload_with(files, |_| reports += 1))?;
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
                while let Some(event) = wait!($kind, execution.next_event())? {
                    if gathered.take(event) {
                        execution.answer(*answers.next().expect("an answer"))?;
                    }
                }
                Ok(gathered.end(execution.result()))
            }

            async fn follow(
                &self,
                kernel: KernelId,
                mode: ExecuteMode,
                mut seen: impl FnMut(&ExecutionEvent) + Send,
            ) -> Result<(), Error> {
                let mut execution = self.0.kernel(kernel).execute(mode);
                while let Some(event) = wait!($kind, execution.next_event())? {
                    seen(&event);
                }
                Ok(())
            }

            async fn filter(
                &self,
                lang: &str,
                mode: ExecuteMode,
                input: &[u8],
            ) -> Result<Vec<u8>, Error> {
                let kernel = wait!($kind, self.0.create(lang))?;
                let mut execution = kernel.execute(mode);
                let (mut output, mut pieces) = (Vec::new(), input.chunks(50_001));
                while let Some(event) = wait!($kind, execution.next_event())? {
                    match event {
                        ExecutionEvent::Console(console) => {
                            output.extend_from_slice(&console.stdout_bytes());
                        }
                        ExecutionEvent::InputRequested { takes_bytes, .. } => {
                            assert!(takes_bytes);
                            match pieces.next() {
                                Some(piece) => execution.answer_bytes(piece)?,
                                None => execution.answer("\u{4}")?,
                            }
                        }
                        _ => {}
                    }
                }
                wait!($kind, kernel.destroy())?;
                Ok(output)
            }

            async fn run_code(
                &self,
                kernel: KernelId,
                code: &str,
            ) -> Result<ExecutionResult, Error> {
                wait!($kind, self.0.kernel(kernel).run(code))
            }

            async fn create(&self, lang: &str) -> Result<KernelId, Error> {
                Ok(wait!($kind, self.0.create(lang))?.id().clone())
            }

            async fn get_or_create(
                &self,
                spec: KernelSpec,
                token: SessionToken,
            ) -> Result<KernelId, Error> {
                Ok(wait!($kind, self.0.get_or_create(spec, &token))?
                    .id()
                    .clone())
            }

            async fn negotiated(&self) -> Result<Negotiated, Error> {
                wait!($kind, self.0.negotiated())
            }

            async fn stream<O>(&self, operation: O) -> Result<Vec<u8>, Error>
            where
                O: Operation + Send + Sync + Unpin + 'static,
                O::Output: Send + Unpin,
            {
                let mut response = wait!($kind, self.0.stream(operation))?;
                let mut all = Vec::new();
                while let Some(chunk) = wait!($kind, response.chunk())? {
                    all.extend_from_slice(&chunk);
                }
                Ok(all)
            }

            async fn run(&self, plan: RunPlan, stop: Stop) -> Option<(RunReport, String)> {
                let mut run = self.0.run(plan);
                let mut text = String::new();
                loop {
                    let event = wait!($kind, run.next_event());
                    let Some(event) = event.expect("no input is asked for") else {
                        break;
                    };
                    if let Some(output) = output(&event) {
                        text += &output;
                        match stop {
                            Stop::Not => {}
                            Stop::Cancel => {
                                let cancelled = wait!($kind, run.canceller().cancel());
                                cancelled.expect("it is cancelled");
                            }
                            Stop::Drop => {
                                drop(run);
                                if Self::IS_ASYNC {
                                    // Work in the background needs a runtime that still runs.
                                    wait!($kind, self.0.version()).expect("a version");
                                    Self::sleep(std::time::Duration::from_millis(500)).await;
                                }
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
                wait_for_all!($kind, all)
            }

            async fn stream_pty(
                &self,
                kernel: KernelId,
                options: TerminalOptions,
            ) -> Result<Self::Pty, Error> {
                wait!($kind, self.0.kernel(kernel).stream_pty(options))
            }
        }

        impl PtyDriver for sorna::$module::Pty {
            async fn event(&mut self) -> Result<Option<TerminalEvent>, Error> {
                wait!($kind, self.next_event())
            }

            async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
                wait!($kind, sorna::$module::Pty::write(self, bytes))
            }

            async fn resize(&mut self, rows: u16, cols: u16) -> Result<(), Error> {
                wait!($kind, sorna::$module::Pty::resize(self, rows, cols))
            }

            async fn restart(&mut self) -> Result<(), Error> {
                wait!($kind, sorna::$module::Pty::restart(self))
            }

            async fn close(self) -> Result<(), Error> {
                wait!($kind, sorna::$module::Pty::close(self))
            }
        }
    };
}

driver!(
    blocking Blocking,
    blocking,
    smol::future::block_on,
    |time| {
        std::thread::sleep(time);
        std::future::ready(())
    }
);
driver!(
    async Tokio,
    tokio,
    |future| tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future),
    tokio::time::sleep
);
driver!(async Smol, smol, smol::block_on, smol::Timer::after);
driver!(
    async AsyncStd,
    async_std,
    async_std::task::block_on,
    async_std::task::sleep
);

mod sessions;

pub use sessions::{SessionDriver, StopProgram};

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

/// A test of each driver, which calls a function that is generic over the driver.
#[macro_export]
macro_rules! with_every_driver {
    ($check:ident) => {
        #[test]
        fn blocking() {
            $check::<$crate::drivers::Blocking>();
        }

        #[test]
        fn tokio() {
            $check::<$crate::drivers::Tokio>();
        }

        #[test]
        fn smol() {
            $check::<$crate::drivers::Smol>();
        }

        #[test]
        fn async_std() {
            $check::<$crate::drivers::AsyncStd>();
        }
    };
}
