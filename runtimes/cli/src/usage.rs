//! Command lines that cannot be used: what is printed then, and the exit code.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

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
    let Some(run) = sorna.find_subcommand("run") else {
        return false;
    };
    let is_command = |word: &&OsStr| !is_option(word);
    // Options of `run` may be misplaced before it; then the word after one may be its value or not.
    [sorna, run]
        .iter()
        .any(|command| words(command, arguments).find(is_command) == Some(OsStr::new("run")))
        && asks_for_json(run, arguments)
}

/// The name of the command of `sorna` among these arguments.
pub(crate) fn command_in<'w>(sorna: &Command, arguments: &'w [OsString]) -> Option<&'w OsStr> {
    words(sorna, arguments).find(|word| !is_option(word))
}

/// Whether these arguments of this command, which cannot be parsed, have `--json` among them, maybe with a
/// value, which is a mistake.
pub(crate) fn asks_for_json(command: &Command, arguments: &[OsString]) -> bool {
    words(command, arguments).any(|word| {
        let rest = word.as_encoded_bytes().strip_prefix(b"--json");
        rest.is_some_and(|rest| matches!(rest, [] | [b'=', ..]))
    })
}

/// The arguments that are no values of options, up to `--`, by the rules of clap. The first one is the
/// program's name.
fn words<'w>(command: &Command, arguments: &'w [OsString]) -> impl Iterator<Item = &'w OsStr> {
    // The option that waits for a value, and how many it may still have.
    let mut waiting: Option<(&Arg, usize)> = None;
    let arguments = arguments.iter().skip(1).map(OsString::as_os_str);
    let words = arguments.map(move |word| match waiting.take() {
        Some((option, room)) if may_be_value(option, word) => {
            waiting = (room > 1).then(|| (option, room - 1));
            None
        }
        _ => {
            waiting = waits(command, word).map(|option| (option, most_values(option)));
            Some(word)
        }
    });
    words
        .take_while(|word| word.is_none_or(|word| word != "--"))
        .flatten()
}

/// Whether it looks like an option, and not like a value. `-` alone is a value.
fn is_option(word: &OsStr) -> bool {
    matches!(word.as_encoded_bytes(), [b'-', _, ..])
}

/// Whether the word after this option is its value, and not the next option.
fn may_be_value(option: &Arg, word: &OsStr) -> bool {
    let is_number = || {
        word.to_str()
            .is_some_and(|word| word.parse::<f64>().is_ok())
    };
    !is_option(word)
        || option.is_allow_hyphen_values_set()
        || option.is_allow_negative_numbers_set() && is_number()
}

fn most_values(option: &Arg) -> usize {
    option.get_num_args().map_or(1, |count| count.max_values())
}

/// The option in this word whose value may be the next word.
pub(crate) fn waits<'c>(command: &'c Command, word: &OsStr) -> Option<&'c Arg> {
    let (option, rest) = match word.as_encoded_bytes() {
        // A value in the same word ends it.
        [b'-', b'-', name @ ..] => (long(command, name)?, &[][..]),
        [b'-', cluster @ ..] => short(command, cluster)?,
        _ => return None,
    };
    (rest.is_empty() && !option.is_require_equals_set()).then_some(option)
}

/// The option of this name, if it takes values.
fn long<'c>(command: &'c Command, name: &[u8]) -> Option<&'c Arg> {
    let mut options = command.get_arguments();
    options.find(|option| {
        let long = option.get_long();
        takes_values(option) && long.is_some_and(|long| long.as_bytes() == name)
    })
}

/// The first of these short options that takes values, and what follows it. Behind one that does not exist
/// nothing is known.
fn short<'c, 'w>(command: &'c Command, cluster: &'w [u8]) -> Option<(&'c Arg, &'w [u8])> {
    for (index, letter) in cluster.iter().enumerate() {
        let mut options = command.get_arguments();
        let option = options.find(|option| option.get_short() == Some(char::from(*letter)))?;
        if takes_values(option) {
            return Some((option, &cluster[index + 1..]));
        }
    }
    None
}

fn takes_values(option: &Arg) -> bool {
    option.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;

    fn arguments(line: &str) -> Vec<OsString> {
        let words = std::iter::once("program").chain(line.split(' '));
        words.map(OsString::from).collect()
    }

    #[test]
    fn json_is_recognized_unless_it_is_a_value() {
        let mut sorna = Cli::whole();
        sorna.build();
        for (line, expected) in [
            ("run --json", true),
            ("run --json=yes", true),
            ("run --json= python3", true),
            ("run python3 --bad --json", true),
            ("--profile run -v run --json x", true),
            ("run -c --json python3", false),
            ("run -c --json=1 python3", false),
            ("run --code --json", false),
            ("run -vc --json", false),
            ("run -c -c --json", true),
            ("run -cx --json", true),
            ("run --code=x --json", true),
            ("run --code= --json", true),
            ("run -xc --json", true),
            ("run -t --json", true),
            ("run -t -t --json", true),
            ("run -vt --json", true),
            ("run -vt - --json", true),
            ("run --media-dir --json", true),
            ("run --exec-timeout -1 --json", true),
            ("run python3 --profile --json", true),
            ("--profile --json run python3", true),
            ("--json run", true),
            ("-t token run --json", true),
            ("-x run --json", true),
            ("run -- --json", false),
            ("run -t -- --json", false),
            ("run -c -- --json", true),
            ("run --json-schema", false),
            ("run --jsonl", false),
            ("info --json", false),
            ("info run --json", false),
            ("--profile run info --json", false),
            ("-- run --json", false),
            ("--json", false),
        ] {
            let found = asks_for_json_of_run(&sorna, &arguments(line));
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn options_of_every_kind_leave_json_alone() {
        let option = |name: &'static str| Arg::new(name).long(name);
        let mut command = Command::new("program").args([
            option("two").num_args(2),
            option("maybe").num_args(0..=1),
            option("equals").num_args(0..=1).require_equals(true),
            option("number").short('n').allow_negative_numbers(true),
            option("any").num_args(1..).allow_hyphen_values(true),
        ]);
        command.build();
        for (line, expected) in [
            ("--two --json", vec!["--two", "--json"]),
            ("--two a b --json", vec!["--two", "--json"]),
            ("--two a --json b", vec!["--two", "--json", "b"]),
            ("--maybe --json", vec!["--maybe", "--json"]),
            ("--maybe a b", vec!["--maybe", "b"]),
            ("--equals a", vec!["--equals", "a"]),
            ("--number -1.5 -2", vec!["--number", "-2"]),
            ("-n -x", vec!["-n", "-x"]),
            ("--any a --json -- b", vec!["--any"]),
        ] {
            let arguments = arguments(line);
            let found: Vec<&OsStr> = words(&command, &arguments).collect();
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
