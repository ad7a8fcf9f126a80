//! Commands for sessions of Backend.AI: `sorna ps`, `rename` and `events`; and how they find a
//! session by its name, its ID or what either starts with. And `ls`, `download` and `logs`, also for kernels of Sorna v2.

pub(crate) mod control;
pub(crate) mod download;
pub(crate) mod events;
pub(crate) mod files;
mod find;
mod glob;
pub(crate) mod logs;
pub(crate) mod ps;
mod text;

pub(crate) use find::{Found, find, find_any};
pub(crate) use text::moment;

use sorna::{ApiVersion, BuildError, Dialect, Error};

use crate::advice::{NO_ID, show_error_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::reporter::Reporter;
use crate::spoken;
use crate::target::Target;

/// The gateway in the settings, which must speak Backend.AI; `what` is what is asked of it.
fn open(globals: &Globals, what: &'static str) -> Result<Target, Failure> {
    let target = Target::open(globals)?;
    let version: ApiVersion = spoken::version(&target)?;
    match version.dialect() {
        Dialect::SornaV2 => Err(Failure::Argument(BuildError::Unsupported { what, version })),
        _ => Ok(target),
    }
}

/// Does something with the session of this name, ID or prefix, or the kernel of this token or ID in Sorna v2, where it takes
/// an extension.
fn with_kernel(
    globals: &Globals,
    text: &str,
    act: impl FnOnce(&Target, &Found, &mut Reporter) -> Result<Result<Exit, Failure>, Error>,
) -> Result<Exit, Failure> {
    let target = Target::open(globals)?;
    act_on(&target, &find_any(&target, text)?, act)
}

/// Does something with the session of this name, ID or prefix.
fn with_session(
    globals: &Globals,
    what: &'static str,
    text: &str,
    act: impl FnOnce(&Target, &Found, &mut Reporter) -> Result<Result<Exit, Failure>, Error>,
) -> Result<Exit, Failure> {
    let target = open(globals, what)?;
    act_on(&target, &find(&target, text)?, act)
}

fn act_on(
    target: &Target,
    found: &Found,
    act: impl FnOnce(&Target, &Found, &mut Reporter) -> Result<Result<Exit, Failure>, Error>,
) -> Result<Exit, Failure> {
    let mut reporter = Reporter::new(false);
    match act(target, found, &mut reporter) {
        Ok(result) => result,
        Err(Error::Build(error @ BuildError::NotOffered { .. })) => Err(Failure::Argument(error)),
        Err(error) => {
            show_error_of(&mut reporter, &error, target, found.kernel.id(), NO_ID);
            if let Some(advice) = found.advice(target, &error) {
                reporter.advice(advice);
            }
            Ok(Exit::FAILURE)
        }
    }
}
