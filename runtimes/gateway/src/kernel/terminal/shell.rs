//! A shell on a pseudo-terminal.

use std::io;

use pty_process::{Command, OwnedReadPty, OwnedWritePty};
use tokio::process::Child;

use super::window::Window;
use crate::kernel::confine::gate::{self, Gate};
use crate::kernel::setup::Setup;
use crate::kernel::spawn::environment;

/// The size of the window before a client has sent its own, in rows and columns.
pub(super) const FIRST_SIZE: (u16, u16) = (24, 80);

/// The process and both directions of its terminal.
pub(super) struct Shell {
    pub(super) child: Child,
    pub(super) output: OwnedReadPty,
    pub(super) input: OwnedWritePty,
    pub(super) window: Window,
}

impl Shell {
    /// Starts the kernel's shell in its work directory, with its own session and controlling
    /// terminal. Must be called within a tokio runtime.
    pub(super) fn start(setup: &Setup, size: (u16, u16)) -> io::Result<Self> {
        let (pty, pts) = pty_process::open().map_err(io::Error::other)?;
        let window = Window::new(&pty, size)?;
        let command_line = gate::before(setup.installed.shell(&setup.home));
        let (program, arguments) = command_line
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no shell"))?;
        let mark = format!("{}terminal", setup.mark);
        let command = Command::new(program)
            .args(arguments)
            .current_dir(setup.home.work())
            .kill_on_drop(true)
            .env_clear()
            .envs(environment(setup, &mark))
            .env("TERM", "xterm-256color")
            .env("PS1", r"\w \$ ")
            // Keeps history files out of the work directory.
            .env("HISTFILE", "")
            .env("PYTHON_HISTORY", "/dev/null");
        let start = || command.spawn(pts).map_err(io::Error::other);
        let child = setup.confined.spawn(Gate::Shell, start, |child| child)?;
        let (output, input) = pty.into_split();
        Ok(Self {
            child,
            output,
            input,
            window,
        })
    }
}
