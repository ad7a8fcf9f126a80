//! Names that travel in paths and bodies, checked when they are made.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::BuildError;
use crate::path;

/// The gateway's name for a kernel: 22 URL-safe characters in the original service, but any text
/// that fits one path segment is taken, escaped where needed.
///
/// ```
/// use sorna_core::KernelId;
///
/// let id = KernelId::new("a/b?c")?;
/// assert_eq!(id.path_segment(), "a%2Fb%3Fc");
/// assert!("..".parse::<KernelId>().is_err());
/// # Ok::<(), sorna_core::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub struct KernelId(String);

impl KernelId {
    /// Checks and wraps an identifier.
    ///
    /// # Errors
    ///
    /// [`BuildError::KernelId`] if it is empty, longer than 256 bytes, has control characters, or
    /// is `.`, `..` or `create`, which would name another path even when escaped.
    pub fn new(id: impl Into<String>) -> Result<Self, BuildError> {
        let id = id.into();
        if matches!(id.as_str(), "" | "." | ".." | "create")
            || id.len() > 256
            || id.chars().any(char::is_control)
        {
            return Err(BuildError::KernelId { id });
        }
        Ok(Self(id))
    }

    /// The identifier as the gateway gave it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identifier escaped as one segment of a path.
    #[must_use]
    pub fn path_segment(&self) -> Cow<'_, str> {
        path::segment(&self.0).into()
    }
}

/// As [`KernelId::new`].
impl FromStr for KernelId {
    type Err = BuildError;

    fn from_str(id: &str) -> Result<Self, BuildError> {
        Self::new(id)
    }
}

impl fmt::Debug for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KernelId({})", self.0)
    }
}

impl fmt::Display for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The client's name for a kernel: creating with the token of a living kernel returns that kernel.
/// 8 to 80 characters, counted as Unicode characters. (API manual of 2017, "Kernel management".)
///
/// Observed on gateway 0.9.11: tokens are not kept apart by access key, so another user's token gives that
/// user's kernel. Make it hard to guess: [`from_random`](Self::from_random).
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SessionToken(String);

impl SessionToken {
    /// Checks and wraps a token of 8 to 80 characters.
    ///
    /// # Errors
    ///
    /// [`BuildError::SessionToken`] if it is shorter or longer, or has control characters.
    pub fn new(token: impl Into<String>) -> Result<Self, BuildError> {
        let token = token.into();
        let length = token.chars().count();
        if !(8..=80).contains(&length) || token.chars().any(char::is_control) {
            return Err(BuildError::SessionToken { length });
        }
        Ok(Self(token))
    }

    /// A token of 32 hexadecimal digits, like the original client's, from 16 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(base16ct::lower::encode_string(&bytes))
    }

    /// The token's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As [`SessionToken::new`].
impl FromStr for SessionToken {
    type Err = BuildError;

    fn from_str(token: &str) -> Result<Self, BuildError> {
        Self::new(token)
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionToken({})", self.0)
    }
}

impl fmt::Display for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_one_path_segment() {
        for (id, segment) in [
            ("zuF1OzMIhFknyjUl7Apbvg", "zuF1OzMIhFknyjUl7Apbvg"),
            ("a-b_c.d~e", "a-b_c.d~e"),
            ("a/b", "a%2Fb"),
            ("../../v2/authorize", "..%2F..%2Fv2%2Fauthorize"),
            ("a%2Fb", "a%252Fb"),
            ("a?b#c", "a%3Fb%23c"),
            ("a b+c", "a%20b+c"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(KernelId::new(id).unwrap().path_segment(), segment);
        }
    }

    #[test]
    fn identifiers_that_name_no_segment_are_rejected() {
        for id in ["", ".", "..", "create", "a\r\nb", "a\0b"] {
            assert!(KernelId::new(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn tokens_are_counted_in_characters() {
        assert!(SessionToken::new("1234567").is_err());
        assert!(SessionToken::new("éééééééé").is_ok());
        assert!(SessionToken::new("é".repeat(80)).is_ok());
        assert!(SessionToken::new("é".repeat(81)).is_err());
        assert!(SessionToken::new("12345678\n").is_err());
    }

    #[test]
    fn a_random_token_has_32_hexadecimal_digits() {
        let token = SessionToken::from_random([0xd3; 16]);
        assert_eq!(token.as_str(), "d3".repeat(16));
    }
}
