//! The client itself.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[cfg(feature = "terminal")]
use http::Request;
#[cfg(feature = "terminal")]
use sorna_core::Body;
use sorna_core::machine::{Call, Machine, Negotiate, Negotiated, Streaming};
use sorna_core::{
    Authorize, Authorized, Caller, Config, Dialect, Error, LanguageInfo, ListFiles, ListLanguages,
    Operation, Reply, Signer, Version, VersionInfo,
};

use super::background::Background;
use super::driver::{Driven, Driver};
use super::inner::{Channels, Inner, Opener};
use super::negotiation::{Known, Negotiation};
#[cfg(feature = "terminal")]
use super::socket;
use crate::ClientOptions;
#[cfg(feature = "engine")]
use crate::EnvError;
use crate::clock::Clock;
#[cfg(feature = "engine")]
use crate::engine::HttpTransport;
use crate::net::Transport;
#[cfg(feature = "terminal")]
use crate::net::{UpgradeTransport, Upgraded};
#[cfg(feature = "terminal")]
use crate::observe::observed;
#[cfg(feature = "engine")]
use crate::runtime::Runtime;

/// A client of one gateway for one user, over the HTTP client `T`.
///
/// With a runtime's feature on, this crate provides `T`: use [`tokio::Client`](crate::tokio::Client),
/// [`smol::Client`](crate::smol::Client) or [`async_std::Client`](crate::async_std::Client). To
/// bring your own, implement [`Transport`] and use [`with_transport`](Self::with_transport).
///
/// Clones are cheap and share their connections.
///
/// # Cancellation
///
/// Every future may be dropped at any time; a connection is never reused in a state that could harm
/// a later request. The gateway may still have done what was asked:
///
/// - [`call`](Self::call) and the methods built on it abandon the request. A kernel may exist
///   although its creation was abandoned; creating it again with the same token finds it.
/// - [`Execution::next_event`](crate::Execution::next_event) and
///   [`Run::next_event`](crate::Run::next_event) lose nothing: the request stays in flight,
///   and the next call continues with it. They are safe in `select!`.
/// - Dropping a [`Run`](crate::Run) or a [`TemporaryKernel`](crate::TemporaryKernel) destroys its kernel in the background. A program
///   waits for that with [`settled`](Self::settled) before its runtime ends.
pub struct Client<T> {
    pub(super) inner: Arc<Inner<T>>,
}

impl<T: Transport + 'static> Client<T> {
    /// A client over your own HTTP client. Of the options, the network settings are up to the transport. Without
    /// upgrades, executions ask for their output: see [`with_upgrades`](Self::with_upgrades).
    #[must_use]
    pub fn with_transport(config: Config, transport: T, options: ClientOptions) -> Self {
        Self::with_channels(config, transport, options, None)
    }

    fn with_channels(
        config: Config,
        transport: T,
        options: ClientOptions,
        opener: Option<Opener<T>>,
    ) -> Self {
        let mut caller = Caller::new(Signer::new(config)).with_retry(options.retry);
        if let Some(name) = &options.client_name {
            caller = caller.with_client_name(name);
        }
        Self {
            inner: Arc::new(Inner {
                negotiation: Negotiation::of(&caller),
                caller,
                transport,
                channels: Channels::new(
                    opener.filter(|_| options.streaming != Some(false)),
                    options.streaming == Some(true),
                ),
                observer: options.observer,
                clock: Clock::start(),
                background: Background::default(),
                marks: AtomicBool::new(false),
            }),
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.inner.caller.signer().config()
    }

    /// The HTTP client.
    #[must_use]
    pub fn transport(&self) -> &T {
        &self.inner.transport
    }

    /// Waits until the kernels of all [`Run`](crate::Run)s and
    /// [`TemporaryKernel`](crate::TemporaryKernel)s that were dropped are destroyed or given up,
    /// for this client and its clones.
    ///
    /// That happens in the background, which ends with the runtime: with tokio, smol and async-std,
    /// as soon as `main` returns. Call this before.
    ///
    /// ```no_run
    /// # use sorna::net::Transport;
    /// # async fn example<T: Transport + 'static>(client: sorna::Client<T>) -> Result<(), Box<dyn std::error::Error>> {
    /// async fn work<T: Transport + 'static>(client: &sorna::Client<T>) -> Result<(), sorna::Error> {
    ///     let kernel = client.temporary("python3").await?;
    ///     kernel.execute("1 / 0").finish().await?; // the guard is dropped here if that fails
    ///     kernel.close().await
    /// }
    ///
    /// let result = work(&client).await;
    /// client.settled().await;
    /// result?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn settled(&self) {
        poll_fn(|context| self.inner.background.poll_settled(context)).await;
    }

    /// The version of the API in use, its dialect, and the release of the manager if there is one.
    ///
    /// If the configuration [fixes](Config::with_version) a version it is that one, and no request is sent. Else it is
    /// negotiated, by one or two requests ([`Negotiate`]), before the first request of any kind; all that are made at
    /// the same time wait for the same negotiation. The result is remembered for all clones of this client. A failure is
    /// not: the next request negotiates anew.
    ///
    /// # Errors
    ///
    /// [`Error::Negotiation`] if the endpoint speaks no version that this crate speaks; else see [`Error`].
    pub async fn negotiated(&self) -> Result<Negotiated, Error> {
        if let Some(known) = self.inner.negotiation.known() {
            return Ok(known.negotiated.clone());
        }
        let negotiation = &self.inner.negotiation;
        negotiation
            .join(|| Box::pin(self.clone().negotiate()))
            .await
    }

    async fn negotiate(self) -> Result<Negotiated, Error> {
        let inner = &self.inner;
        let negotiate = Negotiate::new(inner.caller.clone());
        let found = match self.drive(negotiate).next().await {
            Driven::Done(result) => result?,
            Driven::Event(never) => match never {},
            Driven::Idle => unreachable!("a negotiation idles only while its request is in flight"),
        };
        inner.negotiation.learn(&inner.caller, found.clone());
        Ok(found)
    }

    /// Asks the gateway for its API version. Does not prove that the secret key is right. For the version in use,
    /// see [`negotiated`](Self::negotiated).
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub async fn version(&self) -> Result<VersionInfo, Error> {
        if self.inner.negotiation.known().is_none()
            && let Some(info) = self.negotiated().await?.info
        {
            return Ok(info);
        }
        Ok(self.call(Version::new()).await?.value)
    }

    /// Checks the keys. The gateway sends `echo` back.
    ///
    /// # Errors
    ///
    /// [`Error::is_auth`] if the keys are wrong;
    /// [`GatewayError::is_clock_skew`](sorna_core::GatewayError::is_clock_skew) if this machine's clock is
    /// more than 15 minutes off; else see [`Error`].
    pub async fn authorize(&self, echo: &str) -> Result<Authorized, Error> {
        Ok(self.call(Authorize::new(echo)).await?.value)
    }

    /// Lists the languages of the gateway, or the images of a manager of Backend.AI. In Sorna v2 it is an extension of
    /// `sorna-gateway`: other gateways send an error for which [`Error::is_not_found`] is true.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn languages(&self) -> Result<Vec<LanguageInfo>, Error> {
        Ok(self.call(ListLanguages::new()).await?.value)
    }

    /// Carries out any operation, and returns the rate limit along with its result.
    ///
    /// You can define your own operations, for a gateway that offers more than this crate knows:
    ///
    /// ```
    /// use http::Method;
    /// use sorna::{BuildError, Error, Operation};
    /// use sorna::protocol::{ApiVersion, Success, UnsignedRequest};
    ///
    /// /// How many kernels of a language there are.
    /// struct CountKernels<'a>(&'a str);
    ///
    /// impl Operation for CountKernels<'_> {
    ///     type Output = u64;
    ///
    ///     fn prepare(&self, _: ApiVersion) -> Result<UnsignedRequest, BuildError> {
    ///         Ok(UnsignedRequest::new(Method::GET, "/v2/count").segment(self.0))
    ///     }
    ///
    ///     fn read(&self, _: ApiVersion, success: &Success) -> Result<u64, Error> {
    ///         Ok(success.json("a number")?)
    ///     }
    /// }
    ///
    /// # use sorna::net::Transport;
    /// async fn count<T: Transport + 'static>(client: &sorna::Client<T>) -> Result<u64, Error> {
    ///     Ok(client.call(CountKernels("python3")).await?.value)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`]. [`Error::Build`] if the version in use does not have the operation, or a value is not allowed:
    /// the operation was not sent.
    pub async fn call<O>(&self, operation: O) -> Result<Reply<O::Output>, Error>
    where
        O: Operation,
    {
        self.call_with(operation, self.caller().await?).await
    }

    pub(super) async fn call_with<O>(
        &self,
        operation: O,
        caller: Caller,
    ) -> Result<Reply<O::Output>, Error>
    where
        O: Operation,
    {
        let call = Call::new(operation, caller);
        match self.drive(call).next().await {
            Driven::Done(result) => result,
            Driven::Event(never) => match never {},
            Driven::Idle => unreachable!("a call idles only while its request is in flight"),
        }
    }

    /// Speaks the version in use, which is negotiated if it is not known.
    ///
    /// # Errors
    ///
    /// As [`negotiated`](Self::negotiated).
    pub(crate) async fn caller(&self) -> Result<Caller, Error> {
        if let Some(caller) = self.known_caller() {
            return Ok(caller);
        }
        let found = self.negotiated().await?;
        Ok(self.inner.caller.clone().with_version(found.version))
    }

    /// Speaks the version in use, if it is known.
    pub(super) fn known_caller(&self) -> Option<Caller> {
        let known: &Known = self.inner.negotiation.known()?;
        Some(known.caller.clone())
    }

    /// What may be executed over WebSockets, if anything.
    pub(super) fn streaming(&self) -> Option<Streaming> {
        self.inner.channels.opener()?;
        let known = self.inner.negotiation.known()?;
        Some(Streaming::of(&known.negotiated))
    }

    /// Notes whether the gateway has said that it recognizes [marked](sorna_core::Execute::with_mark) executions.
    pub(super) fn note_marks(&self, are_recognized: bool) {
        self.inner.marks.fetch_or(are_recognized, Ordering::Relaxed);
    }

    /// Whether it has said so, when a kernel was created or its version was negotiated.
    pub(super) fn uses_marks(&self) -> bool {
        let known = || self.inner.negotiation.known();
        self.inner.marks.load(Ordering::Relaxed)
            || known().is_some_and(|known| known.negotiated.has_marked_executions())
    }

    /// Whether uploads are to be checked, as far as it is known.
    pub(super) fn may_lose_uploads(&self) -> bool {
        let known = self.inner.negotiation.known();
        known.is_none_or(|known| known.negotiated.may_lose_uploads())
    }

    /// Waits.
    pub(super) async fn sleep(&self, duration: Duration) {
        self.inner.transport.sleep(duration).await;
    }

    /// Whether the gateway has said that it understands this extension of the protocol.
    pub(super) fn has_extension(&self, name: &str) -> bool {
        let known = self.inner.negotiation.known();
        known.is_some_and(|known| known.has_extension(name))
    }

    /// Whether the gateway understands this extension of the protocol, such as [`ListFiles::FILES`]. It is asked if it has
    /// not said yet.
    ///
    /// # Errors
    ///
    /// As [`version`](Self::version).
    pub async fn offers(&self, name: &str) -> Result<bool, Error> {
        self.caller().await?;
        let known = self.inner.negotiation.known();
        if known.is_some_and(|known| !known.knows_extensions()) {
            let info = self.call(Version::new()).await?.value;
            self.learn_extensions(info.extensions().map(str::to_owned).collect());
        }
        Ok(self.has_extension(name))
    }

    /// Whether it lists and sends files, where that takes an extension.
    pub(super) async fn offers_files(&self) -> Result<bool, Error> {
        match self.caller().await?.version().dialect() {
            Dialect::BackendAi => Ok(false),
            _ => self.offers(ListFiles::FILES).await,
        }
    }

    /// Remembers the extensions of the gateway, which it tells whenever it creates a kernel.
    pub(super) fn learn_extensions(&self, names: Vec<String>) {
        if let Some(known) = self.inner.negotiation.known() {
            known.learn_extensions(names);
        }
    }

    pub(super) fn drive<M: Machine>(&self, machine: M) -> Driver<T, M> {
        Driver::new(Arc::clone(&self.inner), machine)
    }
}

#[cfg(feature = "terminal")]
impl<T: UpgradeTransport + 'static> Client<T> {
    /// As [`with_transport`](Self::with_transport), for an HTTP client that can upgrade connections: executions use
    /// WebSockets where the gateway has them, unless the [options](ClientOptions::with_streaming) say otherwise.
    #[must_use]
    pub fn with_upgrades(config: Config, transport: T, options: ClientOptions) -> Self {
        Self::with_channels(config, transport, options, Some(socket::open::<T>))
    }

    pub(crate) fn clock(&self) -> Clock {
        self.inner.clock
    }

    /// Requests another protocol, once, within the time for one attempt.
    pub(crate) async fn upgrade(&self, request: Request<Body>) -> Result<Upgraded<T::Io>, Error> {
        let inner = &*self.inner;
        let limit = inner.caller.retry().attempt_limit();
        let upgrade = |request| inner.transport.upgrade(request, limit);
        let upgraded = observed(inner.observer.as_ref(), request, 1, upgrade).await;
        upgraded.map_err(Error::Transport)
    }
}

#[cfg(feature = "engine")]
impl<R: Runtime> Client<HttpTransport<R>> {
    /// A client on this runtime.
    #[must_use]
    pub fn with_runtime(runtime: R, config: Config, options: ClientOptions) -> Self {
        let transport = HttpTransport::new(runtime, options.net.clone());
        Self::with_upgrades(config, transport, options)
    }

    /// A client on this runtime, which may hold something, configured as by [`from_env`](Self::from_env).
    ///
    /// # Errors
    ///
    /// A variable that is missing or cannot be used; the error names it.
    pub fn from_env_with(runtime: R) -> Result<Self, EnvError> {
        let (config, options) = crate::options::from_env()?;
        Ok(Self::with_runtime(runtime, config, options))
    }
}

#[cfg(feature = "engine")]
impl<R: Runtime + Default> Client<HttpTransport<R>> {
    /// A client with the default options. Does not connect yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_options(config, ClientOptions::default())
    }

    /// A client with these options.
    #[must_use]
    pub fn with_options(config: Config, options: ClientOptions) -> Self {
        Self::with_runtime(R::default(), config, options)
    }

    /// A client for the gateway and the user that the environment names: `BACKEND_ENDPOINT`,
    /// `BACKEND_ACCESS_KEY` and `BACKEND_SECRET_KEY`, or those with `SORNA_` if `BACKEND_ENDPOINT` is not set
    /// ([`EnvNames`](crate::EnvNames)); and the variables for proxies.
    ///
    /// A runtime without a default value, as it holds a handle, is given to [`from_env_with`](Self::from_env_with).
    ///
    /// # Errors
    ///
    /// A variable that is missing or cannot be used; the error names it.
    pub fn from_env() -> Result<Self, EnvError> {
        Self::from_env_with(R::default())
    }
}

impl<T> Clone for Client<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", self.inner.caller.signer().config())
            .finish_non_exhaustive()
    }
}
