//! The gateway over real sockets, with real kernels. One program for all of it: that is linked once, and tests that wait
//! leave the processor to others.
//!
//! What needs a process of its own is beside this directory.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod api;
mod backend_ai;
mod bash;
mod between;
mod bytecode;
mod bytes;
mod c;
#[path = "../common/mod.rs"]
mod common;
mod complete;
mod disk;
mod echo;
mod exceeded;
mod execute;
mod files;
mod guest;
mod idle;
mod input;
mod key_limits;
mod keys;
mod language_table;
mod languages;
mod lifecycle;
mod live;
mod logs;
mod marked;
mod matches;
mod missed;
mod nodejs;
mod official_client;
mod openapi;
mod order;
mod polls;
mod prompts;
mod python;
mod python_await;
mod python_traces;
mod rich;
mod rich_files;
mod shared_memory;
mod unclaimed;
mod unfetched;
mod upload;
mod usage;
mod warm;
