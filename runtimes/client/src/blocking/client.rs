//! The client itself, and the driver's one loop.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sorna_core::machine::{Call, Machine, RetryPolicy, RunPlan, Step};
use sorna_core::{
    Answer, Authorize, Authorized, Config, CreateKernel, Error, KernelId, LanguageInfo,
    ListLanguages, Operation, SessionToken, Signer, Version, VersionInfo,
};

use super::transport::UreqTransport;
use super::{Kernel, Run, SendMeter};
use crate::clock::{Clock, Window};
use crate::observe::Watch;
use crate::{ClientOptions, EnvError, random_token};

/// A client of one gateway for one user. Clones are cheap and share their connections; all methods
/// may be called from many threads at once.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    signer: Signer,
    transport: UreqTransport,
    options: ClientOptions,
    clock: Clock,
    window: Window,
}

impl Client {
    /// A client with the default options. Connects to nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_options(config, ClientOptions::default())
    }

    /// A client with these options.
    #[must_use]
    pub fn with_options(config: Config, options: ClientOptions) -> Self {
        Self {
            inner: Arc::new(Inner {
                signer: Signer::new(config),
                transport: UreqTransport::new(options.net.clone()),
                options,
                clock: Clock::start(),
                window: Window::default(),
            }),
        }
    }

    /// A client as the environment says: `SORNA_ENDPOINT`, `SORNA_ACCESS_KEY`, `SORNA_SECRET_KEY`,
    /// and the variables for proxies.
    ///
    /// # Errors
    ///
    /// A variable that is missing or cannot be used; the error names it.
    pub fn from_env() -> Result<Self, EnvError> {
        let (config, options) = crate::options::from_env()?;
        Ok(Self::with_options(config, options))
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.inner.signer.config()
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    pub(super) fn signer(&self) -> Signer {
        self.inner.signer.clone()
    }

    /// Asks for the gateway's API version. Does not prove that the secret key is right.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn version(&self) -> Result<VersionInfo, Error> {
        Ok(self.call(Version::new())?.value)
    }

    /// Checks the keys. The gateway sends `echo` back.
    ///
    /// # Errors
    ///
    /// [`Error::is_auth`] if the keys are wrong;
    /// [`GatewayError::is_clock_skew`](sorna_core::GatewayError::is_clock_skew) if this machine's clock is
    /// more than 15 minutes off; else see [`Error`].
    pub fn authorize(&self, echo: &str) -> Result<Authorized, Error> {
        Ok(self.call(Authorize::new(echo))?.value)
    }

    /// Lists the languages of the gateway. An extension of `sorna-gateway`: other gateways answer
    /// with an error for which [`Error::is_not_found`] is true.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn languages(&self) -> Result<Vec<LanguageInfo>, Error> {
        Ok(self.call(ListLanguages::new())?.value)
    }

    /// Gets the living kernel with this token, or creates one; without a token, always a new one.
    ///
    /// # Errors
    ///
    /// See [`Error`]; for a language that the gateway does not have, a
    /// [`GatewayError`](sorna_core::GatewayError) whose `is_creation_failed` is true.
    pub fn get_or_create(&self, lang: &str, token: Option<SessionToken>) -> Result<Kernel, Error> {
        self.create(CreateKernel::new(lang, token.unwrap_or_else(random_token)))
    }

    /// As [`get_or_create`](Self::get_or_create), with limits (memory in KiB) and mounts.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn create(&self, create: CreateKernel) -> Result<Kernel, Error> {
        let id = self.call(create)?.value;
        Ok(self.kernel(id))
    }

    /// A kernel that exists already. Nothing is asked of the gateway.
    #[must_use]
    pub fn kernel(&self, id: KernelId) -> Kernel {
        Kernel::new(self.clone(), id)
    }

    /// Counts what this client sends of local files, for whoever shows the progress of uploads.
    #[must_use]
    pub fn send_meter(&self) -> SendMeter {
        self.inner.transport.meter()
    }

    /// Carries out a whole run: create, upload, execute, destroy.
    #[must_use]
    pub fn run(&self, plan: RunPlan) -> Run {
        Run::new(self.clone(), plan)
    }

    /// Carries out any operation, and hands over the rate limit along with its result.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn call<O: Operation>(&self, operation: O) -> Result<Answer<O::Output>, Error> {
        self.call_with(operation, self.inner.options.retry)
    }

    pub(super) fn call_with<O: Operation>(
        &self,
        operation: O,
        policy: RetryPolicy,
    ) -> Result<Answer<O::Output>, Error> {
        let mut call = Call::new(operation, self.signer(), policy);
        match self.drive(&mut call, thread::sleep, |_| ()) {
            Driven::Done(result) => result,
            Driven::Event(never) => match never {},
            Driven::Idle => unreachable!("a call idles only while its request is on its way"),
        }
    }

    /// The one loop of this driver: do what the machine asks until it has something to tell.
    /// `before` sees the machine each time before it is asked.
    pub(super) fn drive<M: Machine>(
        &self,
        machine: &mut M,
        sleep: impl Fn(Duration),
        before: impl Fn(&mut M),
    ) -> Driven<M> {
        let clock = self.inner.clock;
        loop {
            before(machine);
            match machine.poll(clock.now()) {
                Step::Send(transmit) => {
                    let Inner {
                        transport, options, ..
                    } = &*self.inner;
                    let observer = options.observer.as_ref();
                    let watch = Watch::begin(observer, &transmit.request, transmit.attempt);
                    let result = transport.send(transmit.request, transmit.time_limit);
                    if let Some(watch) = watch {
                        watch.end(&result);
                    }
                    match result {
                        Ok(response) => {
                            let now = self.inner.window.hear(clock.now(), response.headers());
                            machine.handle_response(now, response);
                        }
                        Err(failure) => machine.handle_failure(clock.now(), failure),
                    }
                }
                Step::Wait(until) => sleep(clock.until(until)),
                Step::Event(event) => return Driven::Event(event),
                Step::Done(output) => return Driven::Done(output),
                _ => return Driven::Idle,
            }
        }
    }
}

/// What a machine has to tell.
pub(super) enum Driven<M: Machine> {
    Event(M::Event),
    Idle,
    Done(M::Output),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", self.config())
            .finish_non_exhaustive()
    }
}
