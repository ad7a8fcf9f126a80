//! `lcc` and `lpython`: `sorna run` with a language that the program's name selects.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory, FromArgMatches, Parser};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::run;
use crate::run::args::RunArgs;
use crate::usage;

/// A program and its language.
#[derive(Debug)]
pub(crate) struct Shortcut {
    name: &'static str,
    lang: &'static str,
    about: &'static str,
    examples: &'static str,
}

pub(crate) const LCC: Shortcut = Shortcut {
    name: "lcc",
    lang: "c",
    about: "Compile and run a C program in a remote Sorna kernel, or on this machine: `sorna run c`.",
    examples: "\
Examples:
  lcc main.c mylib.c mylib.h
  lcc --local main.c
  lcc main.c -b 'gcc -O2 -o main main.c' -e './main --fast'",
};

pub(crate) const LPYTHON: Shortcut = Shortcut {
    name: "lpython",
    lang: "python3",
    about: "Run Python in a remote Sorna kernel, or on this machine: `sorna run python3`.",
    examples: "\
Examples:
  lpython -c \"print('hello world')\"
  lpython --local main.py helper.py
  lpython -t my-session -c 'x = 1'",
};

#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    globals: Globals,

    #[command(flatten)]
    run: RunArgs,
}

impl Shortcut {
    /// The command line: that of `run`, without the language.
    pub(crate) fn command(&self) -> Command {
        Arguments::command()
            .name(self.name)
            .about(self.about)
            .long_about(None)
            .after_help(self.examples)
            // As an option, so that the files become the first argument.
            .mut_arg("lang", |_| {
                let lang = Arg::new("lang").long("lang").hide(true);
                lang.default_value(self.lang)
            })
    }
}

/// Carries out the program.
pub(crate) fn run(shortcut: &Shortcut) -> Result<Exit, Failure> {
    // Standard input may be the code.
    let mut command = shortcut
        .command()
        .arg_required_else_help(io::stdin().is_terminal());
    let arguments: Vec<_> = std::env::args_os().collect();
    match Arguments::read(&mut command, &arguments) {
        Ok(Arguments { globals, run }) => {
            globals.color.write_global();
            run::run(run, &globals)
        }
        Err(error) => {
            let with_json = usage::asks_for_json(&command, &arguments);
            Ok(usage::end(&error, with_json))
        }
    }
}

impl Arguments {
    fn read(command: &mut Command, arguments: &[OsString]) -> Result<Self, clap::Error> {
        command.build();
        let matches = command.try_get_matches_from_mut(arguments)?;
        let read = Self::from_arg_matches(&matches).map_err(|error| error.format(command))?;
        read.run
            .check()
            .map_err(|conflict| command.error(ErrorKind::ArgumentConflict, conflict))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines_are_consistent() {
        LCC.command().debug_assert();
        LPYTHON.command().debug_assert();
    }
}
