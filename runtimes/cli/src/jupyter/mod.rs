//! `sorna jupyter`: kernels for Jupyter.

pub(crate) mod args;
mod install;
mod wanted;

use std::sync::{Arc, Mutex};

use sorna::{KernelSpec, with_causes};
use sorna_jupyter::kernel::{Completeness, Kernel};
use sorna_jupyter::{Connection, StartError, traceback};

use crate::allocator::{self, Use};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::lock::lock;
use crate::repl::is_whole;
use crate::reporter::Reporter;
use crate::run::local_api;
use crate::spoken;
use crate::target::Target;
use args::{JupyterArgs, JupyterCommand, RunArgs};
use wanted::spec;

/// Carries out the command.
pub(crate) fn jupyter(arguments: JupyterArgs, globals: &Globals) -> Result<Exit, Failure> {
    // Jupyter may have been started with the variables of another gateway.
    let globals = &Globals {
        is_profile_first: true,
        ..globals.clone()
    };
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
        .map_err(|error| Failure::usage(with_causes(&error)))?;
    for warning in connection.warnings() {
        Reporter::new(false).advice(warning);
    }
    let spec = spec(&arguments.lang, &arguments.env, &arguments.limits);
    // Kept until the end, as it may hold a gateway.
    let target = Arc::new(Mutex::new(None));
    let kernel = match open(arguments, &spec, globals) {
        Ok(opened) => {
            let client = opened.concurrent();
            *lock(&target) = Some(opened);
            Kernel::new(client, spec)
        }
        // Who has a notebook sees no log, so its cells tell, and each tries again.
        Err(failure) => {
            failure.show();
            let (arguments, globals) = (arguments.clone(), globals.clone());
            let (wanted, target) = (spec.clone(), Arc::clone(&target));
            let again = move || {
                let mut target = lock(&target);
                if let Some(opened) = target.as_ref().filter(|_| arguments.local.local) {
                    return Ok(opened.concurrent());
                }
                let opened = open(&arguments, &wanted, &globals).map_err(|it| shown(&it))?;
                Ok(target.insert(opened).concurrent())
            };
            Kernel::opening(again, spec)
        }
    };
    match kernel.with_judge(judge).serve_blocking(connection) {
        Ok(()) => Ok(Exit::SUCCESS),
        Err(StartError::Signals(error)) => Err(Failure::System("cannot wait for signals", error)),
        Err(error) => {
            Reporter::new(false).fail(with_causes(&error));
            Ok(Exit::FAILURE)
        }
    }
}

/// The gateway of a kernel like this.
fn open(arguments: &RunArgs, spec: &KernelSpec, globals: &Globals) -> Result<Target, Failure> {
    if !arguments.local.local {
        spoken::check(globals, |version| spec.check(version)).map_err(Failure::Argument)?;
    }
    let local = arguments.local.config()?;
    let target = Target::open_with(local.map(|config| (config, local_api(spec))), globals)?;
    let remarks = target.on_gateway(|gateway| Some(arguments.local.remarks(gateway)));
    let mut reporter = Reporter::new(false);
    for remark in remarks.into_iter().flatten() {
        reporter.advice(remark);
    }
    Ok(target)
}

/// As the error of a cell, in the words of the command.
fn shown(failure: &Failure) -> traceback::Failure {
    let (message, advice) = failure.words();
    let shown = traceback::Failure::new("GatewayError", message);
    advice
        .into_iter()
        .fold(shown, traceback::Failure::with_line)
}

/// Whether code is whole, as the terminal of `sorna repl` has it.
pub(crate) fn judge(lang: &str, code: &str) -> Completeness {
    match is_whole(lang, code) {
        Some(true) => Completeness::Complete,
        Some(false) => Completeness::Incomplete,
        None => Completeness::Unknown,
    }
}
