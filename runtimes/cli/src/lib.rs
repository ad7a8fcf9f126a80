//! `sorna`: run code in remote kernels, or on this machine.

#![forbid(unsafe_code)]

mod args;
mod exit;
mod failure;
mod modes;
mod place;
mod run;
mod shell;
mod signals;
mod status;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Shell(arguments) => shell::shell(arguments),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.show();
            failure.exit().into()
        }
    }
}
