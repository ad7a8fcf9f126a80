//! Run code in remote [Sorna](https://www.backend.ai) kernels: send snippets and programs, get
//! console output, input prompts, media, or a live terminal back.
//!
//! This crate carries the requests of [`sorna-core`](crate::core) to the gateway, and the answers back:
//! connections, TLS, proxies, time limits, repeating what may be repeated, streaming files, terminals. What
//! it leaves to you: an endpoint and a key pair (or a gateway of your own: crate `sorna-gateway`), and, for
//! async use, the runtime. It logs nothing; an [`Observer`] is told of each request.
//!
//! # Example
//!
//! ```no_run
//! # #[cfg(feature = "ureq")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sorna::blocking::Client;
//!
//! // SORNA_ENDPOINT, SORNA_ACCESS_KEY and SORNA_SECRET_KEY say where and who.
//! let client = Client::from_env()?;
//! let kernel = client.get_or_create("python3", None)?;
//! let result = kernel.execute("print('hello world')").finish()?;
//! print!("{}", result.console.stdout());
//! kernel.destroy()?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "ureq"))]
//! # fn main() {}
//! ```
//!
//! The pages of the drivers show the same for each. To try it without a cluster, start a gateway in the
//! same program: crate `sorna-gateway`.
//!
//! | to | see |
//! |---|---|
//! | get output as it comes, and answer input requests | `Execution::next_event` |
//! | run files, with a build | `Kernel::upload`, [`files`], and a [`Batch`](crate::core::Batch) for `Kernel::execute` |
//! | have a kernel that does not stay behind | `Client::temporary` |
//! | do all of that in one go, and stop it from elsewhere | `Client::run`, `Run::canceller` |
//! | limit memory and time | [`Limits`](crate::core::Limits), with `Client::create` |
//! | open a terminal | `Kernel::stream_pty` |
//! | know what to do about a failure | [`Error`](crate::core::Error) and its predicates |
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
//! | `async-std` | `async_std::Client` | async-std is discontinued upstream, in favour of smol |
//! | `engine` | `Client<HttpTransport<R>>` | the HTTP engine, for a [`Runtime`](crate::runtime::Runtime) of your own |
//! | `async` | `Client<T>` | no HTTP, for a [`Transport`](crate::net::Transport) of your own |
//! | `tls` | | TLS options; every driver of ours turns it on |
//! | `tree` | | `files::collect`: whole directories, without the files that are ignored |
//!
//! The default is the blocking driver, since it needs nothing around it; with a runtime, say
//! `default-features = false, features = ["tokio"]`. Features only add: any set of them works
//! together.
//!
//! # What is the same in all drivers
//!
//! Connections are kept and reused. TLS is rustls with the system's roots, and those of private
//! authorities ([`ClientOptions`]); there is no way to turn verification off. Redirects are not
//! followed. HTTP proxies are taken from the environment by `from_env`, or from the options. Failed
//! requests are repeated only where that is safe: see [`core::machine::Call`].
//!
//! # See also
//!
//! [`sorna-core`](crate::core), the protocol without I/O;
//! [`sorna-gateway`](https://docs.rs/sorna-gateway), a gateway for one machine;
//! [`sorna-cli`](https://docs.rs/sorna-cli), the command line.
//!
//! Where what belongs, for those who change it: module `architecture`.
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
#[cfg(feature = "async")]
mod client;
#[cfg(feature = "async")]
mod clock;
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
pub mod terminal;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "engine")]
mod wire;

#[cfg(feature = "async")]
pub use client::{Canceller, Client, Execution, Kernel, Run, StreamedResponse, TemporaryKernel};
#[cfg(feature = "async")]
pub use observe::{Exchange, Observer};
pub use options::{ClientOptions, EnvError};
pub use random::{random_boundary, random_token};
pub use sorna_core as core;
