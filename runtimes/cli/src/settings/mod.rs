//! Settings: the gateway, the user's keys, and where each of them comes from.
//!
//! Each value comes from the first of these sources that has it:
//!
//! 1. the command line (`--endpoint`, `--ca-file`; keys are never arguments, since other users of the
//!    machine could see them);
//! 2. the environment: the variables of one family (`BACKEND_ENDPOINT`, `BACKEND_ACCESS_KEY`, …, or those with
//!    `SORNA_`; `--api`, else the API of the profile, says which come first), and `SORNA_CA_FILE`;
//! 3. a profile of the settings file: the one that `--profile`, else `SORNA_PROFILE`, else the file's
//!    own `default_profile` names;
//!
//! A profile whose name is written to a kernelspec comes before the environment, which is that of Jupyter.
//!
//! The endpoint has no default: the domain of the original service may belong to anyone by now.
//!
//! A web server of Backend.AI has no keys: users log in, and the session is kept in a file (`login`).
//!
//! The two keys are one setting: the first source that has one of them must have both. An access key from
//! one source with the secret key from another would lead to an unexplained 401 at best, and at worst to
//! requests signed for another user. `.env` is never read.

mod api;
mod environment;
mod error;
mod file;
mod kind;
mod login;
mod source;
mod text;

pub(crate) use api::Api;
use environment::{Environment, variable};
use error::Missing;
pub(crate) use error::{SettingsError, keys_are_not_used};
pub(crate) use kind::EndpointType;
pub(crate) use login::{Login, LoginFile, file_name};
pub(crate) use source::{Setting, Source};
use text::in_words;
pub(crate) use text::{has_invisible_characters, quoted};

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use sorna::{AccessKey, ApiVersion, Config, Credentials, Endpoint, EnvNames, SecretKey};

use crate::globals::Globals;
use file::{File, Located, Profile};

const CA_FILE: &str = "SORNA_CA_FILE";
pub(crate) const PROFILE: &str = "SORNA_PROFILE";
const CONFIG: &str = "SORNA_CONFIG";

/// All settings.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) endpoint: Option<Setting<String>>,
    /// What is there. It belongs to the endpoint: with one in the environment, that of a profile does not count.
    pub(crate) endpoint_type: Setting<EndpointType>,
    /// Both keys of one source, or what that source has of them.
    pub(crate) access_key: Option<Setting<String>>,
    pub(crate) secret_key: Option<Setting<SecretKey>>,
    pub(crate) ca_file: Option<Setting<PathBuf>>,
    /// The API to speak.
    pub(crate) api: Setting<Api>,
    /// Where new sessions of Backend.AI belong.
    pub(crate) domain: Option<Setting<String>>,
    pub(crate) group: Option<Setting<String>>,
    pub(crate) profile: Option<Setting<String>>,
    /// The settings file, whether it exists or not.
    pub(crate) path: Option<Setting<PathBuf>>,
    pub(crate) path_exists: bool,
    /// The names of the variables that count.
    names: EnvNames,
    /// A variable of the others that has a key.
    elsewhere: Option<&'static str>,
    /// The names of all profiles.
    profiles: Vec<String>,
    /// Warnings for the user.
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    /// Collects the settings. Reads the settings file, if there is one.
    pub(crate) fn load(globals: &Globals) -> Result<Self, SettingsError> {
        let path = path(globals)?;
        let file = match &path {
            Some(path) => File::read(&path.value)?,
            None => None,
        };
        if let (None, Some(Setting { value, source })) = (&file, &path)
            && *source != Source::Default
        {
            return Err(SettingsError::NoFile {
                path: value.clone(),
                source: source.clone(),
            });
        }
        let name = profile_name(globals, file.as_ref())?;
        let profile = choose(name.as_ref(), file.as_ref(), path.as_ref())?;
        let mut warnings = Vec::new();
        if let Some(file) = &file
            && file.is_open_to_others
            && file.holds_a_secret()
        {
            let path = file.path.display();
            warnings.push(format!(
                "\"{path}\" contains keys and is readable by others; run chmod 600 {}",
                quoted(&path.to_string())
            ));
        }

        let nothing = Profile::default();
        let in_file = InFile {
            path: file.as_ref().map_or(Path::new(""), |file| &file.path),
            name: name.as_ref().map_or("", |name| &name.value),
            profile: profile.unwrap_or(&nothing),
        };
        let wanted = globals.api.or_else(|| {
            // That of a profile is about its own endpoint.
            let api = in_file.profile.api.as_ref()?;
            in_file.profile.endpoint.as_ref()?;
            let is_overridden = globals.endpoint.is_some();
            (!is_overridden).then_some(api.value)
        });
        let has_endpoint = globals.endpoint.is_some();
        let mut environment = Environment::read(wanted, has_endpoint)?;
        let is_first = globals.is_profile_first && globals.profile.is_some();
        if is_first {
            environment.yield_to(in_file.profile);
        }
        let names = environment.names;
        let mut overridden = Vec::new();
        let mut note = |name: &'static str, is_set: bool, is_in_profile: bool| {
            if is_set && is_in_profile {
                overridden.push(name);
            }
        };

        let has_endpoint = environment.endpoint.is_some();
        let flag = globals.endpoint.clone();
        let endpoint = match flag.map(|url| Setting::new(url, Source::Flag("--endpoint"))) {
            None => {
                let is_in_profile = in_file.profile.endpoint.is_some();
                note(
                    names.endpoint,
                    environment.endpoint.is_some(),
                    is_in_profile,
                );
                environment.endpoint
            }
            flag => flag,
        };
        let is_in_profile = in_file.profile.endpoint_type.is_some();
        if let Some(name) = names.endpoint_type {
            note(name, environment.endpoint_type.is_some(), is_in_profile);
        }
        let endpoint_type = match environment.endpoint_type {
            None if !has_endpoint => in_file.setting(&in_file.profile.endpoint_type),
            setting => setting,
        };
        let endpoint_type =
            endpoint_type.unwrap_or(Setting::new(EndpointType::Api, Source::Default));
        let flag = globals.ca_file.clone();
        let ca_file = match flag.map(|path| Setting::new(path, Source::Flag("--ca-file"))) {
            None => {
                let is_left_out = is_first && in_file.profile.ca_file.is_some();
                let variable = variable(CA_FILE)?.filter(|_| !is_left_out);
                note(
                    CA_FILE,
                    variable.is_some(),
                    in_file.profile.ca_file.is_some(),
                );
                variable.map(|setting| setting.map(PathBuf::from))
            }
            flag => flag,
        };
        let has_keys = in_file.profile.access_key.is_some() || in_file.profile.secret_key.is_some();
        let mut access_key = environment.access_key;
        let mut secret_key = environment.secret_key;
        note(names.access_key, access_key.is_some(), has_keys);
        note(names.secret_key, secret_key.is_some(), has_keys);
        if access_key.is_none() && secret_key.is_none() {
            access_key = in_file.setting(&in_file.profile.access_key);
            secret_key = in_file.setting(&in_file.profile.secret_key);
        }
        // A profile selected by hand is expected to apply in full.
        if let (Some(profile), false) = (&globals.profile, overridden.is_empty()) {
            warnings.push(format!(
                "{} from the environment override{} profile `{profile}`.",
                in_words(&overridden),
                if overridden.len() == 1 { "s" } else { "" }
            ));
        }
        let endpoint = endpoint.or_else(|| in_file.setting(&in_file.profile.endpoint));
        let api = match endpoint_type.value {
            EndpointType::Api => {
                choose_api(globals, endpoint.as_ref(), access_key.as_ref(), &in_file)
            }
            EndpointType::Session => {
                let chosen = globals
                    .api
                    .map(|api| Setting::new(api, Source::Flag("--api")));
                match chosen.or_else(|| in_file.setting(&in_file.profile.api)) {
                    Some(Setting {
                        value: Api::Sorna,
                        source,
                    }) => {
                        return Err(SettingsError::SornaWebServer { source });
                    }
                    _ => Setting::new(Api::BackendAi, endpoint_type.source.clone()),
                }
            }
        };
        // Like the type, they belong to the endpoint of the profile.
        let of_endpoint = |setting| match has_endpoint {
            true => None,
            false => in_file.setting(setting),
        };
        let domain = environment.domain;
        let group = environment.group;
        if let Some(Setting { value, .. }) = &endpoint
            && let Ok(url) = value.parse::<Endpoint>()
            && !url.is_https()
            && !url.is_loopback()
        {
            let secrets = match endpoint_type.value {
                EndpointType::Api => "The secret key is not sent.",
                EndpointType::Session => {
                    "They can take over the session, and read the password when you log in."
                }
            };
            warnings.push(format!(
                "{url} is not encrypted: anyone on the network path can read and change code and output. \
                 {secrets} Use https:// if the gateway supports it."
            ));
        }
        Ok(Self {
            endpoint,
            endpoint_type,
            access_key,
            secret_key,
            ca_file: ca_file.or_else(|| in_file.setting(&in_file.profile.ca_file)),
            api,
            domain: domain.or_else(|| of_endpoint(&in_file.profile.domain)),
            group: group.or_else(|| of_endpoint(&in_file.profile.group)),
            names,
            elsewhere: environment.elsewhere,
            profiles: file
                .as_ref()
                .map(|file| file.profiles.keys().cloned().collect())
                .unwrap_or_default(),
            profile: name,
            path_exists: file.is_some(),
            path,
            warnings,
        })
    }

    /// The endpoint, checked.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, SettingsError> {
        let Some(Setting { value, source }) = &self.endpoint else {
            let has_keys = self.access_key.is_some() && self.secret_key.is_some();
            let has_keys = has_keys || self.is_of_web_server();
            return Err(SettingsError::NoEndpoint(self.missing(has_keys)));
        };
        value.parse().map_err(|error| SettingsError::Value {
            error,
            source: source.clone(),
            meant: with_scheme(value),
        })
    }

    /// The keys, checked.
    pub(crate) fn credentials(&self) -> Result<Credentials, SettingsError> {
        match (&self.access_key, &self.secret_key) {
            (Some(access_key), Some(secret_key)) => {
                let Setting { value, source } = access_key;
                let access_key =
                    AccessKey::new(value.as_str()).map_err(|error| SettingsError::Value {
                        error,
                        source: source.clone(),
                        meant: None,
                    })?;
                if has_invisible_characters(secret_key.value.expose()) {
                    let source = secret_key.source.clone();
                    return Err(SettingsError::Secret { source });
                }
                Ok(Credentials::new(access_key, secret_key.value.clone()))
            }
            (Some(access_key), None) => Err(SettingsError::HalfAPair {
                missing: match access_key.source {
                    Source::Variable(_) => self.names.secret_key,
                    _ => "secret_key",
                },
                present: access_key.source.clone(),
            }),
            (None, Some(secret_key)) => Err(SettingsError::HalfAPair {
                missing: match secret_key.source {
                    Source::Variable(_) => self.names.access_key,
                    _ => "access_key",
                },
                present: secret_key.source.clone(),
            }),
            (None, None) => Err(SettingsError::NoKeys(self.missing(false))),
        }
    }

    /// Where what is missing could be set.
    fn missing(&self, has_keys: bool) -> Box<Missing> {
        Box::new(Missing {
            path: self.path.as_ref().map(|path| path.value.clone()),
            profile: self.profile.as_ref().map(|profile| profile.value.clone()),
            profiles: self.profiles.clone(),
            has_keys,
            names: self.names,
            elsewhere: self.elsewhere,
            local: "sorna run --local",
        })
    }

    /// Whether users log in at the endpoint.
    pub(crate) fn is_of_web_server(&self) -> bool {
        self.endpoint_type.value == EndpointType::Session
    }

    /// Where keys come from that are not used, since users log in to a web server.
    pub(crate) fn unused_keys(&self) -> Option<&Source> {
        let access_key = self.access_key.as_ref().map(|key| &key.source);
        let secret_key = self.secret_key.as_ref().map(|key| &key.source);
        access_key
            .or(secret_key)
            .filter(|_| self.is_of_web_server())
    }

    /// The file that keeps the session with the web server.
    pub(crate) fn login_file(&self) -> Result<LoginFile, SettingsError> {
        if !self.is_of_web_server() {
            let source = self.endpoint_type.source.clone();
            return Err(SettingsError::NoWebServer { source });
        }
        LoginFile::of(&self.endpoint()?)
    }

    /// The client's configuration for logging in to a web server.
    pub(crate) fn login_config(&self) -> Result<Config, SettingsError> {
        Ok(self.complete(Config::of_web_server(self.endpoint()?)))
    }

    /// The client's configuration.
    pub(crate) fn client_config(&self) -> Result<Config, SettingsError> {
        let endpoint = self.endpoint()?;
        if !self.is_of_web_server() {
            return Ok(self.complete(Config::new(endpoint, self.credentials()?)));
        }
        match self.login_file()?.read()? {
            Some(login) => Ok(self.login_config()?.with_session(login.cookie)),
            None => Err(SettingsError::NotLoggedIn {
                endpoint: endpoint.to_string(),
                profile: match &self.profile {
                    Some(Setting {
                        value,
                        source: Source::Flag(_),
                    }) => Some(value.clone()),
                    _ => None,
                },
                unused_keys: self.unused_keys().cloned(),
            }),
        }
    }

    fn complete(&self, mut config: Config) -> Config {
        if let Some(domain) = &self.domain {
            config = config.with_domain(domain.value.as_str());
        }
        if let Some(group) = &self.group {
            config = config.with_group(group.value.as_str());
        }
        match self.api.value {
            Api::Sorna => config.with_version(ApiVersion::V2_20170315),
            // It is negotiated.
            Api::BackendAi | Api::Auto => config,
        }
    }
}

/// Whether Sorna v2 is spoken, as far as that is known without a request.
pub(crate) fn speak_sorna_v2(globals: &Globals) -> bool {
    match globals.api {
        Some(api) => api == Api::Sorna,
        // What is wrong with the settings is reported later.
        None => Settings::load(globals).map_or(true, |all| all.api.value == Api::Sorna),
    }
}

/// The API to speak: what the command line says; else whatever the gateway speaks, for `BACKEND_ENDPOINT` and its keys;
/// else what the profile says; else Sorna v2, as always.
fn choose_api(
    globals: &Globals,
    endpoint: Option<&Setting<String>>,
    access_key: Option<&Setting<String>>,
    in_file: &InFile<'_>,
) -> Setting<Api> {
    if let Some(api) = globals.api {
        return Setting::new(api, Source::Flag("--api"));
    }
    let sources = [endpoint, access_key].into_iter().flatten();
    let mut sources = sources.map(|setting| &setting.source);
    if let Some(source) = sources.find(|source| Environment::is_of_backend_ai(source)) {
        return Setting::new(Api::Auto, source.clone());
    }
    in_file
        .setting(&in_file.profile.api)
        .unwrap_or(Setting::new(Api::Sorna, Source::Default))
}

/// The URL that was probably meant by one without a scheme. One with a password is never shown.
fn with_scheme(value: &str) -> Option<String> {
    if value.contains("://") {
        return None;
    }
    let plain: Endpoint = format!("http://{value}").parse().ok()?;
    if plain.is_loopback() {
        return Some(plain.to_string());
    }
    let secure: Endpoint = format!("https://{value}").parse().ok()?;
    Some(secure.to_string())
}

/// The selected profile, and where it is.
struct InFile<'f> {
    path: &'f Path,
    name: &'f str,
    profile: &'f Profile,
}

impl InFile<'_> {
    fn setting<T: Clone>(&self, located: &Option<Located<T>>) -> Option<Setting<T>> {
        let located = located.as_ref()?;
        let source = Source::File {
            path: self.path.into(),
            line: located.line,
            profile: Some(self.name.to_owned()),
        };
        Some(Setting::new(located.value.clone(), source))
    }
}

/// The path of the settings file; `None` if none is given and there is no home directory. Reads nothing.
pub(crate) fn path(globals: &Globals) -> Result<Option<Setting<PathBuf>>, SettingsError> {
    if let Some(path) = &globals.config {
        return Ok(Some(Setting::new(path.clone(), Source::Flag("--config"))));
    }
    if let Some(setting) = variable(CONFIG)? {
        return Ok(Some(setting.map(PathBuf::from)));
    }
    Ok(etcetera::choose_base_strategy().ok().map(|strategy| {
        let path = strategy.config_dir().join("sorna").join("config.toml");
        Setting::new(path, Source::Default)
    }))
}

fn profile_name(
    globals: &Globals,
    file: Option<&File>,
) -> Result<Option<Setting<String>>, SettingsError> {
    if let Some(name) = &globals.profile {
        return Ok(Some(Setting::new(name.clone(), Source::Flag("--profile"))));
    }
    if let Some(setting) = variable(PROFILE)? {
        return Ok(Some(setting));
    }
    Ok(file.and_then(|file| {
        let Located { value, line } = file.default_profile.clone()?;
        let source = Source::File {
            path: file.path.as_path().into(),
            line,
            profile: None,
        };
        Some(Setting::new(value, source))
    }))
}

fn choose<'f>(
    name: Option<&Setting<String>>,
    file: Option<&'f File>,
    path: Option<&Setting<PathBuf>>,
) -> Result<Option<&'f Profile>, SettingsError> {
    let Some(Setting { value, source }) = name else {
        return Ok(None);
    };
    let profile = file.and_then(|file| file.profiles.get(value));
    if profile.is_some() {
        return Ok(profile);
    }
    Err(SettingsError::UnknownProfile {
        name: value.clone(),
        source: source.clone(),
        path: path
            .filter(|_| file.is_some())
            .map(|path| path.value.clone()),
        known: file
            .map(|file| file.profiles.keys().cloned().collect())
            .unwrap_or_default(),
    })
}
