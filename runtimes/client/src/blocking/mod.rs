//! The blocking driver: for programs without an async runtime.
//!
//! ```no_run
//! use sorna::blocking::Client;
//!
//! fn main() -> Result<(), sorna::Report> {
//!     // The environment names the gateway and the user.
//!     let kernel = Client::from_env()?.temporary("python3")?;
//!     println!("{}", kernel.run("print(6 * 7)")?.stdout());
//!     kernel.close()?;
//!     Ok(())
//! }
//! ```
//!
//! Requests are sent by [ureq](https://docs.rs/ureq) 3.5. Redirects are not followed, and connections are
//! kept and reused. An HTTP proxy is always asked to connect (`CONNECT`), even for plain http,
//! where the async drivers send it the whole URL. Each terminal has its own connection, and a
//! thread in the background.

mod body;
mod client;
mod download;
mod events;
mod execution;
mod failure;
mod kernel;
mod line;
mod logs;
mod meter;
mod park;
mod run;
mod runtime;
mod sessions;
mod socket;
mod stream;
mod streamed_body;
mod temporary;
mod terminal;
mod tracker;
mod transport;
mod wait;

pub use client::Client;
pub use download::DownloadStream;
pub use events::Events;
pub use execution::Execution;
pub use kernel::Kernel;
pub use logs::LogStream;
pub use meter::SendMeter;
pub use run::{Canceller, Run};
pub use stream::StreamedResponse;
pub use temporary::TemporaryKernel;
pub use terminal::{Pty, PtyReader, PtyWriter};
