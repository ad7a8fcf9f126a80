//! `POST /v2/kernel/create`, in Backend.AI `POST /session`: get or create a kernel. (API manual of 2017, "Kernel
//! management".)
//!
//! With the token of a living kernel, that kernel is returned; so repeating the request is safe.
//! The same token with another language creates another kernel.

mod backend_ai;
mod created;
mod options;
mod session;
mod sorna_v2;
mod spec;
mod status;

pub use created::{CreatedKernel, ServicePort};
pub use options::ClusterMode;
pub use spec::{KernelSpec, Limits};
pub use status::SessionStatus;

use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response};

use super::operation::{self, Operation, Repeat, Reply, Success};
use crate::body::Body;
use crate::error::{BuildError, Error};
use crate::ident::SessionToken;
use crate::signing::Signer;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST /v2/kernel/create`, in Backend.AI `POST /session`: gets or creates a kernel.
///
/// With the token of a living kernel that kernel is returned (with 201, too), so repeating the request is
/// safe. The same token with another language creates another kernel; `python` and `python3` are
/// two languages. (API manual of 2017, "Kernel management".)
///
/// Observed on gateway 0.9.11: an unknown language is 500 `kernel-creation-failed`
/// ([`is_creation_failed`](crate::GatewayError::is_creation_failed)); at the limit of kernels even the
/// token of a living one is rejected with 412
/// ([`is_quota_exceeded`](crate::GatewayError::is_quota_exceeded)); and for up to 22 ms after a destroy,
/// creating with its token may return the dying kernel.
///
/// # Backend.AI
///
/// A kernel is a session, and its token is the session's name. The same name with another image is 400
/// `session-already-exists` ([`is_name_taken`](crate::GatewayError::is_name_taken)), and so is any name that is in use if
/// [reuse](KernelSpec::with_reuse) is off. Names are kept apart by owner.
///
/// Observed on managers 23.09.10 and 26.9.6: the response comes when the session runs, unless
/// [told otherwise](KernelSpec::with_enqueue_only); and an unknown image is 404 `object-not-found`. On 26.9.6, so are an
/// unknown scaling group and a session that ended before it ran; an unknown group or domain is 404 `entity-not-found`.
/// [`is_creation_failed`](crate::GatewayError::is_creation_failed) covers all of them. For 3 s after a destroy, the name
/// gives the session that was destroyed: see [`CreatedKernel::is_dying`].
///
/// # Mistakes
///
/// Making the request fails with [`BuildError::Language`] for an empty language,
/// [`BuildError::TooManyMounts`] for more than five mounts in Sorna v2, [`BuildError::SessionToken`],
/// [`BuildError::SessionNameLength`] or
/// [`BuildError::SessionName`] for a token that the version does not [allow](SessionToken::check), and
/// [`BuildError::Unsupported`] for a setting that the version lacks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreateKernel {
    /// Which kernel to create.
    pub spec: KernelSpec,
    /// The client's name for the kernel.
    pub token: SessionToken,
}

impl CreateKernel {
    /// The operation: a kernel of this specification, which may be just the name of a language,
    /// with this token.
    #[must_use]
    pub fn new(spec: impl Into<KernelSpec>, token: SessionToken) -> Self {
        Self {
            spec: spec.into(),
            token,
        }
    }
}

impl Operation for CreateKernel {
    type Output = CreatedKernel;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        self.spec.check(version)?;
        self.token.check(version)?;
        match version.dialect() {
            Dialect::SornaV2 => sorna_v2::prepare(&self.spec, &self.token),
            Dialect::BackendAi => backend_ai::prepare(&self.spec, &self.token),
        }
    }

    fn read(&self, version: ApiVersion, success: &Success) -> Result<CreatedKernel, Error> {
        match version.dialect() {
            Dialect::SornaV2 => sorna_v2::read(success),
            Dialect::BackendAi => backend_ai::read(success),
        }
    }

    /// Without reuse, a second request would not find the kernel of the first.
    fn repeat(&self) -> Repeat {
        if self.spec.reuse() {
            Repeat::Always
        } else {
            Repeat::IfUnsent
        }
    }

    /// In Backend.AI, in the domain and the group of the configuration, unless the specification has others.
    fn request(&self, signer: &Signer, now: SystemTime) -> Result<Request<Body>, BuildError> {
        let config = signer.config();
        let is_scoped = config.domain().is_some() || config.group().is_some();
        let unsigned = match config.version().dialect() {
            Dialect::BackendAi if is_scoped => Self {
                spec: self.spec.clone().within(config),
                token: self.token.clone(),
            }
            .prepare(config.version())?,
            _ => self.prepare(config.version())?,
        };
        signer.sign(unsigned, now)
    }

    fn read_response(
        &self,
        version: ApiVersion,
        response: Response<Bytes>,
    ) -> Result<Reply<CreatedKernel>, Error> {
        operation::read_response(self, version, response).map_err(|error| match error {
            Error::Gateway(error) if version.dialect() == Dialect::BackendAi => {
                Error::Gateway(Box::new(error.of_creation()))
            }
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::Info;
    use super::super::testing::{response, signed, signer_for};
    use super::*;
    use crate::ident::KernelId;

    fn operation(spec: impl Into<KernelSpec>) -> CreateKernel {
        CreateKernel::new(spec, SessionToken::new("abcdefghi").unwrap())
    }

    #[test]
    fn the_body_is_that_of_the_original_client() {
        let request = signed(&operation("python3"));
        assert_eq!(
            request.body().as_bytes().unwrap(),
            br#"{"lang":"python3","clientSessionToken":"abcdefghi","limits":{"maxMem":0,"execTimeout":0},"mounts":[]}"#
        );
        let limits = Limits::new()
            .with_max_memory(128 * 1024 * 1024 - 1)
            .with_exec_timeout(Duration::from_micros(10));
        let request = signed(&operation(KernelSpec::new("python3").with_limits(limits)));
        let body = String::from_utf8(request.body().as_bytes().unwrap().to_vec()).unwrap();
        assert!(
            body.contains(r#"{"maxMem":131072,"execTimeout":1}"#),
            "{body}"
        );
    }

    #[test]
    fn impossible_kernels_are_not_requested() {
        let prepare =
            |spec: KernelSpec| operation(spec).prepare(ApiVersion::default()).unwrap_err();
        assert_eq!(
            prepare(KernelSpec::new("python3").with_mounts(["x"; 6])),
            BuildError::TooManyMounts { given: 6, most: 5 }
        );
        assert_eq!(prepare(KernelSpec::new("")), BuildError::Language);
        let short = CreateKernel::new("c", SessionToken::new("short").unwrap());
        assert!(matches!(
            short.prepare(ApiVersion::default()),
            Err(BuildError::SessionToken { length: 5, .. })
        ));
    }

    #[test]
    fn a_404_means_that_the_creation_failed_and_of_other_requests_that_the_session_is_gone() {
        let version = ApiVersion::V7_20230615;
        // A session that ended before it ran and an unknown group (26.9.6), and an unknown image (23.09.10).
        for (kind, rest) in [
            (
                "object-not-found",
                r#""title": "No such session.", "error_code": "session_read_not-found", "msg": "Session terminated during scheduling""#,
            ),
            ("entity-not-found", r#""title": null"#),
            (
                "object-not-found",
                r#""title": "No such environment image.""#,
            ),
        ] {
            let body = format!(r#"{{"type": "https://api.backend.ai/probs/{kind}", {rest}}}"#);
            let failed = |error: Error| error.gateway().unwrap().is_creation_failed();
            let error = operation("c").read_response(version, response(404, &body));
            assert!(failed(error.unwrap_err()), "{body}");
            let info = Info::new(KernelId::new("k1").unwrap());
            let error = info.read_response(version, response(404, &body));
            assert!(!failed(error.unwrap_err()), "{body}");
        }
    }

    #[test]
    fn a_creation_without_reuse_is_not_repeated() {
        assert_eq!(operation("c").repeat(), Repeat::Always);
        let spec = KernelSpec::new("c").with_reuse(false);
        assert_eq!(operation(spec).repeat(), Repeat::IfUnsent);
    }

    #[test]
    fn sessions_are_created_where_the_configuration_says_unless_they_say_so() {
        let body = |version, spec: KernelSpec| {
            let config = signer_for(version).config().clone();
            let signer = Signer::new(config.with_domain("d").with_group("g"));
            let now = std::time::UNIX_EPOCH + Duration::from_secs(1_498_699_425);
            let request = operation(spec).request(&signer, now).unwrap();
            let body = request.body().as_bytes().unwrap().to_vec();
            let body: Value = serde_json::from_slice(&body).unwrap();
            json!([body["domain"], body["group"]])
        };
        let version = ApiVersion::V7_20230615;
        assert_eq!(body(version, "c".into()), json!(["d", "g"]));
        let spec = KernelSpec::new("c").with_group("mine");
        assert_eq!(body(version, spec), json!(["d", "mine"]));
        let version = ApiVersion::V2_20170315;
        assert_eq!(body(version, "c".into()), json!([null, null]));
    }

    #[test]
    fn an_id_that_is_not_a_path_segment_is_rejected() {
        let read = |id: &str| {
            let body = format!(r#"{{"kernelId": "{id}", "created": true}}"#);
            operation("c").read_response(ApiVersion::default(), response(201, &body))
        };
        let created = read("6N0hHjQKeTAvdmU5q2Kgow").unwrap().value;
        assert_eq!(created.id.as_str(), "6N0hHjQKeTAvdmU5q2Kgow");
        assert_eq!(created.created, Some(true));
        assert!(read("..").is_err());
        assert!(read("create").is_err());
        assert!(read("").is_err());
    }

    #[test]
    fn whether_the_kernel_is_new_and_its_status_are_read_where_they_are_sent() {
        let read = |rest: &str| {
            let body = format!(r#"{{"kernelId": "k1"{rest}}}"#);
            operation("c")
                .read_response(ApiVersion::default(), response(201, &body))
                .unwrap()
                .value
        };
        let plain = read("");
        assert_eq!((plain.created, plain.status), (None, None));
        let later = read(r#", "created": false, "status": "TERMINATING", "x": 1"#);
        assert_eq!(later.created, Some(false));
        assert_eq!(later.status, Some(SessionStatus::Terminating));
        assert_eq!(Value::from(later.extra), json!({"x": 1}));
        let odd = read(r#", "created": "yes", "status": 3"#);
        assert_eq!((odd.created, odd.status), (None, None));
        assert_eq!(
            Value::from(odd.extra),
            json!({"created": "yes", "status": 3})
        );
    }
}
