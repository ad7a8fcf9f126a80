//! The gateway as a whole, by its real clients: HTTPS, many kernels, and what is left of them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod crowd;
mod machine;
mod tls;
