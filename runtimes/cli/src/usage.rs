//! Command lines that cannot be used: what is printed then, and the exit code.

use std::ffi::{OsStr, OsString};

use clap::Command;

use crate::exit::Exit;
use crate::json::{self, Event};

/// Prints an error of clap, or the help or version that was requested. With `run --json`, an error is also
/// an event, and the last line is `finished` as always.
pub(crate) fn end(error: &clap::Error, with_json: bool) -> Exit {
    // Standard error may be closed; then there is nowhere to report it.
    let _ = error.print();
    if !error.use_stderr() {
        return Exit::SUCCESS;
    }
    if with_json {
        json::turn_on();
        let text = error.render().to_string();
        let _ = json::emit(&Event::Failed {
            message: &message(&text),
            status: None,
            problem: None,
        });
        for tip in text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("tip: "))
        {
            let _ = json::emit(&Event::Advice { message: tip });
        }
        let _ = json::emit(&Event::Finished {
            exit_code: Exit::USAGE.code(),
        });
    }
    Exit::USAGE
}

/// What is wrong, on one line, without usage and tips.
fn message(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let what = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<&str> = what.lines().map(str::trim).collect();
    lines.join(" ")
}

/// Whether these arguments, which cannot be parsed, are those of `run` and have `--json` among them.
pub(crate) fn asks_for_json_of_run(sorna: &Command, arguments: &[OsString]) -> bool {
    let is_command = |word: &&OsStr| !word.as_encoded_bytes().starts_with(b"-");
    let Some(command) = words(sorna, arguments).find(is_command) else {
        return false;
    };
    let run = sorna.find_subcommand("run").filter(|_| command == "run");
    run.is_some_and(|run| asks_for_json(run, arguments))
}

/// Whether these arguments of this command, which cannot be parsed, have `--json` among them.
pub(crate) fn asks_for_json(command: &Command, arguments: &[OsString]) -> bool {
    words(command, arguments).any(|word| word == "--json")
}

/// The arguments that are no values of options, up to `--`. The first one is the program's name.
fn words<'w>(command: &Command, arguments: &'w [OsString]) -> impl Iterator<Item = &'w OsStr> {
    let mut is_value = false;
    arguments
        .iter()
        .skip(1)
        .map(OsString::as_os_str)
        .take_while(|word| *word != "--")
        .filter(move |word| {
            let skip = is_value;
            is_value = !skip && takes_value(command, word);
            !skip
        })
}

/// Whether the word is an option whose value is the next word.
fn takes_value(command: &Command, word: &OsStr) -> bool {
    let Some(word) = word.to_str() else {
        return false;
    };
    let mut options = command.get_arguments();
    options.any(|option| {
        option.get_action().takes_values()
            && (option
                .get_long()
                .is_some_and(|long| word.strip_prefix("--") == Some(long))
                || option.get_short().is_some_and(|short| {
                    word.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4]))
                }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;

    #[test]
    fn json_is_recognized_unless_it_is_a_value() {
        let mut sorna = Cli::whole();
        sorna.build();
        for (line, expected) in [
            ("run --json", true),
            ("run python3 --bad --json", true),
            ("--profile run -v run --json x", true),
            ("run -c --json python3", false),
            ("run --code --json", false),
            ("run -- --json", false),
            ("info --json", false),
            ("--profile run info --json", false),
            ("--json", false),
        ] {
            let words = std::iter::once("sorna").chain(line.split(' '));
            let arguments: Vec<OsString> = words.map(OsString::from).collect();
            let found = asks_for_json_of_run(&sorna, &arguments);
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn the_message_is_one_line() {
        let text = "error: the following required arguments were not provided:\n  <FILES>...\n\nUsage: x\n";
        assert_eq!(
            message(text),
            "the following required arguments were not provided: <FILES>..."
        );
    }
}
