//! Which dialect a request is in, where a gateway speaks several on one port.

use http::HeaderMap;
use http::request::Parts;

use crate::version::{ApiVersion, Dialect};

/// The names of the version header, by precedence.
const VERSION_HEADERS: [&str; 2] = ["x-backendai-version", "x-sorna-version"];

/// The dialect of a request, by its path and the version that it names.
///
/// Paths of Sorna v2 begin with `/v2`, and those of Backend.AI never do, unless the request names another version
/// than Sorna's: managers of Backend.AI from 26 have an unrelated API there. A request that names Sorna's version
/// is Sorna's whatever its path.
#[must_use]
pub fn dialect_of(parts: &Parts) -> Dialect {
    let path = parts.uri.path();
    let below_v2 = path
        .strip_prefix("/v2")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match version_of(&parts.headers) {
        Some((_, version)) if version == ApiVersion::V2_20170315.as_str() => Dialect::SornaV2,
        // A Sorna client of another version gets its error in its own dialect.
        Some(("x-sorna-version", _)) | None if below_v2 => Dialect::SornaV2,
        _ => Dialect::BackendAi,
    }
}

/// The version header's name and value.
pub(super) fn version_of(headers: &HeaderMap) -> Option<(&'static str, &str)> {
    VERSION_HEADERS
        .into_iter()
        .find_map(|name| Some((name, headers.get(name)?.to_str().ok()?)))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn path_and_version_tell_the_dialects_apart() {
        use Dialect::{BackendAi, SornaV2};
        for (path, header, version, dialect) in [
            ("/v2", "x-sorna-version", "v2.20170315", SornaV2),
            (
                "/v2/kernel/create",
                "x-sorna-version",
                "v1.20160915",
                SornaV2,
            ),
            ("/v2/authorize", "accept", "*/*", SornaV2),
            ("/v2", "x-backendai-version", "v2.20170315", SornaV2),
            ("/v2", "x-backendai-version", "v9.20250722", BackendAi),
            ("/", "accept", "*/*", BackendAi),
            ("/", "x-sorna-version", "v2.20170315", SornaV2),
            ("/v20", "accept", "*/*", BackendAi),
            ("/session", "x-sorna-version", "v9.20250722", BackendAi),
            ("/session", "x-backendai-version", "v7.20230615", BackendAi),
        ] {
            let request = Request::get(path).header(header, version);
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(dialect_of(&parts), dialect, "{path} {header} {version}");
        }
    }
}
