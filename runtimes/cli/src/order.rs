//! Command lines as the parser needs them: kernel IDs and values may begin with a hyphen.

use std::ffi::OsString;

use clap::{Arg, Command};

use crate::usage;

/// Commands that take IDs of kernels.
const OF_IDS: [&str; 5] = ["info", "interrupt", "restart", "destroy", "keep-alive"];

/// Joins each option with a value that begins like a negative number (`--idle-timeout -5s`), which the parser would take for
/// an option that it does not know. Whether the value is allowed is then checked as that of any other.
pub(crate) fn joined(sorna: &Command, arguments: &[OsString]) -> Vec<OsString> {
    let (start, command) = match subcommand(sorna, arguments) {
        Some((at, command)) => (at + 1, command),
        None => (1, sorna),
    };
    let start = start.min(arguments.len());
    let (mut all, mut rest) = (arguments[..start].to_vec(), arguments[start..].iter());
    while let Some(word) = rest.next() {
        if word == "--" {
            all.push(word.clone());
            all.extend(rest.cloned());
            break;
        }
        if let Some((option, number)) = short_with_number(command, word) {
            all.push(format!("--{option}={number}").into());
            continue;
        }
        let next = rest.as_slice().first();
        let value = next.filter(|next| is_negative(next));
        let option = value.and_then(|_| usage::waits(command, word));
        let (Some(value), Some(option)) = (value, option) else {
            all.push(word.clone());
            continue;
        };
        rest.next();
        let text = word.to_str().unwrap_or_default();
        // Where an ID may begin with a hyphen, the parser takes letters with a value for one.
        let (others, mut both) = match option.get_long() {
            Some(long) if !text.starts_with("--") => {
                let others = text.get(..text.len().saturating_sub(1));
                (others.unwrap_or_default(), format!("--{long}=").into())
            }
            _ => {
                let mut both = word.clone();
                if text.starts_with("--") {
                    both.push("=");
                }
                ("", both)
            }
        };
        if others.len() > 1 {
            all.push(others.into());
        }
        both.push(value);
        all.push(both);
    }
    all
}

/// The option of `-n5`, and its number. An ID is longer.
fn short_with_number<'c, 'w>(
    command: &'c Command,
    word: &'w OsString,
) -> Option<(&'c str, &'w str)> {
    let (letter, number) = word.to_str()?.strip_prefix('-')?.split_at_checked(1)?;
    let is_number = number.len() < 20 && !number.is_empty();
    let has_ids = |command: &Command| {
        let mut positionals = command.get_positionals();
        positionals.any(Arg::is_allow_hyphen_values_set)
    };
    if !is_number || !has_ids(command) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let option = usage::waits(command, format!("-{letter}").as_ref())?;
    Some((option.get_long()?, number))
}

/// Whether it begins like a negative number.
fn is_negative(word: &OsString) -> bool {
    matches!(
        word.as_encoded_bytes(),
        [b'-', b'0'..=b'9', ..] | [b'-', b'.', b'0'..=b'9', ..]
    )
}

/// The command of these arguments, and where it is.
fn subcommand<'c>(sorna: &'c Command, arguments: &[OsString]) -> Option<(usize, &'c Command)> {
    let name = usage::command_in(sorna, arguments)?;
    let at = arguments.iter().position(|word| word == name)?;
    Some((at, sorna.find_subcommand(name)?))
}

/// Moves options in front of kernel IDs. An ID may begin with a hyphen, so the parser takes all that follows one for IDs;
/// but none looks like an option.
pub(crate) fn options_first(sorna: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let Some((at, command)) = subcommand(sorna, &arguments) else {
        return arguments;
    };
    if !OF_IDS.contains(&command.get_name()) {
        return arguments;
    }
    let options: Vec<_> = command.get_opts().collect();
    let flags: Vec<_> = command
        .get_arguments()
        .filter(|argument| !argument.is_positional() && !argument.get_action().takes_values())
        .collect();
    let is = |argument: &Arg, text: &str| {
        let long = argument.get_long();
        let short = argument.get_short();
        text.strip_prefix("--")
            .is_some_and(|text| Some(text) == long)
            || text.strip_prefix('-').is_some_and(|text| {
                let mut letters = text.chars();
                letters.next().is_some_and(|letter| Some(letter) == short)
                    && letters.next().is_none()
            })
    };
    let (mut first, mut then) = (arguments[..=at].to_vec(), Vec::new());
    let mut rest = arguments[at + 1..].iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_str().unwrap_or_default();
        if text == "--" {
            then.push(argument.clone());
            then.extend(rest.cloned());
            break;
        }
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        if flags.iter().any(|flag| is(flag, text)) {
            first.push(argument.clone());
        } else if options.iter().any(|option| is(option, name))
            && text.starts_with("--") | (name == text)
        {
            first.push(argument.clone());
            if name == text {
                first.extend(rest.next().cloned());
            }
        } else {
            then.push(argument.clone());
        }
    }
    first.extend(then);
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;

    #[test]
    fn values_like_negative_numbers_are_joined_with_their_options() {
        let mut sorna = Cli::whole();
        sorna.build();
        for (line, expected) in [
            (
                "keep-alive x --idle-timeout -5",
                "keep-alive x --idle-timeout=-5",
            ),
            ("run python3 -c -5", "run python3 --code=-5"),
            ("run python3 -qc -5", "run python3 -q --code=-5"),
            ("run python3 -c5", "run python3 -c5"),
            ("logs -n -1 x", "logs --tail=-1 x"),
            ("logs -fn -1 x", "logs -f --tail=-1 x"),
            ("logs -n5 x", "logs --tail=5 x"),
            (
                "logs -n34567890123456789012 x",
                "logs -n34567890123456789012 x",
            ),
            ("logs -f5 x", "logs -f5 x"),
            (
                "run --exec-timeout -.5s c x.c",
                "run --exec-timeout=-.5s c x.c",
            ),
            ("run python3 a.py -- --n -5", "run python3 a.py -- --n -5"),
            ("run -q -5", "run -q -5"),
            ("run -c --json", "run -c --json"),
            ("info -5abcdefghijklmnopqrst", "info -5abcdefghijklmnopqrst"),
        ] {
            let words = |line: &str| -> Vec<OsString> {
                let words = std::iter::once("sorna").chain(line.split(' '));
                words.map(OsString::from).collect()
            };
            assert_eq!(joined(&sorna, &words(line)), words(expected), "{line}");
        }
    }
}
