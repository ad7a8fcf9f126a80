//! The bodies of requests.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::mark::mark_in;
use super::object::Object;
use super::problem::ProblemReply;
use crate::ident::SessionToken;
use crate::ops::{Execute, KernelSpec, Limits, RunMark};
use crate::problem::ProblemKind;
use crate::version::ApiVersion;

/// The body of `authorize`.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct AuthorizeRequest {
    /// What to send back, if anything.
    #[serde(default)]
    pub echo: Option<Value>,
}

impl AuthorizeRequest {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// 400 `invalid-auth-params` if it is not a JSON object, as the original gateway responds.
    pub fn parse(body: &[u8]) -> Result<Self, ProblemReply> {
        let read = serde_json::from_slice(body).map(|Object(request)| request);
        read.map_err(|_| ProblemKind::InvalidAuthParams.reply_with("Malformed body"))
    }
}

/// The body of `create`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreateRequest {
    /// Which kernel to create. The values may not be valid: see [`KernelSpec::check`].
    pub spec: KernelSpec,
    /// The client's name for the kernel.
    pub token: SessionToken,
}

impl CreateRequest {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// 400 `invalid-api-params` if it is not JSON of the documented form, or the token does not
    /// have 8 to 80 characters.
    pub fn parse(body: &[u8]) -> Result<Self, ProblemReply> {
        let raw: RawCreate = parse_json(body)?;
        let token = SessionToken::new(raw.client_session_token)
            .and_then(|token| token.check(ApiVersion::default()).map(|()| token))
            .map_err(|error| ProblemKind::InvalidApiParams.reply_with(&error.to_string()))?;
        // Zero stands for the server's default.
        let Object(wanted) = raw.limits.unwrap_or_default();
        let some = |number: Option<u64>| number.filter(|number| *number != 0);
        let mut limits = Limits::new();
        if let Some(kib) = some(wanted.max_mem) {
            limits = limits.with_max_memory(kib.saturating_mul(1024));
        }
        if let Some(ms) = some(wanted.exec_timeout) {
            limits = limits.with_exec_timeout(Duration::from_millis(ms));
        }
        let spec = KernelSpec::new(raw.lang)
            .with_limits(limits)
            .with_mounts(raw.mounts.unwrap_or_default());
        Ok(Self { spec, token })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCreate {
    lang: String,
    client_session_token: String,
    limits: Option<Object<RawLimits>>,
    mounts: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLimits {
    max_mem: Option<u64>,
    exec_timeout: Option<u64>,
}

/// The body of an execute or complete request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecuteRequest {
    /// Run a snippet; or, while one runs, continue it (`""`) or give the input that it asks for.
    Query {
        /// The snippet, or the input.
        code: String,
        /// Whether it is the last one of its kernel: see [`Execute::with_final`](crate::Execute::with_final). Then the
        /// snippet may be empty.
        is_final: bool,
        /// Whether the value of its last expression is wanted: see [`Execute::with_echo`](crate::Execute::with_echo).
        echoes: bool,
    },
    /// Build and run the files in the work directory; or continue, or give input.
    Batch {
        /// The input, or `""`.
        code: String,
        /// What to run.
        steps: BatchSteps,
    },
    /// Give the input that a program asks for as bytes, whatever runs. It never starts anything: see
    /// [`Continuation::InputBytes`](crate::Continuation::InputBytes).
    InputBytes(Vec<u8>),
    /// Complete the code at a position.
    Complete(CompleteRequest),
}

/// The steps of a batch execution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchSteps {
    /// What comes before the build, which only Backend.AI has.
    pub clean: Step,
    /// The build.
    pub build: Step,
    /// Whether to show the build's log in the console.
    pub build_log: bool,
    /// The program.
    pub exec: Step,
    /// Whether the end of each step is reported even if there is nothing to do, as Backend.AI does.
    pub reports_all: bool,
}

/// One step of a batch execution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Nothing: `""`, null, or absent.
    Skip,
    /// What the kernel does by default: `"*"`.
    Default,
    /// This shell command.
    Command(String),
}

impl Step {
    pub(super) fn from_wire(text: Option<String>) -> Self {
        match text.as_deref() {
            None | Some("") => Self::Skip,
            Some("*") => Self::Default,
            Some(_) => Self::Command(text.expect("the arm matches a text")),
        }
    }
}

/// The position at which to complete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct CompleteRequest {
    /// The code so far.
    #[serde(skip)]
    pub code: String,
    /// The line of the cursor, from 0.
    #[serde(default)]
    pub row: u64,
    /// The column of the cursor, from 0.
    #[serde(default)]
    pub col: u64,
    /// The text of the line up to the cursor.
    #[serde(default)]
    pub line: String,
    /// The text after the cursor.
    #[serde(default)]
    pub post: String,
}

impl ExecuteRequest {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// 400 `invalid-api-params` if it is not JSON of the documented form or has an unknown mode or encoding.
    pub fn parse(body: &[u8]) -> Result<Self, ProblemReply> {
        Self::parse_marked(body).map(|(request, _)| request)
    }

    /// Reads the body, and the [mark](crate::Execute::with_mark) in it if there is one.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_marked(body: &[u8]) -> Result<(Self, Option<RunMark>), ProblemReply> {
        let raw: RawExecute = parse_json(body)?;
        let mark = mark_in(raw.options.as_ref())?;
        Self::of(raw).map(|request| (request, mark))
    }

    fn of(raw: RawExecute) -> Result<Self, ProblemReply> {
        let code = raw.code.unwrap_or_default();
        match raw.mode.as_str() {
            "query" | "batch" if raw.encoding.is_some() => {
                decode(&code, raw.encoding.as_deref()).map(Self::InputBytes)
            }
            "query" => Ok(Self::Query {
                code,
                is_final: is_final(raw.options.as_ref()),
                echoes: echoes(raw.options.as_ref()),
            }),
            "batch" => {
                let options: RawBatch = parse_options(raw.options)?;
                Ok(Self::Batch {
                    code,
                    steps: BatchSteps {
                        clean: Step::Skip,
                        reports_all: false,
                        build: Step::from_wire(options.build),
                        build_log: options.build_log.unwrap_or(false),
                        exec: Step::from_wire(options.exec),
                    },
                })
            }
            "complete" => {
                let options: CompleteRequest = parse_options(raw.options)?;
                Ok(Self::Complete(CompleteRequest { code, ..options }))
            }
            mode => {
                let mode: String = mode.chars().take(40).collect();
                Err(ProblemKind::InvalidApiParams
                    .reply_with(&format!("unknown mode {mode:?}: query, batch or complete")))
            }
        }
    }
}

#[derive(Deserialize)]
struct RawExecute {
    mode: String,
    code: Option<String>,
    options: Option<Value>,
    encoding: Option<String>,
}

/// Whether the body of a request to execute something asks for output as bytes: see
/// [`Execute::with_bytes`](crate::Execute::with_bytes). Each request of an execution says so for its own response.
#[must_use]
pub fn wants_bytes(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Raw {
        bytes: Option<bool>,
    }
    serde_json::from_slice(body).is_ok_and(|Object(raw): Object<Raw>| raw.bytes == Some(true))
}

/// Input that is not text.
pub(super) fn decode(code: &str, encoding: Option<&str>) -> Result<Vec<u8>, ProblemReply> {
    let invalid = |text: &str| ProblemKind::InvalidApiParams.reply_with(text);
    if encoding != Some("base64") {
        return Err(invalid("unknown encoding: only base64"));
    }
    STANDARD
        .decode(code)
        .map_err(|error| invalid(&format!("the code is not Base64: {error}")))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBatch {
    build: Option<String>,
    build_log: Option<bool>,
    exec: Option<String>,
}

fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ProblemReply> {
    let Object(read) = serde_json::from_slice(body).map_err(|error| invalid(&error))?;
    Ok(read)
}

fn parse_options<T: DeserializeOwned + Default>(options: Option<Value>) -> Result<T, ProblemReply> {
    match options {
        None | Some(Value::Null) => Ok(T::default()),
        Some(options) => {
            let read = serde_json::from_value(options).map(|Object(read)| read);
            read.map_err(|error| invalid(&error))
        }
    }
}

fn invalid(error: &serde_json::Error) -> ProblemReply {
    ProblemKind::InvalidApiParams.reply_with(&error.to_string())
}

/// Whether the options of a query say that it is final.
pub(super) fn is_final(options: Option<&Value>) -> bool {
    says(options, Execute::FINAL)
}

/// Whether the options of a query ask for the value of its last expression.
pub(super) fn echoes(options: Option<&Value>) -> bool {
    says(options, Execute::ECHO)
}

/// Whether the options of a query have this flag. They have no form of their own: clients send anything.
fn says(options: Option<&Value>, name: &str) -> bool {
    options
        .and_then(|options| options.get(name))
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_reads_what_the_original_client_sends() {
        let request = CreateRequest::parse(
            br#"{"lang": "python3", "clientSessionToken": "capture-1060a1e8e2349c90",
                 "limits": {"maxMem": 0, "execTimeout": 1500}, "mounts": []}"#,
        )
        .unwrap();
        let limits = Limits::new().with_exec_timeout(Duration::from_millis(1500));
        assert_eq!(request.spec, KernelSpec::new("python3").with_limits(limits));
    }

    #[test]
    fn create_without_limits_and_mounts_is_enough() {
        let body = br#"{"lang": "c", "clientSessionToken": "12345678", "limits": null}"#;
        assert!(CreateRequest::parse(body).unwrap().spec.mounts().is_empty());
    }

    #[test]
    fn malformed_bodies_are_bad_parameters() {
        for body in [
            &b"{"[..],
            b"[]",
            b"{}",
            b"\xff",
            br#"{"lang": "c", "clientSessionToken": "1234567"}"#,
            br#"{"lang": 1, "clientSessionToken": "12345678"}"#,
        ] {
            let problem = CreateRequest::parse(body).unwrap_err();
            assert_eq!(problem.kind(), ProblemKind::InvalidApiParams);
        }
        for body in [&br#"{"mode": "boil", "code": ""}"#[..], br#"{"code": "1"}"#] {
            let problem = ExecuteRequest::parse(body).unwrap_err();
            assert_eq!(problem.kind(), ProblemKind::InvalidApiParams);
        }
    }

    #[test]
    fn the_forms_of_batch_steps_are_distinguished() {
        let parse = |options: &str| {
            let body = format!(r#"{{"mode": "batch", "code": "", "options": {options}}}"#);
            match ExecuteRequest::parse(body.as_bytes()).unwrap() {
                ExecuteRequest::Batch { steps, .. } => steps,
                other => panic!("{other:?}"),
            }
        };
        let steps = parse(r#"{"build": "*", "buildLog": true, "exec": "./main"}"#);
        assert_eq!(steps.build, Step::Default);
        assert!(steps.build_log);
        assert_eq!(steps.exec, Step::Command("./main".to_owned()));
        let steps = parse(r#"{"build": "", "exec": null}"#);
        assert_eq!((steps.build, steps.exec), (Step::Skip, Step::Skip));
        assert_eq!(parse("null").exec, Step::Skip);
    }

    #[test]
    fn input_may_be_bytes_and_then_starts_nothing() {
        for mode in ["query", "batch"] {
            let parse = |code: &str, encoding: &str| {
                let body = format!(
                    r#"{{"mode": "{mode}", "code": "{code}", "encoding": {encoding}, "options": {{"exec": "x"}}}}"#
                );
                ExecuteRequest::parse(body.as_bytes())
            };
            let bytes = parse("/2I=", "\"base64\"").unwrap();
            assert_eq!(bytes, ExecuteRequest::InputBytes(b"\xffb".to_vec()));
            assert!(!matches!(
                parse("/2I=", "null").unwrap(),
                ExecuteRequest::InputBytes(_)
            ));
            assert!(parse("/2I", "\"base64\"").is_err());
            assert!(parse("/2I=", "\"hex\"").is_err());
        }
    }

    #[test]
    fn bytes_are_wanted_only_by_requests_that_say_so() {
        for (body, expected) in [
            (r#"{"mode": "query", "code": "1", "bytes": true}"#, true),
            (r#"{"mode": "query", "code": "1", "bytes": false}"#, false),
            (r#"{"mode": "query", "code": "1", "bytes": 1}"#, false),
            (
                r#"{"mode": "query", "code": "1", "options": {"bytes": true}}"#,
                false,
            ),
            ("[]", false),
            ("", false),
        ] {
            assert_eq!(wants_bytes(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_query_is_final_or_echoes_only_if_it_says_so() {
        for (options, expected) in [
            (r#"{"final": true}"#, true),
            (r#"{"final": false}"#, false),
            (r#"{"final": 1}"#, false),
            (r#"{"build": "*"}"#, false),
            ("[]", false),
            ("null", false),
        ] {
            let body = format!(r#"{{"mode": "query", "code": "", "options": {options}}}"#);
            let parsed = |body: &str| match ExecuteRequest::parse(body.as_bytes()).unwrap() {
                ExecuteRequest::Query {
                    is_final, echoes, ..
                } => (is_final, echoes),
                other => panic!("not a query: {other:?}"),
            };
            assert_eq!(parsed(&body), (expected, false), "{options}");
            let echo = body.replace("final", "echo");
            assert_eq!(parsed(&echo), (false, expected), "{options}");
        }
    }

    #[test]
    fn completion_keeps_code_and_position() {
        let body = br#"{"mode": "complete", "code": "pri", "options": {"row": 0, "col": 3}}"#;
        let ExecuteRequest::Complete(request) = ExecuteRequest::parse(body).unwrap() else {
            panic!("not a completion");
        };
        assert_eq!((request.code.as_str(), request.col), ("pri", 3));
    }
}
