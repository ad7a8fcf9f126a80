//! Tips for a command line that cannot be parsed, beyond those of clap.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Command};

use crate::args::Cli;
use crate::nearest::nearest;

/// Adds what was probably meant, and removes tips that cannot help.
pub(crate) fn add(mut error: clap::Error) -> clap::Error {
    let mut sorna = Cli::whole();
    match error.kind() {
        ErrorKind::InvalidSubcommand => name_the_command(&mut error, &sorna),
        ErrorKind::UnknownArgument => {
            let command = as_far_as_possible(&sorna);
            sorna.build();
            // clap's only tip of this kind is to put the option after `--`.
            if !command.is_some_and(|command| takes_a_list(&sorna, &command)) {
                error.remove(ContextKind::Suggested);
            }
        }
        _ => {}
    }
    error
}

/// Adds the command that was probably meant, where clap finds none, or several.
fn name_the_command(error: &mut clap::Error, sorna: &Command) {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidSubcommand) else {
        return;
    };
    let known = sorna.get_subcommands().map(Command::get_name);
    if let Some(meant) = nearest(wrong, known) {
        let meant = ContextValue::Strings(vec![meant.to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, meant);
    }
}

/// The command, of a command line that cannot be parsed.
fn as_far_as_possible(sorna: &Command) -> Option<String> {
    let matches = sorna.clone().ignore_errors(true).try_get_matches().ok()?;
    matches.subcommand_name().map(str::to_owned)
}

/// Whether the command ends with any number of arguments.
fn takes_a_list(sorna: &Command, command: &str) -> bool {
    let command = sorna.find_subcommand(command);
    command.is_some_and(|command| {
        let mut positionals = command.get_positionals();
        positionals.any(|arg| matches!(arg.get_action(), ArgAction::Append))
    })
}
