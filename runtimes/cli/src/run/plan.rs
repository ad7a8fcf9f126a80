//! The plan of a run, from its command line.

use std::io::{self, Read};
use std::path::Path;

use sorna::files::{self, Skip};
use sorna::protocol::ApiVersion;
use sorna::{Batch, KernelSpec, Limits, RunPlan, SessionToken, UploadFile, random_token};

use super::args::{CollectArgs, LimitArgs, RunArgs};
use super::program::Program;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::values::{self, session_token};

/// The kernel's default for a step.
const DEFAULT: &str = "*";

/// The plan, the token of its kernel, and advice if its program fails.
pub(super) fn plan(
    arguments: &RunArgs,
    globals: &Globals,
) -> Result<(RunPlan, SessionToken, Option<String>), Failure> {
    let token = match &arguments.token {
        Some(token) => session_token(token, globals).map_err(Failure::Argument)?,
        None => random_token(),
    };
    let spec = spec(&arguments.lang, &arguments.limits, globals)?;
    let mut advice = None;
    let plan = if arguments.reads_stdin() {
        let code = code_from_stdin()?;
        RunPlan::temporary(spec, [code])
    } else if !arguments.code.is_empty() {
        RunPlan::temporary(spec, arguments.code.iter().map(String::as_str))
    } else {
        let files = collect(&arguments.files, arguments.collect)?;
        let program = match &arguments.exec {
            Some(command) => Program::Command(command.clone()),
            None => Program::find(&arguments.lang, &arguments.files, &files),
        };
        let exec = match program {
            Program::Command(command) => command,
            Program::Default => DEFAULT.to_owned(),
            Program::Unclear(hint) => {
                advice = Some(hint);
                DEFAULT.to_owned()
            }
        };
        let build = arguments.build.clone().unwrap_or(DEFAULT.to_owned());
        let batch = Batch::new().with_build(build).with_exec(exec);
        RunPlan::temporary(spec, [batch]).with_files(files)
    };
    let plan = plan.with_token(token.clone());
    let plan = if arguments.token.is_some() {
        plan.keep_kernel()
    } else {
        plan
    };
    Ok((plan, token, advice))
}

fn spec(lang: &str, limits: &LimitArgs, globals: &Globals) -> Result<KernelSpec, Failure> {
    let mut wanted = Limits::new();
    if let Some(time) = limits.exec_timeout {
        wanted = wanted.with_exec_timeout(time);
    }
    if let Some(memory) = limits.max_mem {
        wanted = wanted.with_max_memory(memory.0.saturating_mul(1024));
    }
    let spec = KernelSpec::new(lang)
        .with_limits(wanted)
        .with_mounts(limits.mounts.clone());
    values::check(globals, |version| spec.check(version)).map_err(Failure::Argument)?;
    Ok(spec)
}

/// All of standard input.
fn code_from_stdin() -> Result<String, Failure> {
    let mut code = String::new();
    io::stdin()
        .read_to_string(&mut code)
        .map_err(|error| Failure::System("cannot read code from standard input", error))?;
    Ok(code)
}

/// The files to upload, by their path relative to the current directory.
pub(crate) fn collect<P: AsRef<Path>>(
    paths: &[P],
    arguments: CollectArgs,
) -> Result<Vec<UploadFile>, Failure> {
    let skip = if arguments.no_ignore {
        Skip::Nothing
    } else {
        Skip::HiddenAndIgnored
    };
    files::collect(Path::new("."), paths, skip).map_err(Failure::Files)
}

/// Checks what this version of the API requires, before anything is sent.
pub(super) fn check(plan: &RunPlan, version: ApiVersion) -> Result<(), Failure> {
    let token = plan.token().map(|token| token.check(version));
    plan.spec()
        .check(version)
        .and(token.unwrap_or(Ok(())))
        .map_err(Failure::Argument)
}
