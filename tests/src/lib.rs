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

/// The examples of the book's page "Test your own program".
#[cfg(doctest)]
#[doc = include_str!("../../runtimes/cli/book/howto/tests.md")]
pub struct BookTests;

/// The examples of the book's page "Use your own runtime".
#[cfg(doctest)]
#[doc = include_str!("../../runtimes/cli/book/howto/own-runtime.md")]
pub struct BookOwnRuntime;

/// The examples of the book's page "Use your own HTTP client".
#[cfg(doctest)]
#[doc = include_str!("../../runtimes/cli/book/howto/own-http-client.md")]
pub struct BookOwnHttpClient;

/// The examples of the book's page "Write your own gateway".
#[cfg(doctest)]
#[doc = include_str!("../../runtimes/cli/book/howto/own-gateway.md")]
pub struct BookOwnGateway;
