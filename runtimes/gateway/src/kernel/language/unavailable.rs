//! Why a language cannot be had.

/// Why a language cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// There is no language of that name.
    Unknown,
    /// None of its tools is on this machine.
    ToolMissing(Vec<String>),
}
