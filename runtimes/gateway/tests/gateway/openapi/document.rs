//! The document, and whether a response is one that it describes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// `openapi.json`, and which of its responses were seen.
pub(super) struct Document {
    pub(super) root: Value,
    /// Its components, in which no object has other fields than those that are described.
    strict: Value,
    seen: RefCell<BTreeSet<(String, String)>>,
    /// Those of schemas by their text: they are many times as slow to make as to use.
    validators: RefCell<HashMap<String, Validator>>,
}

/// An operation of the document.
#[derive(Clone, Copy)]
pub(super) struct Operation<'d> {
    pub(super) method: &'d str,
    pub(super) path: &'d str,
    pub(super) value: &'d Value,
}

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

impl Document {
    pub(super) fn new() -> Self {
        let root: Value = serde_json::from_str(include_str!("../../../openapi.json")).unwrap();
        Self {
            strict: strict(&root["components"]),
            root,
            seen: RefCell::default(),
            validators: RefCell::default(),
        }
    }

    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let mut all = Vec::new();
        for (path, item) in self.root["paths"].as_object().unwrap() {
            let methods = item.as_object().unwrap().iter();
            let methods = methods.filter(|(method, _)| METHODS.contains(&method.as_str()));
            all.extend(methods.map(|(method, value)| Operation {
                method,
                path,
                value,
            }));
        }
        all
    }

    /// The operation of a request, also of one below `/func`.
    fn operation(&self, method: &str, target: &str) -> Operation<'_> {
        let path = target.split('?').next().unwrap();
        let path = path.strip_prefix("/func").unwrap_or(path);
        let fits = |template: &str| {
            let (mut wanted, mut given) = (template.split('/'), path.split('/'));
            let same = wanted
                .by_ref()
                .zip(given.by_ref())
                .all(|(wanted, given)| wanted == given || wanted.starts_with('{'));
            same && template.split('/').count() == path.split('/').count()
        };
        let all = self.operations();
        let mut fitting = all
            .into_iter()
            .filter(|it| it.method.eq_ignore_ascii_case(method) && fits(it.path));
        let first = fitting.next();
        let first = first.unwrap_or_else(|| panic!("{method} {target} is not described"));
        // `/session/_/match` counts more than what stands for any text.
        fitting.find(|it| it.path == path).unwrap_or(first)
    }

    /// Checks that the response is one that is described.
    #[track_caller]
    pub(super) fn check(
        &self,
        method: &str,
        target: &str,
        response: &http::Response<impl AsRef<[u8]>>,
    ) {
        if let Err(why) = self.try_check(method, target, response) {
            let body = String::from_utf8_lossy(response.body().as_ref());
            panic!("{method} {target}: {} {body}: {why}", response.status());
        }
    }

    pub(super) fn try_check(
        &self,
        method: &str,
        target: &str,
        response: &http::Response<impl AsRef<[u8]>>,
    ) -> Result<(), String> {
        let operation = self.operation(method, target);
        let status = response.status();
        let status = status.as_str();
        let described = operation.value["responses"].get(status);
        let described = self.resolve(described.ok_or("another status is described")?);
        self.check_headers(described, response.headers())?;
        let body = response.body().as_ref();
        match described.get("content") {
            None if body.is_empty() => {}
            None => return Err("no body is described".to_owned()),
            Some(content) => {
                let given = response.headers().get("content-type");
                let given = given.map_or("", |given| given.to_str().unwrap());
                let given = given.split(';').next().unwrap();
                let media = content.get(given);
                let media = media.ok_or_else(|| format!("{given} is not described"))?;
                if given.ends_with("json") {
                    let value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
                    self.conforms(&media["schema"], &value)?;
                }
            }
        }
        let name = format!("{} {}", operation.method, operation.path);
        self.seen.borrow_mut().insert((name, status.to_owned()));
        Ok(())
    }

    fn check_headers(&self, described: &Value, given: &http::HeaderMap) -> Result<(), String> {
        let none = Map::new();
        let described = described.get("headers").and_then(Value::as_object);
        let described = described.unwrap_or(&none);
        for (name, header) in described {
            let header = self.resolve(header);
            match given.get(name).map(|value| value.to_str().unwrap()) {
                None if header["required"] == true => return Err(format!("there is no {name}")),
                None => {}
                Some(text) => {
                    let value = match header["schema"]["type"].as_str() {
                        Some("integer") => text.parse::<u64>().map_or(json!(text), Value::from),
                        _ => json!(text),
                    };
                    self.conforms(&header["schema"], &value)?;
                }
            }
        }
        let known = |name: &str| {
            described
                .keys()
                .any(|known| known.eq_ignore_ascii_case(name))
        };
        let mut of_limits = given.keys().filter(|name| name.as_str().starts_with("x-"));
        match of_limits.find(|name| !known(name.as_str()) && name.as_str() != "x-accel-buffering") {
            Some(name) => Err(format!("{name} is not described")),
            None => Ok(()),
        }
    }

    fn resolve<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.root.pointer(&reference[1..]).expect(reference),
            None => value,
        }
    }

    /// Whether a value has the form of a schema, with no field that this does not describe.
    pub(super) fn conforms(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let mut validators = self.validators.borrow_mut();
        let validator = validators.entry(schema.to_string()).or_insert_with(|| {
            let whole = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "components": self.strict,
                "allOf": [strict(schema)],
            });
            let options = jsonschema::options().should_validate_formats(true);
            options.build(&whole).unwrap()
        });
        let errors = validator.iter_errors(value);
        let errors: Vec<_> = errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        errors.is_empty().then_some(()).ok_or(errors.join("; "))
    }

    /// As [`conforms`](Self::conforms), for a schema by its name.
    #[track_caller]
    pub(super) fn check_value(&self, name: &str, value: &Value) {
        let schema = json!({"$ref": format!("#/components/schemas/{name}")});
        if let Err(why) = self.conforms(&schema, value) {
            panic!("{value} is no {name}: {why}");
        }
    }

    /// Checks that every response was seen, but for those with these statuses.
    pub(super) fn check_seen(&self, except: &[&str]) {
        let seen = self.seen.borrow();
        let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for operation in self.operations() {
            let name = format!("{} {}", operation.method, operation.path);
            for status in operation.value["responses"].as_object().unwrap().keys() {
                if !except.contains(&status.as_str())
                    && !seen.contains(&(name.clone(), status.clone()))
                {
                    missing.entry(name.clone()).or_default().push(status);
                }
            }
        }
        assert!(missing.is_empty(), "described, but not seen: {missing:#?}");
    }
}

/// A schema of whose objects no other fields are allowed than those that it describes.
fn strict(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(strict).collect(),
        Value::Object(fields) => {
            let mut fields: Map<String, Value> = fields
                .iter()
                .map(|(name, value)| (name.clone(), strict(value)))
                .collect();
            let is_object = |kind: &Value| {
                *kind == "object"
                    || kind
                        .as_array()
                        .is_some_and(|it| it.contains(&json!("object")))
            };
            if fields.get("type").is_some_and(is_object) && fields.contains_key("properties") {
                let closed = fields.entry("additionalProperties").or_insert(json!(false));
                assert!(closed == false, "{closed}");
            }
            fields.into()
        }
        value => value.clone(),
    }
}
