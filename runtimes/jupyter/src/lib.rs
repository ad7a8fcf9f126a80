//! Jupyter kernels whose cells run in kernels of a Sorna gateway: those that `sorna jupyter` installs. Programs should use
//! that command; its manual is the `README.md` of this crate.
//!
//! Two halves. What any server of [Jupyter's messaging protocol](https://jupyter-client.readthedocs.io/en/stable/messaging.html)
//! needs is values and functions without I/O: a [`Cell`](cell::Cell) makes messages of what an execution does, [`traceback`]
//! recognizes errors, [`completion`] counts cursor positions, [`History`](history::History) answers for what ran,
//! [`Language`](language::Language) is what is known of a language by its name. The other half (feature `kernel`, a default
//! one) is the kernel over ZeroMQ, [`kernel::Kernel`], and how [kernelspecs](spec) are installed. Feature
//! `server` has the API of Jupyter's servers instead, `server::Server`, without ZeroMQ.
//!
//! The minimum supported Rust version is 1.88.

#![forbid(unsafe_code)]

pub mod bundle;
pub mod cell;
pub mod completion;
#[cfg(any(feature = "kernel", feature = "server"))]
mod engine;
pub mod history;
#[cfg(feature = "kernel")]
pub mod kernel;
pub mod language;
#[cfg(any(feature = "kernel", feature = "server"))]
mod lock;
#[cfg(any(feature = "kernel", feature = "server"))]
mod message;
#[cfg(feature = "server")]
pub mod server;
pub mod spec;
pub mod traceback;

#[cfg(feature = "kernel")]
pub use kernel::{Connection, StartError};
