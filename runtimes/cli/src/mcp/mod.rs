//! `sorna mcp`: a server for agents.

pub(crate) mod args;
mod http;
mod install;
mod place;

use std::io::{self, IsTerminal};

use rustix::process::DumpableBehavior;
use sorna_gateway::StartError;
use sorna_mcp::{ServeError, Server, Stopper};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::reporter::Reporter;
use crate::settings::Api;
use crate::signals;
use crate::target::Target;
use crate::threads;
use args::{McpArgs, McpCommand};
use sorna::with_causes;

/// Carries out the command.
pub(crate) fn mcp(arguments: McpArgs, globals: &Globals) -> Result<Exit, Failure> {
    // The agent may have been started with the variables of another gateway.
    let globals = &Globals {
        is_profile_first: true,
        ..globals.clone()
    };
    if let Some(McpCommand::Install(arguments)) = arguments.command {
        return install::install(&arguments, globals).map_err(as_ours);
    }
    let place = &arguments.place;
    // Keys and the token are in this process's memory and environment: code that it runs must not read them, however little it is
    // isolated.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Before there is something that must not stay behind.
    let stopper = stopper()?;
    let http = match &arguments.http {
        Some(address) => Some(http::Http::open(*address, arguments.token_file.as_deref())?),
        None => None,
    };
    let local = place.config()?;
    let target = match Target::open_with(local.map(|config| (config, Api::Sorna)), globals) {
        Ok(target) => target,
        Err(failure @ Failure::Gateway(StartError::Isolation(_))) => {
            failure.show();
            Reporter::new(false).advice(
                "With --isolation landlock, code has the network of this machine, and sees its processes, but not your files.",
            );
            return Ok(failure.exit());
        }
        Err(failure) => return Err(as_ours(failure)),
    };
    let about = target.on_gateway(|gateway| {
        let remarks = place.local.remarks(gateway);
        Some((remarks, place::about(place, gateway)))
    });
    let (remarks, about) = about.unwrap_or_default();
    let mut reporter = Reporter::new(false);
    for remark in remarks {
        reporter.advice(remark);
    }
    let server = Server::new(target.concurrent(), place.options(about)).with_stopper(stopper);
    let served = match http {
        Some(http) => {
            http.announce()?;
            server.serve_http_blocking(http.listener, http.token)
        }
        None => {
            if io::stdin().is_terminal() {
                reporter.info(
                    "This speaks MCP with the program that starts it: `sorna mcp install` adds it to an agent. Ctrl-C ends it.",
                );
            }
            server.serve_stdio_blocking()
        }
    };
    match served {
        Ok(()) => Ok(Exit::SUCCESS),
        Err(ServeError::Start(error)) => Err(Failure::System("cannot start", error)),
        Err(error) => {
            reporter.fail(with_causes(&error));
            Ok(Exit::FAILURE)
        }
    }
}

/// A failure whose advice is about this command.
fn as_ours(failure: Failure) -> Failure {
    match failure {
        Failure::Settings(error) => Failure::Settings(error.with_local("sorna mcp --local")),
        failure => failure,
    }
}

/// Stops the server at the first signal that ends a command.
fn stopper() -> Result<Stopper, Failure> {
    let stopper = Stopper::new();
    let stop = stopper.clone();
    let mut signals = signals::catch()?;
    threads::start("signals", move || {
        if signals.forever().next().is_some() {
            stop.stop();
        }
    })?;
    Ok(stopper)
}
