//! `sorna mcp`, as agents use it.

mod client;
mod ends;
mod files;
mod http;
mod install;
mod outage;
mod peers;
mod protocol;
mod runs;
mod sandbox;
