//! The blocking driver: for programs without an async runtime.
//!
//! ```no_run
//! use sorna::blocking::Client;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // SORNA_ENDPOINT, SORNA_ACCESS_KEY and SORNA_SECRET_KEY say where and who.
//!     let client = Client::from_env()?;
//!     let kernel = client.get_or_create("python3", None)?;
//!     let result = kernel.execute("print('hello world')").finish()?;
//!     print!("{}", result.console.stdout());
//!     kernel.destroy()?;
//!     Ok(())
//! }
//! ```
//!
//! Built on [ureq](https://docs.rs/ureq) 3.5. Redirects are not followed, connections are kept and
//! reused, and name look-ups are remembered for a minute. An HTTP proxy is always asked to connect
//! (`CONNECT`), for plain http, too, where the async drivers send it the whole URL. Terminals have
//! connections of their own, and each has a thread in the background.

mod body;
mod client;
mod execution;
mod kernel;
mod meter;
mod park;
mod resolver;
mod run;
mod runtime;
mod socket;
mod stream;
mod temporary;
mod terminal;
mod tracker;
mod transport;
mod wait;

pub use client::Client;
pub use execution::Execution;
pub use kernel::Kernel;
pub use meter::SendMeter;
pub use run::{Canceller, Run};
pub use stream::StreamedResponse;
pub use temporary::TemporaryKernel;
pub use terminal::{Pty, PtyReader, PtyWriter};
