//! `sorna config`: the settings, and where each comes from.

use clap::Args;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::print::{columns, print};
use crate::reporter::Reporter;
use crate::settings::{self, Api, EndpointType, Setting, Settings, SettingsError, Source};

/// Show the settings and where each comes from.
///
/// A setting comes from the command line, else from the environment, else from a profile of the settings
/// file. The variables are BACKEND_ENDPOINT, BACKEND_ENDPOINT_TYPE, BACKEND_ACCESS_KEY, BACKEND_SECRET_KEY,
/// BACKEND_DOMAIN and BACKEND_GROUP; if BACKEND_ENDPOINT is not set, the same with SORNA_; never some of each. If both are set,
/// those with SORNA_ come first with --api sorna, or with a profile that says so and has the endpoint.
/// SORNA_CA_FILE goes with both. With BACKEND_ENDPOINT, or a profile with api = "backend-ai" (or "auto"), sorna
/// speaks Backend.AI, else Sorna v2, unless --api says otherwise.
///
/// The profile is selected by --profile, SORNA_PROFILE or default_profile in the file. Both keys always come
/// from the same source. The secret key is never shown. An endpoint of type session, a web server of
/// Backend.AI, uses no keys: log in with `sorna login`.
///
/// The settings file is the one given by --config or SORNA_CONFIG, else sorna/config.toml in the user's
/// configuration directory ($XDG_CONFIG_HOME, usually ~/.config). Keep it private (chmod 600).
///
/// Exit code: 0; 2 if a setting is wrong.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigArgs {
    /// Print only the path of the settings file.
    #[arg(long)]
    path: bool,
}

const EXAMPLES: &str = "\
Examples:
  sorna config
  sorna config --profile work
  ${EDITOR:-vi} \"$(sorna config --path)\"

A settings file:
  default_profile = \"work\"

  [profiles.work]
  endpoint = \"https://sorna.example.com\"
  access_key = \"AKIA...\"
  secret_key = \"...\"
  ca_file = \"work-ca.pem\"    # relative to this file; for a private certificate
  api = \"backend-ai\"         # or \"sorna\", the default, or \"auto\"
  domain = \"default\"         # of new sessions of Backend.AI, as is group

  [profiles.web]
  endpoint = \"https://web.example.com\"
  endpoint_type = \"session\"  # a web server, for `sorna login`; the default is \"api\"";

/// Carries out the command.
pub(crate) fn config(arguments: &ConfigArgs, globals: &Globals) -> Result<Exit, Failure> {
    if arguments.path {
        let path = settings::path(globals).map_err(Failure::Settings)?;
        let path = path.ok_or(Failure::Settings(SettingsError::NoHome))?;
        return print(format!("{}\n", path.value.display()).as_bytes());
    }
    let settings = Settings::load(globals).map_err(Failure::Settings)?;
    for warning in &settings.warnings {
        Reporter::new(false).advice(warning);
    }
    print(columns(&lines(&settings)).as_bytes())?;
    match settings.client_config() {
        // Nothing is wrong yet; commands that need them report what is missing.
        Ok(_)
        | Err(
            SettingsError::NoEndpoint(_)
            | SettingsError::NoKeys(_)
            | SettingsError::NotLoggedIn { .. },
        ) => Ok(Exit::SUCCESS),
        Err(error) => Err(Failure::Settings(error)),
    }
}

fn lines(settings: &Settings) -> Vec<[String; 3]> {
    let mut file = line("file", settings.path.as_ref(), |path| {
        path.display().to_string()
    });
    if !settings.path_exists {
        file[2].push_str("; it does not exist");
    }
    let endpoint = |_: &String| match settings.endpoint() {
        Ok(endpoint) => endpoint.to_string(),
        // It may contain a password.
        Err(_) => "(not usable)".to_owned(),
    };
    let mut lines = vec![
        file,
        line("profile", settings.profile.as_ref(), String::clone),
        line("endpoint", settings.endpoint.as_ref(), endpoint),
    ];
    let kind = &settings.endpoint_type;
    if kind.source != Source::Default {
        lines.push(line("endpoint_type", Some(kind), EndpointType::to_string));
    }
    if settings.is_of_web_server() {
        lines.push(login(settings));
        lines.extend(unused_keys(settings));
    } else {
        lines.push(line(
            "access_key",
            settings.access_key.as_ref(),
            String::clone,
        ));
        lines.push(line("secret_key", settings.secret_key.as_ref(), |_| {
            "(set)".to_owned()
        }));
    }
    lines.push(line("ca_file", settings.ca_file.as_ref(), |path| {
        path.display().to_string()
    }));
    lines.push(line("api", Some(&settings.api), Api::to_string));
    for (name, setting) in [("domain", &settings.domain), ("group", &settings.group)] {
        if setting.is_some() {
            lines.push(line(name, setting.as_ref(), String::clone));
        }
    }
    lines
}

/// Keys that are set, but not used, since users log in to a web server.
fn unused_keys(settings: &Settings) -> impl Iterator<Item = [String; 3]> {
    let access_key = settings.access_key.as_ref().map(|key| &key.source);
    let secret_key = settings.secret_key.as_ref().map(|key| &key.source);
    let keys = [("access_key", access_key), ("secret_key", secret_key)];
    keys.into_iter().filter_map(|(name, source)| {
        let why = format!(
            "{}; with endpoint type session, users log in",
            from(source?)
        );
        Some([name.to_owned(), "(not used)".to_owned(), why])
    })
}

/// Who is logged in to the web server, and where that is kept.
fn login(settings: &Settings) -> [String; 3] {
    let no_one = || {
        let text = "(not logged in)".to_owned();
        ["login".to_owned(), text, String::new()]
    };
    let Ok(file) = settings.login_file() else {
        return no_one();
    };
    let path = format!("kept in {}", file.path().display());
    match file.read() {
        Ok(Some(login)) => ["login".to_owned(), login.user.clone(), path],
        Ok(None) => no_one(),
        // The reason is the command's failure.
        Err(_) => ["login".to_owned(), "(not usable)".to_owned(), path],
    }
}

/// Where it comes from. The file's path has a line of its own.
fn from(source: &Source) -> String {
    match source {
        Source::Default => source.to_string(),
        Source::File {
            line,
            profile: Some(profile),
            ..
        } => format!("from profile `{profile}`, line {line}"),
        Source::File { line, .. } => format!("from line {line} of the file"),
        source => format!("from {source}"),
    }
}

fn line<T>(
    name: &str,
    setting: Option<&Setting<T>>,
    show: impl FnOnce(&T) -> String,
) -> [String; 3] {
    let name = name.to_owned();
    match setting {
        Some(Setting { value, source }) => [name, show(value), from(source)],
        None => [name, "(not set)".to_owned(), String::new()],
    }
}
