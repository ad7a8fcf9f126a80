//! `sorna rename`.

use clap::Args;
use sorna::GatewayError;

use super::with_session;
use crate::chain::message;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::spoken;

/// Give a session another name.
///
/// Backend.AI only.
///
/// Exit code: 0; 1 if the gateway returned an error or could not be reached, or there is no such session; 2
/// for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = RENAME_EXAMPLES)]
pub(crate) struct RenameArgs {
    /// Name or ID of the session, or what it starts with.
    #[arg(value_name = "NAME")]
    session: String,

    /// Its new name: 4 to 64 ASCII letters, digits, `_`, `.` and `-`.
    #[arg(value_name = "NEW-NAME")]
    to: String,
}

const RENAME_EXAMPLES: &str = "\
Examples:
  sorna rename my-session training";

/// Carries out `rename`.
pub(crate) fn rename(arguments: &RenameArgs, globals: &Globals) -> Result<Exit, Failure> {
    let name = spoken::session_name(&arguments.to).map_err(Failure::Argument)?;
    with_session(
        globals,
        "names of sessions",
        &arguments.session,
        |_, found, reporter| {
            if let Err(error) = found.kernel.rename(name) {
                if error.gateway().is_some_and(GatewayError::is_name_taken) {
                    reporter.note_error(&error);
                    reporter.fail(message(&error));
                    reporter.advice(
                        "Choose another name: `sorna ps` lists those that your sessions have.",
                    );
                    return Ok(Ok(Exit::FAILURE));
                }
                return Err(error);
            }
            reporter.done(format_args!("Renamed session {found} to {}.", arguments.to));
            Ok(Ok(Exit::SUCCESS))
        },
    )
}
