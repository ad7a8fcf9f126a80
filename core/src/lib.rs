//! The protocol core of [Sorna] for Rust: kernel operations become signed `http::Request` values,
//! and `http::Response` values become typed results.
//!
//! There is no I/O in this crate: no socket, clock, randomness, environment, thread or async. The
//! time and random numbers come in as arguments or in a [`Moment`], bytes as bodies.
//!
//! It leaves the transport of requests to you: connections, TLS, proxies, streaming the
//! files of uploads, time limits, and sleeping. Crate `sorna` does that for blocking use, tokio, smol
//! and async-std; use this one to send requests through your own HTTP client, from another language
//! or runtime, or to write and test gateways.
//!
//! # One request, one response
//!
//! Each operation is a plain struct that makes a request and reads the response:
//!
//! ```
//! use std::time::SystemTime;
//! use sorna_core::{ApiVersion, Config, CreateKernel, Operation, SessionToken, Signer};
//!
//! let config = Config::from_lookup(|name| match name {
//!     "SORNA_ENDPOINT" => Some("http://127.0.0.1:8081".into()),
//!     "SORNA_ACCESS_KEY" => Some("AKIAIOSFODNN7EXAMPLE".into()),
//!     "SORNA_SECRET_KEY" => Some("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
//!     _ => None,
//! })?;
//! let signer = Signer::new(config);
//!
//! let create = CreateKernel::new("python3", SessionToken::new("my-session")?);
//! let request = create.request(&signer, SystemTime::now())?;
//! assert_eq!(request.uri(), "http://127.0.0.1:8081/v2/kernel/create");
//! assert!(request.headers().contains_key("authorization"));
//!
//! // Send it with any HTTP client; then:
//! let response = http::Response::builder()
//!     .status(201)
//!     .body(r#"{"kernelId": "6N0hHjQKeTAvdmU5q2Kgow"}"#.into())?;
//! let kernel = create.read_response(ApiVersion::default(), response)?.value;
//! assert_eq!(kernel.id.as_str(), "6N0hHjQKeTAvdmU5q2Kgow");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Operations
//!
//! | operation | request | result |
//! |---|---|---|
//! | [`Version`] | `GET /v2`, `GET /` | [`VersionInfo`] |
//! | [`Authorize`] | `GET /v2/authorize` | [`Authorized`] |
//! | [`ListLanguages`] | `GET /v2/languages`, an extension; in Backend.AI the images, by `POST /admin/gql` | [`LanguageInfo`]s |
//! | [`CreateKernel`] | `POST /v2/kernel/create`, `POST /session` | [`CreatedKernel`] |
//! | [`Info`] | `GET /v2/kernel/{id}` | [`KernelInfo`] |
//! | [`Restart`] | `PATCH /v2/kernel/{id}` | nothing |
//! | [`Destroy`] | `DELETE /v2/kernel/{id}` | nothing |
//! | [`Execute`] | `POST /v2/kernel/{id}` | [`ExecutionResult`] |
//! | [`Complete`] | `POST /v2/kernel/{id}` | candidates |
//! | [`UploadFiles`] | `POST /v2/kernel/{id}/upload` | nothing |
//! | [`ListSessions`] | Backend.AI: `POST /admin/gql` | [`SessionPage`] |
//! | [`MatchSessions`] | Backend.AI: `GET /session/_/match`; with an extension, `GET /v2/kernels` | [`SessionSummary`]s |
//! | [`SubscribeEvents`](events::SubscribeEvents) | Backend.AI: `GET /events/session` | a stream of [`SessionEvent`](events::SessionEvent)s |
//! | [`OpenTerminal`](terminal::OpenTerminal) | `GET /v2/stream/kernel/{id}/pty` | a WebSocket |
//!
//! Of Backend.AI only; in Sorna v2 they are [`BuildError::Unsupported`]:
//!
//! | operation | request | result |
//! |---|---|---|
//! | [`ListFiles`] | `GET /session/{name}/files`; with an extension, `GET /v2/kernel/{id}/files` | [`FileListing`] |
//! | [`Download`] | `POST` or `GET /session/{name}/download`; with an extension, `GET /v2/kernel/{id}/download` | [`DownloadedFile`]s, or unpacked [as they arrive](download) |
//! | [`DownloadSingle`] | `POST` or `GET /session/{name}/download_single`; with an extension, `GET /v2/kernel/{id}/download_single` | the content |
//! | [`OpenExecution`] | `GET /stream/session/{name}/execute` | a WebSocket |
//! | [`Logs`] | `GET /session/{name}/logs`; with an extension, `GET /v2/kernel/{id}/logs` | text |
//! | [`FollowLogs`] | with an extension, the same with `?from=…&wait=…` | a [`LogPart`] |
//! | [`StatusHistory`] | `GET /session/{name}/status-history` | [`StatusChange`]s |
//! | [`Rename`] | `POST /session/{name}/rename` | nothing |
//! | [`Interrupt`] | `POST /session/{name}/interrupt`; with an extension, `POST /v2/kernel/{id}/interrupt` | nothing |
//! | [`KeepAlive`] | with an extension, `POST /session/{name}/keep-alive` and `POST /v2/kernel/{id}/keep-alive` | [`KeptAlive`] |
//! | [`Login`], [`Logout`] | web servers: `POST /server/login`, `POST /server/logout` | a [`WebSession`], nothing |
//! | [`LoginCheck`] | web servers: `POST /server/login-check` | a [`WebUser`], if someone is logged in |
//!
//! # Many requests
//!
//! Everything that takes several requests is a state machine in [`machine`]: [`Negotiate`](machine::Negotiate), which
//! finds out the version that a gateway speaks, a [`Call`](machine::Call) that retries where that is safe, an [`Upload`](machine::Upload) of any number of files, an
//! [`Execution`](machine::Execution) through input requests to its end, and a whole
//! [`Run`](machine::Run). An open terminal is a state machine, too, with messages instead of requests:
//! [`Terminal`](terminal::Terminal). Each has a diagram of its states and an example with literal bytes.
//!
//! # Sources
//!
//! The Sorna API manual of 2017 (API version v2.20170315), and observations of what the original
//! gateway, `sorna-manager` 0.9.11, sends and accepts; where the two disagree, this crate follows
//! the gateway, and the documentation says so. Names are those of the API.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `server` | module `server`: the gateway's half of the protocol |
//! | `all-hashes` | signing with MD5, SHA-1, SHA-3 and BLAKE2, besides the SHA-2 family |
//!
//! None is on by default. Features only add.
//!
//! The minimum supported Rust version is 1.88; raising it takes a new minor version.
//!
//! # See also
//!
//! [`sorna`](https://docs.rs/sorna), the drivers; its page
//! [`architecture`](https://docs.rs/sorna/latest/sorna/architecture/), which says what belongs where;
//! [`sorna-gateway`](https://docs.rs/sorna-gateway), a gateway for one machine on this crate's `server`.
//!
//! [Sorna]: https://www.backend.ai

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod caller;
mod config;
mod console;
pub mod download;
mod error;
pub mod events;
mod fields;
mod frame;
mod ident;
mod instant;
mod json;
mod lock;
pub mod machine;
mod moment;
mod ops;
mod path;
mod problem;
mod python;
mod rate_limit;
mod retry;
#[cfg(feature = "server")]
pub mod server;
pub mod signing;
pub mod terminal;
mod unsigned;
mod version;

pub use body::{Body, Segment};
pub use caller::Caller;
pub use config::{AccessKey, Config, Credentials, Endpoint, EnvNames, SecretKey, SessionCookie};
pub use console::{Console, Media, Record, Records, ValueForms};
pub use error::{
    AbortReason, Aborted, AgentDetails, BuildError, Busy, ConfigError, Error, ErrorBody,
    FilesUnavailable, FoundResponse, GatewayError, Hop, LoginError, NegotiationError, NotRunning,
    NotStored, ParseError, Problem, RejectedFile, Sent, TransportCause, TransportError,
    TransportErrorKind, Unavailable, UnavailableFile, UnpackError, UsageError,
};
pub use frame::Frame;
pub use ident::{KernelId, SessionToken};
pub use instant::Instant;
pub use moment::Moment;
pub use ops::*;
pub use problem::ProblemKind;
pub use rate_limit::RateLimit;
pub use retry::RetryPolicy;
pub use signing::{HashAlgorithm, Signer, http_date};
pub use unsigned::{Auth, UnsignedRequest};
pub use version::{ApiVersion, Dialect, UploadLimits};
