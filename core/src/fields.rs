//! Takes known fields out of an object, so that what remains is what this crate does not know.

use serde_json::{Map, Value};

/// Takes a field out, if it is of the right type or null. A field of another type stays.
pub(crate) fn take<T>(
    fields: &mut Map<String, Value>,
    name: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let value = fields.get(name)?;
    let found = read(value);
    if found.is_some() || value.is_null() {
        fields.remove(name);
    }
    found
}

/// As [`take`], for text.
pub(crate) fn take_text(fields: &mut Map<String, Value>, name: &str) -> Option<String> {
    take(fields, name, |value| value.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_of_another_type_stays() {
        let Value::Object(mut fields) = json!({"a": "text", "b": 3, "c": null}) else {
            panic!("no object")
        };
        assert_eq!(take_text(&mut fields, "a").as_deref(), Some("text"));
        assert_eq!(take_text(&mut fields, "b"), None);
        assert_eq!(take_text(&mut fields, "c"), None);
        assert_eq!(take_text(&mut fields, "d"), None);
        assert_eq!(Value::Object(fields), json!({"b": 3}));
    }
}
