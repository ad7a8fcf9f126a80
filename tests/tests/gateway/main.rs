//! The gateway as a whole, with its real clients: HTTPS, many kernels, and what they leave behind.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod crowd;
mod lines;
mod machine;
mod tls;
