//! `sorna keep-alive`.

use std::time::Duration;

use clap::Args;
use sorna::blocking::Kernel;
use sorna::{BuildError, Error};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::kernels::{Stop, Which};
use crate::units::time;
use crate::values;

/// Keep kernels that nothing uses: their idle time begins anew.
///
/// A kernel is destroyed when it has not been in use for its idle timeout, which `sorna info` shows. This is for gateways
/// of `sorna serve`, in either API; others have no such request, and any request there begins the time anew.
///
/// Exit code: 0; 1 if the gateway returned an error or could not be reached; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(override_usage = "sorna keep-alive [OPTIONS] <ID>...", after_help = EXAMPLES)]
pub(crate) struct KeepAliveArgs {
    #[command(flatten)]
    which: Which,

    /// From now on, destroy the kernel when it has not been in use for this long; at most what the gateway allows.
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    idle_timeout: Option<Duration>,
}

const EXAMPLES: &str = "\
Examples:
  sorna keep-alive my-session
  sorna keep-alive --idle-timeout 45m my-session";

/// Carries out the command.
pub(crate) fn keep_alive(arguments: &KeepAliveArgs, globals: &Globals) -> Result<Exit, Failure> {
    arguments.which.each(globals, |target, reporter, found| {
        let time = match found.kernel.keep_alive(arguments.idle_timeout) {
            Err(Error::Build(error @ BuildError::NotOffered { .. })) => {
                return Err(Stop::Command(Failure::usage(error.to_string())));
            }
            time => time?,
        };
        let capital = target.terms().capital;
        reporter.done(format_args!(
            "{capital} {found} stays for at least {}.",
            shown(time)
        ));
        Ok(())
    })
}

/// Sets the idle timeout of a kernel that something else is to happen in.
///
/// # Errors
///
/// The gateway has no such request, or allows no such time.
pub(crate) fn set(kernel: &Kernel, time: Duration) -> Result<(), Failure> {
    match kernel.keep_alive(Some(time)) {
        Ok(_) => Ok(()),
        Err(Error::Build(error @ BuildError::NotOffered { .. })) => {
            Err(Failure::usage(error.to_string()))
        }
        Err(error) => Err(Failure::Request {
            error: Box::new(error),
            advice: Vec::new(),
        }),
    }
}

/// A time for people.
pub(crate) fn shown(limit: Duration) -> String {
    time(limit.as_secs_f64() * 1000.0)
}
