//! The protocol core of [Sorna] for Rust: kernel operations become signed `http::Request` values,
//! and `http::Response` values become typed results.
//!
//! There is no I/O in this crate: no socket, clock, randomness, environment, thread or async. The
//! time and random numbers come in as a [`Moment`], bytes as bodies. What it leaves to you is to
//! carry requests to the gateway; crate `sorna` does that for blocking use, tokio, smol and
//! async-std.
//!
//! # One request, one response
//!
//! Each operation is a plain struct that makes a request and reads the response:
//!
//! ```
//! use std::time::SystemTime;
//! use sorna_core::{Config, CreateKernel, Operation, SessionToken, Signer};
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
//! let kernel = create.response(response)?.value;
//! assert_eq!(kernel.as_str(), "6N0hHjQKeTAvdmU5q2Kgow");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Many requests
//!
//! What takes several requests is a state machine in [`machine`]: a [`Call`](machine::Call) that
//! repeats what may be repeated, an [`Upload`](machine::Upload) of any number of files, an
//! [`Execution`](machine::Execution) through input requests to its end, and a whole
//! [`Run`](machine::Run). Each has an example with literal responses.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `server` | module `server`: the gateway's half of the protocol |
//! | `all-hashes` | signing with MD5, SHA-1, SHA-3 and BLAKE2, besides the SHA-2 family |
//!
//! None is on by default. The minimum supported Rust version is 1.88.
//!
//! [Sorna]: https://www.backend.ai

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod config;
mod console;
mod dialect;
mod error;
mod ident;
pub mod machine;
mod moment;
mod ops;
mod rate_limit;
#[cfg(feature = "server")]
pub mod server;
pub mod signing;
pub mod terminal;

pub use body::{Body, Segment};
pub use config::{AccessKey, Config, ConfigError, Credentials, Endpoint, SecretKey, variables};
pub use console::{Console, Media, Record, Records};
pub use dialect::{ApiVersion, UploadLimits};
pub use error::{
    AgentDetails, BuildError, Error, GatewayError, ParseError, Problem, Refusal, RejectedFile,
    Sent, TransportError, TransportErrorKind,
};
pub use ident::{KernelId, SessionToken};
pub use moment::Moment;
pub use ops::{
    Answer, Authorize, Authorized, Batch, Boundary, Complete, Continuation, CreateKernel, Destroy,
    Execute, ExecuteMode, ExecutionResult, ExecutionStatus, FileContent, Info, KernelInfo,
    LanguageInfo, Limits, ListLanguages, Operation, Repeat, Restart, Success, UploadFile,
    UploadFiles, Version, VersionInfo,
};
pub use rate_limit::RateLimit;
pub use signing::{HashAlgorithm, Signer, http_date};
