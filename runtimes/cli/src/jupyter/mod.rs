//! `sorna jupyter`: kernels for Jupyter.

pub(crate) mod args;
mod install;

use std::env;

use sorna::KernelSpec;
use sorna_jupyter::kernel::{Completeness, Kernel};
use sorna_jupyter::{Connection, StartError};

use crate::allocator::{self, Use};
use crate::chain::chain;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::repl::is_whole;
use crate::reporter::Reporter;
use crate::run::local_api;
use crate::spoken;
use crate::target::Target;
use args::{JupyterArgs, JupyterCommand, RunArgs};

/// Carries out the command.
pub(crate) fn jupyter(arguments: JupyterArgs, globals: &Globals) -> Result<Exit, Failure> {
    match arguments.command {
        JupyterCommand::Install(arguments) => install::install(&arguments, globals),
        JupyterCommand::List(arguments) => install::list(&arguments),
        JupyterCommand::Uninstall(arguments) => install::uninstall(&arguments),
        JupyterCommand::Run(arguments) => run(&arguments, globals),
    }
}

/// Carries out `run`.
fn run(arguments: &RunArgs, globals: &Globals) -> Result<Exit, Failure> {
    allocator::choose(Use::Own);
    let connection = Connection::open(&arguments.connection_file)
        .map_err(|error| Failure::usage(chain(&error)))?;
    let mut spec = KernelSpec::new(arguments.lang.as_str());
    for (name, value) in &arguments.env {
        let own = || env::var(name).ok();
        // One that is not set is not set there either.
        if let Some(value) = value.clone().or_else(own) {
            spec = spec.with_env(name, value);
        }
    }
    if !arguments.local.local {
        spoken::check(globals, |version| spec.check(version)).map_err(Failure::Argument)?;
    }
    let local = arguments.local.config()?;
    let target = Target::open_with(local.map(|config| (config, local_api(&spec))), globals)?;
    let remarks = target.on_gateway(|gateway| Some(arguments.local.remarks(gateway)));
    let mut reporter = Reporter::new(false);
    for remark in remarks.into_iter().flatten() {
        reporter.advice(remark);
    }
    let kernel = Kernel::new(target.concurrent(), spec).with_judge(judge);
    match kernel.serve_blocking(connection) {
        Ok(()) => Ok(Exit::SUCCESS),
        Err(StartError::Signals(error)) => Err(Failure::System("cannot wait for signals", error)),
        Err(error) => {
            reporter.fail(chain(&error));
            Ok(Exit::FAILURE)
        }
    }
}

/// Whether code is whole, as the terminal of `sorna repl` has it.
pub(crate) fn judge(lang: &str, code: &str) -> Completeness {
    match is_whole(lang, code) {
        Some(true) => Completeness::Complete,
        Some(false) => Completeness::Incomplete,
        None => Completeness::Unknown,
    }
}
