//! The terminal of the blocking driver, against hand-written gateways on the loopback interface.

#![cfg(feature = "ureq")]

mod duplex;
mod endings;
mod gateway;
mod handshake;
mod messages;
mod tls;
