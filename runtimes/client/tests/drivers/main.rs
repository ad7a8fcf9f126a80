//! The drivers, against the gateway of this repository and against hand-written ones on the loopback interface. One
//! program for all of it: that is linked once, and tests that wait leave the processor to others.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod async_terminal;
mod attached;
mod blocking_http;
mod blocking_terminal;
mod busy;
mod engine;
mod failures;
mod ignored;
mod negotiation;
mod send;
mod sessions;
mod streamed;
mod unclaimed;
