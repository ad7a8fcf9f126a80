//! Why a tool could not do what was asked.

use std::fmt;

use sorna::{Error, ProblemKind, with_causes};

/// A failure, as a model reads it. What a program does wrong is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(String);

impl Failure {
    /// With a sentence that says what is wrong, and what would be right.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A request to the gateway has failed.
    pub(crate) fn of(doing: &str, error: &Error) -> Self {
        let what = match error.transport() {
            Some(_) => "the gateway cannot be reached",
            None if error.is_auth() => "the gateway does not accept the keys",
            None if matches!(error, Error::Build(_)) => "the gateway has no such thing",
            None => "the gateway reports an error",
        };
        let doubt = match error.may_have_acted() {
            true => " It may have acted all the same: look before you try again.",
            false => "",
        };
        let reason = reason(error).unwrap_or_else(|| with_causes(error));
        Self(format!("{doing}: {what}: {reason}.{doubt}"))
    }
}

/// What is wrong with a request, where a gateway of this project says it in parentheses, after the general.
fn reason(error: &Error) -> Option<String> {
    let gateway = error.gateway()?;
    if gateway.kind() != Some(ProblemKind::InvalidApiParams) {
        return None;
    }
    let (_, reason) = gateway.message()?.split_once(" (")?;
    reason.strip_suffix(')').map(str::to_owned)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
