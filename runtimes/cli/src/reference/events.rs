//! The events of `--json`, from their schema.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::page::{cell, check};

const SCHEMA: &str = include_str!("../../schema/run-v1.json");

/// The type of a field, as the schema has it.
fn kind(field: &Value) -> String {
    let values = |values: &Vec<Value>| {
        let values = values.iter().map(|it| it.as_str().unwrap_or("null"));
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    if let Value::Array(values_of) = &field["enum"] {
        let values = values(values_of).into_iter().map(|it| format!("`{it}`"));
        return values.collect::<Vec<_>>().join(", ");
    }
    match &field["type"] {
        Value::Array(types) => values(types).join(" or "),
        Value::String(kind) if kind == "array" => match field["items"]["type"].as_str() {
            Some(item) => format!("array of {item}s"),
            None => "array".to_owned(),
        },
        Value::String(kind) => kind.clone(),
        _ => "any".to_owned(),
    }
}

#[test]
fn events() {
    let schema: Map<String, Value> = serde_json::from_str(SCHEMA).expect("JSON");
    let mut page = "# JSON events\n\n\
        Generated from the [schema](../../schema/run-v1.json), which `sorna run --json-schema` prints. `sorna run --json` and `sorna attach \
        --json` print one JSON object per line. Each has `v`, the version (1), and `event`, one of those below. Events and fields may be \
        added: ignore those that you do not know.\n\n"
        .to_owned();
    for reference in schema["oneOf"].as_array().expect("a list") {
        let reference = reference["$ref"].as_str().expect("a reference");
        let name = reference.rsplit('/').next().expect("a name");
        let event = &schema["$defs"][name];
        let text = event["description"].as_str().expect("a description");
        let _ = write!(page, "## {name}\n\n{text}\n\n");
        let required = event["required"].as_array().expect("a list");
        let fields = event["properties"].as_object().expect("fields");
        let fields = fields
            .iter()
            .filter(|(name, _)| !["v", "event"].contains(&name.as_str()));
        let rows: String = fields
            .map(|(name, field)| {
                let is_optional = !required.contains(&Value::from(name.as_str()));
                let text = field["description"].as_str().unwrap_or_default();
                let may = if is_optional { ", optional" } else { "" };
                format!("| `{name}` | {}{may} | {} |\n", kind(field), cell(text))
            })
            .collect();
        if !rows.is_empty() {
            let _ = write!(page, "| field | type | |\n|---|---|---|\n{rows}\n");
        }
    }
    check("events.md", &(page.trim_end().to_owned() + "\n"));
}
