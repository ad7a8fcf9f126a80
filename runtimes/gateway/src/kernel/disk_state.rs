//! What is known of the files of a kernel.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Semaphore;

use super::disk::DiskUse;

/// How many uploads may arrive at the same time. More wait: each looks at all files first, those of the others among them.
const MAX_UPLOADS: usize = 16;

/// What the last look has shown.
#[derive(Debug)]
pub(crate) struct DiskState {
    pub(super) looked: Mutex<Looked>,
    /// What uploads that are arriving may take, in bytes.
    pub(super) reserved: Arc<AtomicU64>,
    /// One for each upload that may arrive at the same time. Each looks at all files first.
    pub(super) uploads: Semaphore,
}

impl Default for DiskState {
    fn default() -> Self {
        Self {
            looked: Mutex::default(),
            reserved: Arc::default(),
            uploads: Semaphore::new(MAX_UPLOADS),
        }
    }
}

/// The last look.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) at: Option<Instant>,
    /// The least since the limit was exceeded.
    pub(super) least: Option<DiskUse>,
    /// If everything was killed for that, which kill it was, as long as what it has left was not looked at.
    pub(super) killed: Option<u64>,
}
