//! Where the gateway is and how to sign for it.

mod credentials;
mod endpoint;
mod env;

pub use credentials::{AccessKey, Credentials, SecretKey};
pub use endpoint::Endpoint;
pub use env::EnvNames;

use http::HeaderValue;
use zeroize::Zeroizing;

use crate::error::ConfigError;
use crate::signing::hash::HashAlgorithm;
use crate::version::ApiVersion;

/// Everything a [`Signer`](crate::Signer) needs to know about one gateway and one user.
///
/// ```
/// use sorna_core::{Config, HashAlgorithm};
///
/// let config = Config::from_lookup(|name| match name {
///     "SORNA_ENDPOINT" => Some("http://127.0.0.1:8081".into()),
///     "SORNA_ACCESS_KEY" => Some("AKIAIOSFODNN7EXAMPLE".into()),
///     "SORNA_SECRET_KEY" => Some("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
///     _ => None,
/// })?
/// .with_hash(HashAlgorithm::Sha512);
/// assert_eq!(config.endpoint().host(), "127.0.0.1:8081");
/// # Ok::<(), sorna_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    endpoint: Endpoint,
    credentials: Credentials,
    version: ApiVersion,
    hash: HashAlgorithm,
    user_agent: HeaderValue,
}

impl Config {
    /// A configuration for the given gateway and user, with the defaults of the protocol:
    /// API v2.20170315, SHA-256.
    #[must_use]
    pub fn new(endpoint: Endpoint, credentials: Credentials) -> Self {
        Self {
            endpoint,
            credentials,
            version: ApiVersion::default(),
            hash: HashAlgorithm::default(),
            user_agent: HeaderValue::from_static(concat!("sorna-rust/", env!("CARGO_PKG_VERSION"))),
        }
    }

    /// Reads the settings of [`EnvNames::SORNA`] through a function, typically
    /// `|name| std::env::var(name).ok()`: core itself reads no environment.
    ///
    /// # Errors
    ///
    /// As [`from_lookup_with`](Self::from_lookup_with).
    pub fn from_lookup(lookup: impl FnMut(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Self::from_lookup_with(&EnvNames::SORNA, lookup)
    }

    /// Reads the settings of these names through a function. Whitespace around a value is ignored.
    ///
    /// # Errors
    ///
    /// A variable that is not set or empty, or a value that is not valid; the error names it.
    pub fn from_lookup_with(
        names: &EnvNames,
        mut lookup: impl FnMut(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        // Wipe what was read, since it may be the secret key.
        let mut required = |name: &'static str| {
            let value = Zeroizing::new(lookup(name).unwrap_or_default());
            let trimmed = value.trim();
            if trimmed.is_empty() {
                return Err(ConfigError::MissingVariable { name });
            }
            if trimmed.contains(['\r', '\n']) {
                return Err(ConfigError::LineBreak { name });
            }
            Ok(Zeroizing::new(trimmed.to_owned()))
        };
        let endpoint = required(names.endpoint)?;
        let access_key = required(names.access_key)?;
        let secret_key = required(names.secret_key)?;
        let named = |name| {
            move |error| ConfigError::Variable {
                name,
                error: Box::new(error),
            }
        };
        Ok(Self::new(
            endpoint.parse().map_err(named(names.endpoint))?,
            Credentials::new(
                AccessKey::new(access_key.as_str()).map_err(named(names.access_key))?,
                SecretKey::new(secret_key.as_str()).map_err(named(names.secret_key))?,
            ),
        ))
    }

    /// Speaks this API version.
    #[must_use]
    pub fn with_version(mut self, version: ApiVersion) -> Self {
        self.version = version;
        self
    }

    /// Signs with this hash function.
    #[must_use]
    pub fn with_hash(mut self, hash: HashAlgorithm) -> Self {
        self.hash = hash;
        self
    }

    /// Sends this `User-Agent`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UserAgent`] if the text cannot be a header value.
    pub fn with_user_agent(mut self, user_agent: &str) -> Result<Self, ConfigError> {
        self.user_agent = HeaderValue::from_str(user_agent).map_err(|_| ConfigError::UserAgent)?;
        Ok(self)
    }

    /// The gateway's address.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The user's keys.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The API version spoken.
    #[must_use]
    pub fn version(&self) -> ApiVersion {
        self.version
    }

    /// The hash function of the signatures.
    #[must_use]
    pub fn hash(&self) -> HashAlgorithm {
        self.hash
    }

    /// The `User-Agent` sent.
    #[must_use]
    pub fn user_agent(&self) -> &HeaderValue {
        &self.user_agent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoint: &str, access_key: &str, secret_key: &str) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| {
            let value = match name {
                "SORNA_ENDPOINT" => endpoint,
                "SORNA_ACCESS_KEY" => access_key,
                "SORNA_SECRET_KEY" => secret_key,
                other => panic!("{other} is read"),
            };
            (value != "unset").then(|| value.to_owned())
        })
    }

    #[test]
    fn missing_variables_are_named() {
        let url = "http://127.0.0.1:8081";
        for unset in ["unset", "", " \n"] {
            for (config, name) in [
                (read(unset, "AK", "SK"), "SORNA_ENDPOINT"),
                (read(url, unset, "SK"), "SORNA_ACCESS_KEY"),
                (read(url, "AK", unset), "SORNA_SECRET_KEY"),
            ] {
                assert_eq!(
                    config.unwrap_err(),
                    ConfigError::MissingVariable { name },
                    "{unset:?}"
                );
            }
        }
    }

    #[test]
    fn space_around_values_is_ignored() {
        let config = read(" http://127.0.0.1:8081\r\n", "\tAK\n", " SK \n").unwrap();
        assert_eq!(config.endpoint().to_string(), "http://127.0.0.1:8081");
        assert_eq!(config.credentials().access_key().as_str(), "AK");
        assert_eq!(config.credentials().secret_key().expose(), "SK");
    }

    #[test]
    fn variables_with_values_that_cannot_be_used_are_named() {
        for (config, text) in [
            (
                read("localhost:1", "AK", "SK"),
                "SORNA_ENDPOINT: the endpoint must start with https:// or http://",
            ),
            (
                read("http://127.0.0.1:8081", "A K", "SK"),
                "SORNA_ACCESS_KEY: the access key must be printable ASCII without spaces, `:` or `,`, and not empty",
            ),
        ] {
            assert_eq!(config.unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn line_breaks_inside_are_named() {
        let url = "http://127.0.0.1:8081";
        for (config, name) in [
            (read("http://a\nb", "AK", "SK"), "SORNA_ENDPOINT"),
            (read(url, "A\nK", "SK"), "SORNA_ACCESS_KEY"),
            (read(url, "AK", "S\rK"), "SORNA_SECRET_KEY"),
        ] {
            assert_eq!(config.unwrap_err(), ConfigError::LineBreak { name });
        }
    }

    #[test]
    fn other_names_can_be_read() {
        let names = EnvNames::new("MY_URL", "MY_KEY", "MY_SECRET");
        let config = Config::from_lookup_with(&names, |name| match name {
            "MY_URL" => Some("https://cluster.example".to_owned()),
            "MY_KEY" => Some("AK".to_owned()),
            "MY_SECRET" => Some("SK".to_owned()),
            _ => None,
        })
        .unwrap();
        assert_eq!(config.endpoint().host(), "cluster.example");
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let config = read(
            "http://127.0.0.1:8081",
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI",
        );
        let shown = format!("{:?}", config.unwrap());
        assert!(shown.contains("AKIAIOSFODNN7EXAMPLE"));
        assert!(!shown.contains("wJalrXUtnFEMI"), "{shown}");
    }
}
