//! `GET /session/{name}/logs`: what a session's container printed. In Sorna v2, an extension.

use std::time::Duration;

use http::Method;
use serde::Deserialize;

use super::operation::{Operation, Success};
use super::{backend_ai, sorna_v2};
use crate::console::Console;
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

const WHAT: &str = "logs";

/// `GET /session/{name}/logs`: what the kernel's container printed, its own messages and what programs in it print, as observed on
/// managers 23.09.10 and 26.9.6; this repository's gateway has the last 256 KiB of what programs printed, 64 KiB if it has
/// very many kernels. Observed on those managers: also of a session that has ended, by its ID.
///
/// In Sorna v2 it is `GET /v2/kernel/{id}/logs`, an extension of `sorna-gateway`: see [`with_extension`](Self::with_extension).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Logs {
    /// The kernel.
    pub kernel: KernelId,
    /// Whether the gateway has the extension: see [`with_extension`](Self::with_extension).
    pub is_offered: bool,
}

impl Logs {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self {
            kernel,
            is_offered: false,
        }
    }

    /// Sets whether the gateway offers this in Sorna v2, with [`FollowLogs::EXTENSION`]: no by default, and then there is
    /// no such request there. In Backend.AI this has no effect.
    #[must_use]
    pub fn with_extension(mut self, is_offered: bool) -> Self {
        self.is_offered = is_offered;
        self
    }
}

/// As [`Logs`], from a certain byte on, by stream, and waiting for more: an extension of `sorna-gateway`.
///
/// A log is a copy: reading it takes nothing from the clients of the kernel's executions. Each byte has a number. Once a
/// kernel has printed more than the gateway keeps, its first bytes are gone, and [`LogPart::from`] is more than what was asked
/// for.
///
/// ```
/// use sorna_core::{ApiVersion, FollowLogs, KernelId, Operation};
///
/// let follow = FollowLogs::new(KernelId::new("k1")?, 100).with_extension(true);
/// let response = r#"{"console": [["stdout", "hello\n"]], "from": 120, "next": 126, "ended": false}"#;
/// let part = follow.read_response(ApiVersion::default(), http::Response::new(response.into()))?.value;
/// assert_eq!((&*part.console.stdout(), part.next, part.has_ended), ("hello\n", 126, false));
/// assert_eq!(part.from - follow.from, 20, "bytes that are gone");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FollowLogs {
    /// The kernel.
    pub kernel: KernelId,
    /// The number of the first byte that is asked for.
    pub from: u64,
    /// For how long the gateway waits until there is something; it may wait less.
    pub wait: Duration,
    /// Whether the gateway has the extension: see [`with_extension`](Self::with_extension).
    pub is_offered: bool,
}

impl FollowLogs {
    /// The name of the extension by which a gateway sends logs in Sorna v2, and parts of logs in both dialects.
    pub const EXTENSION: &str = "logs";

    /// The operation, which does not wait.
    #[must_use]
    pub fn new(kernel: KernelId, from: u64) -> Self {
        Self {
            kernel,
            from,
            wait: Duration::ZERO,
            is_offered: false,
        }
    }

    /// Lets the gateway wait until there is something, at most for this time. It is sent in whole milliseconds.
    #[must_use]
    pub fn with_wait(mut self, time: Duration) -> Self {
        self.wait = time;
        self
    }

    /// Sets whether the gateway offers this, in either dialect: no by default, and then there is no such request.
    ///
    /// Gateways that have it name [`EXTENSION`](Self::EXTENSION) when they [create](crate::CreatedKernel::extensions) a
    /// kernel, and when they say which [version](crate::VersionInfo::extensions) they speak.
    #[must_use]
    pub fn with_extension(mut self, is_offered: bool) -> Self {
        self.is_offered = is_offered;
        self
    }
}

/// A part of a log.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct LogPart {
    /// What was printed, in order: text of both streams, and what is not text.
    pub console: Console,
    /// The number of its first byte: more than what was asked for if that is gone.
    pub from: u64,
    /// The number of the byte to ask for next.
    pub next: u64,
    /// Whether the kernel has ended, so that nothing more will come.
    #[serde(default, rename = "ended")]
    pub has_ended: bool,
    /// Why it has ended, as the gateway tells people, if it knows: `the kernel was destroyed by a request`.
    #[serde(default, rename = "reason")]
    pub end_reason: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    result: Texts,
}

#[derive(Deserialize)]
struct Texts {
    logs: String,
}

impl Operation for Logs {
    type Output = String;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => sorna_v2::to_extension(&self.kernel, self.is_offered, WHAT),
            Dialect::BackendAi => backend_ai::to_session(Method::GET, &self.kernel, 0),
        }
        .map(|request| request.segment("logs"))
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<String, Error> {
        let body: Body = success.json(r#"{"result": {"logs": …}}"#)?;
        Ok(body.result.logs)
    }
}

impl Operation for FollowLogs {
    type Output = LogPart;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        let request = match version.dialect() {
            _ if !self.is_offered => Err(BuildError::NotOffered {
                what: "parts of logs",
            }),
            Dialect::SornaV2 => sorna_v2::to_extension(&self.kernel, true, WHAT),
            Dialect::BackendAi => backend_ai::to_session(Method::GET, &self.kernel, 0),
        }?;
        Ok(request
            .segment("logs")
            .query("from", &self.from.to_string())
            .query("wait", &self.wait.as_millis().to_string()))
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<LogPart, Error> {
        Ok(success.json(r#"{"console": […], "from": …, "next": …, "ended": …}"#)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, sent};
    use super::*;

    #[test]
    fn request_and_response() {
        let version = ApiVersion::V9_20250722;
        let logs = Logs::new(kernel());
        let target = "GET /session/k1/logs".to_owned();
        assert_eq!(sent(&logs, version), (target, String::new()));
        let error = logs.prepare(ApiVersion::default()).unwrap_err();
        assert_eq!(error, BuildError::NotOffered { what: "logs" });
        let read = |body| logs.read_response(version, response(200, body));
        let reply = read(r#"{"result": {"logs": "a\nb"}}"#).unwrap();
        assert_eq!(reply.value, "a\nb");
        assert!(matches!(read(r#"{"logs": ""}"#), Err(Error::Parse(_))));
        let logs = logs.with_extension(true);
        let target = "GET /v2/kernel/k1/logs".to_owned();
        assert_eq!(sent(&logs, ApiVersion::default()), (target, String::new()));
    }

    #[test]
    fn parts_are_asked_for_where_they_are_offered() {
        let follow = FollowLogs::new(kernel(), 7).with_wait(Duration::from_millis(1500));
        for (version, path) in [
            (ApiVersion::default(), "/v2/kernel/k1/logs"),
            (ApiVersion::V9_20250722, "/session/k1/logs"),
        ] {
            assert!(follow.prepare(version).is_err());
            let offered = follow.clone().with_extension(true);
            let target = format!("GET {path}?from=7&wait=1500");
            assert_eq!(sent(&offered, version), (target, String::new()));
            let read = |body| offered.read_response(version, response(200, body));
            let part = r#"{"console": [["stdout", "a"], ["stderr", "b"]], "from": 7, "next": 9, "ended": true}"#;
            let part = read(part).unwrap().value;
            assert_eq!((part.from, part.next, part.has_ended), (7, 9, true));
            assert_eq!(part.end_reason, None);
            assert_eq!(
                (part.console.stdout(), part.console.stderr()),
                ("a".into(), "b".into())
            );
            let last = r#"{"console": [], "from": 7, "next": 7, "ended": true, "reason": "so"}"#;
            let last = read(last).unwrap().value;
            assert_eq!(last.end_reason.as_deref(), Some("so"));
            // Of a manager, which does not know the parameters.
            assert!(matches!(
                read(r#"{"result": {"logs": ""}}"#),
                Err(Error::Parse(_))
            ));
        }
    }
}
