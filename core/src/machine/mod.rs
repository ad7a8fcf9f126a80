//! State machines for everything that takes more than one request.
//!
//! | machine | what it does |
//! |---|---|
//! | [`Negotiate`] | which version of the API an endpoint speaks |
//! | [`Call`] | one operation: sends, waits, sends again where that is safe |
//! | [`Upload`] | any number of files, in as many requests as it takes |
//! | [`ExplainDownload`] | which files made a download fail |
//! | [`Create`] | a kernel, from its creation until it can run code |
//! | [`Removal`] | the end of a kernel |
//! | [`Execution`] | one execution, through continuations, build steps and input requests, to its end |
//! | [`Run`] | a whole run: create a kernel, upload, execute, destroy |
//!
//! All are [`Machine`]s, driven in the same way (a WebSocket adds [a few steps](Machine)):
//!
//! ```text
//!                ┌──────────────────────────── poll ───────────────────────────┐
//!                │                                                             │
//!   Step::Send ──┤ send the request; then handle_response or handle_failure ───┤
//!   Step::Wait ──┤ sleep until that time ──────────────────────────────────────┤
//!   Step::Event ─┤ show it to the caller ──────────────────────────────────────┤
//!   Step::Idle ──┤ the caller must do something (give input) ──────────────────┘
//!   Step::Done ──┘ the end
//! ```
//!
//! So a driver is a loop. In this one, the gateway is a function:
//!
//! ```
//! use std::time::UNIX_EPOCH;
//! use http::{Request, Response};
//! use sorna_core::machine::{Call, Machine, Step};
//! use sorna_core::{Body, Caller, Instant, Moment, Version};
//! # use sorna_core::{AccessKey, Config, Credentials, SecretKey, Signer};
//! # let keys = Credentials::new(AccessKey::new("AK")?, SecretKey::new("SK")?);
//! # let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
//!
//! fn drive<M: Machine>(
//!     mut machine: M,
//!     send: impl Fn(Request<Body>) -> Response<bytes::Bytes>,
//! ) -> M::Output {
//!     let mut now = Moment::new(UNIX_EPOCH, Instant::default(), 7);
//!     loop {
//!         match machine.poll(now) {
//!             Step::Send(transmit) => machine.handle_response(now, send(transmit.request)),
//!             Step::Wait(until) => now = now.after(until.saturating_duration_since(now.instant)),
//!             Step::Done(output) => return output,
//!             _ => panic!("a call has no events, and idles only while its request is in flight"),
//!         }
//!     }
//! }
//!
//! let call = Call::new(Version::new(), Caller::new(signer));
//! let reply = drive(call, |request| {
//!     assert_eq!(request.uri().path(), "/v2");
//!     Response::new(r#"{"version": "v2.20170315"}"#.into())
//! });
//! assert_eq!(reply?.value.version, "v2.20170315");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An open terminal is a machine, too, with messages instead of requests:
//! [`Terminal`](crate::terminal::Terminal).

mod call;
mod create;
mod execution;
mod explain_download;
mod negotiate;
mod removal;
mod run;
mod step;
#[cfg(test)]
mod testing;
mod upload;

pub use call::Call;
pub use create::{Create, SessionPending};
pub use execution::{Execution, ExecutionEvent, Streaming};
pub use explain_download::ExplainDownload;
pub use negotiate::{Negotiate, Negotiated};
pub use removal::Removal;
pub use run::{Cleanup, Ending, Run, RunEvent, RunPlan, RunReport};
pub use step::{Machine, Step, Transmit};
pub use upload::{Upload, UploadProgress};
