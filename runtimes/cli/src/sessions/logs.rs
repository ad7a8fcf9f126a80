//! `sorna logs`.

use std::thread;
use std::time::Duration;

use clap::Args;
use sorna::blocking::Kernel;
use sorna::{Error, SessionStatus};

use super::with_session;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::print::print;

/// Print what a session's container printed.
///
/// Backend.AI only. A session that has ended has logs as well, by its whole ID. What programs printed is passed on as it
/// is, even what moves the cursor of a terminal or changes its colors: for programs that you do not trust, add
/// `| cat -v` or `| less`.
///
/// Exit code: 0; 1 if the gateway returned an error or could not be reached, or there is no such session; 2
/// for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LogsArgs {
    /// Name or ID of the session, or what it starts with.
    #[arg(value_name = "NAME")]
    session: String,

    /// Keep printing what is added, until the session ends or Ctrl-C.
    #[arg(short, long)]
    follow: bool,
}

const EXAMPLES: &str = "\
Examples:
  sorna logs my-session
  sorna logs -f my-session";

/// How often new logs are asked for: managers have no other way to follow them.
const INTERVAL: Duration = Duration::from_secs(1);

/// Carries out the command.
pub(crate) fn logs(arguments: &LogsArgs, globals: &Globals) -> Result<Exit, Failure> {
    with_session(globals, "logs", &arguments.session, |_, found, _| {
        let kernel = &found.kernel;
        let mut shown = kernel.logs()?;
        let result = print(shown.as_bytes());
        if !arguments.follow || result.is_err() {
            return Ok(result);
        }
        loop {
            thread::sleep(INTERVAL);
            let logs = match kernel.logs() {
                Ok(logs) => logs,
                // While a session ends, managers have no logs of it: 404, or 500.
                Err(error) if error.gateway().is_some() && has_ended(kernel, true)? => {
                    return Ok(Ok(Exit::SUCCESS));
                }
                Err(error) => return Err(error),
            };
            if let Err(failure) = print(added(&shown, &logs).as_bytes()) {
                return Ok(Err(failure));
            }
            shown = logs;
            if has_ended(kernel, false)? {
                return Ok(Ok(Exit::SUCCESS));
            }
        }
    })
}

/// Whether a session has ended, or is about to, if that is enough.
fn has_ended(kernel: &Kernel, or_ends: bool) -> Result<bool, Error> {
    match kernel.info() {
        Ok(info) => {
            let status = info.status().map(SessionStatus::from_name);
            Ok(status.is_some_and(|status| {
                status.is_dying() && (or_ends || status != SessionStatus::Terminating)
            }))
        }
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) => Err(error),
    }
}

/// What logs have more than before. Managers may leave out the beginning of long ones: then it is what follows the last
/// line that was shown, or everything.
fn added<'l>(before: &str, logs: &'l str) -> &'l str {
    if let Some(rest) = logs.strip_prefix(before) {
        return rest;
    }
    let last = before.trim_end_matches('\n').rsplit('\n').next();
    let last = last.filter(|line| !line.is_empty());
    match last.and_then(|line| logs.rfind(line).map(|at| at + line.len())) {
        Some(end) => logs[end..].trim_start_matches('\n'),
        None => logs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_shown() {
        for (before, logs, new) in [
            ("", "a\n", "a\n"),
            ("a\n", "a\nb\n", "b\n"),
            ("a\n", "a\n", ""),
            ("a\nb\n", "b\nc\n", "c\n"),
            ("a\n", "x\n", "x\n"),
        ] {
            assert_eq!(added(before, logs), new, "{before:?} {logs:?}");
        }
    }
}
