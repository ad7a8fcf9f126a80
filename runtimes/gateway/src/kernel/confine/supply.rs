//! Boxes that are made in advance.
//!
//! Most of the time for a box goes into the start of its helpers and the making of its namespaces, which are the same for
//! all kernels of a gateway. So one is kept ready, which has yet to be furnished for its kernel.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, TryLockError, Weak};
use std::thread;
use std::time::Duration;

use super::kernel_box::{BoxProgram, Unfurnished, Users};
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
    /// Whether there was a kernel. A gateway that starts only one needs no box after that.
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

    /// A box for a kernel which is this user; one that was made in advance, if there is one. Blocks.
    pub(super) fn take(&self, user: Option<u32>) -> io::Result<Unfurnished> {
        // One that is being made will be ready before another would be.
        drop(lock(&self.making));
        let spare = lock(&self.spare).take();
        match spare.filter(|it| it.lives() && it.suits(user)) {
            Some(spare) => Ok(spare),
            None => self.make(),
        }
    }

    fn make(&self) -> io::Result<Unfurnished> {
        let users = if self.has_users {
            Users::Mapped
        } else {
            Users::Own
        };
        Unfurnished::start(&self.program, self.network, users)
    }

    /// Keeps a box for the first kernel, or none.
    pub(super) fn keep(&self, spare: Option<Unfurnished>) {
        *lock(&self.spare) = spare;
    }

    /// Makes a spare box soon, after a kernel has taken one. Blocks.
    pub(super) fn refill(this: &Weak<Self>) {
        let is_used = |it: &Self| it.is_used.swap(true, Ordering::Relaxed);
        if !this.upgrade().is_some_and(|it| is_used(&it)) {
            return;
        }
        thread::sleep(PAUSE);
        if let Some(this) = this.upgrade() {
            this.make_spare();
        }
    }

    fn make_spare(&self) {
        let making = self.making.try_lock();
        if matches!(making, Err(TryLockError::WouldBlock)) || lock(&self.spare).is_some() {
            return;
        }
        // An error is that of the next kernel as well.
        if let Ok(made) = self.make() {
            *lock(&self.spare) = Some(made);
        }
    }
}
