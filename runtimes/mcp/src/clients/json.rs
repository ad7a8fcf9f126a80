//! A member of a JSON document is set, and all else stays as it is written.

use std::fmt;
use std::ops::Range;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::EditError;

/// The document with the member of this path, of objects, set to this value. What is there already is changed if `is_ours` says so, and
/// keeps the members that the value does not have.
pub(super) fn set(
    text: &str,
    path: &[&str],
    value: &Value,
    is_ours: fn(&Value) -> bool,
) -> Result<String, EditError> {
    let text = match text.trim().is_empty() {
        true => "{}\n",
        false => text,
    };
    let (mut at, mut rest) = (0..text.len(), path);
    loop {
        let (name, below) = match rest {
            [name, below @ ..] => (*name, below),
            [] => return Err(EditError::NotUnderstood("there is no name".to_owned())),
        };
        let members = members(text, at.clone())?;
        let mut found = members.iter().filter(|member| member.0 == name);
        let depth = path.len() - rest.len() + 1;
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                return Err(EditError::NotUnderstood(format!("`{name}` is there twice")));
            }
            (Some((_, range)), None) if below.is_empty() => {
                let old = serde_json::from_str(&text[range.clone()]).ok();
                let old: Option<Value> = old.filter(is_ours);
                let Some(Value::Object(mut new)) = old else {
                    return Err(EditError::Foreign(name.to_owned()));
                };
                let set = value.as_object().cloned().unwrap_or_default();
                new.extend(set);
                let new = written(&Value::Object(new), depth, unit(text));
                return Ok(format!(
                    "{}{new}{}",
                    &text[..range.start],
                    &text[range.end..]
                ));
            }
            (Some((_, range)), None) => {
                at = range.clone();
                rest = below;
            }
            (None, _) => {
                let nested = below.iter().rev().fold(value.clone(), |inner, name| {
                    Value::Object([((*name).to_owned(), inner)].into_iter().collect())
                });
                let unit = unit(text);
                let (begin, end) = (
                    "\n".to_owned() + &unit.repeat(depth),
                    written(&nested, depth, unit),
                );
                let name = Value::from(name);
                let member = format!("{begin}{name}: {end}");
                return Ok(match members.last() {
                    Some((_, last)) => {
                        format!("{},{member}{}", &text[..last.end], &text[last.end..])
                    }
                    None => {
                        let brace = at.start + text[at.clone()].find('{').unwrap_or_default();
                        let close = brace + text[brace..].find('}').unwrap_or_default();
                        let end = "\n".to_owned() + &unit.repeat(depth - 1);
                        format!("{}{member}{end}{}", &text[..=brace], &text[close..])
                    }
                });
            }
        }
    }
}

/// The value as text, its first line not indented.
fn written(value: &Value, depth: usize, unit: &str) -> String {
    let text = format!("{value:#}");
    let lines = text.lines().enumerate().map(|(number, line)| {
        let inner = line.trim_start();
        let own = (line.len() - inner.len()) / 2;
        match number {
            0 => inner.to_owned(),
            _ => unit.repeat(depth + own) + inner,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// With what the document is indented.
fn unit(text: &str) -> &str {
    let lines = text.lines().map(|line| (line, line.trim_start()));
    let mut indented =
        lines.filter(|(line, inner)| line.len() > inner.len() && inner.starts_with('"'));
    indented
        .next()
        .map_or("  ", |(line, inner)| &line[..line.len() - inner.len()])
}

/// The names of an object's members, and where their values are.
fn members(text: &str, at: Range<usize>) -> Result<Vec<(String, Range<usize>)>, EditError> {
    struct Members<'t>(&'t str);

    impl<'t> Visitor<'t> for Members<'t> {
        type Value = Vec<(String, Range<usize>)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, &'t RawValue>()? {
                let start = value.get().as_ptr() as usize - self.0.as_ptr() as usize;
                all.push((name, start..start + value.get().len()));
            }
            Ok(all)
        }
    }

    let mut reader = serde_json::Deserializer::from_str(&text[at]);
    let read = reader.deserialize_map(Members(text));
    let read = read.and_then(|all| reader.end().map(|()| all));
    read.map_err(|error| EditError::NotUnderstood(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::json;

    use super::*;

    fn changed(text: &str) -> Result<String, EditError> {
        set(text, &["servers", "s"], &json!({"a": [1]}), |old| {
            old["a"].is_array()
        })
    }

    #[test]
    fn a_new_document_is_indented() {
        let expected = "{\n  \"servers\": {\n    \"s\": {\n      \"a\": [\n        1\n      ]\n    }\n  }\n}\n";
        for empty in ["", "\n", "{}\n", "{ }\n"] {
            assert_eq!(changed(empty).unwrap(), expected);
        }
    }

    #[test]
    fn all_else_stays() {
        let old =
            "{\n\t\"z\": 1e2,\n\t\"servers\": {\"x\" : {}, \"é\": \"\\u00e9\"},\n\t\"a\": [ ]\n}";
        let new = changed(old).unwrap();
        assert_eq!(
            new,
            "{\n\t\"z\": 1e2,\n\t\"servers\": {\"x\" : {}, \"é\": \"\\u00e9\",\n\t\t\"s\": {\n\t\t\t\"a\": [\n\t\t\t\t1\n\t\t\t]\n\t\t}},\n\t\"a\": [ ]\n}"
        );
        assert_eq!(changed(&new).unwrap(), new);
        assert_eq!(
            changed("{\"b\": 1}").unwrap().replace([' ', '\n'], ""),
            "{\"b\":1,\"servers\":{\"s\":{\"a\":[1]}}}"
        );
    }

    #[test]
    fn other_members_of_an_entry_stay() {
        let own =
            "{\"servers\": {\"s\": {\"env\": {\"A\": \"1\"}, \"a\": [2, 3], \"timeout\": 600}}}";
        let new: Value = serde_json::from_str(&changed(own).unwrap()).unwrap();
        let expected = serde_json::json!({"env": {"A": "1"}, "a": [1], "timeout": 600});
        assert_eq!(new["servers"]["s"], expected);
    }

    #[test]
    fn what_is_not_understood_is_not_changed() {
        for strange in [
            "[]",
            "{",
            "{} x",
            "// a\n{}",
            "{\"servers\": 1}",
            "{\"servers\": {}, \"servers\": {}}",
        ] {
            let error = changed(strange).unwrap_err();
            assert!(
                matches!(error, EditError::NotUnderstood(_)),
                "{strange}: {error}"
            );
        }
        let foreign = "{\"servers\": {\"s\": {\"b\": 1}}}";
        assert_eq!(changed(foreign), Err(EditError::Foreign("s".to_owned())));
    }
}
