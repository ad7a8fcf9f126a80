//! The four drivers, and a custom HTTP client, behind one interface.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use sorna::engine::HttpTransport;
use sorna::net::{Transport, UpgradeTransport, Upgraded};
use sorna::protocol::Body;
use sorna::runtime::Tokio as TokioRuntime;
use sorna::{
    ClientOptions, Config, Error, ExecuteMode, ExecutionEvent, ExecutionResult, KernelId,
    RetryPolicy, RunEvent, RunPlan, RunReport, TransportError,
};

/// What is done with an execution.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// The answers to requests for input.
    pub(crate) answers: &'static [&'static str],
    /// Given up after the first event.
    pub(crate) gives_up: bool,
    /// Dropped after the first event.
    pub(crate) drops: bool,
    pub(crate) polled: bool,
}

/// What an execution reported.
pub(crate) struct Seen {
    pub(crate) events: Vec<String>,
    /// `None` if it was dropped.
    pub(crate) end: Option<Result<ExecutionResult, Error>>,
}

/// What the tests need from a driver. The futures of the blocking one are never pending.
pub(crate) trait Driver: Sized + Send + Sync + 'static {
    fn connect(config: Config, options: ClientOptions) -> Self;
    fn block_on<F: Future>(future: F) -> F::Output;
    /// Executes, and calls `seen` for each event.
    fn execute(
        &self,
        mode: ExecuteMode,
        how: How,
        seen: impl FnMut(&str) + Send,
    ) -> impl Future<Output = Seen> + Send;
    fn run(&self) -> impl Future<Output = Result<ExecutionResult, Error>> + Send;
    fn finish(&self) -> impl Future<Output = Result<ExecutionResult, Error>> + Send;
    fn carry_out(&self, plan: RunPlan) -> impl Future<Output = (RunReport, Vec<String>)> + Send;
}

/// Without retries.
pub(crate) fn options() -> ClientOptions {
    let options = ClientOptions::new().with_streaming(true);
    options.with_retry(RetryPolicy::never())
}

fn id() -> KernelId {
    KernelId::new("k1").unwrap()
}

fn text(event: &ExecutionEvent) -> String {
    match event {
        ExecutionEvent::Console(console) => console.stdout().into_owned(),
        ExecutionEvent::InputRequested { .. } => "input?".to_owned(),
        ExecutionEvent::StepFinished { exit_code, .. } => format!("step {exit_code:?}"),
        event => panic!("{event:?}"),
    }
}

macro_rules! wait {
    (async, $call:expr) => {
        $call.await
    };
    (blocking, $call:expr) => {
        $call
    };
}

macro_rules! driver {
    ($kind:tt $driver:ident, $client:ty, $connect:expr, $block_on:expr) => {
        pub(crate) struct $driver($client);

        impl Driver for $driver {
            fn connect(config: Config, options: ClientOptions) -> Self {
                Self($connect(config, options))
            }

            fn block_on<F: Future>(future: F) -> F::Output {
                $block_on(future)
            }

            async fn execute(
                &self,
                mode: ExecuteMode,
                how: How,
                mut seen: impl FnMut(&str) + Send,
            ) -> Seen {
                let mut execution = self.0.kernel(id()).execute(mode);
                if how.polled {
                    execution = execution.polled();
                }
                let mut answers = how.answers.iter();
                let mut events = Vec::new();
                loop {
                    match wait!($kind, execution.next_event()) {
                        Ok(Some(event)) => {
                            let text = text(&event);
                            seen(&text);
                            if text == "input?" && !how.gives_up {
                                execution.answer(*answers.next().unwrap()).unwrap();
                            }
                            events.push(text);
                        }
                        Ok(None) => {
                            let end = execution.result().cloned().map(Ok);
                            return Seen { events, end };
                        }
                        Err(error) => {
                            assert!(wait!($kind, execution.next_event()).unwrap().is_none());
                            let end = Some(Err(error));
                            return Seen { events, end };
                        }
                    }
                    if events.len() == 1 && how.gives_up {
                        execution.give_up();
                    }
                    if how.drops {
                        return Seen { events, end: None };
                    }
                }
            }

            async fn run(&self) -> Result<ExecutionResult, Error> {
                wait!($kind, self.0.kernel(id()).run("1"))
            }

            async fn finish(&self) -> Result<ExecutionResult, Error> {
                wait!($kind, self.0.kernel(id()).execute("1").finish())
            }

            async fn carry_out(&self, plan: RunPlan) -> (RunReport, Vec<String>) {
                let mut run = self.0.run(plan);
                let mut events = Vec::new();
                while let Some(event) = wait!($kind, run.next_event()).unwrap() {
                    if let RunEvent::Execution(event) = event {
                        events.push(text(&event));
                    }
                }
                (run.into_report().unwrap(), events)
            }
        }
    };
}

fn on_tokio<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(future)
}

driver!(
    blocking Blocking,
    sorna::blocking::Client,
    sorna::blocking::Client::with_options,
    smol::future::block_on
);
driver!(async Tokio, sorna::tokio::Client, sorna::tokio::Client::with_options, on_tokio);
driver!(async Smol, sorna::smol::Client, sorna::smol::Client::with_options, smol::block_on);
driver!(
    async AsyncStd,
    sorna::async_std::Client,
    sorna::async_std::Client::with_options,
    async_std::task::block_on
);
driver!(async Own, sorna::Client<Mine>, Mine::client, on_tokio);
driver!(async WithoutUpgrades, sorna::Client<Mine>, Mine::client_without, on_tokio);

/// A custom transport.
pub(crate) struct Mine(HttpTransport<TokioRuntime>);

impl Mine {
    fn new(options: &ClientOptions) -> Self {
        Self(HttpTransport::new(TokioRuntime, options.net().clone()))
    }

    fn client(config: Config, options: ClientOptions) -> sorna::Client<Self> {
        sorna::Client::with_upgrades(config, Self::new(&options), options)
    }

    fn client_without(config: Config, options: ClientOptions) -> sorna::Client<Self> {
        sorna::Client::with_transport(config, Self::new(&options), options)
    }
}

impl Transport for Mine {
    async fn send(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        self.0.send(request, time_limit).await
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

impl UpgradeTransport for Mine {
    type Io = <HttpTransport<TokioRuntime> as UpgradeTransport>::Io;

    async fn upgrade(
        &self,
        request: Request<Body>,
        time_limit: Duration,
    ) -> Result<Upgraded<Self::Io>, TransportError> {
        self.0.upgrade(request, time_limit).await
    }
}
