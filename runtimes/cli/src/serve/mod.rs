//! `sorna serve`.

pub(crate) mod args;
#[cfg(feature = "jupyter")]
mod jupyter;
mod keys;
mod log;

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use rustix::process::DumpableBehavior;
use signal_hook::consts::SIGHUP;
use sorna::{EnvNames, with_causes};
use sorna_gateway::{
    Gateway, GatewayConfig, LanguageTable, RunningGateway, StartError, TlsIdentity,
};
use tracing_subscriber::filter::LevelFilter;

use crate::allocator::{self, Use};
use crate::boxes;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::isolation::{check_places, is_required};
use crate::reporter::Reporter;
use crate::settings::{Api, quoted};
use crate::signals;
use crate::streams;
use args::{Level, ServeArgs};

/// The languages of which a kernel is kept in stock: those whose interpreters take long to start.
const WARM: &[&str] = &["python3", "nodejs", "ruby", "r"];

/// Carries out the command.
pub(crate) fn serve(arguments: &ServeArgs, globals: &Globals) -> Result<Exit, Failure> {
    allocator::choose(Use::Shared);
    let config = config(arguments)?;
    let _log = start_log(arguments.log)?;
    // The keys are in this process's memory: other processes of the user must not read it.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    sorna_gateway::raise_open_files();
    let keys_file = arguments.keys.as_deref();
    // With keys of a file, it says that they have changed.
    let others: &[i32] = if keys_file.is_some() { &[SIGHUP] } else { &[] };
    let mut signals = signals::catch_in_background(others)?;
    #[cfg(feature = "jupyter")]
    let (config, notebooks) = match jupyter::Notebooks::of(&arguments.jupyter)? {
        Some(notebooks) => (notebooks.on(config), Some(notebooks)),
        None => (config, None),
    };
    let gateway = match Gateway::spawn(config) {
        Ok(gateway) => gateway,
        Err(error @ StartError::Directory(_)) if arguments.isolation.directory.is_none() => {
            let failure = Failure::Gateway(error);
            failure.show();
            Reporter::new(false).advice("--directory names one, too.");
            return Ok(failure.exit());
        }
        Err(error) => return Err(Failure::Gateway(error)),
    };
    // In the log, it is a warning.
    if matches!(arguments.log, Level::Off | Level::Error)
        && let Some(reason) = gateway.isolation_shortfall()
    {
        let remark = format!("Kernels are isolated less well: {reason}");
        Reporter::new(false).remark(remark);
    }
    #[cfg(feature = "jupyter")]
    let more = notebooks.map(|notebooks| {
        notebooks.open(&gateway);
        notebooks.export(&gateway)
    });
    #[cfg(not(feature = "jupyter"))]
    let more: Option<String> = None;
    match announce(&gateway, keys_file, globals.api, more.as_deref()) {
        Err(error) if error.kind() != io::ErrorKind::TimedOut => {
            return Err(Failure::System("cannot print the settings", error));
        }
        // Even if no one reads them, the gateway keeps running until a signal arrives.
        _ => {}
    }
    for signal in signals.forever() {
        match keys_file {
            Some(file) if signal == SIGHUP => keys::read_again(file, &gateway.keys()),
            _ => break,
        }
    }
    tracing::info!("stopping");
    // A second signal ends the process at once; the gateway's watchdog removes what is left then.
    let has_keys_file = keys_file.is_some();
    std::thread::spawn(move || {
        let mut signals = signals.forever();
        if let Some(signal) = signals.find(|signal| !has_keys_file || *signal != SIGHUP) {
            std::process::exit(i32::from(Exit::of_signal(signal).code()));
        }
    });
    gateway.stop();
    Ok(Exit::SUCCESS)
}

fn config(arguments: &ServeArgs) -> Result<GatewayConfig, Failure> {
    let ServeArgs {
        limits, isolation, ..
    } = arguments;
    let mut languages = LanguageTable::built_in();
    for file in &arguments.languages {
        languages = languages
            .with_file(file)
            .map_err(|error| Failure::usage(with_causes(&error)))?;
    }
    check_warm(&arguments.warm, &languages)?;
    let level = isolation.level();
    // What was asked for is not to be left out with no more than a line in the log.
    let is_required = is_required(level, isolation.network, isolation.require_isolation)?;
    check_places("--allow-read", &isolation.allow_read)?;
    check_places("--allow-write", &isolation.allow_write)?;
    let kib = |size: u64| size.saturating_mul(1024);
    let mut config = GatewayConfig::new()
        .with_listen(arguments.listen)
        .with_allow_remote(arguments.allow_remote)
        .with_credentials(keys::find(arguments.keys.as_deref())?)
        .with_languages(languages)
        .with_max_connections(limits.max_connections)
        .with_exec_timeout(limits.exec_timeout)
        .with_idle_timeout(limits.idle_timeout)
        .with_max_memory(kib(limits.max_mem.0))
        .with_max_processes(limits.max_processes)
        .with_max_file_size(kib(limits.max_file_size.0))
        .with_max_files(limits.max_files)
        .with_max_kernels_per_key(limits.max_kernels)
        .with_max_requests_per_window(limits.max_requests)
        .with_max_upload_files(limits.max_upload_files)
        .with_max_upload_file_size(kib(limits.max_upload_size.0))
        .with_max_console_size(usize::try_from(kib(limits.max_output.0)).unwrap_or(usize::MAX))
        .with_readable(&isolation.allow_read)
        .with_writable(&isolation.allow_write)
        .with_isolation(level)
        .with_require_isolation(is_required)
        .with_network(isolation.network.map(Into::into).unwrap_or_default());
    if let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        let identity = TlsIdentity::from_pem(&read(certificate)?, &read(key)?);
        config = config.with_tls(identity.map_err(|error| {
            let (certificate, key) = (certificate.display(), key.display());
            Failure::usage(format!("{certificate} and {key}: {}", with_causes(&error)))
        })?);
    }
    let listens_elsewhere = !arguments.listen.ip().is_loopback();
    if listens_elsewhere && (!arguments.allow_remote || config.credentials().is_empty()) {
        return Err(Failure::usage(format!(
            "{} can be reached from other machines, and anyone with a key can run programs here",
            arguments.listen
        ))
        .with_advice(
            "If that is intended, add --allow-remote, and give the keys with --keys or in the environment.",
        ));
    }
    let usual = WARM.iter().map(|name| ((*name).to_owned(), 1));
    for (language, count) in usual.chain(arguments.warm.iter().cloned()) {
        config = config.with_warm_kernels(language, count);
    }
    if let Some(time) = limits.max_idle_timeout {
        config = config.with_max_idle_timeout(time);
    }
    config = match limits.max_disk.0 {
        0 => config.with_unlimited_disk(),
        disk => config.with_max_disk(kib(disk)),
    };
    if let Some(disk) = limits.disk {
        config = config.with_memory_disk(kib(disk.0));
    }
    if let Some(memory) = limits.max_mem_per_key {
        config = config.with_max_memory_per_key(kib(memory.0));
    }
    if let Some(processes) = limits.max_processes_per_key {
        config = config.with_max_processes_per_key(processes);
    }
    if let Some(disk) = limits.max_disk_per_key {
        config = config.with_max_disk_per_key(kib(disk.0));
    }
    if let Some(cgroup) = &isolation.cgroup {
        config = config.with_cgroup(cgroup);
    }
    if let Some(directory) = &isolation.directory {
        config = config.with_directory(directory);
    }
    let config = isolation.search_path.apply(config)?;
    Ok(boxes::provide(config))
}

/// Languages that are not known have no kernels.
fn check_warm(warm: &[(String, usize)], languages: &LanguageTable) -> Result<(), Failure> {
    let mut names = warm.iter().map(|(name, _)| name);
    match names.find(|name| languages.canonical(name).is_none()) {
        Some(unknown) => {
            let known: Vec<&str> = languages.names().collect();
            Err(Failure::usage(format!(
                "--warm: unknown language {unknown:?} (known: {})",
                known.join(", ")
            )))
        }
        None => Ok(()),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))
}

/// The log is written until what is returned is dropped.
fn start_log(level: Level) -> Result<log::Flush, Failure> {
    let level = match level {
        Level::Off => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let colors = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let (log, flush) =
        log::start(io::stderr()).map_err(|error| Failure::System("cannot start the log", error))?;
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(log)
        .with_ansi(colors)
        .init();
    Ok(flush)
}

/// Prints the endpoint and the keys for a shell to evaluate: for clients of this API, or, on a terminal, of either. Keys of
/// a file are those of other people, and are not printed. Then standard output is closed, so that a command substitution
/// ends while the gateway keeps running in the background.
fn announce(
    gateway: &RunningGateway,
    keys_file: Option<&Path>,
    api: Option<Api>,
    more: Option<&str>,
) -> io::Result<()> {
    let mut lines = String::new();
    let export = |lines: &mut String, names: &EnvNames| {
        export(lines, names, gateway, keys_file.is_none());
    };
    let is_terminal = io::stdout().is_terminal();
    let both = is_terminal && api.is_none();
    if both {
        lines += "# For sorna and other clients of Sorna v2:\n";
    }
    if api.is_none_or(|api| api == Api::Sorna) {
        export(&mut lines, &EnvNames::SORNA);
    }
    if both {
        lines +=
            "# For clients of Backend.AI, the official ones and sorna with all its commands:\n";
    }
    if both || api.is_some_and(|api| api != Api::Sorna) {
        export(&mut lines, &EnvNames::BACKEND);
        // The keys are for an endpoint of this type.
        if let Some(name) = EnvNames::BACKEND.endpoint_type.filter(|name| is_set(name)) {
            lines += &format!("export {name}=api\n");
        }
    } else if is_set(EnvNames::BACKEND.endpoint) {
        Reporter::new(false).advice("BACKEND_ENDPOINT is set, and counts instead of SORNA_ENDPOINT. To use this gateway, unset it, or use `sorna serve --api backend-ai`.");
    }
    if let Some(file) = keys_file.filter(|_| is_terminal) {
        lines += &format!("# The keys are those in {}.\n", file.display());
    }
    if let Some(more) = more {
        if is_terminal {
            lines += "# For Jupyter: `jupyter lab` then has the kernels of this gateway.\n";
        }
        lines += more;
    }
    streams::announce(lines.as_bytes())
}

/// Whether the variable is set, most likely in the shell that evaluates what is printed, too.
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

fn export(lines: &mut String, names: &EnvNames, gateway: &RunningGateway, with_keys: bool) {
    let keys = [
        (names.access_key, gateway.access_key()),
        (names.secret_key, gateway.secret_key()),
    ];
    let keys = keys.into_iter().filter(|_| with_keys);
    for (name, value) in std::iter::once((names.endpoint, gateway.endpoint())).chain(keys) {
        *lines += &format!("export {name}={}\n", quoted(value));
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::quoted;

    #[test]
    fn quoted_text_is_one_word_for_a_shell() {
        assert_eq!(quoted("http://127.0.0.1:8081"), "http://127.0.0.1:8081");
        assert_eq!(quoted("a$(b)'c"), r"'a$(b)'\''c'");
        assert_eq!(quoted(""), "''");
    }
}
