//! What managers of Backend.AI say of sessions: of one, in lists, and by name.
//!
//! The input is a response as text, as in the recorded exchanges. What holds:
//!
//! - A status other than success is an error response, and so is a success with errors of a query; any other
//!   success is read, or is a parse error that keeps the body.
//! - All fields of a session are kept, whatever their form.
//! - Pages follow each other to an end.
//! - Errors can be shown: see [`sorna_fuzz::check_error`].

#![no_main]

use bytes::Bytes;
use http::Response;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sorna_core::{
    ApiVersion, Error, ErrorBody, Info, KernelInfo, ListSessions, MatchSessions, Operation,
    SessionSummary,
};
use sorna_fuzz::{Message, check_error, json, kernel, same_json};

fuzz_target!(|data: &[u8]| {
    let Some(response) = Message::read(data).into_response() else {
        return;
    };
    let json = json(response.body());
    if let Some(info) = read(&Info::new(kernel()), &response) {
        check_info(&info, json.as_ref());
    }
    if let Some(sessions) = read(&MatchSessions::new("a"), &response) {
        for session in &sessions {
            check_session(session);
        }
    }
    let list = ListSessions::new();
    if let Some(page) = read(&list, &response) {
        if let Some(Value::Object(json)) = &json {
            let errors = json.get("errors").and_then(Value::as_array);
            assert!(errors.is_none_or(Vec::is_empty), "errors became a page");
        }
        for session in &page.sessions {
            check_session(session);
        }
        if let Some(next) = list.next(&page) {
            assert!(next.offset > list.offset && next.offset < page.total_count);
        }
    }
});

/// Reads the response as one of this operation; `None` if it is an error.
fn read<O: Operation>(operation: &O, response: &Response<Bytes>) -> Option<O::Output> {
    let error = match operation.read_response(ApiVersion::V9_20250722, response.clone()) {
        Ok(reply) => {
            assert!(response.status().is_success());
            return Some(reply.value);
        }
        Err(error) => error,
    };
    check_error(&error);
    match &error {
        Error::Gateway(error) => {
            assert_eq!(error.status(), response.status());
            assert_eq!(error.body(), response.body());
            let is_reported = matches!(error.error_body(), ErrorBody::Reported { .. });
            assert_eq!(is_reported, response.status().is_success());
            assert!(!is_reported || error.message().is_some());
        }
        Error::Parse(error) => {
            assert!(response.status().is_success());
            assert_eq!(error.body(), response.body());
        }
        error => panic!("a response became {error:?}"),
    }
    None
}

fn check_info(info: &KernelInfo, json: Option<&Value>) {
    let _ = (
        info.creation_time(),
        info.termination_time(),
        info.idle_checks(),
    );
    let _ = (info.status(), info.status_info(), info.container_id());
    for map in [
        info.occupied_slots(),
        info.requested_slots(),
        info.environ(),
    ] {
        let _ = map;
    }
    // The same can come as an array of the fields' values.
    let Some(Value::Object(fields)) = json else {
        return;
    };
    for (name, value) in info.extra() {
        assert!(
            fields
                .get(name)
                .is_some_and(|field| same_json(field, value))
        );
    }
    if let Some(image) = fields.get("image").and_then(Value::as_str) {
        assert_eq!(info.image(), Some(image));
        assert!(info.language().is_some());
    }
}

/// The ID that was read names the session in a path.
fn check_session(session: &SessionSummary) {
    if session.id.check(ApiVersion::V9_20250722).is_ok() {
        let info = Info::new(session.id.clone());
        let request = info.prepare(ApiVersion::V9_20250722).expect("a request");
        let path = request.path().strip_prefix("/session/").expect("a path");
        assert_eq!(path, session.id.path_segment());
    }
}
