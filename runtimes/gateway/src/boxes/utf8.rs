//! The text of terminals, in boxes and out of them.

use std::io;
use std::os::fd::AsFd;

use rustix::termios::{InputModes, OptionalActions, tcgetattr, tcsetattr};

/// Says that what is typed into this terminal is UTF-8: one backspace then erases one character, also before a program
/// that reads whole lines. Must be called before a program reads the modes, since it may set them again.
pub(crate) fn of_utf8(terminal: impl AsFd) -> io::Result<()> {
    let mut modes = tcgetattr(&terminal)?;
    modes.input_modes |= InputModes::IUTF8;
    tcsetattr(&terminal, OptionalActions::Now, &modes)?;
    Ok(())
}
