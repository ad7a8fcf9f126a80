//! The body of `POST /session/{name}`.

use serde::Deserialize;
use serde_json::Value;

use super::parameters::{invalid, malformed};
use crate::ops::RunMark;
use crate::problem::ProblemKind;
use crate::server::mark::mark_in;
use crate::server::object::Object;
use crate::server::problem::ProblemReply;
use crate::server::request::{
    BatchSteps, CompleteRequest, ExecuteRequest, Step, decode, echoes, is_final,
};

/// The longest run ID that is accepted, in bytes.
const MAX_RUN_ID: usize = 256;

/// The body of a request to run code in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecuteInSession {
    /// Start a run: a query or a batch.
    Start {
        /// The client's ID for the run; without one, the server makes one.
        run_id: Option<String>,
        /// What to run. Never a completion.
        request: ExecuteRequest,
    },
    /// Wait for more of a run.
    Continue {
        /// The run.
        run_id: String,
    },
    /// Give a run the input that it asked for.
    Input {
        /// The run.
        run_id: String,
        /// The input, mostly without a line end.
        text: String,
    },
    /// Give a run these bytes as the input that it asked for: see
    /// [`Continuation::InputBytes`](crate::Continuation::InputBytes).
    InputBytes {
        /// The run.
        run_id: String,
        /// The input, to which nothing is added.
        bytes: Vec<u8>,
    },
    /// Complete the code at a position.
    Complete(CompleteRequest),
}

#[derive(Deserialize)]
struct RawExecute {
    mode: Option<String>,
    code: Option<String>,
    run_id: Option<String>,
    #[serde(rename = "runId")]
    old_run_id: Option<String>,
    options: Option<Value>,
    encoding: Option<String>,
}

#[derive(Default, Deserialize)]
struct RawBatch {
    clean: Option<String>,
    build: Option<String>,
    #[serde(rename = "buildLog")]
    build_log: Option<bool>,
    exec: Option<String>,
}

impl ExecuteInSession {
    /// Reads the body. The run ID may be `run_id`, as in 26, or `runId`; the former counts if they differ.
    ///
    /// # Errors
    ///
    /// 400 `generic-bad-request` if it is not JSON of the documented form; 400 `invalid-api-params` for a missing or
    /// unknown mode, and for `continue` and `input` without a run ID. (Manager 26.9.6 makes these a 500.)
    pub fn parse(body: &[u8]) -> Result<Self, ProblemReply> {
        Self::parse_marked(body).map(|(request, _)| request)
    }

    /// Reads the body, and the [mark](crate::Execute::with_mark) in it if there is one.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_marked(body: &[u8]) -> Result<(Self, Option<RunMark>), ProblemReply> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))?;
        let Object(raw) = Object::<RawExecute>::deserialize(value)
            .map_err(|error| invalid(&error.to_string()))?;
        let mark = mark_in(raw.options.as_ref())?;
        Self::of(raw).map(|request| (request, mark))
    }

    fn of(raw: RawExecute) -> Result<Self, ProblemReply> {
        let code = raw.code.unwrap_or_default();
        let run_id = raw.run_id.or(raw.old_run_id);
        if run_id.as_ref().is_some_and(|id| id.len() > MAX_RUN_ID) {
            let text = format!("the run ID has more than {MAX_RUN_ID} bytes");
            return Err(ProblemKind::InvalidApiParams.reply_with(&text));
        }
        let continued = |run_id: Option<String>| {
            run_id.ok_or_else(|| {
                ProblemKind::InvalidApiParams.reply_with("continuation requires explicit run ID")
            })
        };
        match raw.mode.as_deref() {
            Some("query") => Ok(Self::Start {
                run_id,
                request: ExecuteRequest::Query {
                    code,
                    is_final: is_final(raw.options.as_ref()),
                    echoes: echoes(raw.options.as_ref()),
                },
            }),
            Some("batch") => Ok(Self::Start {
                run_id,
                request: batch(raw.options)?,
            }),
            Some("continue") => Ok(Self::Continue {
                run_id: continued(run_id)?,
            }),
            Some("input") if raw.encoding.is_some() => Ok(Self::InputBytes {
                run_id: continued(run_id)?,
                bytes: decode(&code, raw.encoding.as_deref())?,
            }),
            Some("input") => Ok(Self::Input {
                run_id: continued(run_id)?,
                text: code,
            }),
            Some("complete") => complete(code, raw.options).map(Self::Complete),
            Some(other) => {
                let mode: String = other.chars().take(40).collect();
                let text = format!("mode has an invalid value: {mode}");
                Err(ProblemKind::InvalidApiParams.reply_with(&text))
            }
            None => Err(ProblemKind::InvalidApiParams.reply_with("mode is missing")),
        }
    }

    /// Reads the body of `POST /session/{name}/complete`.
    ///
    /// # Errors
    ///
    /// 400 `generic-bad-request` if it is not JSON of the documented form.
    pub fn parse_completion(body: &[u8]) -> Result<CompleteRequest, ProblemReply> {
        #[derive(Deserialize)]
        struct Raw {
            code: Option<String>,
            options: Option<Value>,
        }
        let Object(raw): Object<Raw> =
            serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))?;
        complete(raw.code.unwrap_or_default(), raw.options)
    }
}

fn batch(options: Option<Value>) -> Result<ExecuteRequest, ProblemReply> {
    let options: RawBatch = read_options(options)?;
    Ok(ExecuteRequest::Batch {
        code: String::new(),
        steps: BatchSteps {
            clean: Step::from_wire(options.clean),
            build: Step::from_wire(options.build),
            build_log: options.build_log.unwrap_or(false),
            exec: Step::from_wire(options.exec),
            reports_all: true,
        },
    })
}

fn complete(code: String, options: Option<Value>) -> Result<CompleteRequest, ProblemReply> {
    let options: CompleteRequest = read_options(options)?;
    Ok(CompleteRequest { code, ..options })
}

fn read_options<T: serde::de::DeserializeOwned + Default>(
    options: Option<Value>,
) -> Result<T, ProblemReply> {
    match options {
        None | Some(Value::Null) => Ok(T::default()),
        Some(options) => {
            let read = Object::deserialize(options).map(|Object(read)| read);
            read.map_err(|error| invalid(&error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::KernelId;
    use crate::ops::testing::sent;
    use crate::ops::{Batch, Continuation, Execute, ExecuteMode};
    use crate::version::ApiVersion;

    fn parse(execute: &Execute) -> ExecuteInSession {
        let (_, body) = sent(execute, ApiVersion::V9_20250722);
        ExecuteInSession::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn what_the_client_sends_is_read_back() {
        let mut start = Execute::start(KernelId::new("k").unwrap(), ExecuteMode::query("1"));
        let query = |code: &str| ExecuteRequest::Query {
            code: code.to_owned(),
            is_final: false,
            echoes: false,
        };
        let expected = ExecuteInSession::Start {
            run_id: None,
            request: query("1"),
        };
        assert_eq!(parse(&start), expected);
        start.run_id = Some("r".to_owned());
        let run_id = "r".to_owned();
        let next = start.proceed(Continuation::Continue);
        assert_eq!(
            parse(&next),
            ExecuteInSession::Continue {
                run_id: run_id.clone()
            }
        );
        let text = "x y".to_owned();
        let next = start.proceed(Continuation::Input(text.clone()));
        let expected = ExecuteInSession::Input {
            run_id: run_id.clone(),
            text,
        };
        assert_eq!(parse(&next), expected);
        let bytes = b"\xff\0".to_vec();
        let next = start.proceed(Continuation::InputBytes(bytes.clone()));
        assert_eq!(parse(&next), ExecuteInSession::InputBytes { run_id, bytes });
        let batch = Batch::new()
            .with_build("make")
            .without_exec()
            .with_build_log(true);
        let batch = Execute::start(KernelId::new("k").unwrap(), ExecuteMode::Batch(batch));
        let ExecuteInSession::Start { request, .. } = parse(&batch) else {
            panic!("no start")
        };
        let expected = ExecuteRequest::Batch {
            code: String::new(),
            steps: BatchSteps {
                clean: Step::Skip,
                build: Step::Command("make".to_owned()),
                build_log: true,
                exec: Step::Skip,
                reports_all: true,
            },
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn either_name_of_the_run_id_is_read() {
        for (body, expected) in [
            (r#"{"mode": "continue", "runId": "a"}"#, "a"),
            (r#"{"mode": "continue", "run_id": "a"}"#, "a"),
            (r#"{"mode": "continue", "run_id": "a", "runId": "b"}"#, "a"),
            (r#"{"mode": "continue", "run_id": null, "runId": "b"}"#, "b"),
        ] {
            let run_id = expected.to_owned();
            let read = ExecuteInSession::parse(body.as_bytes());
            assert_eq!(
                read.unwrap(),
                ExecuteInSession::Continue { run_id },
                "{body}"
            );
        }
    }

    #[test]
    fn mistakes_are_bad_requests() {
        for (body, message) in [
            (r#"{"code": "1"}"#.to_owned(), "mode is missing"),
            (
                r#"{"mode": "nope"}"#.to_owned(),
                "mode has an invalid value: nope",
            ),
            (
                r#"{"mode": "continue"}"#.to_owned(),
                "requires explicit run ID",
            ),
            (
                r#"{"mode": "input", "runId": null}"#.to_owned(),
                "requires explicit run ID",
            ),
            (
                format!(r#"{{"mode": "query", "runId": "{}"}}"#, "x".repeat(257)),
                "more than 256",
            ),
            (r#"{"mode": "query", "code": 1}"#.to_owned(), "invalid type"),
            (r#"{"mode": "batch", "options": []}"#.to_owned(), "invalid"),
            ("[".to_owned(), "EOF"),
        ] {
            let problem = ExecuteInSession::parse(body.as_bytes()).unwrap_err();
            assert_eq!(problem.kind().status(), 400);
            assert!(problem.title().contains(message), "{body}: {problem}");
        }
    }

    #[test]
    fn a_completion_has_a_position() {
        let body =
            br#"{"code": "pri", "options": {"row": 0, "col": 3, "line": "pri", "post": ""}}"#;
        let request = ExecuteInSession::parse_completion(body).unwrap();
        assert_eq!((request.code.as_str(), request.col), ("pri", 3));
        assert_eq!(ExecuteInSession::parse_completion(b"{}").unwrap().col, 0);
        let body = br#"{"mode": "complete", "code": "pri", "options": null}"#;
        let ExecuteInSession::Complete(request) = ExecuteInSession::parse(body).unwrap() else {
            panic!("no completion")
        };
        assert_eq!(request.code, "pri");
    }
}
