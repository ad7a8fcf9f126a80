//! `POST /v2/kernel/{id}/keep-alive`, or `POST /session/{name}/keep-alive`: keeps a kernel that nothing uses.

use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};

use super::operation::{Operation, Success};
use super::{backend_ai, sorna_v2};
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST /v2/kernel/{id}/keep-alive`, or `POST /session/{name}/keep-alive`: the time for which a kernel has not been in use
/// begins anew, and may get another limit.
///
/// In both dialects an extension of `sorna-gateway`, [`EXTENSION`](Self::EXTENSION): no manager and no gateway of 2017 has such
/// a request. The body is `{}` or `{"idleTimeout": ms}`; the response is 200 with `{"idleTimeout": ms}`, which is what the kernel
/// has now. More than the gateway allows is a 400 `invalid-api-params` that says how much it allows, and changes nothing.
///
/// ```
/// use std::time::Duration;
/// use sorna_core::{ApiVersion, KeepAlive, KernelId, Operation};
///
/// let keep = KeepAlive::new(KernelId::new("k1")?)
///     .with_idle_timeout(Duration::from_secs(7200))
///     .with_extension(true);
/// let response = http::Response::new(r#"{"idleTimeout": 7200000}"#.into());
/// let kept = keep.read_response(ApiVersion::default(), response)?.value;
/// assert_eq!(kept.idle_timeout, Duration::from_secs(7200));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeepAlive {
    /// The kernel.
    pub kernel: KernelId,
    /// For how long the kernel may be idle from now on, sent in whole ms, and at least 1; `None` leaves that as it is.
    pub idle_timeout: Option<Duration>,
    /// Whether the gateway has the extension: see [`with_extension`](Self::with_extension).
    pub is_offered: bool,
}

/// How long a kernel may be idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptAlive {
    /// For how long it may not be in use before it is destroyed.
    pub idle_timeout: Duration,
}

impl KeepAlive {
    /// The name of the extension that it needs.
    pub const EXTENSION: &str = "keep-alive";

    /// The operation. It leaves the limit as it is.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self {
            kernel,
            idle_timeout: None,
            is_offered: false,
        }
    }

    /// Lets the kernel be idle for this long.
    #[must_use]
    pub fn with_idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = Some(time);
        self
    }

    /// Sets whether the gateway offers this: no by default, and then it is [`BuildError::NotOffered`]. Gateways that do name
    /// [`EXTENSION`](Self::EXTENSION) when they say which [version](crate::VersionInfo::extensions) they speak.
    #[must_use]
    pub fn with_extension(mut self, is_offered: bool) -> Self {
        self.is_offered = is_offered;
        self
    }
}

/// The body of the request, and of the response.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Body {
    #[serde(
        default,
        rename = "idleTimeout",
        skip_serializing_if = "Option::is_none"
    )]
    idle_ms: Option<u64>,
}

impl Operation for KeepAlive {
    type Output = KeptAlive;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        if !self.is_offered {
            let what = "idle timeouts of single kernels, and keeping them alive";
            return Err(BuildError::NotOffered { what });
        }
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        let idle_ms = self.idle_timeout.map(ms);
        match version.dialect() {
            Dialect::SornaV2 => sorna_v2::to_kernel(Method::POST, &self.kernel, 30),
            Dialect::BackendAi => backend_ai::to_session(Method::POST, &self.kernel, 30),
        }?
        .segment("keep-alive")
        .json(&Body { idle_ms })
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<KeptAlive, Error> {
        #[derive(Deserialize)]
        struct Kept {
            #[serde(rename = "idleTimeout")]
            idle_ms: u64,
        }
        let kept: Kept = success.json(r#"{"idleTimeout": …}"#)?;
        Ok(KeptAlive {
            idle_timeout: Duration::from_millis(kept.idle_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, sent};
    use super::*;

    const VERSIONS: [(ApiVersion, &str); 2] = [
        (ApiVersion::V2_20170315, "POST /v2/kernel/k1/keep-alive"),
        (ApiVersion::V9_20250722, "POST /session/k1/keep-alive"),
    ];

    #[test]
    fn request_and_response() {
        let keep = KeepAlive::new(kernel()).with_extension(true);
        for (version, target) in VERSIONS {
            assert_eq!(sent(&keep, version), (target.to_owned(), "{}".to_owned()));
            for (time, ms) in [
                (Duration::from_secs(90), "90000"),
                (Duration::from_micros(1), "1"),
                (Duration::MAX, "18446744073709551615"),
            ] {
                let body = format!(r#"{{"idleTimeout":{ms}}}"#);
                let keep = keep.clone().with_idle_timeout(time);
                assert_eq!(sent(&keep, version), (target.to_owned(), body));
            }
            let read = |body| keep.read_response(version, response(200, body));
            let kept = read(r#"{"idleTimeout": 1500}"#).unwrap().value;
            assert_eq!(kept.idle_timeout, Duration::from_millis(1500));
            for body in ["{}", r#"{"idleTimeout": -1}"#, ""] {
                assert!(matches!(read(body), Err(Error::Parse(_))), "{body}");
            }
        }
    }

    #[test]
    fn gateways_that_do_not_offer_it_are_not_asked() {
        for (version, _) in VERSIONS {
            let error = KeepAlive::new(kernel()).prepare(version).unwrap_err();
            assert!(matches!(error, BuildError::NotOffered { .. }));
        }
    }
}
