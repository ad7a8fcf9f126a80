//! Backend.AI: what `GET /session/{name or id}` says.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::KernelInfo;
use crate::python;

/// What Backend.AI says. Each field is in [`extra`](Self::extra) as well, as it came, and gateways set it with
/// [`with_extra`](Self::with_extra).
impl KernelInfo {
    /// The image that it runs, in full: `cr.backend.ai/stable/python:3.9-ubuntu20.04`.
    #[must_use]
    pub fn image(&self) -> Option<&str> {
        self.text("image")
    }

    /// What it is doing: `PENDING`, `SCHEDULED`, `PREPARING`, `RUNNING`, `TERMINATING`, ….
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        self.text("status")
    }

    /// Why it has this status, such as `user-requested`. Where there is no reason, manager 23.09.10 sends an empty
    /// text, and 26.9.6 `"None"`: both are `None`.
    #[must_use]
    pub fn status_info(&self) -> Option<&str> {
        self.text("statusInfo")
            .filter(|info| !matches!(*info, "" | "None"))
    }

    /// The container that runs it, once there is one.
    #[must_use]
    pub fn container_id(&self) -> Option<&str> {
        self.text("containerId")
    }

    /// When it was created, as the manager writes it: `2026-11-27T05:04:20.875225+00:00`, or with a space for the
    /// `T` (23.09.10).
    #[must_use]
    pub fn creation_time(&self) -> Option<&str> {
        self.text("creationTime")
    }

    /// When it ended, if it did, as [`creation_time`](Self::creation_time).
    #[must_use]
    pub fn termination_time(&self) -> Option<&str> {
        self.text("terminationTime")
    }

    /// What it has of each resource, as decimal numbers: `cpu` in cores, `mem` in bytes. `None` also if it is not
    /// of a known form.
    ///
    /// Managers send Python's notation here: `{'cpu': Decimal('1.000000'), 'mem': Decimal('268435456.000000')}`
    /// (observed on 26.9.6; without fractions on 23.09.10).
    #[must_use]
    pub fn occupied_slots(&self) -> Option<BTreeMap<String, String>> {
        self.dictionary("occupiedSlots")
    }

    /// What it was asked to have of each resource, as [`occupied_slots`](Self::occupied_slots).
    #[must_use]
    pub fn requested_slots(&self) -> Option<BTreeMap<String, String>> {
        self.dictionary("requestedSlots")
    }

    /// The environment variables that it was created with. `None` also if they are not of a known form.
    #[must_use]
    pub fn environ(&self) -> Option<BTreeMap<String, String>> {
        self.dictionary("environ")
    }

    /// The checks that may end it for being idle, each an object with `remaining` (in seconds, or null).
    #[must_use]
    pub fn idle_checks(&self) -> Option<&Map<String, Value>> {
        self.extra().get("idleChecks")?.as_object()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.extra().get(name)?.as_str()
    }

    /// A dictionary in Python's notation, or in JSON in case that a later manager sends it.
    fn dictionary(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match self.extra().get(name)? {
            Value::String(shown) => python::dictionary(shown),
            Value::Object(map) => Some(map.iter().map(|(k, v)| (k.clone(), text(v))).collect()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::ops::testing::{kernel, response, sent};
    use crate::ops::{Info, Operation};
    use crate::version::ApiVersion;

    fn read(body: &Value) -> KernelInfo {
        Info::new(kernel())
            .read_response(ApiVersion::V7_20230615, response(200, &body.to_string()))
            .unwrap()
            .value
    }

    #[test]
    fn a_session_is_asked_for_by_name_or_id() {
        let (line, body) = sent(&Info::new(kernel()), ApiVersion::V9_20250722);
        assert_eq!((line.as_str(), body.as_str()), ("GET /session/k1", ""));
    }

    #[test]
    fn fields_are_read_in_the_forms_of_both_releases() {
        let info = read(&json!({
            "image": "python:3.9", "status": "RUNNING", "statusInfo": "None", "containerId": "c1",
            "creationTime": "2026-11-24 02:23:02.168172+00:00", "terminationTime": null, "age": 2014,
            "occupiedSlots": "{'cpu': Decimal('1.000000')}", "requestedSlots": {"cpu": "1", "gpu": 2},
            "environ": "{'A': 'b'}", "numQueriesExecuted": 3,
            "idleChecks": {"session_lifetime": {"remaining": null}},
        }));
        // Without `lang`.
        assert_eq!(
            (info.language(), info.image()),
            (Some("python:3.9"), Some("python:3.9"))
        );
        assert_eq!((info.status(), info.status_info()), (Some("RUNNING"), None));
        assert_eq!(info.container_id(), Some("c1"));
        assert_eq!(info.age(), Some(Duration::from_millis(2014)));
        assert_eq!(
            (info.creation_time(), info.termination_time()),
            (Some("2026-11-24 02:23:02.168172+00:00"), None)
        );
        assert_eq!(info.executions(), Some(3));
        assert_eq!(info.occupied_slots().unwrap()["cpu"], "1.000000");
        assert_eq!(info.requested_slots().unwrap()["gpu"], "2");
        assert_eq!(info.environ().unwrap()["A"], "b");
        // They may be secrets.
        let shown = format!("{info:?}");
        assert!(shown.contains("environ: _"), "{shown}");
        assert!(info.idle_checks().unwrap()["session_lifetime"]["remaining"].is_null());
    }

    #[test]
    fn what_is_not_of_a_known_form_stays_as_it_came() {
        let body = json!({
            "image": 1, "status": null, "statusInfo": "", "occupiedSlots": "plenty", "environ": [1],
            "idleChecks": "none", "creationTime": "today", "containerId": null,
        });
        let info = read(&body);
        assert_eq!(
            (info.language(), info.image(), info.status()),
            (None, None, None)
        );
        assert_eq!((info.status_info(), info.container_id()), (None, None));
        assert_eq!((info.occupied_slots(), info.environ()), (None, None));
        assert_eq!(info.creation_time(), Some("today"));
        assert_eq!(info.idle_checks(), None);
        assert_eq!(Value::Object(info.extra().clone()), body);
    }

    #[test]
    fn a_gateway_sets_them_by_name() {
        let info = KernelInfo::new()
            .with_language("python3")
            .with_extra("status", "RUNNING")
            .with_extra("statusInfo", "idle");
        let read = read(&serde_json::to_value(&info).unwrap());
        assert_eq!(read, info);
        assert_eq!(
            (read.status(), read.status_info()),
            (Some("RUNNING"), Some("idle"))
        );
    }
}
