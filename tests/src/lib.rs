//! What the tests across the crates share.

pub mod drivers;
pub mod npm;
pub mod proxy;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The examples of the library's manual.
#[cfg(doctest)]
#[doc = include_str!("../../runtimes/client/README.md")]
pub struct ClientReadme;

/// The example of the gateway's README.
#[cfg(doctest)]
#[doc = include_str!("../../runtimes/gateway/README.md")]
pub struct GatewayReadme;
