//! `GET /session/_/match`: sessions by name. In Sorna v2, an extension: kernels by token.

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
/// In Sorna v2 it is `GET /v2/kernels`, an extension of `sorna-gateway` that finds the living kernels of a session token, or
/// the one of an ID, and creates none: see [`with_extension`](Self::with_extension). Their names are their tokens, their
/// images the languages that were asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MatchSessions {
    /// The name, or what it starts with.
    pub prefix: String,
    /// Whether the gateway has the extension: see [`with_extension`](Self::with_extension).
    pub is_offered: bool,
}

impl MatchSessions {
    /// The name of the extension that it needs in Sorna v2.
    pub const EXTENSION: &str = "match";

    /// The operation.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            is_offered: false,
        }
    }

    /// Sets whether the gateway offers this in Sorna v2, with [`EXTENSION`](Self::EXTENSION): no by default, and then there is
    /// no such request there. In Backend.AI this has no effect.
    #[must_use]
    pub fn with_extension(mut self, is_offered: bool) -> Self {
        self.is_offered = is_offered;
        self
    }
}

#[derive(Deserialize)]
struct Matches {
    matches: Vec<SessionSummary>,
}

impl Operation for MatchSessions {
    type Output = Vec<SessionSummary>;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        let path = match version.dialect() {
            Dialect::SornaV2 if self.is_offered => "/v2/kernels",
            Dialect::SornaV2 => {
                return Err(BuildError::NotOffered {
                    what: "looking for kernels by name",
                });
            }
            Dialect::BackendAi => "/session/_/match",
        };
        Ok(UnsignedRequest::new(Method::GET, path).query("id", &self.prefix))
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
    fn in_sorna_v2_it_is_an_extension() {
        let operation = MatchSessions::new("a b");
        let error = operation.prepare(ApiVersion::V2_20170315).unwrap_err();
        assert!(matches!(error, BuildError::NotOffered { .. }));
        let operation = operation.with_extension(true);
        let target = "GET /v2/kernels?id=a%20b".to_owned();
        assert_eq!(
            sent(&operation, ApiVersion::V2_20170315),
            (target, String::new())
        );
    }
}
