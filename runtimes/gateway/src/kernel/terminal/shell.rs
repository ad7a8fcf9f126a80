//! A shell on a pseudo-terminal.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use pty_process::Command;

use super::side::Side;
use super::window::Window;
use crate::boxes::utf8::of_utf8;
use crate::kernel::confine::Start;
use crate::kernel::confine::gate::{self, Gate};
use crate::kernel::process::Process;
use crate::kernel::setup::Setup;
use crate::kernel::spawn::environment;

/// The size of the window before a client has sent its own, in rows and columns.
pub(super) const FIRST_SIZE: (u16, u16) = (24, 80);

/// The process and its terminal.
pub(super) struct Shell {
    pub(super) process: Process,
    pub(super) side: Side,
    pub(super) window: Window,
}

impl Shell {
    /// Starts the kernel's shell in a directory, relative to its work directory, with its own session and controlling
    /// terminal. Must be called within a tokio runtime.
    pub(super) fn start(setup: &Setup, directory: &Path, size: (u16, u16)) -> io::Result<Self> {
        let usual_signals = setup.launcher.usual_signals().iter().cloned();
        let words = setup.installed.shell(&setup.home);
        let words: Vec<OsString> = usual_signals.chain(words).collect();
        let mark = format!("{}terminal", setup.mark);
        let mut variables = environment(setup, &mark);
        let own = [
            ("TERM", "xterm-256color"),
            ("PS1", r"\w \$ "),
            // Keeps history files out of the work directory.
            ("HISTFILE", ""),
            ("PYTHON_HISTORY", "/dev/null"),
        ];
        let own = own.map(|(name, value)| (name.into(), value.into()));
        variables.extend::<[(OsString, OsString); 4]>(own);
        let directory = setup.home.work().join(directory);
        if setup.confined.has_box() {
            let start = Start {
                arguments: words,
                makes_session: true,
                environment: variables,
                directory,
                input: None,
                waits: false,
            };
            let (process, terminal) = setup.confined.spawn_on_terminal(start)?;
            return Ok(Self {
                process,
                window: Window::new(&terminal, size)?,
                side: Side::new(terminal)?,
            });
        }
        let (pty, pts) = pty_process::open().map_err(io::Error::other)?;
        of_utf8(&pty)?;
        let window = Window::new(&pty, size)?;
        let command_line = gate::before(words);
        let (program, arguments) = command_line
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no shell"))?;
        let command = Command::new(program)
            .args(arguments)
            .current_dir(directory)
            .kill_on_drop(true)
            .env_clear()
            .envs(variables);
        let start = || command.spawn(pts).map_err(io::Error::other);
        let child = setup.confined.spawn(Gate::Shell, start, |child| child)?;
        let terminal = pty.as_fd().try_clone_to_owned()?;
        drop(pty);
        Ok(Self {
            process: Process::new(child),
            side: Side::new(terminal)?,
            window,
        })
    }
}
