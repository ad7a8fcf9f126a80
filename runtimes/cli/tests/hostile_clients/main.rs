//! Hostile clients of a real `sorna serve`: what they make it hold, and whether others are served meanwhile.
//!
//! With `--nocapture`, each attack prints how much more memory the gateway took, and how long an honest client waited.

mod attack;
mod bodies;
mod connections;
mod heads;
mod output;
mod shares;
mod sockets;
#[path = "../support/mod.rs"]
mod support;
