//! HTTP: from connections to operations on kernels.

mod body;
mod connection;
mod permit;
mod rate_limit;
mod service;
mod terminal;
mod upload;

pub(crate) use connection::{Acceptor, ConnectionLimits, serve};
pub(crate) use service::Service;
