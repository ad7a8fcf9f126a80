//! The gateway's half of the protocol: verify signatures, read requests, write responses.
//!
//! No I/O here either: the time and the bodies are arguments. A gateway routes with
//! [`Route::parse`], authenticates with [`SignedRequest`], reads bodies with [`CreateRequest`] and
//! [`ExecuteRequest`], and responds with [`reply`] or a [`ProblemReply`]. Where a gateway speaks Backend.AI as well,
//! [`dialect_of`] tells the requests apart, and [`backend_ai`] has what differs.
//!
//! ```
//! use std::time::SystemTime;
//! use sorna_core::server::{Route, SignedRequest};
//! use sorna_core::{AccessKey, Authorize, Config, Credentials, Operation, SecretKey, Signer};
//!
//! // What a client sends …
//! let secret = SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")?;
//! let keys = Credentials::new(AccessKey::new("AKIAIOSFODNN7EXAMPLE")?, secret.clone());
//! let signer = Signer::new(Config::new("http://127.0.0.1:8081".parse()?, keys));
//! let now = SystemTime::now();
//! let (parts, body) = Authorize::new("hello").request(&signer, now)?.into_parts();
//!
//! // … a gateway takes apart.
//! assert_eq!(Route::parse(&parts.method, parts.uri.path())?, Route::Authorize);
//! let signed = SignedRequest::parse(&parts, now)?;
//! assert_eq!(signed.access_key(), "AKIAIOSFODNN7EXAMPLE");
//! signed.verify(&secret, body.as_bytes().unwrap())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod auth;
pub mod backend_ai;
mod date;
mod dialect;
mod file_name;
mod keep_alive;
mod mark;
mod object;
mod problem;
pub mod reply;
mod request;
mod route;
mod template;

pub use auth::{SignedRequest, check_version};
pub use date::iso_date;
pub use dialect::dialect_of;
pub use file_name::upload_file_name;
pub use keep_alive::KeepAliveRequest;
pub use problem::ProblemReply;
pub use request::{
    AuthorizeRequest, BatchSteps, CompleteRequest, CreateRequest, ExecuteRequest, Step, wants_bytes,
};
pub use route::Route;

/// Reads JSON from a kernel. Halves of surrogate pairs, as Python and JavaScript write them, become U+FFFD.
///
/// # Errors
///
/// It is not JSON, or of another form than `T`.
pub fn read_json<T: serde::de::DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    crate::json::from_slice(json)
}
