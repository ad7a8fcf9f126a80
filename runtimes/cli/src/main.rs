//! `sorna`: run code in remote kernels, or on this machine.

#![forbid(unsafe_code)]

mod args;
mod exit;
mod failure;
mod json;
mod line;
mod look;
mod modes;
mod place;
mod run;
mod shell;
mod signals;
mod status;
mod upload;
mod values;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.write_global();
    let result = match cli.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Shell(arguments) => shell::shell(arguments),
        Command::Upload(arguments) => upload::upload(arguments),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.show();
            failure.exit().into()
        }
    }
}
