//! The size of a terminal's window, kept against programs that undo a change by mistake.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};

use crate::kernel::wait::sleep_until;

/// How long after a change it is checked whether it still holds.
const CHECKS: [Duration; 3] = [
    Duration::from_millis(20),
    Duration::from_millis(200),
    Duration::from_secs(1),
];

/// The window of a terminal.
///
/// Before each prompt, readline (and so bash) reads the size, and sets what it has read: some systems lose the size when
/// the modes of a terminal change. A change that comes in between is lost (observed with bash 5.2). So for a moment, a
/// size that is again the one before the change is taken for such an accident.
pub(super) struct Window {
    terminal: OwnedFd,
    change: Option<Change>,
}

/// The last change.
#[derive(Clone, Copy)]
struct Change {
    from: Winsize,
    to: Winsize,
    at: Instant,
    /// How often it was checked.
    checks: usize,
}

impl Window {
    /// The window of this terminal, with a first size in rows and columns.
    pub(super) fn new(terminal: impl AsFd, size: (u16, u16)) -> io::Result<Self> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        tcsetwinsize(&terminal, winsize(size))?;
        Ok(Self {
            terminal,
            change: None,
        })
    }

    /// Changes the size, and sends the programs in the terminal the signal that says so.
    pub(super) fn resize(&mut self, size: (u16, u16)) -> io::Result<()> {
        let from = tcgetwinsize(&self.terminal)?;
        let to = winsize(size);
        tcsetwinsize(&self.terminal, to)?;
        let at = Instant::now();
        self.change = (!is_same(from, to)).then_some(Change {
            from,
            to,
            at,
            checks: 0,
        });
        Ok(())
    }

    /// Waits until a change has to be checked, forever if there is none, and repeats it if it was undone. May be dropped
    /// and called again.
    pub(super) async fn keep(&mut self) {
        let next = |change: Change| Some(change.at + *CHECKS.get(change.checks)?);
        sleep_until(self.change.and_then(next)).await;
        let Some(change) = &mut self.change else {
            return;
        };
        change.checks += 1;
        // A terminal whose size cannot be read is gone.
        if tcgetwinsize(&self.terminal).is_ok_and(|size| is_same(size, change.from)) {
            let _ = tcsetwinsize(&self.terminal, change.to);
        }
    }
}

fn winsize((ws_row, ws_col): (u16, u16)) -> Winsize {
    Winsize {
        ws_row,
        ws_col,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn is_same(one: Winsize, other: Winsize) -> bool {
    (one.ws_row, one.ws_col) == (other.ws_row, other.ws_col)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn size(terminal: impl AsFd) -> (u16, u16) {
        let size = tcgetwinsize(terminal).unwrap();
        (size.ws_row, size.ws_col)
    }

    #[tokio::test]
    async fn a_change_that_is_undone_is_repeated() {
        let (pty, _pts) = pty_process::open().unwrap();
        let mut window = Window::new(&pty, (24, 80)).unwrap();
        window.resize((50, 132)).unwrap();
        assert_eq!(size(&pty), (50, 132));
        for _ in CHECKS {
            tcsetwinsize(&pty, winsize((24, 80))).unwrap();
            window.keep().await;
            assert_eq!(size(&pty), (50, 132));
        }
    }

    #[tokio::test]
    async fn a_size_that_a_program_sets_is_kept() {
        let (pty, _pts) = pty_process::open().unwrap();
        let mut window = Window::new(&pty, (24, 80)).unwrap();
        window.resize((50, 132)).unwrap();
        tcsetwinsize(&pty, winsize((30, 100))).unwrap();
        for _ in CHECKS {
            window.keep().await;
            assert_eq!(size(&pty), (30, 100));
        }
    }
}
