//! The options of a query, which dialects share.

use serde::Serialize;

use super::mark::RunMark;
use super::request::Execute;

/// Sent only to gateways that know them.
#[derive(Serialize)]
pub(super) struct QueryOptions<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    r#final: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    echo: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a RunMark>,
}

impl<'a> QueryOptions<'a> {
    /// The options of a query, or of a continuation; `None` if it has none.
    pub(super) fn of(execute: &'a Execute) -> Option<Self> {
        let has_any = execute.is_final || execute.echoes || execute.mark.is_some();
        has_any.then_some(Self {
            r#final: execute.is_final,
            echo: execute.echoes,
            run: execute.mark.as_ref(),
        })
    }
}
