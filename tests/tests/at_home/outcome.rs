//! What comes of programs.

/// What came of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// As a shell reports it.
    pub(crate) exit_code: i64,
}
