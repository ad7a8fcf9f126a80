//! `sorna jupyter install`, `list` and `uninstall`: kernelspecs.

use std::env;
use std::ffi::OsString;
use std::path::{self, PathBuf};

use serde_json::json;
use sorna::{ApiVersion, Dialect, LanguageInfo};
use sorna_jupyter::language::Language;
use sorna_jupyter::spec::{Installed, Place, Spec, is_name, name_of, namesakes};

use super::args::{InstallArgs, ListArgs, PlaceArgs, UninstallArgs};
use super::wanted::spec;
use crate::advice::show_error;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::nearest::nearest;
use crate::own_path::own_path;
use crate::print::{self, columns, print};
use crate::reporter::Reporter;
use crate::settings::{Api, Settings};
use crate::target::Target;

/// Carries out `install`.
pub(super) fn install(arguments: &InstallArgs, globals: &Globals) -> Result<Exit, Failure> {
    // What is wrong with the options of `--local` is said now.
    let is_local = arguments.local.config()?.is_some();
    if is_local && let Some(option) = globals.names_a_gateway() {
        return Err(Failure::LocalAnd(option));
    }
    let is_one = arguments.langs.len() == 1;
    for (option, given) in [
        ("--name", &arguments.name),
        ("--display-name", &arguments.display_name),
    ] {
        if given.is_some() && !is_one {
            return Err(Failure::usage(format!(
                "{option} needs exactly one language"
            )));
        }
    }
    if let Some(name) = arguments.name.as_deref().filter(|name| !is_name(name)) {
        return Err(Failure::usage(format!(
            "`{name}` is not a valid kernel name: use letters, digits, `.`, `_` and `-`, and begin with a letter or digit"
        )));
    }
    let directory = arguments.place.directory()?;
    let program =
        own_path().map_err(|error| Failure::System("cannot tell where this program is", error))?;
    let mut reporter = Reporter::new(false);
    let langs = match chosen(arguments, is_local, globals, &mut reporter)? {
        Ok(langs) => langs,
        Err(exit) => return Ok(exit),
    };
    if !is_local && !arguments.langs.is_empty() {
        // A profile that is not there is said now.
        Target::settings(globals)?;
    }
    for lang in &langs {
        check(lang, arguments, is_local, globals)?;
    }
    let before = Installed::all(std::slice::from_ref(&directory));
    for lang in &langs {
        let spec = Spec {
            name: match &arguments.name {
                // As Jupyter does with the names that it is given.
                Some(name) => name.to_ascii_lowercase(),
                None => {
                    // Images of two registries may have the same name.
                    let own = name(lang, is_local, globals);
                    let namesakes = langs
                        .iter()
                        .filter(|it| !is_local && name(it, is_local, globals) == own);
                    match namesakes.count() {
                        0 | 1 => own,
                        _ => name(&name_of(lang), is_local, globals),
                    }
                }
            },
            title: match &arguments.display_name {
                Some(title) => title.clone(),
                None => title(lang, arguments, globals),
            },
            language: Language::of(lang),
            argv: command(&program, lang, arguments, globals)?,
            env: values(arguments),
        };
        match spec.install(&directory) {
            Ok(path) => {
                reporter.done(format_args!(
                    "Installed {} in {}.",
                    spec.name,
                    path.display()
                ));
                let old = before.iter().find(|old| old.name == spec.name);
                if let Some(old) = old.filter(|old| old.title != spec.title) {
                    reporter.info(format_args!(
                        "It has replaced \"{}\": with --name, both can be there.",
                        old.title
                    ));
                }
                for other in namesakes(
                    &directories(arguments.place.prefix.as_ref()),
                    &spec.name,
                    &path,
                ) {
                    reporter.advice(format_args!(
                        "Another kernel with this name is in {}: Jupyter shows only one of them, the one that it finds first.",
                        other.display()
                    ));
                }
            }
            Err(error) => {
                reporter.fail(error);
                return Ok(Exit::FAILURE);
            }
        }
    }
    if !is_local && globals.names_a_gateway().is_none() {
        reporter.advice("The kernels use the gateway of the variables (SORNA_ENDPOINT and so on) with which Jupyter is started, or else of the default profile. To fix the gateway, write a profile and use --profile.");
    }
    Ok(Exit::SUCCESS)
}

/// Says what the kernels could not have, as far as it is known now what is spoken: else they could not start.
fn check(
    lang: &str,
    arguments: &InstallArgs,
    is_local: bool,
    globals: &Globals,
) -> Result<(), Failure> {
    let spec = spec(lang, &arguments.env, &arguments.limits);
    // What is not set here may be where Jupyter is started.
    let names = arguments.env.iter().map(|(name, _)| name);
    let spec = names.fold(spec, |spec, name| spec.with_env(name, "1"));
    let is_named = globals.names_a_gateway().is_some() || globals.api.is_some();
    let api = match is_local {
        // They speak both, each in its turn.
        true => Api::Auto,
        false if is_named => {
            Settings::load(globals)
                .map_err(Failure::Settings)?
                .api
                .value
        }
        false => return Ok(()),
    };
    let for_sorna = || spec.check(ApiVersion::V2_20170315);
    let for_backend_ai = || spec.check(ApiVersion::V9_20250722);
    let checked = match api {
        Api::Sorna => for_sorna(),
        Api::BackendAi => for_backend_ai(),
        Api::Auto => for_sorna().or_else(|_| for_backend_ai()),
    };
    checked.map_err(Failure::Argument)
}

/// The languages to install: those that are named, each once, or all; only those that are there, as far as that is known now.
fn chosen(
    arguments: &InstallArgs,
    is_local: bool,
    globals: &Globals,
    reporter: &mut Reporter,
) -> Result<Result<Vec<String>, Exit>, Failure> {
    if arguments.langs.is_empty() {
        let all = all_languages(arguments, globals, reporter)?;
        return Ok(all.map(|all| all.into_iter().map(|it| it.name).collect()));
    }
    let mut langs: Vec<String> = Vec::new();
    for lang in &arguments.langs {
        if !langs.contains(lang) {
            langs.push(lang.clone());
        }
    }
    let all = match is_local {
        true => match all_languages(arguments, globals, reporter)? {
            Ok(all) => Some(all),
            Err(exit) => return Ok(Err(exit)),
        },
        false => languages_of_gateway(globals),
    };
    let Some(all) = all else {
        return Ok(Ok(langs));
    };
    let is_there = |lang: &String| {
        all.iter()
            .any(|it| it.name == *lang || it.aliases.contains(lang))
    };
    if let Some(missing) = langs.iter().find(|lang| !is_there(lang)) {
        let place = if is_local {
            "this machine"
        } else {
            "the gateway"
        };
        let names: Vec<_> = all.iter().map(|it| it.name.as_str()).collect();
        reporter.fail(format_args!("{place} has no language `{missing}`"));
        reporter.advice(format_args!("There are: {}.", names.join(", ")));
        return Ok(Err(Exit::FAILURE));
    }
    Ok(Ok(langs))
}

/// The languages of the gateway, if it says now which there are. Clusters know more names of their images than they list.
fn languages_of_gateway(globals: &Globals) -> Option<Vec<LanguageInfo>> {
    let target = Target::open_with(None, globals).ok()?;
    let negotiated = target.client.negotiated().ok()?;
    if negotiated.dialect() == Dialect::BackendAi {
        return None;
    }
    let mut all = target.client.languages().ok()?;
    all.retain(|it| it.available);
    (!all.is_empty()).then_some(all)
}

/// All languages that the gateway has. Of one on this machine, says what it keeps from programs though it was allowed.
fn all_languages(
    arguments: &InstallArgs,
    globals: &Globals,
    reporter: &mut Reporter,
) -> Result<Result<Vec<LanguageInfo>, Exit>, Failure> {
    let local = arguments.local.config()?;
    let local = local.map(|config| (config, Api::Sorna));
    let target = match Target::open_with(local, globals) {
        // Who begins has no gateway yet.
        Err(Failure::Settings(error)) if globals.names_a_gateway().is_none() => {
            reporter.fail(&error);
            if let Some(advice) = error.advice() {
                reporter.advice(advice);
            }
            reporter.advice(
                "`sorna jupyter install --local` registers kernels that run on this machine.",
            );
            return Ok(Err(Exit::USAGE));
        }
        opened => opened?,
    };
    let remarks = target.on_gateway(|gateway| Some(arguments.local.remarks(gateway)));
    for remark in remarks.into_iter().flatten() {
        reporter.advice(remark);
    }
    let languages = match target.client.languages() {
        Ok(languages) => languages,
        Err(error) => {
            show_error(reporter, &error, &target);
            if error.is_not_found() {
                reporter
                    .advice("This gateway does not list its languages: name those that you want.");
            }
            return Ok(Err(Exit::FAILURE));
        }
    };
    let negotiated = target.client.negotiated();
    let are_images = negotiated.is_ok_and(|it| it.dialect() == Dialect::BackendAi);
    let langs: Vec<_> = languages
        .into_iter()
        .filter(|it| it.available || are_images)
        .collect();
    if langs.is_empty() {
        reporter.fail("the gateway has no languages");
        return Ok(Err(Exit::FAILURE));
    }
    Ok(Ok(langs))
}

/// The name of the kernel, for programs.
fn name(lang: &str, is_local: bool, globals: &Globals) -> String {
    let lang = name_of(lang.rsplit('/').next().unwrap_or(lang));
    match &globals.profile {
        _ if is_local => format!("sorna-local-{lang}"),
        Some(profile) => format!("sorna-{}-{lang}", name_of(profile)),
        None => format!("sorna-{lang}"),
    }
}

/// The name of the kernel, for people.
fn title(lang: &str, arguments: &InstallArgs, globals: &Globals) -> String {
    let language = Language::of(lang);
    let title = language.title();
    // Of an image, which one.
    let image = lang.rsplit('/').next().filter(|image| image.contains(':'));
    let place = match &globals.profile {
        _ if arguments.local.local => match arguments.local.environment() {
            Some(name) => format!("this machine, {name}"),
            None => "this machine".to_owned(),
        },
        Some(profile) => profile.clone(),
        None => String::new(),
    };
    let about: Vec<_> = ["Sorna", &place, image.unwrap_or_default()]
        .into_iter()
        .filter(|it| !it.is_empty())
        .collect();
    format!("{title} ({})", about.join(", "))
}

/// The command that runs a kernel. Values of variables are not among its arguments, which all users of a machine can see.
fn command(
    program: &std::path::Path,
    lang: &str,
    arguments: &InstallArgs,
    globals: &Globals,
) -> Result<Vec<String>, Failure> {
    let mut words: Vec<OsString> = vec![program.into(), "jupyter".into(), "run".into()];
    words.extend(["-f".into(), "{connection_file}".into()]);
    let absolute = |path: &PathBuf| path::absolute(path).unwrap_or_else(|_| path.clone());
    let api = globals.api.map(|api| api.name().into());
    for (option, value) in [
        ("--profile", globals.profile.clone().map(OsString::from)),
        ("--endpoint", globals.endpoint.clone().map(OsString::from)),
        (
            "--config",
            globals
                .config
                .as_ref()
                .map(|it| absolute(it).into_os_string()),
        ),
        (
            "--ca-file",
            globals
                .ca_file
                .as_ref()
                .map(|it| absolute(it).into_os_string()),
        ),
        ("--api", api),
    ] {
        if let Some(value) = value {
            words.extend([option.into(), value]);
        }
    }
    words.extend(arguments.limits.words().into_iter().map(OsString::from));
    words.extend(arguments.local.words());
    for (name, _) in &arguments.env {
        words.extend(["-e".into(), name.into()]);
    }
    // It may begin with a hyphen, as far as anybody knows.
    words.extend(["--".into(), lang.into()]);
    let text = |word: OsString| {
        word.into_string().map_err(|word| {
            Failure::usage(format!(
                "{} cannot be written to a kernelspec, since it is not UTF-8",
                word.display()
            ))
        })
    };
    words.into_iter().map(text).collect()
}

/// The variables that have values here.
fn values(arguments: &InstallArgs) -> Vec<(String, String)> {
    let variables = arguments.env.iter();
    variables
        .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
        .collect()
}

impl PlaceArgs {
    fn directory(&self) -> Result<PathBuf, Failure> {
        let place = match &self.prefix {
            Some(prefix) => {
                Place::Prefix(path::absolute(prefix).unwrap_or_else(|_| prefix.clone()))
            }
            None if self.sys_prefix => Place::SysPrefix,
            None => Place::User,
        };
        place.directory(|name| env::var_os(name)).map_err(|error| {
            Failure::usage(error.to_string()).with_advice("Name a directory with --prefix.")
        })
    }
}

/// The directories in which Jupyter looks for kernels, and that of `--prefix`, by paths that hold from anywhere.
fn directories(prefix: Option<&PathBuf>) -> Vec<PathBuf> {
    let mut directories = Place::all(|name| env::var_os(name));
    let of_prefix = prefix.map(|prefix| Place::Prefix(prefix.clone()).directory(|_| None));
    directories.extend(of_prefix.and_then(Result::ok));
    let absolute = |path: PathBuf| path::absolute(&path).unwrap_or(path);
    directories.into_iter().map(absolute).collect()
}

/// The kernels that are installed.
fn installed(prefix: Option<&PathBuf>) -> Vec<Installed> {
    Installed::all(&directories(prefix))
}

/// Carries out `list`.
pub(super) fn list(arguments: &ListArgs) -> Result<Exit, Failure> {
    let all = installed(arguments.prefix.as_ref());
    if arguments.json {
        let line = |kernel: &Installed| {
            print::line(&json!({
                "name": kernel.name, "displayName": kernel.title, "language": kernel.language,
                "path": kernel.path, "program": kernel.program,
            }))
        };
        return print(all.iter().map(line).collect::<String>().as_bytes());
    }
    let mut reporter = Reporter::new(false);
    if all.is_empty() {
        reporter.info("No kernels are installed. `sorna jupyter install` installs them.");
    }
    let line = |kernel: &Installed| {
        let path = kernel.path.display().to_string();
        [kernel.name.clone(), kernel.title.clone(), path]
    };
    let lines: Vec<_> = all.iter().map(line).collect();
    let exit = print(columns(&lines).as_bytes())?;
    let directories = directories(arguments.prefix.as_ref());
    for (at, kernel) in all.iter().enumerate() {
        let others = namesakes(&directories, &kernel.name, &kernel.path);
        let is_new = !all[..at].iter().any(|it| it.name == kernel.name);
        if is_new && !others.is_empty() {
            reporter.advice(format_args!(
                "There are {} kernels with the name {}: Jupyter shows only one of them, the one that it finds first.",
                others.len() + 1,
                kernel.name
            ));
        }
    }
    for kernel in all.iter().filter(|kernel| !kernel.program.exists()) {
        reporter.advice(format_args!(
            "{} cannot start: {} is not there any more. Install it again.",
            kernel.name,
            kernel.program.display()
        ));
    }
    Ok(exit)
}

impl UninstallArgs {
    /// The kernels among which to choose.
    fn installed(&self) -> Result<Vec<Installed>, Failure> {
        let place = PlaceArgs {
            user: self.user,
            sys_prefix: self.sys_prefix,
            prefix: self.prefix.clone(),
        };
        Ok(
            match self.user || self.sys_prefix || self.prefix.is_some() {
                true => Installed::all(&[place.directory()?]),
                false => installed(None),
            },
        )
    }
}

/// Carries out `uninstall`.
pub(super) fn uninstall(arguments: &UninstallArgs) -> Result<Exit, Failure> {
    if arguments.names.is_empty() && !arguments.all {
        return Err(Failure::usage("no kernel is named".to_owned()).with_advice(
            "Name kernels, as `sorna jupyter list` shows them, or use --all for all of them.",
        ));
    }
    let all = arguments.installed()?;
    let mut reporter = Reporter::new(false);
    let mut exit = Exit::SUCCESS;
    let mut chosen = Vec::new();
    if arguments.all {
        chosen.extend(&all);
    }
    for name in &arguments.names {
        let named: Vec<_> = all.iter().filter(|kernel| kernel.is_named(name)).collect();
        // A name may be given twice.
        chosen.extend(
            named
                .iter()
                .filter(|kernel| !chosen.contains(kernel))
                .copied()
                .collect::<Vec<_>>(),
        );
        if named.is_empty() {
            reporter.fail(format_args!("no kernel of this program is named `{name}`"));
            match nearest(
                &name.to_ascii_lowercase(),
                all.iter().map(|it| it.name.as_str()),
            ) {
                Some(meant) => reporter.advice(format_args!("Did you mean `{meant}`?")),
                None => reporter.advice("`sorna jupyter list` shows the kernels that there are."),
            }
            exit = Exit::FAILURE;
        }
    }
    for kernel in chosen {
        match kernel.remove() {
            Ok(is_gone) => {
                reporter.done(format_args!(
                    "Removed {} from {}.",
                    kernel.name,
                    kernel.path.display()
                ));
                if !is_gone {
                    reporter.advice(format_args!(
                        "{} has other files, which stay.",
                        kernel.path.display()
                    ));
                }
            }
            Err(error) => {
                reporter.fail(format_args!(
                    "cannot remove {}: {error}",
                    kernel.path.display()
                ));
                exit = Exit::FAILURE;
            }
        }
    }
    Ok(exit)
}
