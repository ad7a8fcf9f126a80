//! The client itself.

use sorna_core::machine::Negotiated;
use sorna_core::{Authorized, Config, Error, LanguageInfo, Operation, Reply, VersionInfo};

use super::transport::UreqTransport;
use super::wait::wait;
use super::{SendMeter, StreamedResponse};
use crate::{ClientOptions, EnvError};

/// A client of one gateway for one user. Clones are cheap and share their connections; all methods
/// may be called from many threads at once.
#[derive(Clone, Debug)]
pub struct Client(pub(super) crate::Client<UreqTransport>);

impl Client {
    /// A client with the default options. Does not connect yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_options(config, ClientOptions::default())
    }

    /// A client with these options.
    #[must_use]
    pub fn with_options(config: Config, options: ClientOptions) -> Self {
        let transport = UreqTransport::new(options.clone());
        Self(crate::Client::with_upgrades(config, transport, options))
    }

    /// A client for the gateway and the user that the environment names: `BACKEND_ENDPOINT`,
    /// `BACKEND_ACCESS_KEY` and `BACKEND_SECRET_KEY`, or those with `SORNA_` if `BACKEND_ENDPOINT` is not set
    /// ([`EnvNames`](crate::EnvNames)); and the variables for proxies.
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
        self.0.config()
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &ClientOptions {
        self.0.transport().options()
    }

    /// The version of the API in use, its dialect, and the release of the manager if there is one.
    ///
    /// If the configuration [fixes](Config::with_version) a version it is that one, and no request is sent. Else it is
    /// negotiated, by one or two requests ([`Negotiate`](sorna_core::machine::Negotiate)), before the first request of
    /// any kind; all that are made at the same time wait for the same negotiation. The result is remembered for all clones
    /// of this client. A failure is not: the next request negotiates anew.
    ///
    /// # Errors
    ///
    /// [`Error::Negotiation`] if the endpoint speaks no version that this crate speaks; else see [`Error`].
    pub fn negotiated(&self) -> Result<Negotiated, Error> {
        wait(self.0.negotiated())
    }

    /// Asks the gateway for its API version. Does not prove that the secret key is right. For the version in use,
    /// see [`negotiated`](Self::negotiated).
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn version(&self) -> Result<VersionInfo, Error> {
        wait(self.0.version())
    }

    /// Checks the keys. The gateway sends `echo` back.
    ///
    /// # Errors
    ///
    /// [`Error::is_auth`] if the keys are wrong;
    /// [`GatewayError::is_clock_skew`](sorna_core::GatewayError::is_clock_skew) if this machine's clock is
    /// more than 15 minutes off; else see [`Error`].
    pub fn authorize(&self, echo: &str) -> Result<Authorized, Error> {
        wait(self.0.authorize(echo))
    }

    /// Whether the gateway understands this extension of the protocol, such as
    /// [`ListFiles::FILES`](sorna_core::ListFiles::FILES). It is asked if it has not said yet.
    ///
    /// # Errors
    ///
    /// As [`version`](Self::version).
    pub fn offers(&self, name: &str) -> Result<bool, Error> {
        wait(self.0.offers(name))
    }

    /// Lists the languages of the gateway, or the images of a manager of Backend.AI. In Sorna v2 it is an extension of
    /// `sorna-gateway`: other gateways send an error for which [`Error::is_not_found`] is true.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn languages(&self) -> Result<Vec<LanguageInfo>, Error> {
        wait(self.0.languages())
    }

    /// Counts the bytes of local files that this client sends, to show the progress of uploads.
    #[must_use]
    pub fn send_meter(&self) -> SendMeter {
        self.0.transport().meter()
    }

    /// Carries out any operation, and returns the rate limit along with its result. You can define
    /// your own operations: see [`sorna::Client::call`](crate::Client::call).
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn call<O: Operation>(&self, operation: O) -> Result<Reply<O::Output>, Error> {
        wait(self.0.call(operation))
    }

    /// Sends the request of an operation and returns its response as soon as the head arrives: for
    /// downloads and streams of events. The operation itself does not read it.
    ///
    /// Until the head of a successful response arrives, the request is retried as with
    /// [`call`](Self::call), and the time limits are the same. Afterwards nothing is retried, and
    /// there is no limit on the time for the body.
    ///
    /// # Errors
    ///
    /// See [`Error`]; an error response is an [`Error::Gateway`], as with `call`.
    pub fn stream<O: Operation>(&self, operation: O) -> Result<StreamedResponse, Error> {
        wait(self.0.stream(operation)).map(StreamedResponse::new)
    }
}
