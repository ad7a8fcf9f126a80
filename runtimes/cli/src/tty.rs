//! Changes the mode of the user's terminal, and restores it on every exit.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::lock::lock;

/// The terminal and its previous mode. Global, so that a panic on any thread can restore it.
static BEFORE: Mutex<Option<(OwnedFd, Termios, OptionalActions)>> = Mutex::new(None);
static HOOK: Once = Once::new();
/// Whether programs in a kernel write to the screen, and may have changed its modes.
static SCREEN: AtomicBool = AtomicBool::new(false);

/// Resets what full-screen programs set: the alternate screen (the cursor stays where it is if it was not
/// active), mouse and focus reports, bracketed paste, application keys, a hidden cursor, colors.
const RESET: &[u8] =
    b"\x1b7\x1b[?1049l\x1b[?1000;1002;1003;1006;1004;2004l\x1b[?1l\x1b>\x1b[?25h\x1b[0m";

/// A guard: while it exists the terminal is in another mode. There is one at a time.
#[derive(Debug)]
pub(crate) struct Changed(());

impl Changed {
    /// Raw mode: every key goes to the kernel.
    pub(crate) fn raw() -> io::Result<Self> {
        let terminal = io::stdin().as_fd().try_clone_to_owned()?;
        SCREEN.store(io::stdout().is_terminal(), Ordering::Relaxed);
        hook();
        // Flushed: what was typed for the kernel must not become a command for the user's own shell.
        Self::begin(terminal, Termios::make_raw, OptionalActions::Flush)
    }

    /// Nothing is changed, but what changes it meanwhile is undone.
    pub(crate) fn kept() -> io::Result<Self> {
        let terminal = io::stdin().as_fd().try_clone_to_owned()?;
        Self::begin(terminal, |_| (), OptionalActions::Now)
    }

    /// What is typed is not echoed.
    pub(crate) fn hidden() -> io::Result<Self> {
        let terminal = io::stdin().as_fd().try_clone_to_owned()?;
        // Not flushed: the lines after this one may have been typed already.
        let hide = |modes: &mut Termios| modes.local_modes.remove(LocalModes::ECHO);
        Self::begin(terminal, hide, OptionalActions::Now)
    }

    /// Changes the mode, if this is a terminal at all.
    fn begin(
        terminal: OwnedFd,
        change: impl FnOnce(&mut Termios),
        back: OptionalActions,
    ) -> io::Result<Self> {
        if !terminal.is_terminal() {
            return Ok(Self(()));
        }
        let before = tcgetattr(&terminal)?;
        let mut changed = before.clone();
        change(&mut changed);
        tcsetattr(&terminal, OptionalActions::Now, &changed)?;
        *lock(&BEFORE) = Some((terminal, before, back));
        hook();
        Ok(Self(()))
    }
}

/// Lets a panic restore the terminal.
fn hook() {
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // First, so that the panic message is readable.
            restore();
            usual(info);
        }));
    });
}

impl Drop for Changed {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the previous mode; does nothing the second time.
pub(crate) fn restore() {
    if SCREEN.swap(false, Ordering::Relaxed) {
        reset_screen();
    }
    let before = lock(&BEFORE).take();
    if let Some((terminal, before, back)) = before {
        // If the terminal is gone there is nothing to restore.
        let _ = tcsetattr(terminal, back, &before);
    }
}

/// Writes to the descriptor directly, without the lock of `io::stdout`, which another thread may hold
/// while it waits for a stopped terminal; and never waits for one itself.
fn reset_screen() {
    let screen = rustix::stdio::stdout();
    let mut room = [PollFd::new(&screen, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if poll(&mut room, Some(&at_once)).is_ok_and(|ready| ready > 0) {
        let _ = rustix::io::write(screen, RESET);
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

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
        let raw = Changed::begin(open(), Termios::make_raw, OptionalActions::Flush).unwrap();
        assert!(!shows_typing());
        drop(raw);
        assert!(shows_typing());

        let raw = Changed::begin(open(), Termios::make_raw, OptionalActions::Flush).unwrap();
        assert!(!shows_typing());
        let panicked = std::thread::spawn(|| panic!("for the test")).join();
        assert!(panicked.is_err());
        assert!(shows_typing());
        drop(raw);
    }
}
