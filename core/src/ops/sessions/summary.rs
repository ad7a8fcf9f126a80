//! A session, as lists have it.

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use crate::fields::take_text;
use crate::ident::KernelId;

/// A session of Backend.AI, as lists have it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SessionSummary {
    /// Its ID, a UUID. Names of sessions that ended may be in use again; IDs are not.
    pub id: KernelId,
    /// Its name. Sessions of manager 26.9.6 may have an empty one.
    pub name: String,
    /// Its status, in capitals: `PENDING`, `RUNNING`, `TERMINATED`, ….
    pub status: String,
    /// The image that it runs, in full, if the list says.
    pub image: Option<String>,
    /// When it was created, as the manager writes it, if the list says: `2026-11-27T05:04:20.875225+00:00`.
    pub created_at: Option<String>,
    /// The other fields, and those above if they were of another type.
    pub extra: Map<String, Value>,
}

impl SessionSummary {
    fn from_fields(mut fields: Map<String, Value>) -> Option<Self> {
        // `session_id` in the session's own type, `id` elsewhere.
        let id = ["session_id", "id"]
            .iter()
            .find_map(|key| match fields.remove(*key)? {
                Value::String(id) => Some(id),
                _ => None,
            })?;
        let mut text = |name| take_text(&mut fields, name);
        Some(Self {
            id: KernelId::new(id).ok()?,
            name: text("name").unwrap_or_default(),
            status: text("status").unwrap_or_default(),
            image: text("image"),
            created_at: text("created_at"),
            extra: fields,
        })
    }
}

impl<'de> Deserialize<'de> for SessionSummary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_fields(Map::deserialize(deserializer)?)
            .ok_or_else(|| de::Error::custom("a session without a valid ID"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> serde_json::Result<SessionSummary> {
        serde_json::from_str(text)
    }

    #[test]
    fn fields_are_optional_and_unknown_ones_kept() {
        let session = read(
            r#"{"session_id": "u1", "name": "s1", "image": "python:3.9", "status": "RUNNING",
                "created_at": "2026-11-27T05:04:20Z", "type": "INTERACTIVE"}"#,
        )
        .unwrap();
        assert_eq!(
            (session.id.as_str(), &*session.name, &*session.status),
            ("u1", "s1", "RUNNING")
        );
        assert_eq!(session.image.as_deref(), Some("python:3.9"));
        assert_eq!(session.created_at.as_deref(), Some("2026-11-27T05:04:20Z"));
        assert_eq!(session.extra.len(), 1);
        assert_eq!(session.extra["type"], "INTERACTIVE");

        let session = read(r#"{"id": "u1", "name": null, "image": 7, "created_at": 3}"#).unwrap();
        assert_eq!(
            (&*session.name, session.image, session.created_at),
            ("", None, None)
        );
        assert_eq!(
            (&session.extra["image"], &session.extra["created_at"]),
            (&7.into(), &3.into())
        );
    }

    #[test]
    fn a_session_without_an_id_cannot_be_used() {
        for text in [
            "{}",
            "[]",
            r#"{"id": 1}"#,
            r#"{"id": ".."}"#,
            r#"{"session_id": null}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
