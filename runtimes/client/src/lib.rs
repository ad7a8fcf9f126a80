//! Run code in remote [Sorna](https://www.backend.ai) kernels: send snippets and programs, get
//! console output, input prompts, media, or a live terminal back.
//!
//! ```no_run
//! # #[cfg(feature = "ureq")]
//! # fn main() -> Result<(), sorna::Report> {
//! use sorna::blocking::Client;
//!
//! // The environment names the gateway and the user: see below.
//! let kernel = Client::from_env()?.temporary("python3")?;
//! println!("{}", kernel.run("print(6 * 7)")?.stdout());
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "ureq"))]
//! # fn main() {}
//! ```
//!
//! The pages of the modules `blocking`, `tokio`, `smol` and `async_std` show the same for each driver. To try
//! it without a cluster, start a gateway in the same program: crate `sorna-gateway`.
//!
//! This crate sends the requests of [`sorna-core`](crate::protocol) to the gateway, and brings the
//! responses back: connections, TLS, proxies, time limits, retries, streaming files, terminals. You bring
//! an endpoint and a key pair, and, for async use, the runtime. What you need most is at the top of
//! this crate; the whole protocol is in [`protocol`].
//!
//! | to | see |
//! |---|---|
//! | execute code and get its output | `Kernel::run` |
//! | get output as it arrives, and answer input requests | `Kernel::execute` |
//! | execute files, with a build | `Kernel::upload`, [`files`], and a [`Batch`] |
//! | use a kernel that is destroyed automatically | `Client::temporary` |
//! | come back to a kernel later | `Client::get_or_create` |
//! | limit memory and time | [`Limits`] in a [`KernelSpec`] |
//! | do all of that in one go, and stop it from another task | `Client::run`, `Run::canceller` |
//! | open a terminal | `Kernel::stream_pty` |
//! | download files and directories | `Kernel::download`, [`files::Saver`] (Backend.AI, and gateways of `sorna serve`) |
//! | list and find sessions | `Client::list`, `Client::find` (Backend.AI) |
//! | interrupt a program | `Kernel::interrupt` (Backend.AI, and gateways of `sorna serve`) |
//! | list files | `Kernel::list_files` (Backend.AI, and gateways of `sorna serve`) |
//! | read logs | `Kernel::logs` (Backend.AI) |
//! | follow what happens to sessions | `Client::events`, `Kernel::events` (Backend.AI) |
//! | set time limits, retries, proxies and certificates | [`ClientOptions`] |
//! | see each request | `Observer`, feature `tracing` |
//! | send a request that this crate does not know | `Client::call`, `Client::stream` |
//!
//! # Which gateway, and what it speaks
//!
//! `Client::from_env` takes endpoint and keys from `BACKEND_ENDPOINT`, `BACKEND_ACCESS_KEY` and `BACKEND_SECRET_KEY`; if
//! `BACKEND_ENDPOINT` is not set, from `SORNA_ENDPOINT`, `SORNA_ACCESS_KEY` and `SORNA_SECRET_KEY`. The two families are
//! never mixed: see [`EnvNames`]. The endpoint may speak the API of a manager of Backend.AI or that of a gateway of Sorna v2.
//! A client finds that out once, before its first request, by `GET /` and perhaps `GET /v2`; all its clones use the
//! result, and `Client::negotiated` tells it. `SORNA_*` names fix Sorna v2, also where the endpoint speaks both, unless
//! the configuration is to be [negotiated](Config::negotiated). To skip the negotiation, fix the version. It
//! is worth it where many short-lived programs share an address, from which a manager takes 1000 such requests in 15
//! minutes:
//!
//! ```
//! # use sorna::{AccessKey, Config, Credentials, SecretKey};
//! use sorna::ApiVersion;
//!
//! # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
//! let config = Config::new("https://cluster.example".parse()?, keys);
//! let config = config.with_version(ApiVersion::V7_20230615);
//! # Ok::<(), sorna::ConfigError>(())
//! ```
//!
//! With `BACKEND_ENDPOINT_TYPE=session`, the endpoint is a web server of Backend.AI, to which users log in: there are no
//! keys. `client.call(Login::new(…))` gives the session, and `Config::with_session` uses it; see
//! [`Config::of_web_server`] and [`protocol::Login`].
//!
//! An operation that the version in use lacks is a [`BuildError::Unsupported`], and is not sent.
//!
//! # Errors
//!
//! Every failure of a call is an [`Error`]; settings that cannot be used are an [`EnvError`], before any call.
//! Decide by predicates, not by text:
//!
//! | predicate | what to do |
//! |---|---|
//! | [`is_auth`](Error::is_auth) | check the keys, and that they belong to this endpoint |
//! | [`is_not_found`](Error::is_not_found) | the kernel is gone: create another |
//! | [`is_retryable`](Error::is_retryable) | the same may succeed later; the client has tried a few times already |
//! | [`may_have_acted`](Error::may_have_acted) | look before you try again: the gateway may have done it |
//! | [`gateway`](Error::gateway) | ask the [`GatewayError`] what kind it is, and whether it names a time to wait |
//! | [`Error::Negotiation`] | check the endpoint: what is there is no gateway, or one that is too old |
//! | [`transport`](Error::transport) | ask the [`TransportError`] what failed, for what cause, and whether at a proxy |
//!
//! A program that fails is not an error of this crate: see [`ExecutionResult::exit_code`]. Calls in the
//! wrong order are [`Error::Usage`].
//!
//! # Features
//!
//! There is one driver for each way to do I/O, behind a feature of that name; they share names and
//! meaning, so that only `.await` makes a difference:
//!
//! | feature | client | |
//! |---|---|---|
//! | `ureq` (default) | `blocking::Client` | no runtime; on [ureq](https://docs.rs/ureq) |
//! | `tokio` | `tokio::Client` | |
//! | `smol` | `smol::Client` | |
//! | `async-std` | `async_std::Client` | async-std is discontinued upstream, in favor of smol |
//! | `engine` | `Client<HttpTransport<R>>` | the HTTP engine, for your own [`Runtime`](crate::runtime::Runtime) |
//! | `async` | `Client<T>` | no HTTP, for your own [`Transport`](crate::net::Transport) |
//! | `terminal` | | terminals, and executions by WebSocket, over your own transport; all drivers of this crate turn it on |
//! | `tls` | | TLS options; all drivers of this crate turn it on |
//! | `tracing` | | a [tracing](https://docs.rs/tracing) span and event for each request, at level DEBUG with target `sorna` |
//! | `tree` | | `files::collect`: whole directories, without the files that are ignored |
//!
//! The default is the blocking driver, since it needs no runtime; with a runtime, use
//! `default-features = false, features = ["tokio"]`. Features only add: any set of them works.
//!
//! # What is the same in all drivers
//!
//! Connections are kept and reused. TLS is rustls with the system's roots, and those of private
//! authorities ([`ClientOptions`]); there is no way to turn verification off. Redirects are not
//! followed. HTTP proxies are taken from the environment by `from_env`, or from the options. Failed
//! requests are retried only where that is safe: see [`protocol::machine::Call`]. Nothing is logged without
//! feature `tracing`.
//!
//! # See also
//!
//! [`sorna-core`](crate::protocol), the protocol without I/O;
//! [`sorna-gateway`](https://docs.rs/sorna-gateway), a gateway for one machine;
//! [`sorna-cli`](https://docs.rs/sorna-cli), the command line.
//!
//! For contributors: module `architecture`.
//!
//! The minimum supported Rust version is 1.88; raising it takes a new minor version.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(doc)]
#[doc = include_str!("../ARCHITECTURE.md")]
pub mod architecture {}
#[cfg(feature = "async-std")]
pub mod async_std;
#[cfg(feature = "ureq")]
pub mod blocking;
mod causes;
#[cfg(feature = "async")]
mod client;
#[cfg(feature = "async")]
mod clock;
#[cfg(feature = "async")]
mod copy;
#[cfg(feature = "engine")]
pub mod engine;
pub mod files;
#[cfg(feature = "async")]
mod lock;
pub mod net;
#[cfg(feature = "async")]
mod observe;
mod options;
mod random;
#[cfg(feature = "engine")]
pub mod runtime;
#[cfg(feature = "smol")]
pub mod smol;
#[cfg(feature = "terminal")]
mod terminal;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "terminal")]
mod websocket;
#[cfg(feature = "engine")]
mod wire;

pub use causes::{Report, with_causes};
#[cfg(feature = "async")]
pub use client::{
    Canceller, Client, DownloadStream, Events, Execution, Kernel, LogStream, Run, StreamedResponse,
    TemporaryKernel,
};
#[cfg(feature = "async")]
pub use observe::{Exchange, Observer};
pub use options::{ClientOptions, EnvError};
pub use random::{random_boundary, random_token};
#[cfg(feature = "terminal")]
pub use terminal::{Pty, PtyReader, PtyWriter};

pub use sorna_core as protocol;
pub use sorna_core::download::{UnpackEvent, UnpackLimits, UnpackedEntry};
pub use sorna_core::events::{EventScope, SessionEvent, SubscribeEvents};
pub use sorna_core::machine::{
    Cleanup, Ending, ExecutionEvent, Negotiated, RunEvent, RunPlan, RunReport, SessionPending,
    UploadProgress,
};
pub use sorna_core::terminal::{TerminalEvent, TerminalOptions};
pub use sorna_core::{
    AbortReason, Aborted, AccessKey, ApiVersion, Batch, BuildError, Config, ConfigError, Console,
    Credentials, Dialect, Endpoint, EnvNames, Error, ErrorBody, Exceeded, ExecuteMode,
    ExecutionResult, ExecutionStatus, FileInfo, FileListing, FilesUnavailable, GatewayError, Hop,
    KernelId, KernelInfo, KernelSpec, LanguageInfo, Limit, Limits, ListSessions, LoginError, Media,
    NegotiationError, NotRunning, Operation, ParseError, ProblemKind, Record, Reply, RetryPolicy,
    SecretKey, Sent, ServicePort, SessionCookie, SessionStatus, SessionSummary, SessionToken,
    StatusChange, TransportCause, TransportError, TransportErrorKind, Unavailable, UnavailableFile,
    UnpackError, UploadFile, Usage, UsageError, ValueForms,
};
