//! What is written as an object of JSON, and not as an array.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What is written as an object. Derived implementations alone read arrays as well, with the fields in their order.
#[derive(Default)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OfObject(PhantomData))
    }
}

struct OfObject<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OfObject<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use crate::server::backend_ai::{CreateSession, ExecuteInSession};
    use crate::server::{
        AuthorizeRequest, CreateRequest, ExecuteRequest, KeepAliveRequest, wants_bytes,
    };

    #[test]
    fn arrays_are_no_objects() {
        for body in ["[]", r#"["x"]"#] {
            assert!(AuthorizeRequest::parse(body.as_bytes()).is_err(), "{body}");
        }
        for body in [
            r#"["c", "12345678", null, null]"#,
            r#"{"lang": "c", "clientSessionToken": "12345678", "limits": [null, null]}"#,
        ] {
            assert!(CreateRequest::parse(body.as_bytes()).is_err(), "{body}");
        }
        for body in [
            r#"["query", "1", null, null]"#,
            r#"{"mode": "batch", "options": ["*", null, "*"]}"#,
            r#"{"mode": "complete", "options": [0, 1, "", ""]}"#,
        ] {
            assert!(ExecuteRequest::parse(body.as_bytes()).is_err(), "{body}");
        }
        for body in [
            r#"["query", "1", "r", null, null, null]"#,
            r#"{"mode": "batch", "options": ["*", "*", null, "*"]}"#,
            r#"{"mode": "complete", "options": [0, 1, "", ""]}"#,
        ] {
            assert!(ExecuteInSession::parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(ExecuteInSession::parse_completion(br#"["pri", null]"#).is_err());
        let config =
            r#"{"name": "abcd", "image": "c", "config": [[], {}, [], {}, {}, {}, "", []]}"#;
        assert!(CreateSession::parse(config.as_bytes()).is_err());
        assert!(KeepAliveRequest::parse(b"[1000]").is_err());
        assert!(!wants_bytes(b"[true]"));
    }
}
