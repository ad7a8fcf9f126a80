//! What one version of the protocol does differently from another, all in one place.
//!
//! An [`ApiVersion`] chooses a [`Dialect`]; everything that depends on the dialect asks here. To
//! add a dialect (Backend.AI v4 and later: `X-BackendAI-Version`, no `/v2`, bodies never hashed,
//! sessions in place of kernels, run ids), add a variant and follow the compiler.

use std::fmt;

use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;

use crate::ident::KernelId;
use crate::ops::{Continuation, Execute, ExecuteMode};
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

/// How much one upload request may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadLimits {
    /// Files in one request.
    pub files: usize,
    /// The size of one file, in bytes.
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
        let mut write = |pieces: [&str; 3]| {
            for piece in pieces {
                path.extend_from_slice(piece.as_bytes());
            }
        };
        match self {
            Self::SornaV2 => match resource {
                Resource::Version => write(["/v2", "", ""]),
                Resource::Authorize => write(["/v2", "/authorize", ""]),
                Resource::Languages => write(["/v2", "/languages", ""]),
                Resource::Create => write(["/v2", "/kernel", "/create"]),
                Resource::Info(id)
                | Resource::Restart(id)
                | Resource::Destroy(id)
                | Resource::Execute(id)
                | Resource::Complete(id) => write(["/v2/kernel/", &id.path_segment(), ""]),
                Resource::Upload(id) => write(["/v2/kernel/", &id.path_segment(), "/upload"]),
                Resource::Terminal(id) => {
                    write(["/v2/stream/kernel/", &id.path_segment(), "/pty"]);
                }
            },
        }
        match resource {
            Resource::Version
            | Resource::Authorize
            | Resource::Languages
            | Resource::Info(_)
            | Resource::Terminal(_) => Method::GET,
            Resource::Create
            | Resource::Execute(_)
            | Resource::Complete(_)
            | Resource::Upload(_) => Method::POST,
            Resource::Restart(_) => Method::PATCH,
            Resource::Destroy(_) => Method::DELETE,
        }
    }

    /// An execute request.
    pub(crate) fn execute(self, execute: &Execute) -> Unsigned {
        match self {
            // A continuation is the same call with the code (or the answered input) replaced; run
            // ids do not exist yet. Null build or exec breaks the original agent, so "" it is.
            Self::SornaV2 => {
                let (mode, code, options) = match &execute.mode {
                    ExecuteMode::Query { code } => ("query", code.as_str(), None),
                    ExecuteMode::Batch(batch) => (
                        "batch",
                        "",
                        Some(BatchOptions {
                            build: batch.build.as_deref().unwrap_or(""),
                            build_log: batch.build_log,
                            exec: batch.exec.as_deref().unwrap_or(""),
                        }),
                    ),
                };
                let code = match &execute.continuation {
                    Continuation::Start => code,
                    Continuation::Continue => "",
                    Continuation::Input(text) => text,
                };
                let body = ExecuteBody {
                    mode,
                    code,
                    options,
                };
                Unsigned::json(self, Resource::Execute(&execute.kernel), &body, code.len())
            }
        }
    }

    /// The first size of an execute body, in bytes, that the gateway refuses.
    pub(crate) fn execute_body_limit(self) -> usize {
        match self {
            Self::SornaV2 => 1024 * 1024,
        }
    }

    pub(crate) fn upload_limits(self) -> UploadLimits {
        match self {
            // The manual says 20, but the original gateway refuses the request that holds 20.
            Self::SornaV2 => UploadLimits {
                files: 19,
                file_size: 1024 * 1024,
            },
        }
    }
}

#[derive(Serialize)]
struct ExecuteBody<'a> {
    mode: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<BatchOptions<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchOptions<'a> {
    build: &'a str,
    build_log: bool,
    exec: &'a str,
}
