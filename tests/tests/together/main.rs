//! Clients and the gateway together. One program for all of it: that is linked once, and tests that wait leave the
//! processor to others.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bytes;
mod documentation;
mod original_client;
mod prefix;
mod shells;
mod temporary;
mod terminal_2017;
mod usage;
mod web_server;
