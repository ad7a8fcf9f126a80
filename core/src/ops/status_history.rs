//! `GET /session/{name}/status-history`: when a session became what.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;

use super::backend_ai;
use super::operation::{Operation, Success};
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `GET /session/{name}/status-history`: when the kernel reached which status.
///
/// Of Backend.AI only. Observed on manager 26.9.6.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StatusHistory {
    /// The kernel.
    pub kernel: KernelId,
}

impl StatusHistory {
    /// The operation.
    #[must_use]
    pub fn new(kernel: KernelId) -> Self {
        Self { kernel }
    }
}

/// A status that a session has reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusChange {
    /// The status: `PENDING`, `SCHEDULED`, `PREPARING`, `PREPARED`, `CREATING`, `RUNNING`, `TERMINATED`, …
    pub status: String,
    /// When that was, as the gateway wrote it (ISO 8601), if it did.
    pub time: Option<String>,
}

/// Bare, as observed on 26.9.6; or as a result, as its documentation and other operations have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Result {
        result: BTreeMap<String, Option<String>>,
    },
    Bare(BTreeMap<String, Option<String>>),
}

impl Operation for StatusHistory {
    type Output = Vec<StatusChange>;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => Err(BuildError::Unsupported {
                what: "the history of a status",
                version,
            }),
            Dialect::BackendAi => {
                Ok(backend_ai::to_session(Method::GET, &self.kernel, 0)?.segment("status-history"))
            }
        }
    }

    /// In the order of time, as far as there are times; the gateway has no order.
    fn read(&self, _: ApiVersion, success: &Success) -> Result<Vec<StatusChange>, Error> {
        let (Body::Result { result: times } | Body::Bare(times)) =
            success.json(r#"{"PENDING": …, …}"#)?;
        let mut changes: Vec<_> = times
            .into_iter()
            .map(|(status, time)| StatusChange { status, time })
            .collect();
        // All times are UTC with the same digits, so their texts have their order.
        changes.sort_by(|a, b| {
            let key = |change: &StatusChange| (change.time.is_none(), change.time.clone());
            key(a).cmp(&key(b))
        });
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, response, sent};
    use super::*;

    const VERSION: ApiVersion = ApiVersion::V9_20250722;

    #[test]
    fn changes_are_in_the_order_of_time() {
        let history = StatusHistory::new(kernel());
        let target = "GET /session/k1/status-history".to_owned();
        assert_eq!(sent(&history, VERSION), (target, String::new()));
        assert!(history.prepare(ApiVersion::default()).is_err());
        let bare = r#"{"CANCELLED": null, "PENDING": "2026-11-27T05:04:20+00:00",
            "RUNNING": "2026-11-27T05:04:30.657978+00:00", "CREATING": "2026-11-27T05:04:20.5+00:00"}"#;
        for body in [bare.to_owned(), format!(r#"{{"result": {bare}}}"#)] {
            let reply = history
                .read_response(VERSION, response(200, &body))
                .unwrap();
            let statuses: Vec<_> = reply
                .value
                .iter()
                .map(|change| &change.status[..])
                .collect();
            assert_eq!(statuses, ["PENDING", "CREATING", "RUNNING", "CANCELLED"]);
            let time = reply.value[0].time.as_deref();
            assert_eq!(time, Some("2026-11-27T05:04:20+00:00"));
        }
    }

    #[test]
    fn anything_else_is_no_history() {
        for body in ["[]", r#"{"PENDING": 1}"#, "<html>"] {
            let error = StatusHistory::new(kernel()).read_response(VERSION, response(200, body));
            assert!(matches!(error, Err(Error::Parse(_))), "{body}");
        }
    }
}
