//! Boxes that are made in advance.
//!
//! Most of the time for a box goes into the start of its helpers and the making of its namespaces, which are the same for
//! all kernels of a gateway. So one is kept ready, which has yet to be furnished for its kernel.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, TryLockError, Weak};
use std::thread;
use std::time::Duration;

use super::kernel_box::{BoxProgram, Unfurnished};
use crate::NetworkAccess;
use crate::lock::lock;

/// How long to leave the processors to a kernel that starts.
const PAUSE: Duration = Duration::from_millis(20);

/// What makes the boxes of a gateway.
#[derive(Debug)]
pub(super) struct Supply {
    program: BoxProgram,
    network: NetworkAccess,
    /// Whether each kernel is another user.
    has_users: bool,
    /// Whether there was a kernel. A gateway that starts only one needs no more boxes.
    is_used: AtomicBool,
    spare: Mutex<Option<Unfurnished>>,
    /// Held while a spare one is made.
    making: Mutex<()>,
}

impl Supply {
    pub(super) fn new(program: BoxProgram, network: NetworkAccess, has_users: bool) -> Self {
        Self {
            program,
            network,
            has_users,
            is_used: AtomicBool::new(false),
            spare: Mutex::default(),
            making: Mutex::default(),
        }
    }

    pub(super) fn program(&self) -> &BoxProgram {
        &self.program
    }

    pub(super) fn network(&self) -> NetworkAccess {
        self.network
    }

    pub(super) fn has_users(&self) -> bool {
        self.has_users
    }

    /// A box; one that was made in advance, if there is one. Blocks.
    pub(super) fn take(&self) -> io::Result<Unfurnished> {
        let spare = lock(&self.spare).take();
        match spare.filter(Unfurnished::lives) {
            Some(spare) => Ok(spare),
            None => self.make(),
        }
    }

    fn make(&self) -> io::Result<Unfurnished> {
        Unfurnished::start(&self.program, self.network, self.has_users)
    }

    /// Makes a spare box soon, after a kernel has taken one. Blocks.
    pub(super) fn refill(this: &Weak<Self>) {
        let is_used = |it: &Self| it.is_used.swap(true, Ordering::Relaxed);
        if !this.upgrade().is_some_and(|it| is_used(&it)) {
            return;
        }
        thread::sleep(PAUSE);
        let Some(this) = this.upgrade() else {
            return;
        };
        let making = this.making.try_lock();
        if matches!(making, Err(TryLockError::WouldBlock)) || lock(&this.spare).is_some() {
            return;
        }
        // An error is that of the next kernel as well.
        if let Ok(made) = this.make() {
            *lock(&this.spare) = Some(made);
        }
    }
}
