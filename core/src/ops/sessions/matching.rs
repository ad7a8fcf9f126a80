//! `GET /session/_/match`: sessions by name.

use http::Method;
use serde::Deserialize;

use super::summary::SessionSummary;
use crate::error::{BuildError, Error};
use crate::ops::operation::{Operation, Success};
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// Backend.AI's `GET /session/_/match`: the living sessions that a name may mean.
///
/// Observed on managers 23.09.10 and 26.9.6: only whole names match. Prefixes of names and of IDs, for which it is
/// meant, give an empty list, and so does a name that no session has.
///
/// Sorna v2 has no such request ([`BuildError::Unsupported`]).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MatchSessions {
    /// The name, or what it starts with.
    pub prefix: String,
}

impl MatchSessions {
    /// The operation.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }
}

#[derive(Deserialize)]
struct Matches {
    matches: Vec<SessionSummary>,
}

impl Operation for MatchSessions {
    type Output = Vec<SessionSummary>;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => Err(BuildError::Unsupported {
                what: "looking for kernels by name",
                version,
            }),
            Dialect::BackendAi => {
                Ok(UnsignedRequest::new(Method::GET, "/session/_/match").query("id", &self.prefix))
            }
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<Vec<SessionSummary>, Error> {
        let found: Matches = success.json(r#"{"matches": [{"id": …}]}"#)?;
        Ok(found.matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{response, sent};

    #[test]
    fn request_and_response() {
        let version = ApiVersion::V7_20230615;
        let operation = MatchSessions::new("my session");
        let (line, body) = sent(&operation, version);
        assert_eq!(
            (&*line, &*body),
            ("GET /session/_/match?id=my%20session", "")
        );
        let read = |body| operation.read_response(version, response(200, body));
        let matches = r#"{"matches": [{"id": "u1", "name": "my session", "status": "RUNNING"}]}"#;
        let sessions = read(matches).unwrap().value;
        assert_eq!((sessions.len(), &*sessions[0].status), (1, "RUNNING"));
        assert_eq!(read(r#"{"matches": []}"#).unwrap().value, []);
        assert!(read(r#"{"matches": [{"name": "without an ID"}]}"#).is_err());
    }

    #[test]
    fn sorna_v2_has_no_such_request() {
        let error = MatchSessions::new("a")
            .prepare(ApiVersion::V2_20170315)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "version v2.20170315 of the API does not support looking for kernels by name"
        );
    }
}
