//! The prompt of `sorna repl`.

use std::path::Path;

use sorna_gateway::RunningGateway;

use super::terminal::Terminal;

/// A prompt that is there.
pub(crate) fn open(
    directory: &Path,
    gateway: &RunningGateway,
    api: &str,
    arguments: &[&str],
) -> Terminal {
    let arguments = [&["--api", api], arguments].concat();
    let mut terminal = Terminal::start_command("repl", directory, Some(gateway), &arguments);
    prompts(&mut terminal);
    terminal
}

/// Waits for the next prompt, at which keys are read one by one.
#[track_caller]
pub(crate) fn prompts(terminal: &mut Terminal) {
    terminal.shows("\x1b[?2004h");
    terminal.shows("> ");
}

/// Types a line of code, waits for this output, and for the next prompt.
#[track_caller]
pub(crate) fn runs(terminal: &mut Terminal, code: &str, output: &str) {
    terminal.types(code);
    terminal.types("\r");
    terminal.shows("\x1b[?2004l");
    terminal.shows(output);
    prompts(terminal);
}
