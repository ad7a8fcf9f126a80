//! `openapi.json` describes the routes that there are, and the responses that come.

mod document;
mod reader;
mod responses;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sorna_core::server::Route;
use sorna_core::server::backend_ai::{SessionRoute, WebRoute};
use sorna_core::{Dialect, ProblemKind};

use self::document::Document;
use self::reader::Reader;
use crate::backend_ai::client::gateway;

#[test]
fn every_route_is_described_and_no_other() {
    let document = Document::new();
    let operations = document.operations().into_iter();
    let described: BTreeSet<_> = operations
        .map(|it| format!("{} {}", it.method.to_uppercase(), it.path))
        .collect();
    let routes = Route::all()
        .chain(SessionRoute::all())
        .chain(WebRoute::all());
    let routes: BTreeSet<_> = routes
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    let missing: Vec<_> = routes.difference(&described).collect();
    let others: Vec<_> = described.difference(&routes).collect();
    assert!(
        missing.is_empty() && others.is_empty(),
        "not described: {missing:?}; described, but no route: {others:?}"
    );
    let not_offered = document.root["x-not-offered"].as_array().unwrap().iter();
    let not_offered: BTreeSet<_> = not_offered.map(|path| path.as_str().unwrap()).collect();
    assert_eq!(not_offered, SessionRoute::unoffered().collect());
}

#[test]
fn the_schemas_are_schemas_and_the_problems_those_of_the_gateway() {
    let document = Document::new();
    for (name, schema) in document.root["components"]["schemas"].as_object().unwrap() {
        if let Err(error) = jsonschema::meta::validate(schema) {
            panic!("{name}: {error}");
        }
    }
    // The statuses of each kind of problem.
    for operation in document.operations() {
        for (status, response) in operation.value["responses"].as_object().unwrap() {
            for kind in types_of(&document, response) {
                let (base, name) = kind.rsplit_once('/').unwrap();
                let dialect = match base {
                    "https://api.sorna.io/probs" => Dialect::SornaV2,
                    _ => Dialect::BackendAi,
                };
                let known = ProblemKind::from_name(name).unwrap();
                let reply = known.reply().into_response_in(dialect);
                let place = format!("{} {} {status}: {kind}", operation.method, operation.path);
                assert_eq!(reply.status().as_str(), status, "{place}");
                let sent: Value = serde_json::from_slice(reply.body()).unwrap();
                assert_eq!(sent["type"], kind, "{place}");
            }
        }
    }
    // The extensions.
    let gateway = gateway();
    let reader = Reader::new(&document, &gateway);
    let named = &document.root["components"]["schemas"]["Extensions"];
    assert_eq!(reader.get("/")["extensions"], named["examples"][0]);
    for name in named["examples"][0].as_array().unwrap() {
        let name = format!("`{}`", name.as_str().unwrap());
        assert!(
            named["description"].as_str().unwrap().contains(&name),
            "{name}"
        );
    }
}

/// The types of problems of a response.
fn types_of(document: &Document, response: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![response];
    while let Some(value) = rest.pop() {
        match value {
            Value::String(text) if text.starts_with("#/components/responses/") => {
                rest.push(document.root.pointer(&text[1..]).unwrap());
            }
            Value::String(text) if text.contains("/probs/") => found.push(text.clone()),
            Value::Object(fields) => rest.extend(fields.values()),
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
    found
}

#[test]
fn what_is_not_described_is_found() {
    let document = Document::new();
    let response = |status: u16, kind: &str, body: &Value| {
        let response = http::Response::builder().status(status);
        let response = response.header("content-type", kind);
        let response = response
            .header("x-ratelimit-limit", "1")
            .header("x-ratelimit-remaining", "1")
            .header("x-ratelimit-reset", "1");
        response.body(body.to_string().into_bytes()).unwrap()
    };
    let check = |response| document.try_check("POST", "/v2/kernel/k/keep-alive", &response);
    let (kind, body) = ("application/json; charset=utf-8", json!({"idleTimeout": 1}));
    assert_eq!(check(response(200, kind, &body)), Ok(()));
    let more = json!({"idleTimeout": 1, "more": 2});
    let problem = json!({"type": "https://api.sorna.io/probs/kernel-busy", "title": ""});
    for wrong in [
        response(201, kind, &body),
        response(200, "text/plain", &body),
        response(200, kind, &more),
        response(200, kind, &json!({"idleTimeout": -1})),
        response(404, "application/problem+json", &problem),
        http::Response::new(body.to_string().into_bytes()),
    ] {
        let what = format!("{wrong:?}");
        assert!(check(wrong).is_err(), "{what}");
    }
}
