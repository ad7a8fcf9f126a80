//! The dialect of Backend.AI.

mod auth;
pub(crate) mod client;
mod execute;
mod files;
mod graphql;
mod interrupt;
mod marked;
mod sessions;
pub(crate) mod streams;
mod web;
