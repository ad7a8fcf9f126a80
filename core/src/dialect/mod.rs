//! What one version of the protocol does differently from another, all in one place.
//!
//! An [`ApiVersion`] chooses a [`Dialect`]; every request whose form depends on the dialect is made
//! here. Answers are read by the operations themselves, which take the words of all dialects. To
//! add a dialect (Backend.AI v4 and later: `X-BackendAI-Version`, no `/v2`, bodies never hashed,
//! sessions in place of kernels, run ids), add a file and a variant, and follow the compiler.

mod sorna_v2;

use std::fmt;

use http::{HeaderName, HeaderValue, Method};

use crate::ident::KernelId;
use crate::ops::{Complete, CreateKernel, Execute};
use crate::signing::Unsigned;

/// A version of the API, as sent in the version header of every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiVersion {
    /// Sorna v2 of 15 March 2017.
    #[default]
    V2_20170315,
}

impl ApiVersion {
    /// The version's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2_20170315 => "v2.20170315",
        }
    }

    /// How much one upload request may carry, to what gateways of this version were seen to take.
    ///
    /// ```
    /// let limits = sorna_core::ApiVersion::V2_20170315.upload_limits();
    /// assert_eq!((limits.files, limits.file_size), (19, 1024 * 1024));
    /// ```
    #[must_use]
    pub fn upload_limits(self) -> UploadLimits {
        self.dialect().upload_limits()
    }

    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::V2_20170315 => Dialect::SornaV2,
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A family of API versions that share header names, paths and body shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    SornaV2,
}

/// What a request is about; the dialect turns it into a method and a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resource<'a> {
    Version,
    Authorize,
    Languages,
    Create,
    Info(&'a KernelId),
    Restart(&'a KernelId),
    Destroy(&'a KernelId),
    Execute(&'a KernelId),
    Complete(&'a KernelId),
    Upload(&'a KernelId),
    Terminal(&'a KernelId),
}

/// How much one upload request may carry: see [`ApiVersion::upload_limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadLimits {
    /// The most files in one request.
    pub files: usize,
    /// The largest size of one file, in bytes.
    pub file_size: u64,
}

impl Dialect {
    /// The word before the parameters of `Authorization`.
    pub(crate) fn auth_scheme(self) -> &'static str {
        match self {
            Self::SornaV2 => "Sorna",
        }
    }

    /// The header that carries the version, and its value.
    pub(crate) fn version_header(self, version: ApiVersion) -> (HeaderName, HeaderValue) {
        match self {
            Self::SornaV2 => (
                HeaderName::from_static("x-sorna-version"),
                HeaderValue::from_static(version.as_str()),
            ),
        }
    }

    /// Whether a body of this media type is part of the signature; otherwise the hash of nothing
    /// is signed.
    pub(crate) fn hashes_body(self, media_type: &str) -> bool {
        match self {
            Self::SornaV2 => media_type != "multipart/form-data",
        }
    }

    /// The method of a request; its path, below the endpoint's prefix, is added to `path`.
    pub(crate) fn route(self, resource: Resource<'_>, path: &mut Vec<u8>) -> Method {
        match self {
            Self::SornaV2 => sorna_v2::route(resource, path),
        }
    }

    /// A create request.
    pub(crate) fn create(self, create: &CreateKernel) -> Unsigned {
        match self {
            Self::SornaV2 => sorna_v2::create(create),
        }
    }

    /// An execute request.
    pub(crate) fn execute(self, execute: &Execute) -> Unsigned {
        match self {
            Self::SornaV2 => sorna_v2::execute(execute),
        }
    }

    /// A request for completions.
    pub(crate) fn complete(self, complete: &Complete) -> Unsigned {
        match self {
            Self::SornaV2 => sorna_v2::complete(complete),
        }
    }

    /// The first size of an execute body, in bytes, that the gateway refuses.
    pub(crate) fn execute_body_limit(self) -> usize {
        match self {
            Self::SornaV2 => 1024 * 1024,
        }
    }

    fn upload_limits(self) -> UploadLimits {
        match self {
            // The manual says 20, but the original gateway refuses the request that holds 20.
            Self::SornaV2 => UploadLimits {
                files: 19,
                file_size: 1024 * 1024,
            },
        }
    }
}
