//! Kernelspecs of the gateway's languages.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use sorna::tokio::Client;

use super::reply::{self, Problem};
use crate::language::Language;
use crate::spec::is_name;

/// The kernel that is started where none is named, if there is one.
const USUAL: &str = "python3";
/// The name of the logo of each.
pub(super) const LOGO: &str = "logo-svg.svg";

/// The models of kernelspecs, by their names: one for each language that the gateway can run.
pub(super) async fn of(client: &Client) -> Result<Map<String, Value>, Problem> {
    let languages = client
        .languages()
        .await
        .map_err(|error| Problem::of_gateway(&error, "cannot list the languages of the gateway"))?;
    let available = languages
        .into_iter()
        .filter(|it| it.available && is_name(&it.name));
    let model = |name: String| {
        let language = Language::of(&name);
        let model = json!({
            "name": name,
            "spec": {
                "argv": [],
                "env": {},
                "display_name": language.title(),
                "language": language.id(),
                "interrupt_mode": "message",
                "metadata": {"sorna": {"language": name}},
            },
            "resources": {"logo-svg": format!("/kernelspecs/{name}/{LOGO}")},
        });
        (name, model)
    };
    Ok(available.map(|it| model(it.name)).collect())
}

/// The kernelspec for who names none.
pub(super) fn usual(specs: &Map<String, Value>) -> Option<&str> {
    match specs.contains_key(USUAL) {
        true => Some(USUAL),
        false => specs.keys().next().map(String::as_str),
    }
}

/// The logo of a language.
pub(super) fn logo(name: &str) -> Response<Bytes> {
    let logo = Language::of(name).logo();
    let mut response = reply::with(StatusCode::OK, "image/svg+xml", logo);
    response.headers_mut().insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=3600"),
    );
    response
}
