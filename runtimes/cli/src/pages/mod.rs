//! `sorna completions` and `sorna man`: the commands described for shells and for `man`.

pub(crate) mod args;
mod sessions;

use std::io;
use std::path::Path;

use clap_mangen::Man;

use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::print::print;
use crate::reporter::Reporter;
use crate::shortcut::{LCC, LPYTHON};
use args::{CompletionsArgs, ManArgs, Program};

impl Program {
    const ALL: [Self; 3] = [Self::Sorna, Self::Lcc, Self::Lpython];

    /// Its command line.
    fn command(self) -> clap::Command {
        match self {
            Self::Sorna => Cli::whole(),
            Self::Lcc => LCC.command(),
            Self::Lpython => LPYTHON.command(),
        }
    }
}

/// Carries out `completions`.
pub(crate) fn completions(arguments: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut command = arguments.program.command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    match (arguments.program, String::from_utf8(script)) {
        (Program::Sorna, Ok(script)) => print(sessions::add(arguments.shell, script).as_bytes()),
        (_, Ok(script)) => print(script.as_bytes()),
        (_, Err(error)) => print(error.as_bytes()),
    }
}

/// Carries out `man`.
pub(crate) fn man(arguments: &ManArgs) -> Result<Exit, Failure> {
    if let Some(dir) = &arguments.dir {
        let number =
            write(dir).map_err(|error| Failure::System("cannot write the manual pages", error))?;
        Reporter::new(false).done(format_args!("Wrote {number} pages to {}.", dir.display()));
        return Ok(Exit::SUCCESS);
    }
    let name = arguments.command.as_deref().unwrap_or("sorna");
    let programs = Program::ALL.map(Program::command);
    let mut command = match programs
        .into_iter()
        .find(|program| program.get_name() == name)
    {
        Some(program) => program,
        None => command_of_sorna(name)?,
    };
    command = command.disable_help_subcommand(true);
    let mut page = Vec::new();
    Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::System("cannot generate the manual page", error))?;
    print(&page)
}

/// Writes all pages; returns their number.
fn write(dir: &Path) -> io::Result<usize> {
    std::fs::create_dir_all(dir)?;
    let mut number = 0;
    for program in Program::ALL {
        let mut command = program.command().disable_help_subcommand(true);
        command.build();
        number += pages(&command);
        clap_mangen::generate_to(program.command(), dir)?;
    }
    Ok(number)
}

/// How many pages a command has, with those of its own commands.
fn pages(command: &clap::Command) -> usize {
    1 + command.get_subcommands().map(pages).sum::<usize>()
}

/// A command of `sorna`, with what it has from `sorna` itself.
fn command_of_sorna(name: &str) -> Result<clap::Command, Failure> {
    let mut sorna = Cli::whole().disable_help_subcommand(true);
    sorna.build();
    let known = || sorna.get_subcommands().map(|command| command.get_name());
    match sorna.find_subcommand(name) {
        Some(command) => Ok(command.clone()),
        None => Err(Failure::UnknownCommand {
            name: name.to_owned(),
            known: known().map(str::to_owned).collect(),
        }),
    }
}
