//! Kernels in namespaces of their own: what they cannot reach, and what works in them. As root, kernels are other users
//! than the gateway; as an ordinary user, they are the same. Both are tested by running these tests as either.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../gateway/backend_ai/client.rs"]
#[allow(dead_code, reason = "not everything is used here")]
mod backend_ai;
#[path = "../common/mod.rs"]
mod common;
mod disk;
mod ending;
mod hidden;
mod limits;
mod ordinary;
mod reach;
mod setting;
mod shared_limits;
mod terminal;
mod working;
