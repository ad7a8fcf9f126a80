//! What is known of the files of a kernel.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::disk::DiskUse;

/// What the last look has shown.
#[derive(Debug, Default)]
pub(crate) struct DiskState {
    pub(super) looked: Mutex<Looked>,
    /// What uploads that are arriving may take, in bytes.
    pub(super) reserved: Arc<AtomicU64>,
}

/// The last look.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) at: Option<Instant>,
    /// The least since the limit was exceeded.
    pub(super) least: Option<DiskUse>,
}
