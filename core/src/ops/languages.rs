//! Which languages the gateway supports: `GET /v2/languages`, or the images of Backend.AI.
//!
//! In Sorna v2 it is an extension of `sorna-gateway`: the API of 2017 has no such list, and the original gateway
//! responds with 404 `generic-not-found`, which is
//! [`GatewayError::is_not_found`](crate::GatewayError::is_not_found).

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::graphql;
use super::operation::{Operation, Success};
use crate::error::{BuildError, Error};
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `GET /v2/languages`, or `images` of `POST /admin/gql` in Backend.AI: lists the languages that the gateway supports.
///
/// In Sorna v2 it is an extension of `sorna-gateway`. The API of 2017 has no such list: the original gateway responds
/// with 404, for which [`Error::is_not_found`](crate::Error::is_not_found) is true.
///
/// In Backend.AI these are the images that the caller may use. The name is the full reference, such as
/// `cr.backend.ai/stable/python:3.9-ubuntu20.04`; whether images keep state is not known, and
/// [`extra`](LanguageInfo::extra) has the `architecture`.
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

/// Its fields are those of `Image` in managers 23.09.10 and 26.9.6 alike. (Read in their sources; only superadmins see
/// operation images, which are left out by default.)
const QUERY: &str = "query{images{name registry tag architecture aliases}}";

#[derive(Deserialize)]
struct Images {
    images: Vec<Option<Image>>,
}

#[derive(Deserialize)]
struct Image {
    name: String,
    registry: Option<String>,
    tag: Option<String>,
    architecture: Option<String>,
    aliases: Option<Vec<Option<String>>>,
}

impl From<Image> for LanguageInfo {
    fn from(image: Image) -> Self {
        let mut name = image.name;
        if let Some(registry) = image.registry.filter(|registry| !registry.is_empty()) {
            name = format!("{registry}/{name}");
        }
        if let Some(tag) = image.tag.filter(|tag| !tag.is_empty()) {
            name = format!("{name}:{tag}");
        }
        let mut info = Self::new(name);
        info.aliases = image.aliases.into_iter().flatten().flatten().collect();
        if let Some(architecture) = image.architecture {
            let architecture = Value::from(architecture);
            info.extra.insert("architecture".to_owned(), architecture);
        }
        info
    }
}

impl Operation for ListLanguages {
    type Output = Vec<LanguageInfo>;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        match version.dialect() {
            Dialect::SornaV2 => Ok(UnsignedRequest::new(Method::GET, "/v2/languages")),
            Dialect::BackendAi => graphql::prepare(QUERY, Map::new()),
        }
    }

    fn read(&self, version: ApiVersion, success: &Success) -> Result<Vec<LanguageInfo>, Error> {
        if version.dialect() == Dialect::BackendAi {
            let found: Images = graphql::read(success, r#"{"data": {"images": [{"name": …}]}}"#)?;
            let images = found.images.into_iter().flatten();
            return Ok(images.map(LanguageInfo::from).collect());
        }
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
    fn in_backend_ai_they_are_images() {
        let version = ApiVersion::V7_20230615;
        let request = ListLanguages.prepare(version).unwrap();
        assert_eq!(
            (request.method().as_str(), request.path()),
            ("POST", "/admin/gql")
        );
        let image = r#"{"name": "stable/python", "registry": "cr.backend.ai", "tag": "3.9-ubuntu20.04",
            "architecture": "x86_64", "aliases": ["python", null]}"#;
        let bare = r#"{"name": "lua", "registry": null, "tag": "", "architecture": null, "aliases": null}"#;
        // 26.9.6 always sends `errors`, 23.09.10 only if there are some.
        for end in ["", r#", "errors": null"#] {
            let body = format!(r#"{{"data": {{"images": [{image}, {bare}, null]}}{end}}}"#);
            let response = http::Response::new(body.into());
            let languages = ListLanguages
                .read_response(version, response)
                .unwrap()
                .value;
            assert_eq!(
                languages[0].name,
                "cr.backend.ai/stable/python:3.9-ubuntu20.04"
            );
            assert_eq!(languages[0].aliases, ["python"]);
            assert_eq!(languages[0].extra["architecture"], "x86_64");
            assert!(languages[0].available);
            assert_eq!(languages[1], LanguageInfo::new("lua"));
            assert_eq!(languages.len(), 2);
        }
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
