//! Why a language is not available.

/// Why a language is not available.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// There is no language of that name.
    Unknown,
    /// None of its tools is installed.
    ToolMissing(Vec<String>),
}
