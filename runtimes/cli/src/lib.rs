//! The command line of Sorna: the code of the programs `sorna`, `lcc` and `lpython`. Other programs should
//! use the crate [`sorna`](https://docs.rs/sorna).
//!
//! ```console
//! $ cargo install sorna-cli
//! $ sorna run --local python3 -c "print('hello world')"
//! ```
//!
//! `sorna --help` lists the commands, and `sorna man` prints manual pages. Each command is a file or folder
//! of its name, with its arguments and what it does. The minimum supported Rust version is 1.88.

#![forbid(unsafe_code)]

mod advice;
mod allocator;
mod args;
mod asked;
mod boxes;
mod chain;
mod complete;
mod config;
mod ended;
mod exit;
mod failure;
mod fetch;
mod globals;
mod harmless;
mod held;
mod image;
mod installing;
mod isolation;
mod json;
#[cfg(feature = "jupyter")]
mod jupyter;
mod keep_alive;
mod kernels;
mod langs;
mod left;
mod local;
mod lock;
mod login;
mod lost;
#[cfg(feature = "mcp")]
mod mcp;
mod nearest;
mod order;
#[cfg(any(feature = "jupyter", feature = "mcp"))]
mod own_path;
mod pages;
mod pending;
mod print;
mod progress;
#[cfg(test)]
mod reference;
mod release;
mod repl;
mod reporter;
mod run;
mod search_path;
mod serve;
mod sessions;
mod settings;
mod shell;
mod shortcut;
mod signals;
mod spoken;
mod status;
mod stored;
mod streams;
mod style;
mod target;
mod temporary;
mod terms;
mod threads;
mod tips;
mod tty;
mod units;
mod upload;
mod usage;
mod values;

use std::process::ExitCode;

use args::{Cli, Command};
use exit::Exit;
use failure::Failure;

/// The program `sorna`.
#[must_use]
pub fn sorna() -> ExitCode {
    if let Some(code) = boxes::helper() {
        return code;
    }
    let mut sorna = Cli::whole();
    let arguments: Vec<_> = std::env::args_os().collect();
    let Cli { globals, command } = match Cli::read(&mut sorna, &arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let with_json = usage::asks_for_json_of_run(&sorna, &arguments);
            return usage::end(&tips::add(error), with_json).into();
        }
    };
    globals.color.write_global();
    end(match command {
        Command::Run(arguments) => run::run(arguments, &globals),
        Command::Repl(arguments) => repl::repl(arguments, &globals),
        Command::Shell(arguments) => shell::shell(arguments, &globals),
        Command::Upload(arguments) => upload::upload(arguments, &globals),
        Command::Serve(arguments) => serve::serve(&arguments, &globals),
        Command::Status(arguments) => status::status(&arguments, &globals),
        Command::Info(arguments) => kernels::info(&arguments, &globals),
        Command::Restart(arguments) => kernels::restart(&arguments, &globals),
        Command::Destroy(arguments) => kernels::destroy(&arguments, &globals),
        Command::Ps(arguments) => sessions::ps::ps(&arguments, &globals),
        Command::Logs(arguments) => sessions::logs::logs(&arguments, &globals),
        Command::Attach(arguments) => run::attach::attach(&arguments, &globals),
        Command::Ls(arguments) => sessions::files::ls(&arguments, &globals),
        Command::Download(arguments) => sessions::download::download(&arguments, &globals),
        Command::Interrupt(arguments) => kernels::interrupt(&arguments, &globals),
        Command::Rename(arguments) => sessions::control::rename(&arguments, &globals),
        Command::Events(arguments) => sessions::events::events(&arguments, &globals),
        Command::Complete(arguments) => complete::complete(&arguments, &globals),
        Command::KeepAlive(arguments) => keep_alive::keep_alive(&arguments, &globals),
        Command::Langs(arguments) => langs::langs(&arguments, &globals),
        #[cfg(feature = "jupyter")]
        Command::Jupyter(arguments) => jupyter::jupyter(arguments, &globals),
        #[cfg(feature = "mcp")]
        Command::Mcp(arguments) => mcp::mcp(*arguments, &globals),
        Command::Login(arguments) => login::login(&arguments, &globals),
        Command::Logout(arguments) => login::logout(&arguments, &globals),
        Command::Config(arguments) => config::config(&arguments, &globals),
        Command::Completions(arguments) => pages::completions(&arguments),
        Command::Man(arguments) => pages::man(&arguments),
    })
}

/// The program `lcc`: `sorna run c`.
#[must_use]
pub fn lcc() -> ExitCode {
    boxes::helper().unwrap_or_else(|| end(shortcut::run(&shortcut::LCC)))
}

/// The program `lpython`: `sorna run python3`.
#[must_use]
pub fn lpython() -> ExitCode {
    boxes::helper().unwrap_or_else(|| end(shortcut::run(&shortcut::LPYTHON)))
}

fn end(result: Result<Exit, Failure>) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.show();
            failure.exit().into()
        }
    }
}
