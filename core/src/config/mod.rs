//! Where the gateway is and how to sign for it.

mod credentials;
mod endpoint;

pub use credentials::{AccessKey, Credentials, SecretKey};
pub use endpoint::Endpoint;

use http::HeaderValue;

use crate::error::ConfigError;
use crate::signing::hash::HashAlgorithm;
use crate::version::ApiVersion;

/// The names of the environment variables that [`Config::from_lookup`] asks for.
pub mod variables {
    /// The gateway's URL; [`Endpoint::DEFAULT`](super::Endpoint::DEFAULT) when unset.
    pub const ENDPOINT: &str = "SORNA_ENDPOINT";
    /// The access key, which names the user.
    pub const ACCESS_KEY: &str = "SORNA_ACCESS_KEY";
    /// The secret key, with which requests are signed.
    pub const SECRET_KEY: &str = "SORNA_SECRET_KEY";
}

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

    /// Reads the settings named in [`variables`] through a function, typically
    /// `|name| std::env::var(name).ok()`: core itself reads no environment.
    ///
    /// # Errors
    ///
    /// A missing key, or a value that is not valid; the error names the variable.
    pub fn from_lookup<F>(mut lookup: F) -> Result<Self, ConfigError>
    where
        F: FnMut(&str) -> Option<String>,
    {
        let mut required = |name: &'static str| {
            lookup(name)
                .filter(|value| !value.is_empty())
                .ok_or(ConfigError::MissingVariable { name })
        };
        let access_key = required(variables::ACCESS_KEY)?;
        let secret_key = required(variables::SECRET_KEY)?;
        let endpoint = match lookup(variables::ENDPOINT).filter(|value| !value.is_empty()) {
            Some(url) => url.parse()?,
            None => Endpoint::default(),
        };
        Ok(Self::new(
            endpoint,
            Credentials::new(AccessKey::new(access_key)?, SecretKey::new(secret_key)?),
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

    #[test]
    fn missing_keys_are_named() {
        let error = Config::from_lookup(|_| None).unwrap_err();
        assert_eq!(error.to_string(), "SORNA_ACCESS_KEY is not set");
        let error =
            Config::from_lookup(|name| (name == "SORNA_ACCESS_KEY").then(|| "AK".to_owned()))
                .unwrap_err();
        assert_eq!(error.to_string(), "SORNA_SECRET_KEY is not set");
    }

    #[test]
    fn the_default_endpoint_is_the_public_one() {
        let config = Config::from_lookup(|name| match name {
            "SORNA_ENDPOINT" => Some(String::new()),
            _ => Some("key".to_owned()),
        })
        .unwrap();
        assert_eq!(config.endpoint().to_string(), "https://api.sorna.io");
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let config = Config::from_lookup(|name| match name {
            "SORNA_ENDPOINT" => None,
            "SORNA_ACCESS_KEY" => Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
            _ => Some("wJalrXUtnFEMI".to_owned()),
        })
        .unwrap();
        let shown = format!("{config:?}");
        assert!(shown.contains("AKIAIOSFODNN7EXAMPLE"));
        assert!(!shown.contains("wJalrXUtnFEMI"), "{shown}");
    }
}
