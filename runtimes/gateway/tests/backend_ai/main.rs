//! The dialect of Backend.AI.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod auth;
mod client;
mod execute;
mod files;
mod graphql;
mod interrupt;
mod marked;
mod sessions;
mod streams;
mod web;
