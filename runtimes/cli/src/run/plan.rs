//! The plan of a run, from its command line.

use std::io::{self, IsTerminal};
use std::path::Path;

use sorna::files::{self, FilesError, Skip};
use sorna::protocol::{ApiVersion, UploadFiles};
use sorna::{
    Batch, BuildError, KernelSpec, RunPlan, SessionToken, UploadFile, random_token, with_causes,
};

use super::args::{CollectArgs, RunArgs};
use super::code::Code;
use super::env_file;
use super::program::Program;
use super::work_dir;
use crate::advice::advice;
use crate::failure::{Failure, is_empty_directory};
use crate::globals::Globals;
use crate::reporter::Reporter;
use crate::settings::{Api, quoted};
use crate::spoken::{self, session_token};
use crate::target::Target;
use crate::units::count;

/// The kernel's default for a step.
const DEFAULT: &str = "*";

/// What is to be run.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: RunPlan,
    /// What to run in place of that on gateways that are not ours.
    pub(super) elsewhere: Option<RunPlan>,
    /// The token of its kernel.
    pub(super) token: SessionToken,
    /// What to say if the program fails.
    pub(super) advice: Option<String>,
}

/// Plans what the command line says.
pub(super) fn plan(arguments: &RunArgs, globals: &Globals) -> Result<Planned, Failure> {
    let token = match &arguments.token {
        Some(token) => session_token(token, globals).map_err(Failure::Argument)?,
        None => random_token(),
    };
    let spec = spec(arguments, globals)?;
    let (mut advice, mut elsewhere) = (None, None);
    let plan = if arguments.reads_stdin() {
        match Code::read(arguments)? {
            Code::Snippet(code) => {
                RunPlan::temporary(spec, entering(arguments)?.into_iter().chain([code]))
            }
            Code::Program {
                file,
                command,
                snippet,
            } => {
                elsewhere = snippet
                    .zip(entering(arguments).ok())
                    .map(|(snippet, entering)| {
                        RunPlan::temporary(spec.clone(), entering.into_iter().chain([snippet]))
                    });
                let command = match &arguments.workdir {
                    Some(directory) => work_dir::command(directory, &command),
                    None => command,
                };
                let batch = Batch::new().with_build("").with_exec(command);
                RunPlan::temporary(spec, [batch]).with_files(vec![file])
            }
        }
    } else if !arguments.code.is_empty() || arguments.session.enqueue {
        let code = arguments.code.iter().cloned();
        RunPlan::temporary(spec, entering(arguments)?.into_iter().chain(code))
    } else {
        if let Some(pipe) = arguments.files.iter().find(|file| is_pipe(file)) {
            return Err(of_pipe(pipe).with_advice(
                "Code can come from standard input: `sorna run LANG < <(COMMAND)`, or `COMMAND | sorna run LANG`. Otherwise save it in a file.",
            ));
        }
        let mut reporter = Reporter::new(arguments.quiet || arguments.json);
        let files = match collect(&arguments.files, arguments.collect, &mut reporter) {
            // This directory is there in the kernel, too.
            Err(Failure::Files(FilesError::Empty(path))) if is_empty_directory(&path) => Vec::new(),
            files => files.map_err(|failure| hint_at_arguments(failure, arguments))?,
        };
        // Programs are not chosen among directories.
        let sources: Vec<_> = files
            .iter()
            .filter(|file| !file.is_directory())
            .cloned()
            .collect();
        let is_own = |command: Option<&str>| command.is_some_and(|command| command != DEFAULT);
        let has_command = is_own(arguments.exec()) || is_own(arguments.build.as_deref());
        if sources.is_empty() && !has_command {
            return Err(no_program(arguments));
        }
        let program = match (arguments.exec(), &arguments.workdir) {
            (None | Some(DEFAULT), Some(_)) => {
                Program::find_from_elsewhere(&arguments.lang, &arguments.files, &sources)?
            }
            (Some(command), _) => Program::Command(command.to_owned()),
            (None, None) => Program::find(&arguments.lang, &arguments.files, &sources),
        };
        let program = program.with_arguments(&arguments.lang, &arguments.arguments, &sources)?;
        let exec = match program {
            Program::Command(command) => match &arguments.workdir {
                Some(directory) if !command.is_empty() => work_dir::command(directory, &command),
                _ => command,
            },
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
    let circumstances = |plan: RunPlan| {
        let plan = plan
            .with_token(token.clone())
            .with_echo(arguments.echo)
            .with_piped_input(!io::stdin().is_terminal())
            .with_detach_on_cancel(arguments.detach_on_interrupt)
            .with_detach(arguments.detach);
        let plan = if arguments.token.is_some() || arguments.session.enqueue {
            plan.keep_kernel()
        } else {
            plan
        };
        match arguments.busy_wait() {
            Some(limit) => plan.with_busy_wait(limit),
            None => plan,
        }
    };
    Ok(Planned {
        plan: circumstances(plan),
        elsewhere: elsewhere.map(circumstances),
        token,
        advice,
    })
}

/// The snippet that runs before all others, by which the interpreter changes its directory.
fn entering(arguments: &RunArgs) -> Result<Option<String>, Failure> {
    let directory = arguments.workdir.as_deref();
    let snippet = directory.map(|directory| work_dir::snippet(&arguments.lang, directory));
    snippet.transpose().map_err(Failure::usage)
}

/// For directories in which no file is.
fn no_program(arguments: &RunArgs) -> Failure {
    let names: Vec<String> = arguments
        .files
        .iter()
        .map(|path| quoted(&path.to_string_lossy()).to_string())
        .collect();
    let (names, there) = (names.join(" "), names.join(" or "));
    let why = match arguments.files.as_slice() {
        [path] if is_empty_directory(path) => "it is an empty directory",
        [_] => "it holds empty directories only",
        _ => "they hold no files",
    };
    let advice = format!(
        "Name the files of the program as well, or give a command to run there: sorna run {} {names} --exec COMMAND",
        quoted(&arguments.lang)
    );
    Failure::Usage {
        message: format!("there is no program in {there}: {why}"),
        advice: Some(advice.into()),
    }
}

/// For a file that is not there: it may have been meant as an argument of the program before it.
fn hint_at_arguments(failure: Failure, arguments: &RunArgs) -> Failure {
    let Failure::Files(error) = failure else {
        return failure;
    };
    let is_missing = |file: &&std::path::PathBuf| file.symlink_metadata().is_err();
    let rest = |from: usize| {
        let words = arguments.files.iter().skip(from);
        let words: Vec<String> = words
            .map(|word| quoted(&word.to_string_lossy()).to_string())
            .collect();
        words.join(" ")
    };
    let first = arguments.files.first().filter(|file| !is_missing(file));
    let missing = arguments.files.iter().position(|file| is_missing(&file));
    match (first, missing) {
        (Some(first), Some(at)) if arguments.arguments.is_empty() => Failure::Usage {
            message: with_causes(&error),
            advice: Some(
                format!(
                    "Put arguments of the program after `--`: sorna run {} {} -- {}",
                    quoted(&arguments.lang),
                    quoted(&first.to_string_lossy()),
                    rest(at)
                )
                .into(),
            ),
        },
        (None, Some(0)) if looks_like_code(&arguments.files[0]) => Failure::Usage {
            message: with_causes(&error),
            advice: Some(
                format!(
                    "Code is given with -c: sorna run {} -c {}",
                    quoted(&arguments.lang),
                    rest(0)
                )
                .into(),
            ),
        },
        _ => Failure::Files(error),
    }
}

/// Whether it is hardly the name of a file.
fn looks_like_code(file: &Path) -> bool {
    let text = file.to_string_lossy();
    text.contains(['(', ';', '=', '"', '\'', '\n', '$'])
}

fn spec(arguments: &RunArgs, globals: &Globals) -> Result<KernelSpec, Failure> {
    let limits = &arguments.limits;
    let mut executions = limits.limits();
    if let Some(bytes) = arguments.max_output {
        executions = executions.with_max_output(bytes);
    }
    let mut spec = KernelSpec::new(arguments.lang.as_str())
        .with_limits(executions)
        .with_mounts(limits.mounts.clone());
    for (name, value) in env_file::read_all(&arguments.env_files)? {
        spec = spec.with_env(name, value);
    }
    for (name, value) in arguments.variables() {
        spec = spec.with_env(name, value);
    }
    let session = &arguments.session;
    for (slot, amount) in &session.resources {
        spec = spec.with_resource(slot, amount);
    }
    for (name, value) in &session.resource_options {
        spec = spec.with_resource_option(name, value);
    }
    if let Some(time) = session.max_wait {
        spec = spec.with_max_wait(time);
    }
    spec = spec.with_enqueue_only(session.enqueue);
    if !arguments.local.local {
        spoken::check(globals, |version| spec.check(version)).map_err(Failure::Argument)?;
    }
    Ok(spec)
}

/// The API that is spoken with a local gateway: Sorna v2, unless something is asked for that only Backend.AI has.
pub(crate) fn local_api(spec: &KernelSpec) -> Api {
    let is_for = |version| spec.check(version).is_ok();
    match is_for(ApiVersion::V2_20170315) || !is_for(ApiVersion::V9_20250722) {
        true => Api::Sorna,
        false => Api::BackendAi,
    }
}

/// The files to upload, by their path relative to the current directory. Says which links are left out.
pub(crate) fn collect<P: AsRef<Path>>(
    paths: &[P],
    arguments: CollectArgs,
    reporter: &mut Reporter,
) -> Result<Vec<UploadFile>, Failure> {
    let mut paths_only = paths.iter().map(AsRef::as_ref);
    if paths_only.clone().any(is_stdin) {
        return Err(Failure::usage(
            "`-`, standard input, cannot be uploaded: files are uploaded by their names".to_owned(),
        )
        .with_advice("Save it in a file first: `COMMAND > FILE`. A file of that name is `./-`."));
    }
    if let Some(pipe) = paths_only.find(|path| is_pipe(path)) {
        return Err(of_pipe(pipe).with_advice("Save what comes out of it in a file first."));
    }
    let skip = if arguments.no_ignore {
        Skip::Nothing
    } else {
        Skip::HiddenAndIgnored
    };
    let mut dangling = Vec::new();
    let note = |link: &Path| dangling.push(link.to_owned());
    let files = files::collect_noting(Path::new("."), paths, skip, note).map_err(Failure::Files)?;
    if let Some((first, rest)) = dangling.split_first() {
        let others = match rest.len() {
            0 => String::new(),
            number => format!(", and {} like it", count(number, "other link")),
        };
        let target = first.read_link().unwrap_or_default();
        reporter.info(format_args!(
            "Left out {}, a link to {}, which does not exist{others}.",
            first.display(),
            target.display()
        ));
    }
    Ok(files)
}

/// Whether it stands for standard input, unless there is a file of that name.
fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-" && !path.exists()
}

/// Whether it is a pipe, as `<(...)` of a shell is, or something else that is read once, and has no size before.
fn is_pipe(path: &Path) -> bool {
    path.metadata().is_ok_and(|what| {
        let kind = what.file_type();
        !kind.is_file() && !kind.is_dir()
    })
}

fn of_pipe(path: &Path) -> Failure {
    Failure::usage(format!(
        "{} is no file that could be uploaded, but a pipe or a device",
        path.display()
    ))
}

/// Checks what this version of the API requires, before anything is sent.
pub(super) fn check(plan: &RunPlan, version: ApiVersion) -> Result<(), Failure> {
    let token = plan.token().map(|token| token.check(version));
    plan.spec()
        .check(version)
        .and(token.unwrap_or(Ok(())))
        .map_err(Failure::Argument)
}

/// Checks that all files can be uploaded, before there is a kernel for them. The gateway is asked if that depends on it.
pub(crate) fn check_sizes(files: &[UploadFile], target: &Target) -> Result<(), Failure> {
    let limit = spoken::version(target)?.upload_limits().max_file_size;
    let Some(file) = files.iter().find(|file| file.size() > limit) else {
        return Ok(());
    };
    let offers = target.client.offers(UploadFiles::ANY_SIZE);
    match offers {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::Argument(BuildError::FileTooLarge {
            name: file.name().to_owned(),
            size: file.size(),
            limit,
        })),
        Err(error) => Err(Failure::Request {
            advice: advice(&error, target),
            error: Box::new(error),
        }),
    }
}
