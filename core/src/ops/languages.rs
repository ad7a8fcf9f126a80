//! `GET /v2/languages`: which languages the gateway supports.
//!
//! An extension of `sorna-gateway`: the API of 2017 has no such list, and the original gateway
//! responds with 404 `generic-not-found`, which is
//! [`GatewayError::is_not_found`](crate::GatewayError::is_not_found).

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::operation::{Operation, Success};
use crate::error::{BuildError, Error};
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `GET /v2/languages`: lists the languages that the gateway supports.
///
/// An extension of `sorna-gateway`. The API of 2017 has no such list: the original gateway responds with 404,
/// for which [`Error::is_not_found`](crate::Error::is_not_found) is true.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ListLanguages;

impl ListLanguages {
    /// The operation.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

/// A language that a gateway knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct LanguageInfo {
    /// Its name, for [`CreateKernel`](super::CreateKernel).
    pub name: String,
    /// Other names for the same language.
    pub aliases: Vec<String>,
    /// Whether kernels of it can be created now.
    pub available: bool,
    /// What is missing, as text, if it is not available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Whether the next query can use what one query defines. Otherwise each query is a separate program.
    pub keeps_state: bool,
    /// The other fields of the response.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl LanguageInfo {
    /// A language of this name, available.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            available: true,
            ..Self::default()
        }
    }
}

#[derive(Deserialize)]
struct List {
    languages: Vec<LanguageInfo>,
}

impl Operation for ListLanguages {
    type Output = Vec<LanguageInfo>;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => Ok(UnsignedRequest::new(Method::GET, "/v2/languages")),
            Dialect::BackendAi => Err(BuildError::Unsupported {
                what: "the list of languages",
                version,
            }),
        }
    }

    fn read(&self, _: ApiVersion, success: &Success) -> Result<Vec<LanguageInfo>, Error> {
        let list: List = success.json(r#"{"languages": [{"name": …}]}"#)?;
        Ok(list.languages)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{response, signed};
    use super::*;

    #[test]
    fn fields_are_optional_and_unknown_ones_kept() {
        let request = signed(&ListLanguages);
        assert_eq!(
            (request.method().as_str(), request.uri().path()),
            ("GET", "/v2/languages")
        );
        let body = r#"{"languages": [
            {"name": "c", "aliases": ["c11"], "available": false, "missing": "gcc", "x": 1},
            {"name": "bash", "available": true, "keepsState": true}
        ]}"#;
        let languages = ListLanguages
            .read_response(ApiVersion::default(), response(200, body))
            .unwrap()
            .value;
        assert_eq!(languages[0].missing.as_deref(), Some("gcc"));
        assert_eq!(languages[0].extra["x"], 1);
        let mut bash = LanguageInfo::new("bash");
        bash.keeps_state = true;
        assert_eq!(languages[1], bash);
        assert!(
            ListLanguages
                .read_response(ApiVersion::default(), response(200, "[]"))
                .is_err()
        );
    }

    #[test]
    fn a_gateway_without_the_list_responds_with_not_found() {
        let problem = r#"{"type": "https://api.sorna.io/probs/generic-not-found", "title": "No."}"#;
        let error = ListLanguages
            .read_response(ApiVersion::default(), response(404, problem))
            .unwrap_err();
        assert!(error.gateway().unwrap().is_not_found());
    }
}
