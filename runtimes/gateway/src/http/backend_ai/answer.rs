//! Responses that several operations have in common.

use http::{Response, StatusCode};
use serde::{Serialize, Serializer};
use sorna_core::ProblemKind;
use sorna_core::server::{ProblemReply, reply};

use crate::http::body::ReplyBody;

pub(super) type Result<T = Response<ReplyBody>> = std::result::Result<T, ProblemReply>;

/// An object whose fields stay in their order, which official clients show them in.
#[derive(Debug, PartialEq)]
pub(super) struct Ordered<T>(pub(super) Vec<(String, T)>);

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// 200 with JSON.
pub(super) fn ok(body: &impl Serialize) -> Response<ReplyBody> {
    reply::json(StatusCode::OK, body).map(ReplyBody::new)
}

/// 204.
pub(super) fn done() -> Response<ReplyBody> {
    reply::done().map(ReplyBody::new)
}

/// The error response to a failure of a kernel.
pub(super) fn agent_failed(kind: ProblemKind, reason: &str) -> ProblemReply {
    kind.reply().with_agent("agent-failure", reason, None)
}
