//! The mark of an execution, in the options of its requests.

use serde::Deserialize;
use serde_json::Value;

use crate::ops::RunMark;

/// The mark, if there is one of the form that clients send.
pub(super) fn mark_in(options: Option<&Value>) -> Option<RunMark> {
    let mark = RunMark::deserialize(options?.get("run")?).ok()?;
    (1..=RunMark::MAX_ID).contains(&mark.id.len()).then(|| {
        let client = mark.client.clone();
        mark.with_client(client.as_deref())
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::ops::RunMark;
    use crate::server::ExecuteRequest;
    use crate::server::backend_ai::ExecuteInSession;

    /// The mark in these options, which is the same in both dialects and in all modes.
    fn mark(options: &str) -> Option<RunMark> {
        let marks = ["query", "batch", "continue", "input"].map(|mode| {
            let body = format!(r#"{{"mode": "{mode}", "run_id": "r", "options": {options}}}"#);
            let (_, mark) = ExecuteInSession::parse_marked(body.as_bytes()).unwrap();
            if let Ok((_, same)) = ExecuteRequest::parse_marked(body.as_bytes()) {
                assert_eq!(same, mark, "{mode}");
            }
            mark
        });
        assert!(marks.iter().all(|mark| mark == &marks[0]), "{marks:?}");
        marks.into_iter().next().flatten()
    }

    #[test]
    fn marks_are_read_and_what_is_none_is_ignored() {
        let first = RunMark::new("a").with_wait(true);
        let first = first.with_time_limit(Some(Duration::from_millis(1500)));
        let text = r#"{"run": {"id": "a", "request": 0, "wait": true, "timeLimit": 1500}}"#;
        assert_eq!(mark(text), Some(first));
        let second = mark(r#"{"run": {"id": "a", "request": 1}}"#).unwrap();
        assert_eq!((second.request, second.waits), (1, false));
        let unlimited = mark(r#"{"run": {"id": "a", "request": 1, "timeLimit": 0}}"#);
        assert_eq!(unlimited.unwrap().time_limit, None);
        let long = format!(
            r#"{{"run": {{"id": "{}", "request": 0}}}}"#,
            "x".repeat(257)
        );
        for none in [
            "null",
            "{}",
            r#"{"run": true}"#,
            r#"{"run": {"id": "a"}}"#,
            r#"{"run": {"id": "", "request": 0}}"#,
            r#"{"run": {"id": "a", "request": -1}}"#,
            &long,
        ] {
            assert_eq!(mark(none), None, "{none}");
        }
    }
}
