//! Versions of the API, and the facts that the versions of one dialect share.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use http::HeaderName;

use crate::error::config::ConfigError;

/// One row for each version: its variant, its dialect, and its name on the wire. Within a dialect the
/// oldest comes first.
macro_rules! versions {
    ($($(#[$meta:meta])* $variant:ident = $dialect:ident, $name:literal;)*) => {
        /// A version of the API, as sent in the version header of every request.
        ///
        /// Versions of one dialect are ordered by age; those of different dialects cannot be compared.
        ///
        /// ```
        /// use sorna_core::{ApiVersion, Dialect};
        ///
        /// let version: ApiVersion = "v2.20170315".parse()?;
        /// assert_eq!(version, ApiVersion::default());
        /// assert_eq!(version.dialect(), Dialect::SornaV2);
        /// assert!(version >= ApiVersion::V2_20170315);
        /// # Ok::<(), sorna_core::ConfigError>(())
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ApiVersion {
            $($(#[$meta])* $variant,)*
        }

        impl ApiVersion {
            /// Every version that this crate speaks.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The version's name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The dialect it belongs to.
            #[must_use]
            pub const fn dialect(self) -> Dialect {
                match self { $(Self::$variant => Dialect::$dialect,)* }
            }
        }
    };
}

versions! {
    /// Sorna v2 of 15 March 2017.
    #[default]
    V2_20170315 = SornaV2, "v2.20170315";
    /// Backend.AI of June 2022 (22.06).
    V6_20220615 = BackendAi, "v6.20220615";
    /// Backend.AI of June 2023 (23.09).
    V7_20230615 = BackendAi, "v7.20230615";
    /// Backend.AI of March 2024 (24.03).
    V8_20240315 = BackendAi, "v8.20240315";
    /// Backend.AI of September 2024 (24.09).
    V8_20240915 = BackendAi, "v8.20240915";
    /// Backend.AI of July 2025 (25.12 and later).
    V9_20250722 = BackendAi, "v9.20250722";
}

impl ApiVersion {
    /// The oldest version of Backend.AI that this crate speaks.
    pub(crate) const OLDEST_BACKEND_AI: Self = Self::V6_20220615;

    /// The highest version of Backend.AI that both this crate and a manager speak, if `offered` is the newest one of
    /// the manager, as its hello says. `None` if the manager speaks only older ones, or if `offered` is not the name of
    /// a version. Managers also speak the versions before their newest.
    ///
    /// ```
    /// use sorna_core::ApiVersion;
    ///
    /// let version = |offered| ApiVersion::highest_up_to(offered);
    /// assert_eq!(version("v7.20230615"), Some(ApiVersion::V7_20230615));
    /// assert_eq!(version("v8.20240601"), Some(ApiVersion::V8_20240315));
    /// assert_eq!(version("v10.20270101"), Some(ApiVersion::V9_20250722));
    /// assert_eq!(version("v5.20191215"), None);
    /// ```
    #[must_use]
    pub fn highest_up_to(offered: &str) -> Option<Self> {
        let offered = numbers(offered)?;
        Self::ALL
            .iter()
            .copied()
            .filter(|version| version.dialect() == Dialect::BackendAi)
            .rfind(|version| numbers(version.as_str()).is_some_and(|own| own <= offered))
    }

    /// How much one upload request may carry, as observed on gateways of this version.
    ///
    /// ```
    /// let limits = sorna_core::ApiVersion::V2_20170315.upload_limits();
    /// assert_eq!((limits.max_files, limits.max_file_size), (19, 1024 * 1024));
    /// ```
    #[must_use]
    pub const fn upload_limits(self) -> UploadLimits {
        self.dialect().upload_limits()
    }

    /// Whether there are gateways that speak this version and lose what is typed into a terminal: managers 22.09
    /// to 25.8 of Backend.AI close it, with code 1000, at the first input. (Observed on 23.09.10; the range is read
    /// in the sources.) Later ones, which do not, speak these versions as well; see
    /// [`VersionInfo::loses_terminal_input`](crate::VersionInfo::loses_terminal_input) for one of them.
    #[must_use]
    pub const fn may_lose_terminal_input(self) -> bool {
        match self {
            // No manager with the defect speaks v9.
            Self::V2_20170315 | Self::V9_20250722 => false,
            Self::V6_20220615 | Self::V7_20230615 | Self::V8_20240315 | Self::V8_20240915 => true,
        }
    }
}

/// Major version and date of a version's name: 9 and 20250722 for `v9.20250722`. (As text, v10 would be less than v9.)
pub(crate) fn numbers(name: &str) -> Option<(u32, u32)> {
    let (major, date) = name.strip_prefix('v')?.split_once('.')?;
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_number)
    };
    Some((number(major)?, number(date)?))
}

impl PartialOrd for ApiVersion {
    /// By age within a dialect; `None` for versions of different dialects.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.dialect() == other.dialect()).then(|| (*self as u8).cmp(&(*other as u8)))
    }
}

impl FromStr for ApiVersion {
    type Err = ConfigError;

    /// Reads a version's name on the wire.
    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::ALL
            .iter()
            .copied()
            .find(|version| version.as_str() == name)
            .ok_or_else(|| ConfigError::Version {
                name: name.to_owned(),
            })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A family of API versions that share header names, paths and the form of bodies.
///
/// This type has only facts. How a dialect writes and reads an operation is defined with the
/// operation, and how it reads the headers of the rate limit with [`RateLimit`](crate::RateLimit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Sorna's API v2 of 2017: kernels under `/v2`, signed as `Sorna`.
    SornaV2,
    /// The API of Backend.AI, Sorna's successor: kernels are sessions under `/session`, signed as `BackendAI`.
    ///
    /// Facts about it were observed on managers 23.09.10 and 26.9.6.
    BackendAi,
}

impl Dialect {
    /// The scheme of `Authorization`, before its parameters.
    #[must_use]
    pub const fn auth_scheme(self) -> &'static str {
        match self {
            Self::SornaV2 => "Sorna",
            Self::BackendAi => "BackendAI",
        }
    }

    /// The name of the header that carries the version.
    #[must_use]
    pub const fn version_header(self) -> HeaderName {
        match self {
            Self::SornaV2 => HeaderName::from_static("x-sorna-version"),
            Self::BackendAi => HeaderName::from_static("x-backendai-version"),
        }
    }

    /// Whether a body of this media type is part of the signature; otherwise the hash of nothing
    /// is signed.
    #[must_use]
    pub fn hashes_body(self, media_type: &str) -> bool {
        match self {
            Self::SornaV2 => media_type != "multipart/form-data",
            // Observed on both managers: with a body that is hashed, 401.
            Self::BackendAi => false,
        }
    }

    /// The first size of an execute request's body, in bytes, that is rejected.
    #[must_use]
    pub const fn execute_body_limit(self) -> usize {
        match self {
            // Observed for Sorna v2. Managers of Backend.AI are built with the same default of the same library.
            Self::SornaV2 | Self::BackendAi => 1024 * 1024,
        }
    }

    /// How much one upload request may carry.
    #[must_use]
    pub const fn upload_limits(self) -> UploadLimits {
        match self {
            // The manual says 20, but the original gateway rejects a request with 20.
            Self::SornaV2 => UploadLimits {
                max_files: 19,
                max_file_size: 1024 * 1024,
            },
            // A file of exactly 1 MiB is rejected.
            Self::BackendAi => UploadLimits {
                max_files: 20,
                max_file_size: 1024 * 1024 - 1,
            },
        }
    }
}

/// How much one upload request may carry: see [`ApiVersion::upload_limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadLimits {
    /// The most files in one request.
    pub max_files: usize,
    /// The largest size of one file, in bytes.
    pub max_file_size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for version in ApiVersion::ALL {
            assert_eq!(version.to_string().parse(), Ok(*version));
        }
        let error = "v1.19700101".parse::<ApiVersion>().unwrap_err();
        assert!(error.to_string().contains("v1.19700101"), "{error}");
    }

    #[test]
    fn the_highest_version_of_both_sides_is_found_by_number() {
        let highest = ApiVersion::highest_up_to;
        for version in ApiVersion::ALL {
            let is_backend_ai = version.dialect() == Dialect::BackendAi;
            assert_eq!(highest(version.as_str()), is_backend_ai.then_some(*version));
        }
        assert_eq!(highest("v6.20230315"), Some(ApiVersion::OLDEST_BACKEND_AI));
        assert_eq!(highest("v6.20220614"), None);
        assert_eq!(highest("v10.20270101"), Some(ApiVersion::V9_20250722));
        assert_eq!(highest("v3.20170615"), None);
        for odd in [
            "",
            "v",
            "9.20250722",
            "v9",
            "v9.",
            "v+9.20250722",
            "v9.20250722 ",
            "v99999999999.1",
        ] {
            assert_eq!(highest(odd), None, "{odd}");
        }
    }

    #[test]
    fn versions_of_a_dialect_are_ordered_as_listed() {
        for pair in ApiVersion::ALL.windows(2) {
            let same = pair[0].dialect() == pair[1].dialect();
            assert_eq!(pair[0] < pair[1], same, "{pair:?}");
        }
        assert!(ApiVersion::V7_20230615 < ApiVersion::V9_20250722);
        let version = ApiVersion::V2_20170315;
        assert_eq!(version.partial_cmp(&ApiVersion::V7_20230615), None);
        assert_eq!(version.partial_cmp(&version), Some(Ordering::Equal));
    }
}
