//! The four drivers, behind one interface.

use std::future::Future;
use std::time::Duration;

use sorna::protocol::{Info, Login, WebSession};
use sorna::{
    ClientOptions, Config, Error, ExecutionResult, KernelId, KernelInfo, KernelSpec, Limits,
    Negotiated, RetryPolicy, RunPlan, RunReport, TerminalEvent, TerminalOptions, UploadFile,
    UploadProgress, UsageError,
};

/// What the tests need from a driver. The futures of the blocking one are never pending.
pub(crate) trait Driver: Clone + Send + Sync + 'static {
    const NAME: &'static str;

    fn connect(config: Config) -> Self;
    fn block_on<F: Future>(future: F) -> F::Output;
    fn negotiated(&self) -> impl Future<Output = Result<Negotiated, Error>> + Send;
    fn version(&self) -> impl Future<Output = Result<String, Error>> + Send;
    fn info(&self) -> impl Future<Output = Result<KernelInfo, Error>> + Send;
    fn login(&self) -> impl Future<Output = Result<WebSession, Error>> + Send;
    /// Several times at once.
    fn infos(&self) -> impl Future<Output = Vec<Result<KernelInfo, Error>>> + Send;
    /// A creation with a time limit, which only Sorna v2 has.
    fn create_limited(&self) -> impl Future<Output = Result<(), Error>> + Send;
    fn execute(&self) -> impl Future<Output = Result<ExecutionResult, Error>> + Send;
    fn upload(&self) -> impl Future<Output = Result<UploadProgress, Error>> + Send;
    fn stream(&self) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;
    fn run(&self) -> impl Future<Output = RunReport> + Send;
    /// Waits for an event of a terminal in which something is typed meanwhile, and for all that follow it until this one
    /// or the end.
    fn terminal(
        &self,
        last: TerminalEvent,
    ) -> impl Future<Output = Result<Vec<TerminalEvent>, Error>> + Send;
}

pub(crate) fn id() -> KernelId {
    KernelId::new("k1").unwrap()
}

macro_rules! wait {
    (async, $call:expr) => {
        $call.await
    };
    (blocking, $call:expr) => {
        $call
    };
}

/// Does both at the same time.
macro_rules! both {
    (async, $one:expr, $two:expr) => {
        futures_util::future::join($one, $two).await
    };
    (blocking, $one:expr, $two:expr) => {
        std::thread::scope(|scope| {
            let one = scope.spawn(|| smol::future::block_on($one));
            let two = smol::future::block_on($two);
            (one.join().unwrap(), two)
        })
    };
}

/// Does all at the same time.
macro_rules! many {
    (async, $futures:expr) => {
        futures_util::future::join_all($futures).await
    };
    (blocking, $futures:expr) => {
        std::thread::scope(|scope| {
            let start = |future| scope.spawn(|| smol::future::block_on(future));
            let threads: Vec<_> = $futures.map(start).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        })
    };
}

macro_rules! driver {
    ($kind:tt $driver:ident, $module:ident, $block_on:expr) => {
        #[derive(Clone)]
        pub(crate) struct $driver(sorna::$module::Client);

        impl Driver for $driver {
            const NAME: &'static str = stringify!($module);

            fn connect(config: Config) -> Self {
                let options = ClientOptions::new().with_retry(RetryPolicy::never());
                Self(sorna::$module::Client::with_options(config, options))
            }

            fn block_on<F: Future>(future: F) -> F::Output {
                $block_on(future)
            }

            async fn negotiated(&self) -> Result<Negotiated, Error> {
                wait!($kind, self.0.negotiated())
            }

            async fn version(&self) -> Result<String, Error> {
                Ok(wait!($kind, self.0.version())?.version)
            }

            async fn info(&self) -> Result<KernelInfo, Error> {
                wait!($kind, self.0.kernel(id()).info())
            }

            async fn login(&self) -> Result<WebSession, Error> {
                let login = Login::new("a@example.com", "hunter2");
                Ok(wait!($kind, self.0.call(login))?.value)
            }

            async fn infos(&self) -> Vec<Result<KernelInfo, Error>> {
                many!($kind, (0..8).map(|_| self.info()))
            }

            async fn create_limited(&self) -> Result<(), Error> {
                let limits = Limits::new().with_exec_timeout(Duration::from_secs(1));
                let spec = KernelSpec::new("python").with_limits(limits);
                wait!($kind, self.0.create(spec)).map(drop)
            }

            async fn execute(&self) -> Result<ExecutionResult, Error> {
                wait!($kind, self.0.kernel(id()).run("1"))
            }

            async fn upload(&self) -> Result<UploadProgress, Error> {
                let file = UploadFile::from_bytes("a", "b").unwrap();
                wait!($kind, self.0.kernel(id()).upload(vec![file]))
            }

            async fn stream(&self) -> Result<Vec<u8>, Error> {
                let mut response = wait!($kind, self.0.stream(Info::new(id())))?;
                let mut all = Vec::new();
                while let Some(chunk) = wait!($kind, response.chunk())? {
                    all.extend_from_slice(&chunk);
                }
                Ok(all)
            }

            async fn run(&self) -> RunReport {
                let mut run = self.0.run(RunPlan::temporary("c", ["1"]));
                while wait!($kind, run.next_event()).unwrap().is_some() {}
                run.into_report().unwrap()
            }

            async fn terminal(&self, last: TerminalEvent) -> Result<Vec<TerminalEvent>, Error> {
                let kernel = self.0.kernel(id());
                // No ping is due meanwhile, so nothing else makes the reader look again.
                let options = TerminalOptions::new().with_ping_interval(Duration::from_secs(3600));
                let pty = wait!($kind, kernel.stream_pty(options))?;
                let (mut reader, mut writer) = pty.split();
                let reading = async {
                    let mut events = Vec::new();
                    while events.last() != Some(&last)
                        && let Some(event) = wait!($kind, reader.next_event())?
                    {
                        events.push(event);
                    }
                    Ok(events)
                };
                let typing = async { wait!($kind, writer.write(b"x")) };
                let (events, typed) = both!($kind, reading, typing);
                match typed {
                    // The first message, which sets the size, may have closed it by then.
                    Err(Error::Usage(UsageError::TerminalClosed)) => {}
                    typed => typed?,
                }
                events
            }
        }
    };
}

driver!(blocking Blocking, blocking, smol::future::block_on);
driver!(
    async Tokio,
    tokio,
    |future| tokio::runtime::Runtime::new().unwrap().block_on(future)
);
driver!(async Smol, smol, smol::block_on);
driver!(async AsyncStd, async_std, async_std::task::block_on);
