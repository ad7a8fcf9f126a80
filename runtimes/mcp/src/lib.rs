//! A server of the [Model Context Protocol](https://modelcontextprotocol.io): agents, that is programs that write code, run it in
//! kernels of a gateway, a cluster, or on this machine. The command `sorna mcp` is made of it.
//!
//! ```no_run
//! use sorna_mcp::{Options, Server};
//!
//! # fn example(client: sorna::tokio::Client) -> Result<(), Box<dyn std::error::Error>> {
//! Server::new(client, Options::new()).serve_stdio_blocking()?;
//! # Ok(())
//! # }
//! ```
//!
//! It is built on the official SDK, `rmcp`, of which `server`, `message`, `stdio` and `http` alone know; the rest, sessions and
//! tools, is plain code over the client.
//!
//! The minimum supported Rust version is 1.88.

#![forbid(unsafe_code)]

mod answer;
mod client_id;
pub mod clients;
mod failure;
mod http;
mod image;
mod input;
mod message;
mod options;
mod report;
mod run;
mod serve;
mod server;
mod session;
mod sessions;
mod stdio;
mod stopper;
mod tools;
mod transcript;

pub use http::Token;
pub use options::Options;
pub use serve::{ServeError, Server};
pub use stopper::Stopper;
