//! Which version of the API an endpoint speaks.

use std::convert::Infallible;

use bytes::Bytes;
use http::Response;

use super::call::Call;
use super::step::{Machine, Step};
use crate::caller::Caller;
use crate::error::{Error, FoundResponse, GatewayError, NegotiationError, TransportError};
use crate::moment::Moment;
use crate::ops::{Execute, Reply, Version, VersionInfo};
use crate::problem::ProblemKind;
use crate::version::{ApiVersion, Dialect, numbers};

/// Finds out which version of the API to speak with an endpoint.
///
/// ```text
///                  hello of a manager
///   new ─► GET / ─────────────────────────► Done: Backend.AI, or NegotiationError::TooOld
///          │ unsigned, names no version
///          │
///          │ anything else but a failure (404, a page, another JSON object)
///          ▼        a version of Sorna v2
///          GET /v2 ───────────────────────► Done: Sorna v2
///          │ signed
///          └──────────────────────────────► Done: NegotiationError::Unknown, or the error
/// ```
///
/// A manager of Backend.AI names its newest version, and speaks the older ones, too: the one in use is the highest
/// that both sides speak. `GET /v2` alone would not decide it, since managers of 2026 have another API below `/v2`.
///
/// Both requests are [`Call`]s, which retry where that may help. It ends at once if one of them gets no response, or
/// only that the gateway does not work for now or that there were too many requests; and at `GET /v2`, if the gateway
/// rejects the keys or the date. None of these says what the endpoint speaks.
///
/// For a [web server](crate::Config::of_web_server), only hello is requested, through it from its manager; if that fails, the
/// error is [`NegotiationError::NoWebServer`].
///
/// Observed on managers 23.09.10 and 26.9.6: hello needs no signature and has a rate limit of its own (1000 requests in 15
/// minutes for each address); 23.09.10 rejects version headers that it does not know. Gateway 0.9.11 responds to
/// `GET /` with 400.
///
/// ```
/// use std::time::UNIX_EPOCH;
/// use sorna_core::machine::{Machine, Negotiate, Step};
/// use sorna_core::{ApiVersion, Caller, Dialect, Instant, Moment};
/// # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
/// # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
/// # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
/// # let now = Moment::new(UNIX_EPOCH, Instant::default(), 7);
///
/// let caller = Caller::new(signer);
/// let mut negotiate = Negotiate::new(caller.clone());
///
/// let Step::Send(transmit) = negotiate.poll(now) else { panic!() };
/// assert_eq!(transmit.request.uri().path(), "/");
/// assert!(!transmit.request.headers().contains_key("authorization"));
/// let hello = r#"{"version": "v7.20230615", "manager": "23.09.10"}"#;
/// negotiate.handle_response(now, http::Response::new(hello.into()));
///
/// let Step::Done(Ok(found)) = negotiate.poll(now) else { panic!() };
/// assert_eq!(found.version, ApiVersion::V7_20230615);
/// assert_eq!(found.dialect(), Dialect::BackendAi);
/// assert_eq!(found.manager(), Some("23.09.10"));
///
/// // From now on, all machines speak it.
/// let caller = caller.with_version(found.version);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is negotiated until it is polled"]
pub struct Negotiate {
    caller: Caller,
    call: Call<Version>,
    /// The response to `GET /`, once that says nothing.
    root: Option<FoundResponse>,
}

/// The version to speak with an endpoint, and what the endpoint said about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The version to speak.
    pub version: ApiVersion,
    /// What the endpoint said. `None` if it was not asked, since the version is fixed.
    pub info: Option<VersionInfo>,
}

impl Negotiated {
    /// A version that is fixed.
    #[must_use]
    pub fn fixed(version: ApiVersion) -> Self {
        let info = None;
        Self { version, info }
    }

    /// The dialect of the version.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.version.dialect()
    }

    /// Whether the gateway recognizes [marked executions](crate::Execute::with_mark), as far as it has said so.
    #[must_use]
    pub fn has_marked_executions(&self) -> bool {
        let info = self.info.iter();
        info.flat_map(VersionInfo::extensions)
            .any(|name| name == Execute::RUNS)
    }

    /// Whether the gateway may respond with success to an upload though it did not store all files, as managers of Backend.AI
    /// do. Those of no release, such as `sorna-gateway`, report it.
    #[must_use]
    pub fn may_lose_uploads(&self) -> bool {
        // Not known if the version is fixed.
        let is_manager = self
            .info
            .as_ref()
            .is_none_or(|info| info.manager.is_none() || info.release().is_some());
        self.dialect() == Dialect::BackendAi && is_manager
    }

    /// The [extensions](VersionInfo::extensions) that the gateway understands. None are known if the version is fixed.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.info.iter().flat_map(VersionInfo::extensions)
    }

    /// The release of the manager, such as `26.9.6`, if it is one of Backend.AI and said so.
    #[must_use]
    pub fn manager(&self) -> Option<&str> {
        self.info.as_ref()?.manager.as_deref()
    }
}

impl Negotiate {
    /// A negotiation for the endpoint and the keys of this caller, whose own version does not matter. It starts when
    /// it is polled.
    pub fn new(caller: Caller) -> Self {
        // Hello is not counted for the user, so what it says about the rate limit must not be shared.
        let signer = caller.signer().clone();
        let hello = Caller::new(signer)
            .with_retry(*caller.retry())
            .with_version(ApiVersion::OLDEST_BACKEND_AI);
        Self {
            caller,
            call: Call::new(Version::new(), hello),
            root: None,
        }
    }

    /// Reads the response to `GET /`; `None` if it does not say what the endpoint speaks.
    fn hello(&mut self, result: Result<VersionInfo, Error>) -> Option<Result<Negotiated, Error>> {
        let found = match result {
            Ok(info) => match numbers(&info.version) {
                Some((major, _)) if major > 2 => return Some(backend_ai(info)),
                // A gateway of Sorna v2, maybe, or something else that has a version.
                _ => FoundResponse::new(http::StatusCode::OK, &said(&info)),
            },
            // It says where the gateway is, whatever it speaks.
            Err(Error::Gateway(error)) if error.redirect_origin().is_some() => {
                return Some(Err(Error::Gateway(error)));
            }
            Err(Error::Gateway(error)) if !error.is_retryable() => of_gateway(&error),
            Err(Error::Parse(error)) => FoundResponse::new(error.status(), error.body()),
            Err(error) => return Some(Err(error)),
        };
        if self.caller.signer().config().is_of_web_server() {
            return Some(Err(NegotiationError::NoWebServer { found }.into()));
        }
        self.root = Some(found);
        let caller = self.caller.clone().with_version(ApiVersion::V2_20170315);
        self.call = Call::new(Version::new(), caller);
        None
    }
}

/// The version in use with a manager of Backend.AI that said this.
fn backend_ai(info: VersionInfo) -> Result<Negotiated, Error> {
    match ApiVersion::highest_up_to(&info.version) {
        Some(version) => Ok(Negotiated {
            version,
            info: Some(info),
        }),
        None => Err(NegotiationError::TooOld {
            offered: info.version,
            manager: info.manager,
            needed: ApiVersion::OLDEST_BACKEND_AI,
        }
        .into()),
    }
}

/// Reads the response to `GET /v2`.
fn sorna_v2(root: FoundResponse, result: Result<VersionInfo, Error>) -> Result<Negotiated, Error> {
    let v2 = match result {
        Ok(info) => match numbers(&info.version) {
            Some((2, _)) => {
                return Ok(Negotiated {
                    version: ApiVersion::V2_20170315,
                    info: Some(info),
                });
            }
            _ => FoundResponse::new(http::StatusCode::OK, &said(&info)),
        },
        // These say what to do, whatever the endpoint speaks.
        Err(Error::Gateway(error))
            if error.is_retryable()
                || error.is_auth()
                || error.kind() == Some(ProblemKind::InvalidAuthParams) =>
        {
            return Err(Error::Gateway(error));
        }
        Err(Error::Gateway(error)) => of_gateway(&error),
        Err(Error::Parse(error)) => FoundResponse::new(error.status(), error.body()),
        Err(error) => return Err(error),
    };
    Err(NegotiationError::Unknown { root, v2 }.into())
}

fn of_gateway(error: &GatewayError) -> FoundResponse {
    FoundResponse::new(error.status(), error.body())
}

/// What was said, written again.
fn said(info: &VersionInfo) -> Bytes {
    let mut all = info.extra.clone();
    all.insert("version".to_owned(), info.version.as_str().into());
    if let Some(manager) = &info.manager {
        all.insert("manager".to_owned(), manager.as_str().into());
    }
    serde_json::Value::Object(all).to_string().into()
}

impl Machine for Negotiate {
    type Event = Infallible;
    type Output = Result<Negotiated, Error>;

    fn poll(&mut self, now: Moment) -> Step<Infallible, Self::Output> {
        loop {
            let result = match self.call.poll(now).split() {
                Ok(result) => result.map(|Reply { value, .. }| value),
                Err(step) => return step.within(|never| match never {}),
            };
            if let Some(root) = self.root.take() {
                return Step::Done(sorna_v2(root, result));
            }
            if let Some(end) = self.hello(result) {
                return Step::Done(end);
            }
        }
    }

    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        self.call.handle_response(now, response);
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        self.call.handle_failure(now, failure);
    }
}

#[cfg(test)]
mod tests;
