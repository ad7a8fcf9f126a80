//! HTTP: from connections to operations on kernels.

mod backend_ai;
mod body;
mod busy;
mod connection;
mod context;
mod extensions;
mod files;
mod head;
mod keep_alive;
mod logs;
mod pieces;
mod rate_limit;
mod room;
mod service;
mod sorna_v2;
mod stale;
mod terminal;
mod upload;
mod web;
mod websocket;

pub(crate) use connection::{Acceptor, ConnectionLimits, serve};
pub(crate) use service::Service;
pub(crate) use websocket::{Leave, Upgrade};
