//! Client.
#![forbid(unsafe_code)]

#[cfg(feature = "async-std")]
pub mod async_std;
#[cfg(feature = "ureq")]
pub mod blocking;
#[cfg(feature = "async")]
mod client;
#[cfg(any(feature = "ureq", feature = "async"))]
mod clock;
#[cfg(feature = "engine")]
pub mod engine;
pub mod files;
pub mod net;
mod options;
mod random;
#[cfg(feature = "engine")]
pub mod runtime;
#[cfg(feature = "smol")]
pub mod smol;
#[cfg(any(feature = "engine", feature = "ureq"))]
pub mod terminal;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(any(feature = "engine", feature = "ureq"))]
mod wire;

#[cfg(feature = "async")]
pub use client::{Canceller, Client, Execution, Kernel, Run};
pub use options::{ClientOptions, EnvError};
pub use random::{random_boundary, random_token};
pub use sorna_core as core;
