//! The options of a query, which dialects share.

use serde::Serialize;

use super::request::Execute;

/// Sent only to gateways that know them.
#[derive(Serialize)]
pub(super) struct QueryOptions {
    r#final: bool,
}

impl QueryOptions {
    /// The options of a query; `None` if it has none.
    pub(super) fn of(execute: &Execute) -> Option<Self> {
        execute.is_final.then_some(Self { r#final: true })
    }
}
