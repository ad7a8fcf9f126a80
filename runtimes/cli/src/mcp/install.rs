//! `sorna mcp install`: the configuration of agents.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{self, Path, PathBuf};

use sorna_mcp::clients::{Agent, Entry};

use super::args::{AgentName, InstallArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::own_path::own_path;
use crate::print::print;
use crate::reporter::Reporter;
use crate::settings::{PROFILE, Setting, Settings, Source};
use crate::target::Target;

/// Carries out `install`.
pub(super) fn install(arguments: &InstallArgs, globals: &Globals) -> Result<Exit, Failure> {
    // What is wrong with the options is said now.
    let is_local = arguments.place.config()?.is_some();
    // The server itself would use it as well.
    let by_variable = env::var_os(PROFILE).filter(|it| !it.is_empty() && !is_local);
    let named = globals.names_a_gateway().or(by_variable.map(|_| PROFILE));
    let settings = match named {
        Some(option) if is_local => return Err(Failure::LocalAnd(option)),
        _ if is_local => None,
        Some(_) => {
            let settings = Target::settings(globals)?;
            // What the server would not accept, such as a password in it, is not written anywhere.
            settings.endpoint().map_err(Failure::Settings)?;
            Some(settings)
        }
        None => {
            return Err(Failure::usage(
                "it is not said where programs are to run: use --local, or --profile NAME"
                    .to_owned(),
            ));
        }
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if arguments.name.is_empty() || !arguments.name.chars().all(is_plain) {
        return Err(Failure::usage(format!(
            "--name {}: a name has letters, digits, `-` and `_`",
            arguments.name
        )));
    }
    let agent = agent(arguments.agent);
    let entry = entry(arguments, globals, settings.as_ref())?;
    let understood = |error| Failure::usage(format!("{error}"));
    if arguments.print {
        let content = agent.with("", &entry).map_err(understood)?;
        return print(content.as_bytes());
    }
    let project = match arguments.project {
        true => Some(
            env::current_dir()
                .map_err(|error| Failure::System("cannot tell the current directory", error))?,
        ),
        false => None,
    };
    let file = agent.file(project.as_deref(), |name| env::var_os(name));
    let file = file.ok_or_else(|| {
        Failure::usage("the home directory is not known: HOME is not set".to_owned())
            .with_advice("Use --project, or --print.")
    })?;
    let mut reporter = Reporter::new(false);
    match add(agent, &file, &entry, arguments.project) {
        Ok(done) => {
            let (title, name, file) = (agent.title(), &entry.name, file.display());
            match done {
                Done::Added => reporter.done(format_args!("Added {name} to {file}.")),
                Done::Replaced => reporter.done(format_args!("Replaced {name} in {file}.")),
                Done::Nothing => reporter.done(format_args!("{file} has {name} as it is to be.")),
            }
            if done != Done::Nothing {
                reporter.info(format_args!(
                    "{title} has it when it is started the next time."
                ));
            }
            if let Some(name) = settings.as_ref().and_then(key_of_environment) {
                reporter.advice(format_args!(
                    "The key of {name} is not written there, and agents may not hand it on: write a profile, and use --profile."
                ));
            } else if settings.is_some_and(|it| it.secret_key.is_none()) {
                reporter.advice(
                    "No key is known for that gateway, without which the server does not start: write a profile (see `sorna config --help`), and use --profile.",
                );
            }
            Ok(Exit::SUCCESS)
        }
        Err(reason) => {
            reporter.fail(format_args!("{} was not changed: {reason}", file.display()));
            reporter.advice("With --print, this prints what is to be added.");
            Ok(Exit::FAILURE)
        }
    }
}

fn agent(name: AgentName) -> Agent {
    match name {
        AgentName::Claude => Agent::Claude,
        AgentName::Codex => Agent::Codex,
        AgentName::Gemini => Agent::Gemini,
        AgentName::Cursor => Agent::Cursor,
        AgentName::Vscode => Agent::VsCode,
    }
}

/// The command that an agent starts. No keys are in it.
fn entry(
    arguments: &InstallArgs,
    globals: &Globals,
    settings: Option<&Settings>,
) -> Result<Entry, Failure> {
    let program = program(arguments.project)?;
    let absolute = |path: &PathBuf| path::absolute(path).unwrap_or_else(|_| path.clone());
    let mut words: Vec<OsString> = vec!["mcp".into()];
    // Agents may not hand variables on that are set here.
    let profile = settings.and_then(|it| of_variable(it.profile.as_ref()));
    let config = settings.and_then(|it| of_variable(it.path.as_ref()));
    let ca_file = settings.and_then(|it| of_variable(it.ca_file.as_ref()));
    let given = [
        (
            "--profile",
            globals.profile.as_ref().or(profile).map(OsString::from),
        ),
        ("--endpoint", globals.endpoint.clone().map(OsString::from)),
        (
            "--config",
            globals
                .config
                .as_ref()
                .or(config)
                .map(|it| absolute(it).into()),
        ),
        (
            "--ca-file",
            globals
                .ca_file
                .as_ref()
                .or(ca_file)
                .map(|it| absolute(it).into()),
        ),
        ("--api", globals.api.map(|api| api.name().into())),
    ];
    for (option, value) in given {
        if let Some(value) = value {
            words.extend([option.into(), value]);
        }
    }
    words.extend(arguments.place.words());
    let text = |word: OsString| {
        word.into_string().map_err(|word| {
            Failure::usage(format!(
                "{} cannot be written to a configuration, since it is not UTF-8",
                word.display()
            ))
        })
    };
    Ok(Entry {
        name: arguments.name.clone(),
        command: text(program.into_os_string())?,
        arguments: words.into_iter().map(text).collect::<Result<_, _>>()?,
    })
}

/// How agents find this program. The place where a shell finds it may be a link, which later releases keep. Others who share a
/// project have the program at another place.
fn program(is_shared: bool) -> Result<PathBuf, Failure> {
    let this = env::current_exe()
        .map_err(|error| Failure::System("cannot tell where this program is", error))?;
    let name = Path::new("sorna");
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).filter(|place| place.is_absolute());
    let found = places.map(|place| place.join(name));
    let mut found = found.filter(|it| it.is_file());
    // The first one is what a shell starts.
    let found = found
        .next()
        .filter(|it| fs::canonicalize(it).is_ok_and(|it| it == this));
    Ok(match found {
        Some(_) if is_shared => name.to_owned(),
        Some(found) => found,
        None => own_path().unwrap_or(this),
    })
}

/// The value of a setting that comes from the environment.
fn of_variable<T>(setting: Option<&Setting<T>>) -> Option<&T> {
    let setting = setting?;
    matches!(setting.source, Source::Variable(_)).then_some(&setting.value)
}

/// The variable that has a key, if that is used.
fn key_of_environment(settings: &Settings) -> Option<&'static str> {
    match settings.secret_key.as_ref()?.source {
        Source::Variable(name) => Some(name),
        _ => None,
    }
}

/// What has become of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Added,
    Replaced,
    /// It was as it is to be.
    Nothing,
}

/// Adds the server to a file, which is whole at any time. The error is why it is as before.
fn add(agent: Agent, file: &Path, entry: &Entry, is_shared: bool) -> Result<Done, String> {
    let shown = |error: io::Error| error.to_string();
    // Of a link, what it leads to.
    let file = match fs::canonicalize(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(file) {
            Ok(there) => {
                return Err(format!(
                    "it is a link to {}, which is not there",
                    there.display()
                ));
            }
            Err(_) => file.to_owned(),
        },
        Err(error) => return Err(shown(error)),
    };
    let (old, before) = match fs::metadata(&file) {
        Ok(metadata) if !metadata.is_file() => return Err("it is no regular file".to_owned()),
        Ok(metadata) => (fs::read_to_string(&file).map_err(shown)?, Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (String::new(), None),
        Err(error) => return Err(shown(error)),
    };
    let new = agent.with(&old, entry).map_err(|error| error.to_string())?;
    if new == old {
        return Ok(Done::Nothing);
    }
    let directory = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(shown)?;
    // For the user alone, unless it or the old one is for others as well.
    let mut written = tempfile::NamedTempFile::new_in(directory).map_err(shown)?;
    written.write_all(new.as_bytes()).map_err(shown)?;
    if let Some(before) = before {
        let now = written.as_file().metadata().map_err(shown)?;
        if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
            fchown(written.as_file(), Some(before.uid()), Some(before.gid()))
                .map_err(|error| format!("its owner cannot be kept: {error}"))?;
        }
        written
            .as_file()
            .set_permissions(before.permissions())
            .map_err(shown)?;
    } else if is_shared {
        let all_read = fs::Permissions::from_mode(0o644);
        written.as_file().set_permissions(all_read).map_err(shown)?;
    }
    written.persist(&file).map_err(|error| shown(error.error))?;
    Ok(match agent.has(&old, &entry.name) {
        true => Done::Replaced,
        false => Done::Added,
    })
}
