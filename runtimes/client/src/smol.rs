//! The driver for [smol](https://docs.rs/smol).
//!
//! ```no_run
//! use sorna::smol::Client;
//!
//! fn main() -> Result<(), sorna::Report> {
//!     smol::block_on(async {
//!         // The environment names the gateway and the user.
//!         let client = Client::from_env()?;
//!         let kernel = client.temporary("python3").await?;
//!         println!("{}", kernel.run("print(6 * 7)").await?.stdout());
//!         kernel.close().await?;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! In your `Cargo.toml`: `sorna` with `default-features = false, features = ["smol"]`. Any executor
//! will do, or none: smol's reactor runs on its own thread.

use crate::engine::HttpTransport;
pub use crate::runtime::Smol;

/// The HTTP client of this driver.
pub type Transport = HttpTransport<Smol>;
/// See [`Client`](crate::Client).
pub type Client = crate::Client<Transport>;
/// See [`Kernel`](crate::Kernel).
pub type Kernel = crate::Kernel<Transport>;
/// See [`Execution`](crate::Execution).
pub type Execution = crate::Execution<Transport>;
/// See [`DownloadStream`](crate::DownloadStream).
pub type DownloadStream = crate::DownloadStream<Transport>;
/// See [`LogStream`](crate::LogStream).
pub type LogStream = crate::LogStream<Transport>;
/// See [`Events`](crate::Events).
pub type Events = crate::Events<<Transport as crate::net::StreamTransport>::Body>;
/// See [`Run`](crate::Run).
pub type Run = crate::Run<Transport>;
/// See [`TemporaryKernel`](crate::TemporaryKernel).
pub type TemporaryKernel = crate::TemporaryKernel<Transport>;
/// See [`Pty`](crate::Pty).
pub type Pty = crate::Pty<Transport>;
