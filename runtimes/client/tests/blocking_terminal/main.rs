//! The terminal of the blocking driver, against hand-written gateways on the loopback interface.
#![cfg(feature = "ureq")]
#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation of a test may panic; in helpers the place says enough"
)]

mod duplex;
mod endings;
mod gateway;
mod handshake;
mod messages;
mod tls;
