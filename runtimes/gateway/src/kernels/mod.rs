//! The kernels of a gateway: who has which, making them, and watching them.

mod create;
mod table;
mod watch;

pub(crate) use table::{Entry, Kernels};
