//! The blocking driver: for programs without an async runtime.
//!
//! ```no_run
//! use sorna::blocking::Client;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // SORNA_ENDPOINT, SORNA_ACCESS_KEY and SORNA_SECRET_KEY name the gateway and the user.
//!     let kernel = Client::from_env()?.temporary("python3")?;
//!     println!("{}", kernel.run("print(6 * 7)")?.stdout());
//!     kernel.close()?;
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
