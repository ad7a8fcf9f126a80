//! Changes of the user's terminal, and back, whatever happens.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::lock::lock;

/// The terminal and how it was before. Outside of the guard, so that a panic on any thread finds it.
static BEFORE: Mutex<Option<(OwnedFd, Termios, OptionalActions)>> = Mutex::new(None);
static HOOK: Once = Once::new();
/// Programs in a kernel write to the screen, and may have set modes of it.
static SCREEN: AtomicBool = AtomicBool::new(false);

/// Ends what a program that fills the screen sets: another screen (back to the cursor where it is, if
/// this is the first), reports of the mouse and the focus, marks around pastes, other codes of keys, a
/// hidden cursor, colors.
const RESET: &[u8] =
    b"\x1b7\x1b[?1049l\x1b[?1000;1002;1003;1006;1004;2004l\x1b[?1l\x1b>\x1b[?25h\x1b[0m";

/// While it lives, the terminal has other modes. There is one at a time.
#[derive(Debug)]
pub(crate) struct Changed(());

impl Changed {
    /// Raw mode: every key goes to the kernel.
    pub(crate) fn raw() -> io::Result<Self> {
        let terminal = io::stdin().as_fd().try_clone_to_owned()?;
        SCREEN.store(io::stdout().is_terminal(), Ordering::Relaxed);
        hook();
        // What was typed for the kernel must not become a command for the user's own shell.
        Self::begin(terminal, Termios::make_raw, OptionalActions::Flush)
    }

    /// What is typed is not shown.
    pub(crate) fn hidden() -> io::Result<Self> {
        let terminal = io::stdin().as_fd().try_clone_to_owned()?;
        // The lines after this one may have been typed already.
        let hide = |modes: &mut Termios| modes.local_modes.remove(LocalModes::ECHO);
        Self::begin(terminal, hide, OptionalActions::Now)
    }

    /// Changes the modes, if this is a terminal at all.
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
            // First, so that the panic's words are readable.
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

/// As it was before; does nothing the second time.
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

/// Not by the usual way, which somebody may hold who waits for a terminal that is stopped; nor does this
/// wait for one.
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
