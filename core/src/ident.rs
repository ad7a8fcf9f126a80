//! Identifiers in paths and bodies, checked when they are created.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::BuildError;
use crate::path;
use crate::version::{ApiVersion, Dialect};

/// The gateway's identifier of a kernel: 22 URL-safe characters in the original service, but any text
/// that fits in one path segment is accepted, and escaped where needed. Characters that may stand in a path as they are,
/// such as `=` and `@`, are not escaped: gateway 0.9.11 restores them before it verifies the signature.
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
    /// is `.` or `..`, which would name another path even when escaped.
    pub fn new(id: impl Into<String>) -> Result<Self, BuildError> {
        let id = id.into();
        if matches!(id.as_str(), "" | "." | "..")
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

    /// Whether it has the form of a UUID, as the IDs of Backend.AI's sessions do. Manager 26.9.6 takes whatever looks
    /// like one for an ID, even if a session has it for a name.
    #[must_use]
    pub fn is_uuid(&self) -> bool {
        let bytes = self.0.as_bytes();
        bytes.len() == 36
            && bytes.iter().enumerate().all(|(index, byte)| match index {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
    }

    /// Checks what this version requires of an identifier. Making a request checks it as well.
    ///
    /// # Errors
    ///
    /// [`BuildError::KernelId`] if the version has another use for the path: Sorna v2 for `create`, Backend.AI
    /// for `_`.
    pub fn check(&self, version: ApiVersion) -> Result<(), BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => self.check_for_sorna_v2(),
            Dialect::BackendAi => self.check_for_backend_ai(),
        }
    }

    /// `/v2/kernel/create` creates a kernel.
    pub(crate) fn check_for_sorna_v2(&self) -> Result<(), BuildError> {
        if self.0 == "create" {
            return Err(BuildError::KernelId { id: self.0.clone() });
        }
        Ok(())
    }

    /// `/session/_/match` looks for sessions.
    pub(crate) fn check_for_backend_ai(&self) -> Result<(), BuildError> {
        if self.0 == "_" {
            return Err(BuildError::KernelId { id: self.0.clone() });
        }
        Ok(())
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

/// The client's name for a kernel: creating a kernel with the token of a living one returns that one.
/// In Sorna v2 it has 8 to 80 characters, counted as Unicode characters: see [`check`](Self::check). (API manual
/// of 2017, "Kernel management".) In Backend.AI it is the session's name: 4 to 64 ASCII letters, digits, `_`, `.` and `-`,
/// the first and the last neither `.` nor `-`.
///
/// Observed on gateway 0.9.11: tokens are not kept apart by access key, so creating a kernel with
/// another user's token returns that user's kernel. Make it hard to guess:
/// [`from_random`](Self::from_random).
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SessionToken(String);

impl SessionToken {
    /// Wraps a token that a gateway of some dialect may accept.
    ///
    /// # Errors
    ///
    /// [`BuildError::SessionToken`] if it is empty, longer than 256 characters, or has control characters.
    pub fn new(token: impl Into<String>) -> Result<Self, BuildError> {
        let token = token.into();
        check_token(&token, 1, 256)?;
        Ok(Self(token))
    }

    /// Wraps a token that this version accepts.
    ///
    /// # Errors
    ///
    /// As for [`check`](Self::check).
    pub fn for_version(token: impl Into<String>, version: ApiVersion) -> Result<Self, BuildError> {
        let token = Self(token.into());
        token.check(version)?;
        Ok(token)
    }

    /// Checks what this version requires of a token. Making the request checks it as well.
    ///
    /// ```
    /// use sorna_core::{ApiVersion, SessionToken};
    ///
    /// assert!(SessionToken::new("short")?.check(ApiVersion::V2_20170315).is_err());
    /// # Ok::<(), sorna_core::BuildError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BuildError::SessionToken`] or, in Backend.AI, [`BuildError::SessionNameLength`] if it is shorter or longer than
    /// the version allows; [`BuildError::SessionName`] if it has a character that Backend.AI does not allow.
    pub fn check(&self, version: ApiVersion) -> Result<(), BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => check_token(&self.0, 8, 80),
            Dialect::BackendAi => check_session_name(&self.0),
        }
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

/// What every manager accepts: 26.9.6 checks nothing, but 23.09.10 does, and there a letter is an ASCII letter (read in
/// its source).
fn check_session_name(name: &str) -> Result<(), BuildError> {
    let (least, most) = (4, 64);
    let length = name.chars().count();
    if !(least..=most).contains(&length) {
        return Err(BuildError::SessionNameLength {
            length,
            least,
            most,
        });
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
        || !name.starts_with(is_word)
        || !name.ends_with(is_word)
    {
        return Err(BuildError::SessionName {
            name: name.to_owned(),
        });
    }
    Ok(())
}

fn check_token(token: &str, least: usize, most: usize) -> Result<(), BuildError> {
    let length = token.chars().count();
    if !(least..=most).contains(&length) || token.chars().any(char::is_control) {
        return Err(BuildError::SessionToken {
            length,
            least,
            most,
        });
    }
    Ok(())
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
    fn a_token_for_a_version_names_the_limits_of_that_version() {
        for (version, limits) in [
            (ApiVersion::V2_20170315, "8 to 80"),
            (ApiVersion::V9_20250722, "4 to 64"),
        ] {
            for text in ["", "abc", &"x".repeat(300)] {
                let error = SessionToken::for_version(text, version).unwrap_err();
                assert!(error.to_string().contains(limits), "{error}");
            }
            assert!(SessionToken::for_version("control\n-character", version).is_err());
            assert!(SessionToken::for_version("long-enough", version).is_ok());
        }
    }

    #[test]
    fn uuids_are_told_by_their_form() {
        let is_uuid = |id: &str| KernelId::new(id).unwrap().is_uuid();
        assert!(is_uuid("7c548299-6be3-4613-8cf0-f11deb896755"));
        assert!(is_uuid("7C548299-6BE3-4613-8CF0-F11DEB896755"));
        for id in [
            "7c548299-6be3-4613-8cf0-f11deb89675",
            "7c548299-6be3-4613-8cf0-f11deb89675g",
            "7c548299-6be3-4613-8cf00f11deb896755",
            "7c5482996be346138cf0f11deb896755",
            "my-session",
        ] {
            assert!(!is_uuid(id), "{id}");
        }
    }

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
            ("a!$&'()*+,:;=@z", "a!$&'()*+,:;=@z"),
            ("\"<>[]\\^`{|}", "%22%3C%3E%5B%5D%5C%5E%60%7B%7C%7D"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(KernelId::new(id).unwrap().path_segment(), segment);
        }
    }

    #[test]
    fn identifiers_that_cannot_be_a_segment_are_rejected() {
        for id in ["", ".", "..", "a\r\nb", "a\0b"] {
            assert!(KernelId::new(id).is_err(), "{id:?}");
        }
        let create = KernelId::new("create").unwrap();
        assert!(create.check(ApiVersion::V2_20170315).is_err());
    }

    #[test]
    fn tokens_are_counted_in_characters() {
        let v2 = |token: &str| SessionToken::new(token)?.check(ApiVersion::V2_20170315);
        assert!(v2("éééééééé").is_ok());
        assert!(v2(&"é".repeat(80)).is_ok());
        assert!(v2("12345678\n").is_err());
        for (length, token) in [(7, "1234567".to_owned()), (81, "é".repeat(81))] {
            let expected = BuildError::SessionToken {
                length,
                least: 8,
                most: 80,
            };
            assert_eq!(v2(&token), Err(expected));
        }
        assert_eq!(
            v2("short").unwrap_err().to_string(),
            "a client session token must have 8 to 80 characters and no control characters; this one has 5 characters"
        );
    }

    #[test]
    fn names_of_sessions_have_few_special_characters() {
        let v7 = |token: &str| SessionToken::new(token)?.check(ApiVersion::V7_20230615);
        for name in ["abcd", "a.b-c_d", "_ab_", &"x".repeat(64)] {
            assert_eq!(v7(name), Ok(()), "{name}");
        }
        for name in [
            "abc",
            "-abc",
            "abc.",
            "a b c",
            "a/b/c",
            "세션이름",
            &"x".repeat(65),
        ] {
            assert!(v7(name).is_err(), "{name}");
        }
        assert_eq!(
            v7("abc").unwrap_err().to_string(),
            "the name of a session must have 4 to 64 characters; this one has 3 characters"
        );
        assert_eq!(
            v7("my session").unwrap_err().to_string(),
            "\"my session\" cannot be the name of a session: use ASCII letters, digits, `_`, `.` and `-`, the first and the last neither `.` nor `-`"
        );
    }

    #[test]
    fn tokens_that_no_dialect_allows_are_rejected() {
        for token in ["", "a\0b", &"x".repeat(257)] {
            assert!(SessionToken::new(token).is_err(), "{token:?}");
        }
        assert!(SessionToken::new("abcd").is_ok());
    }

    #[test]
    fn a_random_token_has_32_hexadecimal_digits() {
        let token = SessionToken::from_random([0xd3; 16]);
        assert_eq!(token.as_str(), "d3".repeat(16));
    }
}
