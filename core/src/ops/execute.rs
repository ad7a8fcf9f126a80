//! `POST /v2/kernel/{id}`: run code in a kernel. (API manual of 2017, "Code execution".)
//!
//! One execution may take many of these requests: see
//! [`Execution`](crate::machine::Execution), which makes them all.

use super::result::ExecutionResult;
use super::{Operation, Repeat, Success};
use crate::error::{BuildError, ParseError};
use crate::ident::KernelId;
use crate::signing::Unsigned;
use crate::version::ApiVersion;

/// `POST /v2/kernel/{id}`: starts an execution, or goes on with one.
///
/// One execution may take many of these requests: [`Execution`](crate::machine::Execution) makes them
/// all. None is repeated by a machine if the gateway may have acted on it ([`Repeat::IfUnsent`]). (API
/// manual of 2017, "Code execution".)
///
/// Making the request fails with [`BuildError::CodeTooLong`] if its body has 1 MiB or more, which the
/// original gateway refuses: upload such code as a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Execute {
    /// The kernel to run it in.
    pub kernel: KernelId,
    /// What to run.
    pub mode: ExecuteMode,
    /// Whether this starts the execution or goes on with it.
    pub continuation: Continuation,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecuteMode {
    /// A snippet, in the kernel's interpreter.
    Query {
        /// The snippet.
        code: String,
    },
    /// The files in the kernel's work directory.
    Batch(Batch),
}

impl ExecuteMode {
    /// A snippet.
    #[must_use]
    pub fn query(code: impl Into<String>) -> Self {
        Self::Query { code: code.into() }
    }
}

impl From<&str> for ExecuteMode {
    fn from(code: &str) -> Self {
        Self::query(code)
    }
}

impl From<String> for ExecuteMode {
    fn from(code: String) -> Self {
        Self::query(code)
    }
}

impl From<Batch> for ExecuteMode {
    fn from(batch: Batch) -> Self {
        Self::Batch(batch)
    }
}

/// Builds and runs the files in the work directory. Each step is a shell command, `*` for what the
/// kernel does by default, or `None` to skip it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// How to build.
    pub build: Option<String>,
    /// Whether to show the build's log.
    pub build_log: bool,
    /// How to run.
    pub exec: Option<String>,
}

impl Default for Batch {
    /// The kernel's defaults for both steps, without the build's log.
    fn default() -> Self {
        Self {
            build: Some("*".to_owned()),
            build_log: false,
            exec: Some("*".to_owned()),
        }
    }
}

impl Batch {
    /// The kernel's defaults for both steps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds by this shell command; `None` skips the step.
    #[must_use]
    pub fn with_build(mut self, command: Option<String>) -> Self {
        self.build = command;
        self
    }

    /// Runs this shell command; `None` skips the step.
    #[must_use]
    pub fn with_exec(mut self, command: Option<String>) -> Self {
        self.exec = command;
        self
    }

    /// Shows the build's log, or not.
    #[must_use]
    pub fn with_build_log(mut self, shown: bool) -> Self {
        self.build_log = shown;
        self
    }
}

/// Where in an execution a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continuation {
    /// The first request.
    Start,
    /// Go on: more output is awaited.
    Continue,
    /// Go on with the input that the program asked for, without a line end: the original gateway adds
    /// none, and interpreters expect none.
    Input(String),
}

impl Execute {
    /// Starts an execution.
    #[must_use]
    pub fn start(kernel: KernelId, mode: ExecuteMode) -> Self {
        Self {
            kernel,
            mode,
            continuation: Continuation::Start,
        }
    }

    /// The next request of the same execution. The code is not sent again: gateways ignore what comes
    /// with a continuation.
    #[must_use]
    pub fn proceed(&self, continuation: Continuation) -> Self {
        Self {
            kernel: self.kernel.clone(),
            // What was sent at the start need not be kept: the gateway has it.
            mode: match &self.mode {
                ExecuteMode::Query { .. } => ExecuteMode::query(""),
                batch @ ExecuteMode::Batch(_) => batch.clone(),
            },
            continuation,
        }
    }
}

impl Operation for Execute {
    type Output = ExecutionResult;

    fn prepare(&self, version: ApiVersion) -> Result<Unsigned, BuildError> {
        let dialect = version.dialect();
        let unsigned = dialect.execute(self);
        let (size, limit) = (unsigned.body_len(), dialect.execute_body_limit());
        if size >= limit {
            return Err(BuildError::CodeTooLong { size, limit });
        }
        Ok(unsigned)
    }

    fn read(&self, success: &Success) -> Result<ExecutionResult, ParseError> {
        ExecutionResult::read(success)
    }

    /// Code must not run twice; and a continuation takes output (or gives input) that a second one
    /// would not find again.
    fn repeat(&self) -> Repeat {
        Repeat::IfUnsent
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel, signed};
    use super::*;

    fn body(operation: &Execute) -> String {
        let request = signed(operation);
        assert_eq!(
            (request.method().as_str(), request.uri().path()),
            ("POST", "/v2/kernel/k1")
        );
        String::from_utf8(request.body().as_bytes().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_query_goes_on_in_the_same_mode() {
        let start = Execute::start(kernel(), ExecuteMode::query("print('é')"));
        assert_eq!(body(&start), r#"{"mode":"query","code":"print('é')"}"#);
        let next = start.proceed(Continuation::Continue);
        assert_eq!(body(&next), r#"{"mode":"query","code":""}"#);
        let input = start.proceed(Continuation::Input("lablup".to_owned()));
        assert_eq!(body(&input), r#"{"mode":"query","code":"lablup"}"#);
    }

    #[test]
    fn skipped_steps_are_empty_and_never_null() {
        let batch = Batch::new()
            .with_build(None)
            .with_exec(Some("./main".to_owned()));
        let start = Execute::start(kernel(), ExecuteMode::Batch(batch));
        let expected =
            r#"{"mode":"batch","code":"","options":{"build":"","buildLog":false,"exec":"./main"}}"#;
        assert_eq!(body(&start), expected);
        assert_eq!(body(&start.proceed(Continuation::Continue)), expected);
    }

    #[test]
    fn code_that_the_gateway_would_refuse_is_not_sent() {
        let envelope = r#"{"mode":"query","code":""}"#.len();
        let fits = ExecuteMode::query("x".repeat(1024 * 1024 - envelope - 1));
        assert!(
            Execute::start(kernel(), fits)
                .prepare(ApiVersion::default())
                .is_ok()
        );
        let long = ExecuteMode::query("x".repeat(1024 * 1024 - envelope));
        let error = Execute::start(kernel(), long)
            .prepare(ApiVersion::default())
            .err()
            .unwrap();
        assert!(error.to_string().contains("upload"), "{error}");
    }
}
