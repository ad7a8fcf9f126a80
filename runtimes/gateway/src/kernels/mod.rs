//! The kernels of a gateway: creating, finding and watching them.

mod create;
mod ended;
mod keep_alive;
mod keep_warm;
mod orphans;
mod shares;
mod table;
mod warm;
mod watch;

pub(crate) use create::Wanted;
pub(crate) use ended::Cause;
pub(crate) use table::{Entry, Kernels};
