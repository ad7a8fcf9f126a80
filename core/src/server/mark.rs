//! The mark of an execution, in the options of its requests.

use serde::Deserialize;
use serde_json::Value;

use super::ProblemReply;
use crate::ops::RunMark;
use crate::problem::ProblemKind;

/// The mark, if there is one. What is no object has another meaning to whoever sends it.
///
/// # Errors
///
/// 400 `invalid-api-params` for an object of another form than clients send: code that is meant to run once, or not to run at
/// all, must not run as any.
pub(super) fn mark_in(options: Option<&Value>) -> Result<Option<RunMark>, ProblemReply> {
    let Some(mark) = options.and_then(|options| options.get("run")) else {
        return Ok(None);
    };
    if !mark.is_object() {
        return Ok(None);
    }
    let mark = RunMark::deserialize(mark).map_err(|error| malformed(&error.to_string()))?;
    if !(1..=RunMark::MAX_ID).contains(&mark.id.len()) {
        let most = RunMark::MAX_ID;
        return Err(malformed(&format!("its ID needs 1 to {most} bytes")));
    }
    let client = mark.client.clone();
    Ok(Some(mark.with_client(client.as_deref())))
}

fn malformed(why: &str) -> ProblemReply {
    ProblemKind::InvalidApiParams.reply_with(&format!("the mark `options.run`: {why}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::ops::RunMark;
    use crate::server::ExecuteRequest;
    use crate::server::backend_ai::ExecuteInSession;

    /// The mark in these options, which is the same in both dialects and in all modes.
    fn mark(options: &str) -> Result<Option<RunMark>, String> {
        let marks = ["query", "batch", "continue", "input"].map(|mode| {
            let body = format!(r#"{{"mode": "{mode}", "run_id": "r", "options": {options}}}"#);
            let mark = ExecuteInSession::parse_marked(body.as_bytes())
                .map(|(_, mark)| mark)
                .map_err(|reply| reply.to_string());
            if matches!(mode, "query" | "batch") {
                let same = ExecuteRequest::parse_marked(body.as_bytes())
                    .map(|(_, mark)| mark)
                    .map_err(|reply| reply.to_string());
                assert_eq!(same, mark, "{mode}");
            }
            mark
        });
        assert!(marks.iter().all(|mark| mark == &marks[0]), "{marks:?}");
        marks.into_iter().next().unwrap()
    }

    #[test]
    fn marks_are_read_and_what_is_malformed_is_refused() {
        let first = RunMark::new("a").with_wait(true);
        let first = first.with_time_limit(Some(Duration::from_millis(1500)));
        let text = r#"{"run": {"id": "a", "request": 0, "wait": true, "timeLimit": 1500}}"#;
        assert_eq!(mark(text), Ok(Some(first)));
        let second = mark(r#"{"run": {"id": "a", "request": 1}}"#)
            .unwrap()
            .unwrap();
        assert_eq!((second.request, second.waits), (1, false));
        let unlimited = mark(r#"{"run": {"id": "a", "request": 1, "timeLimit": 0}}"#);
        assert_eq!(unlimited.unwrap().unwrap().time_limit, None);
        let long = format!(
            r#"{{"run": {{"id": "{}", "request": 0}}}}"#,
            "x".repeat(257)
        );
        for none in [
            "null",
            "{}",
            r#"{"run": true}"#,
            r#"{"run": "all"}"#,
            r#"{"run": null}"#,
        ] {
            assert_eq!(mark(none), Ok(None), "{none}");
        }
        for malformed in [
            r#"{"run": {}}"#,
            r#"{"run": {"id": 7, "request": 0}}"#,
            r#"{"run": {"id": "a", "request": 0, "attach": "yes"}}"#,
            r#"{"run": {"id": "a"}}"#,
            r#"{"run": {"id": "", "request": 0}}"#,
            r#"{"run": {"id": "a", "request": -1}}"#,
            &long,
        ] {
            let refusal = mark(malformed).unwrap_err();
            assert!(refusal.starts_with("invalid-api-params: "), "{refusal}");
            assert!(refusal.contains("`options.run`"), "{refusal}");
        }
    }
}
