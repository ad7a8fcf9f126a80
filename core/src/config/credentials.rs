//! The key pair that identifies and authenticates a user.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::ConfigError;
#[cfg(feature = "server")]
use crate::signing::hash::{HashAlgorithm, KeyedMac};

/// An access key and its secret.
#[derive(Clone, Debug)]
pub struct Credentials {
    access_key: AccessKey,
    secret_key: SecretKey,
}

impl Credentials {
    /// Pairs the keys.
    #[must_use]
    pub fn new(access_key: AccessKey, secret_key: SecretKey) -> Self {
        Self {
            access_key,
            secret_key,
        }
    }

    /// The public half.
    #[must_use]
    pub fn access_key(&self) -> &AccessKey {
        &self.access_key
    }

    /// The secret half.
    #[must_use]
    pub fn secret_key(&self) -> &SecretKey {
        &self.secret_key
    }
}

/// Names the user in every request; not secret. In the original service `AKIA` and 16 base32
/// characters, but any printable ASCII without spaces, `:` and `,` is accepted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AccessKey(String);

impl AccessKey {
    /// Checks and wraps the key.
    ///
    /// # Errors
    ///
    /// [`ConfigError::AccessKey`] if an `Authorization` header cannot contain it.
    pub fn new(key: impl Into<String>) -> Result<Self, ConfigError> {
        let key = key.into();
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b':' && byte != b',';
        if key.is_empty() || !key.bytes().all(fits) {
            return Err(ConfigError::AccessKey);
        }
        Ok(Self(key))
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKey({})", self.0)
    }
}

impl fmt::Display for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Signs requests. Wiped from memory when dropped, never shown by `Debug`, and not comparable.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    /// Checks and wraps the key.
    ///
    /// # Errors
    ///
    /// [`ConfigError::SecretKey`] if it is empty.
    pub fn new(key: impl Into<String>) -> Result<Self, ConfigError> {
        let key = Zeroizing::new(key.into());
        if key.is_empty() {
            return Err(ConfigError::SecretKey);
        }
        Ok(Self(key))
    }

    /// The key itself, to pass it on (to a child process's environment, say). The caller must keep it out
    /// of logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is the same key; the time that it takes depends on the length of `given` only.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        let mac = |key: &str| {
            let mut mac = KeyedMac::new(HashAlgorithm::Sha256, b"compare");
            mac.update(key.as_bytes());
            mac
        };
        mac(&self.0).verify(mac(given).finish().as_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_keys_cannot_break_the_header() {
        for bad in ["", "a b", "a:b", "a,b", "a\r\nX: y", "é"] {
            assert_eq!(AccessKey::new(bad), Err(ConfigError::AccessKey), "{bad:?}");
        }
        assert!(AccessKey::new("AKIAIOSFODNN7EXAMPLE").is_ok());
    }

    #[test]
    fn secrets_stay_hidden() {
        let secret = SecretKey::new("wJalrXUtnFEMI").unwrap();
        assert_eq!(format!("{secret:?}"), "SecretKey(hidden)");
    }

    #[cfg(feature = "server")]
    #[test]
    fn only_the_same_secret_is_it() {
        let secret = SecretKey::new("wJalrXUtnFEMI").unwrap();
        assert!(secret.is("wJalrXUtnFEMI"));
        for other in ["", "wJalrXUtnFEM", "wJalrXUtnFEMI\0", "WJALRXUTNFEMI"] {
            assert!(!secret.is(other), "{other:?}");
        }
    }
}
