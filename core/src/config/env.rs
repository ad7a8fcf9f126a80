//! The names of environment variables, and how settings are read from them.

use zeroize::Zeroizing;

use super::credentials::{AccessKey, Credentials, SecretKey};
use super::endpoint::Endpoint;
use crate::error::ConfigError;

/// The names of the variables that hold the settings of one client.
///
/// There are two families, which any endpoint may be given by: [`BACKEND`](Self::BACKEND), the names of Backend.AI's own
/// clients, and [`SORNA`](Self::SORNA), the older ones. A configuration takes all of its settings from one family:
/// that of `BACKEND_ENDPOINT` if it is set, else that of `SORNA_ENDPOINT`. So the keys of one gateway are never
/// sent to another. (Backend.AI's own client takes each variable for itself from the second family if the first
/// does not have it.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvNames {
    /// The gateway's URL.
    pub endpoint: &'static str,
    /// The access key, which names the user.
    pub access_key: &'static str,
    /// The secret key, with which requests are signed.
    pub secret_key: &'static str,
    /// `api` for a manager or a gateway, which is the default, or `session` for a web server, to which users log in, so
    /// that there are no keys: [`Config::of_web_server`](crate::Config::of_web_server).
    pub endpoint_type: Option<&'static str>,
    /// The domain of new sessions, in Backend.AI.
    pub domain: Option<&'static str>,
    /// The group (project) of new sessions, in Backend.AI.
    pub group: Option<&'static str>,
}

impl EnvNames {
    /// `SORNA_ENDPOINT`, `SORNA_ACCESS_KEY` and `SORNA_SECRET_KEY`; if they are set, also
    /// `SORNA_ENDPOINT_TYPE`, `SORNA_DOMAIN` and `SORNA_GROUP`.
    pub const SORNA: Self = Self {
        endpoint_type: Some("SORNA_ENDPOINT_TYPE"),
        domain: Some("SORNA_DOMAIN"),
        group: Some("SORNA_GROUP"),
        ..Self::new("SORNA_ENDPOINT", "SORNA_ACCESS_KEY", "SORNA_SECRET_KEY")
    };

    /// `BACKEND_ENDPOINT`, `BACKEND_ACCESS_KEY` and `BACKEND_SECRET_KEY`; if they are set, also
    /// `BACKEND_ENDPOINT_TYPE`, `BACKEND_DOMAIN` and `BACKEND_GROUP`.
    pub const BACKEND: Self = Self {
        endpoint_type: Some("BACKEND_ENDPOINT_TYPE"),
        domain: Some("BACKEND_DOMAIN"),
        group: Some("BACKEND_GROUP"),
        ..Self::new(
            "BACKEND_ENDPOINT",
            "BACKEND_ACCESS_KEY",
            "BACKEND_SECRET_KEY",
        )
    };

    /// Both families, the one that counts first.
    pub const FAMILIES: [Self; 2] = [Self::BACKEND, Self::SORNA];

    /// Custom names, without the settings that are optional.
    #[must_use]
    pub const fn new(
        endpoint: &'static str,
        access_key: &'static str,
        secret_key: &'static str,
    ) -> Self {
        Self {
            endpoint,
            access_key,
            secret_key,
            endpoint_type: None,
            domain: None,
            group: None,
        }
    }

    /// The family whose endpoint is set; that of `BACKEND_ENDPOINT` if both are.
    ///
    /// # Errors
    ///
    /// No endpoint is set. The error names the variable of a family that has keys, or else both.
    pub fn choose(mut lookup: impl FnMut(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut is_set = |name| !text(&mut lookup, name).is_empty();
        for family in Self::FAMILIES {
            if is_set(family.endpoint) {
                return Ok(family);
            }
        }
        for family in Self::FAMILIES {
            if is_set(family.access_key) || is_set(family.secret_key) {
                let name = family.endpoint;
                return Err(ConfigError::MissingVariable { name });
            }
        }
        Err(ConfigError::NoEndpoint)
    }

    /// The names of the other family, if these are those of one.
    fn other(&self) -> Option<Self> {
        let [first, second] = Self::FAMILIES;
        if *self == first {
            Some(second)
        } else {
            (*self == second).then_some(first)
        }
    }
}

/// A variable's value without the whitespace around it; empty if it is not set. What was read is wiped, since it may be
/// the secret key.
fn text(lookup: &mut impl FnMut(&str) -> Option<String>, name: &str) -> Zeroizing<String> {
    let value = Zeroizing::new(lookup(name).unwrap_or_default());
    Zeroizing::new(value.trim().to_owned())
}

/// Adds the name of a variable to what is wrong with its value.
fn named(name: &'static str) -> impl FnOnce(ConfigError) -> ConfigError {
    move |error| ConfigError::Variable {
        name,
        error: Box::new(error),
    }
}

/// Reads the variables of one family.
struct Reader<L> {
    lookup: L,
}

impl<L: FnMut(&str) -> Option<String>> Reader<L> {
    /// A value; `None` if it is not set or empty.
    fn optional(&mut self, name: &'static str) -> Result<Option<Zeroizing<String>>, ConfigError> {
        let value = text(&mut self.lookup, name);
        if value.contains(['\r', '\n']) {
            return Err(ConfigError::LineBreak { name });
        }
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    fn required(&mut self, name: &'static str) -> Result<Zeroizing<String>, ConfigError> {
        self.optional(name)?
            .ok_or(ConfigError::MissingVariable { name })
    }

    /// The keys of these names.
    fn credentials(&mut self, names: &EnvNames) -> Result<Credentials, ConfigError> {
        let other = names.other();
        let in_other = |key: fn(&EnvNames) -> &'static str| other.as_ref().map(key);
        let (access_name, secret_name) = (names.access_key, names.secret_key);
        let in_others = in_other(|names| names.access_key);
        let access_key = self.key(access_name, in_others)?;
        let in_others = in_other(|names| names.secret_key);
        let secret_key = self.key(secret_name, in_others)?;
        Ok(Credentials::new(
            AccessKey::new(access_key.as_str()).map_err(named(access_name))?,
            SecretKey::new(secret_key.as_str()).map_err(named(secret_name))?,
        ))
    }

    /// A key; `elsewhere` is where the other family has it.
    fn key(
        &mut self,
        name: &'static str,
        elsewhere: Option<&'static str>,
    ) -> Result<Zeroizing<String>, ConfigError> {
        if let Some(value) = self.optional(name)? {
            return Ok(value);
        }
        Err(match elsewhere {
            Some(other) if !text(&mut self.lookup, other).is_empty() => {
                ConfigError::OtherFamily { name, other }
            }
            _ => ConfigError::MissingVariable { name },
        })
    }
}

/// The settings of one client.
pub(super) struct Settings {
    pub(super) endpoint: Endpoint,
    /// `None` for a web server.
    pub(super) credentials: Option<Credentials>,
    pub(super) domain: Option<String>,
    pub(super) group: Option<String>,
}

/// The settings that the variables of these names hold.
pub(super) fn read(
    names: &EnvNames,
    lookup: impl FnMut(&str) -> Option<String>,
) -> Result<Settings, ConfigError> {
    let mut reader = Reader { lookup };
    let endpoint = reader.required(names.endpoint)?;
    let mut is_web_server = false;
    if let Some(name) = names.endpoint_type
        && let Some(kind) = reader.optional(name)?
    {
        is_web_server = match kind.as_str() {
            "api" => false,
            "session" => true,
            other => {
                let kind = other.to_owned();
                return Err(named(name)(ConfigError::EndpointType { kind }));
            }
        };
    }
    let credentials = match is_web_server {
        true => None,
        false => Some(reader.credentials(names)?),
    };
    let mut optional = |name: Option<&'static str>| match name {
        Some(name) => Ok(reader
            .optional(name)?
            .map(|value| value.as_str().to_owned())),
        None => Ok(None),
    };
    Ok(Settings {
        domain: optional(names.domain)?,
        group: optional(names.group)?,
        endpoint: endpoint.parse().map_err(named(names.endpoint))?,
        credentials,
    })
}
