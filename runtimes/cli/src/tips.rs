//! Tips for a command line that cannot be parsed, beyond those of clap.

use std::path::Path;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, ArgMatches, Command};

use crate::args::Cli;
use crate::nearest::nearest;

/// Adds what was probably meant, and removes tips that cannot help.
pub(crate) fn add(mut error: clap::Error) -> clap::Error {
    let mut sorna = Cli::whole();
    match error.kind() {
        ErrorKind::InvalidSubcommand => name_the_command(&mut error, &sorna),
        ErrorKind::UnknownArgument => {
            let (command, _) = as_far_as_possible(&sorna);
            sorna.build();
            // clap's only tip of this kind is to put the option after `--`.
            if !command.is_some_and(|command| takes_a_list(&sorna, &command)) {
                error.remove(ContextKind::Suggested);
            }
        }
        ErrorKind::MissingRequiredArgument => {
            if let (Some(command), Some(matches)) = as_far_as_possible(&sorna)
                && command == "run"
                && let Some(tip) = matches
                    .get_one::<String>("lang")
                    .and_then(|l| language_first(l))
            {
                let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
                error.insert(ContextKind::Suggested, tip);
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

/// The command, and the part of its command line that can be parsed.
fn as_far_as_possible(sorna: &Command) -> (Option<String>, Option<ArgMatches>) {
    let matches = sorna.clone().ignore_errors(true).try_get_matches().ok();
    matches
        .and_then(|mut matches| matches.remove_subcommand())
        .unzip()
}

/// Whether the command ends with any number of arguments.
fn takes_a_list(sorna: &Command, command: &str) -> bool {
    let command = sorna.find_subcommand(command);
    command.is_some_and(|command| {
        let mut positionals = command.get_positionals();
        positionals.any(|arg| matches!(arg.get_action(), ArgAction::Append))
    })
}

/// For a file where the language should be.
fn language_first(argument: &str) -> Option<String> {
    let ending = Path::new(argument)
        .extension()
        .and_then(|ending| ending.to_str());
    let lang = match ending {
        Some("py") => "python3",
        Some("sh") => "bash",
        Some("c") => "c",
        Some("cc" | "cpp" | "cxx") => "cpp",
        Some("go") => "go",
        Some("java") => "java",
        Some("js") => "nodejs",
        Some("lua") => "lua",
        Some("php") => "php",
        Some("pl") => "perl",
        Some("r" | "R") => "r",
        Some("rb") => "ruby",
        Some("rs") => "rust",
        _ if Path::new(argument).is_file() => "LANG",
        _ => return None,
    };
    Some(format!(
        "the first argument is the language: sorna run {lang} {argument}"
    ))
}
