//! `POST /v2/kernel/create`: get or create a kernel. (API manual of 2017, "Kernel management".)
//!
//! With the token of a living kernel, that kernel is returned; so repeating the request is safe.
//! The same token with another language makes another kernel.

use std::time::Duration;

use serde::Deserialize;

use super::{Operation, Success};
use crate::error::{BuildError, ParseError};
use crate::ident::{KernelId, SessionToken};
use crate::signing::Unsigned;
use crate::version::ApiVersion;

/// How many folders a kernel may mount.
const MOST_MOUNTS: usize = 5;

/// `POST /v2/kernel/create`: gets or creates a kernel.
///
/// With the token of a living kernel that kernel is returned (with 201 all the same), so repeating the
/// request is safe. The same token with another language makes another kernel; `python` and `python3`
/// are two. (API manual of 2017, "Kernel management".)
///
/// Observed on gateway 0.9.11: an unknown language is 500 `kernel-creation-failed`
/// ([`is_creation_failed`](crate::GatewayError::is_creation_failed)); at the limit of kernels even the
/// token of a living one is refused with 412
/// ([`is_quota_exceeded`](crate::GatewayError::is_quota_exceeded)); and for up to 22 ms after a destroy,
/// creating with its token may return the dying kernel.
///
/// Making the request fails with [`BuildError::Language`] for an empty language, and with
/// [`BuildError::TooManyMounts`] for more than five mounts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreateKernel {
    /// The language or runtime, such as `python3`.
    pub lang: String,
    /// The client's name for the kernel.
    pub token: SessionToken,
    /// What the kernel may use.
    pub limits: Limits,
    /// Folders to mount, up to five: `name` or `name:alias`.
    pub mounts: Vec<String>,
}

/// What a new kernel may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Memory in KiB; `None` for the server's default.
    pub max_mem: Option<u64>,
    /// Time for one execution, sent in whole ms; `None` for the server's default.
    pub exec_timeout: Option<Duration>,
}

impl Limits {
    /// The server's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At most this much memory, in KiB.
    #[must_use]
    pub fn with_max_mem(mut self, kib: u64) -> Self {
        self.max_mem = Some(kib);
        self
    }

    /// At most this much time for one execution; sent in whole ms, and at least 1.
    #[must_use]
    pub fn with_exec_timeout(mut self, timeout: Duration) -> Self {
        self.exec_timeout = Some(timeout);
        self
    }
}

impl CreateKernel {
    /// A kernel of this language with this token, the server's limits, and no mounts.
    #[must_use]
    pub fn new(lang: impl Into<String>, token: SessionToken) -> Self {
        Self {
            lang: lang.into(),
            token,
            limits: Limits::default(),
            mounts: Vec::new(),
        }
    }

    /// With these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With these folders mounted: at most five, each `name` or `name:alias`.
    #[must_use]
    pub fn with_mounts(mut self, mounts: Vec<String>) -> Self {
        self.mounts = mounts;
        self
    }
}

impl Operation for CreateKernel {
    type Output = KernelId;

    fn prepare(&self, version: ApiVersion) -> Result<Unsigned, BuildError> {
        if self.lang.is_empty() {
            return Err(BuildError::Language);
        }
        if self.mounts.len() > MOST_MOUNTS {
            return Err(BuildError::TooManyMounts {
                given: self.mounts.len(),
                most: MOST_MOUNTS,
            });
        }
        Ok(version.dialect().create(self))
    }

    fn read(&self, success: &Success) -> Result<KernelId, ParseError> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(rename = "kernelId")]
            kernel_id: String,
        }
        const EXPECTED: &str = r#"{"kernelId": …}"#;
        let body: Body = success.json(EXPECTED)?;
        KernelId::new(body.kernel_id).map_err(|_| success.unexpected(EXPECTED))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{response, signed};
    use super::*;

    fn operation() -> CreateKernel {
        CreateKernel::new("python3", SessionToken::new("abcdefghi").unwrap())
    }

    #[test]
    fn the_body_is_the_original_client_s() {
        let request = signed(&operation());
        assert_eq!(
            request.body().as_bytes().unwrap(),
            br#"{"lang":"python3","clientSessionToken":"abcdefghi","limits":{"maxMem":0,"execTimeout":0},"mounts":[]}"#
        );
        let limits = Limits::new()
            .with_max_mem(131_072)
            .with_exec_timeout(Duration::from_micros(10));
        let request = signed(&operation().with_limits(limits));
        let body = String::from_utf8(request.body().as_bytes().unwrap().to_vec()).unwrap();
        assert!(
            body.contains(r#"{"maxMem":131072,"execTimeout":1}"#),
            "{body}"
        );
    }

    #[test]
    fn impossible_kernels_are_not_asked_for() {
        let prepare = |operation: CreateKernel| operation.prepare(ApiVersion::default()).err();
        let mounts = vec!["x".to_owned(); 6];
        assert!(matches!(
            prepare(operation().with_mounts(mounts)),
            Some(BuildError::TooManyMounts { given: 6, most: 5 })
        ));
        let nameless = CreateKernel {
            lang: String::new(),
            ..operation()
        };
        assert!(matches!(prepare(nameless), Some(BuildError::Language)));
    }

    #[test]
    fn an_id_that_is_no_path_segment_is_not_accepted() {
        let read =
            |id: &str| operation().response(response(201, &format!(r#"{{"kernelId": "{id}"}}"#)));
        assert_eq!(
            read("6N0hHjQKeTAvdmU5q2Kgow").unwrap().value.as_str(),
            "6N0hHjQKeTAvdmU5q2Kgow"
        );
        assert!(read("..").is_err());
        assert!(read("").is_err());
    }
}
