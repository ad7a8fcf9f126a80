//! What to run, and where in an execution a request stands.

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
