//! The terminal in raw mode, and back, whatever happens.

use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::panic;
use std::sync::{Mutex, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal and how it was before. Outside of the guard, so that a panic on any thread finds it.
static BEFORE: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);

/// While it lives, the terminal is in raw mode: every key goes to the kernel.
#[derive(Debug)]
pub(super) struct RawMode(());

impl RawMode {
    /// Sets raw mode, if this is a terminal at all.
    pub(super) fn begin(terminal: OwnedFd) -> io::Result<Self> {
        if !terminal.is_terminal() {
            return Ok(Self(()));
        }
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some((terminal, before));
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // First, so that the panic's words are readable.
            restore();
            usual(info);
        }));
        Ok(Self(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// As it was before; does nothing the second time.
pub(super) fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((terminal, before)) = before {
        // If the terminal is gone there is nothing to restore.
        let _ = tcsetattr(terminal, OptionalActions::Flush, &before);
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::LocalModes;

    use super::*;

    #[test]
    fn the_end_and_a_panic_restore_the_terminal() {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let open = || {
            let flags = OFlags::RDWR | OFlags::NOCTTY;
            rustix::fs::open(&*name, flags, Mode::empty()).unwrap()
        };
        let terminal = open();
        let shows_typing = || {
            let modes = tcgetattr(&terminal).unwrap().local_modes;
            modes.contains(LocalModes::ECHO | LocalModes::ICANON)
        };
        assert!(shows_typing());
        let raw = RawMode::begin(open()).unwrap();
        assert!(!shows_typing());
        drop(raw);
        assert!(shows_typing());

        let raw = RawMode::begin(open()).unwrap();
        assert!(!shows_typing());
        let panicked = std::thread::spawn(|| panic!("for the test")).join();
        assert!(panicked.is_err());
        assert!(shows_typing());
        drop(raw);
    }
}
