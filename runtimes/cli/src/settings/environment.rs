//! Settings in the environment.

use sorna::{ConfigError, EnvNames, SecretKey};

use super::api::Api;
use super::error::SettingsError;
use super::file::Profile;
use super::kind::EndpointType;
use super::source::{Setting, Source};

/// The variables of one family: that of `BACKEND_ENDPOINT` if it is set, else that of `SORNA_ENDPOINT`; without
/// an endpoint, the one that has keys, or says what the endpoint is. The family of the API that is asked for comes first; and if
/// the command line has both an API and the endpoint, those of the environment do not count. The other family is not read, so
/// that the keys of one gateway are never sent to another.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) names: EnvNames,
    pub(super) endpoint: Option<Setting<String>>,
    pub(super) endpoint_type: Option<Setting<EndpointType>>,
    pub(super) access_key: Option<Setting<String>>,
    pub(super) secret_key: Option<Setting<SecretKey>>,
    pub(super) domain: Option<Setting<String>>,
    pub(super) group: Option<Setting<String>>,
    /// A key that is set in the other family.
    pub(super) elsewhere: Option<&'static str>,
}

impl Environment {
    /// Reads those of the API that is `wanted`, if they are set, for the endpoint in the environment, unless it `has_endpoint`
    /// from elsewhere.
    pub(super) fn read(wanted: Option<Api>, has_endpoint: bool) -> Result<Self, SettingsError> {
        let mut families = EnvNames::FAMILIES;
        let first = match wanted {
            Some(Api::Sorna) => Some(EnvNames::SORNA),
            Some(Api::BackendAi) => Some(EnvNames::BACKEND),
            Some(Api::Auto) | None => None,
        };
        // The others keep their order.
        families.sort_by_key(|names| first.is_some_and(|first| *names != first));
        let by_endpoint = |names: &EnvNames| Ok(variable(names.endpoint)?.is_some());
        let by_key = |names: &EnvNames| Ok(key_in(names)?.is_some());
        let by_type = |names: &EnvNames| Ok(endpoint_type(names)?.is_some());
        let chosen = match first {
            Some(_) if has_endpoint => choose(&families, &[&by_key, &by_endpoint, &by_type]),
            _ => choose(&families, &[&by_endpoint, &by_key, &by_type]),
        }?;
        let names = chosen.unwrap_or(EnvNames::SORNA);
        let mut elsewhere = None;
        for other in EnvNames::FAMILIES {
            if other != names {
                elsewhere = key_in(&other)?;
            }
        }
        let optional = |name: Option<&'static str>| match name {
            Some(name) => variable(name),
            None => Ok(None),
        };
        Ok(Self {
            endpoint: variable(names.endpoint)?,
            endpoint_type: endpoint_type(&names)?,
            access_key: variable(names.access_key)?,
            secret_key: variable(names.secret_key)?.map(|setting| {
                setting.map(|key| SecretKey::new(key).expect("a variable that counts is not empty"))
            }),
            domain: optional(names.domain)?,
            group: optional(names.group)?,
            names,
            elsewhere,
        })
    }

    /// Leaves out what this profile has, and what belongs to another endpoint than its own.
    pub(super) fn yield_to(&mut self, profile: &Profile) {
        let has_keys = profile.access_key.is_some() || profile.secret_key.is_some();
        let mut is_of_other = false;
        if profile.endpoint.is_some() {
            is_of_other = self.endpoint.take().is_some();
            self.endpoint_type = None;
        }
        if has_keys || is_of_other {
            self.access_key = None;
            self.secret_key = None;
        }
        if profile.domain.is_some() || is_of_other {
            self.domain = None;
        }
        if profile.group.is_some() || is_of_other {
            self.group = None;
        }
    }

    /// Whether a value from there asks for Backend.AI.
    pub(super) fn is_of_backend_ai(source: &Source) -> bool {
        let names = EnvNames::BACKEND;
        let of_family = [names.endpoint, names.access_key, names.secret_key];
        matches!(source, Source::Variable(name) if of_family.contains(name))
    }
}

/// Whether something of a family is set.
type Sign<'s> = &'s dyn Fn(&EnvNames) -> Result<bool, SettingsError>;

/// The first family with the first of these signs that any has.
fn choose(families: &[EnvNames], signs: &[Sign<'_>]) -> Result<Option<EnvNames>, SettingsError> {
    for is_set in signs {
        for names in families {
            if is_set(names)? {
                return Ok(Some(*names));
            }
        }
    }
    Ok(None)
}

/// The name of a key that is set.
fn key_in(names: &EnvNames) -> Result<Option<&'static str>, SettingsError> {
    for name in [names.access_key, names.secret_key] {
        if variable(name)?.is_some() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// What the endpoint is, by the variable of a family.
fn endpoint_type(names: &EnvNames) -> Result<Option<Setting<EndpointType>>, SettingsError> {
    let Some(name) = names.endpoint_type else {
        return Ok(None);
    };
    let Some(Setting { value, source }) = variable(name)? else {
        return Ok(None);
    };
    match EndpointType::of_name(&value) {
        Some(kind) => Ok(Some(Setting::new(kind, source))),
        None => Err(SettingsError::Value {
            error: ConfigError::EndpointType { kind: value },
            source,
            meant: None,
        }),
    }
}

/// A variable, without white space around it (a line end, mostly, of the file that it was read from). An
/// empty one counts as unset.
pub(super) fn variable(name: &'static str) -> Result<Option<Setting<String>>, SettingsError> {
    let Some(value) = std::env::var_os(name) else {
        return Ok(None);
    };
    let Ok(value) = value.into_string() else {
        return Err(SettingsError::NotText { variable: name });
    };
    let value = value.trim();
    Ok((!value.is_empty()).then(|| Setting::new(value.to_owned(), Source::Variable(name))))
}
