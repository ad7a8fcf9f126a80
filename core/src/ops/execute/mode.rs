//! What to run, and the position of a request in an execution.

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

/// Builds and runs the files in the work directory. Each of the two steps is a shell command, the kernel's
/// default, or skipped.
///
/// ```
/// use sorna_core::Batch;
///
/// let batch = Batch::new().without_build().with_exec("./run-tests --all");
/// assert_eq!((batch.build(), batch.exec()), (None, Some("./run-tests --all")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What Backend.AI runs before the build.
    clean: String,
    build: Option<String>,
    build_log: bool,
    exec: Option<String>,
}

impl Default for Batch {
    /// The kernel's defaults for both steps, without the build's log.
    fn default() -> Self {
        Self {
            clean: String::new(),
            build: Some(Self::DEFAULT.to_owned()),
            build_log: false,
            exec: Some(Self::DEFAULT.to_owned()),
        }
    }
}

impl Batch {
    /// The command that means the kernel's default.
    pub const DEFAULT: &'static str = "*";

    /// The kernel's defaults for both steps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds with this shell command. An empty one skips the step.
    #[must_use]
    pub fn with_build(mut self, command: impl Into<String>) -> Self {
        self.build = Some(command.into());
        self
    }

    /// Skips the build.
    #[must_use]
    pub fn without_build(mut self) -> Self {
        self.build = None;
        self
    }

    /// Runs this shell command. An empty one skips the step.
    #[must_use]
    pub fn with_exec(mut self, command: impl Into<String>) -> Self {
        self.exec = Some(command.into());
        self
    }

    /// Runs nothing after the build.
    #[must_use]
    pub fn without_exec(mut self) -> Self {
        self.exec = None;
        self
    }

    /// Shows the build's log, or not.
    #[must_use]
    pub fn with_build_log(mut self, shown: bool) -> Self {
        self.build_log = shown;
        self
    }

    /// For Backend.AI: a command in place of the build, as the step before it.
    pub(crate) fn in_clean(command: String, exec: String) -> Self {
        Self {
            clean: command,
            build: None,
            build_log: false,
            exec: Some(exec),
        }
    }

    /// What Backend.AI runs before the build; empty for nothing.
    pub(super) fn clean(&self) -> &str {
        &self.clean
    }

    /// How to build; `None` if that is skipped.
    #[must_use]
    pub fn build(&self) -> Option<&str> {
        self.build.as_deref()
    }

    /// Whether the build's log is shown.
    #[must_use]
    pub fn build_log(&self) -> bool {
        self.build_log
    }

    /// How to run; `None` if that is skipped.
    #[must_use]
    pub fn exec(&self) -> Option<&str> {
        self.exec.as_deref()
    }
}

/// The position of a request in an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continuation {
    /// The first request.
    Start,
    /// Continue: wait for more output.
    Continue,
    /// Continue with the input that the program asked for. It has no line end: the original gateway adds
    /// none, and interpreters expect none.
    Input(String),
    /// Continue with these bytes as the input that the program asked for. They need not be UTF-8, and nothing is added to
    /// them: the program reads them as they are, and waits for more where it needs more.
    ///
    /// An extension of the gateway in `sorna-gateway`: only for a program whose request for input
    /// [takes bytes](super::ExecutionResult::takes_bytes). The code of the request is then their Base64, and the request has
    /// `"encoding": "base64"`.
    InputBytes(Vec<u8>),
}
