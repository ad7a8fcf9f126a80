//! What happened to a session.

use serde_json::{Map, Value};

use crate::fields::{take, take_text};
use crate::json;

/// Something that happened to a session, or to one of the kernels that it consists of.
///
/// Names are the manager's. Observed on creation: 23.09.10 sends `kernel_preparing`, `kernel_creating` and
/// `kernel_started`, but no event of the session; 26.9.6 those and `session_pending`, `session_scheduled`,
/// `session_preparing`, `session_prepared`, `session_creating` and `session_started`. On destruction:
/// `session_terminating`, `kernel_terminating` (23.09.10), `kernel_terminated` (twice in 23.09.10) and
/// `session_terminated`. Events of the session and of its kernels come in any order relative to each other.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SessionEvent {
    /// What happened: `session_started`, `kernel_terminated`, …, known or not.
    pub name: String,
    /// Why, such as `user-requested`; often empty.
    pub reason: String,
    /// The session's ID.
    pub session_id: Option<String>,
    /// The session's name.
    pub session_name: Option<String>,
    /// The exit code of a kernel or batch job, if it is known: -1 for a kernel that was destroyed (23.09.10).
    /// Manager 26.9.6 never sends it.
    pub exit_code: Option<i64>,
    /// The kernel's ID. Manager 23.09.10 also sends it with events of the session.
    pub kernel_id: Option<String>,
    /// The kernel's role in its session, `main` for the first; only in events of kernels.
    pub cluster_role: Option<String>,
    /// The kernel's number among those of its role, from 1; only in events of kernels.
    pub cluster_index: Option<u64>,
    /// The other fields of the event, such as `ownerAccessKey`.
    pub extra: Map<String, Value>,
    /// The data as it came, if it is not a JSON object. The fields are empty then.
    pub raw: Option<String>,
}

impl SessionEvent {
    /// Reads an event. Whatever its data is, nothing of it is lost.
    pub(super) fn read(name: String, data: String) -> Self {
        let Ok(mut fields) = json::from_slice::<Map<String, Value>>(data.as_bytes()) else {
            return Self {
                name,
                raw: Some(data),
                ..Self::default()
            };
        };
        let reason = take_text(&mut fields, "reason");
        Self {
            name,
            reason: reason.unwrap_or_default(),
            session_id: take_text(&mut fields, "sessionId"),
            session_name: take_text(&mut fields, "sessionName"),
            exit_code: take(&mut fields, "exitCode", Value::as_i64),
            kernel_id: take_text(&mut fields, "kernelId"),
            cluster_role: take_text(&mut fields, "clusterRole"),
            cluster_index: take(&mut fields, "clusterIdx", Value::as_u64),
            extra: fields,
            raw: None,
        }
    }

    /// Whether code can be executed in the session now: `session_started`, or `kernel_started` of the main kernel,
    /// since manager 23.09.10 never sends the former. Manager 26.9.6 sends both, the kernel's a little earlier.
    #[must_use]
    pub fn is_started(&self) -> bool {
        match self.name.as_str() {
            "session_started" => true,
            "kernel_started" => self
                .cluster_role
                .as_deref()
                .is_none_or(|role| role == "main"),
            _ => false,
        }
    }

    /// Whether the session is gone: `session_terminated`. The manager does not end the stream then.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.name == "session_terminated"
    }

    /// Whether the session or one of its kernels could not be started (`…_cancelled`), its batch job failed
    /// (`session_failure`), or it is in an error (`…_error`). The reason says more.
    ///
    /// (Read in the sources of managers 23.09.10 and 26.8.1; not observed.)
    #[must_use]
    pub fn is_failure(&self) -> bool {
        let what = ["session_", "kernel_"]
            .iter()
            .find_map(|prefix| self.name.strip_prefix(prefix));
        matches!(what, Some("cancelled" | "failure" | "error"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> SessionEvent {
        SessionEvent::read(name.to_owned(), "{}".to_owned())
    }

    #[test]
    fn fields_are_optional_and_others_are_kept() {
        let data = r#"{"reason": "user-requested", "sessionName": "s1", "ownerAccessKey": "AK", "sessionId": "u1",
            "exitCode": -1, "kernelId": "k1", "clusterRole": "main", "clusterIdx": 1}"#;
        let event = SessionEvent::read("kernel_terminated".to_owned(), data.to_owned());
        assert_eq!(
            (&*event.name, &*event.reason),
            ("kernel_terminated", "user-requested")
        );
        assert_eq!(event.session_id.as_deref(), Some("u1"));
        assert_eq!(event.session_name.as_deref(), Some("s1"));
        assert_eq!((event.exit_code, event.cluster_index), (Some(-1), Some(1)));
        assert_eq!(event.kernel_id.as_deref(), Some("k1"));
        assert_eq!(event.cluster_role.as_deref(), Some("main"));
        assert_eq!(
            (event.extra.len(), &event.extra["ownerAccessKey"]),
            (1, &"AK".into())
        );

        let data = r#"{"exitCode": null, "sessionId": 7, "clusterIdx": "one"}"#;
        let event = SessionEvent::read("x".to_owned(), data.to_owned());
        assert_eq!(
            (event.exit_code, event.session_id, event.cluster_index),
            (None, None, None)
        );
        assert_eq!(
            (&event.extra["sessionId"], &event.extra["clusterIdx"]),
            (&7.into(), &"one".into())
        );
        assert_eq!(event.extra.len(), 2);
    }

    #[test]
    fn data_of_another_form_is_kept() {
        for data in ["", "bye", "[1]", "3"] {
            let event = SessionEvent::read("server_close".to_owned(), data.to_owned());
            assert_eq!((event.raw.as_deref(), event.extra.len()), (Some(data), 0));
        }
    }

    #[test]
    fn what_an_event_means_follows_from_its_name() {
        for (name, started, terminated, failure) in [
            ("session_started", true, false, false),
            ("kernel_started", true, false, false),
            ("session_terminated", false, true, false),
            // One of several kernels, maybe.
            ("kernel_terminated", false, false, false),
            ("session_cancelled", false, false, true),
            ("kernel_cancelled", false, false, true),
            ("session_failure", false, false, true),
            ("session_success", false, false, false),
            ("bgtask_cancelled", false, false, false),
            ("cancelled", false, false, false),
            ("", false, false, false),
        ] {
            let event = named(name);
            assert_eq!(
                (
                    event.is_started(),
                    event.is_terminated(),
                    event.is_failure()
                ),
                (started, terminated, failure),
                "{name}"
            );
        }
        let mut event = named("kernel_started");
        event.cluster_role = Some("sub".to_owned());
        assert!(!event.is_started());
    }
}
