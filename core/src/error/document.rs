//! Problem documents (RFC 9457, once RFC 7807).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::problem::ProblemKind;

/// A problem document. Match on [`kind`](Self::kind).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// What happened, as text.
    #[serde(default)]
    pub title: Option<String>,
    /// What the agent that runs the kernel reported, if it is the one that failed.
    #[serde(
        default,
        rename = "agent-details",
        skip_serializing_if = "Option::is_none"
    )]
    pub agent_details: Option<AgentDetails>,
    /// The document's other fields.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Problem {
    /// The last segment of the type's URI: `kernel-not-found`, `auth-failed`, …
    #[must_use]
    pub fn kind_name(&self) -> &str {
        self.type_uri
            .rsplit_once('/')
            .map_or(self.type_uri.as_str(), |(_, kind)| kind)
    }

    /// The kind of problem, if it is one that this crate knows.
    #[must_use]
    pub fn kind(&self) -> Option<ProblemKind> {
        ProblemKind::from_name(self.kind_name())
    }

    /// The code of the error, such as `session_read_not-found`: what was done to what, and what went wrong. Backend.AI
    /// sends it from 25.8 on.
    #[must_use]
    pub fn error_code(&self) -> Option<&str> {
        self.extra.get("error_code").and_then(Value::as_str)
    }

    /// More about the problem, of any form: an object of invalid fields, the path of the request, ….
    #[must_use]
    pub fn data(&self) -> Option<&Value> {
        self.extra.get("data").filter(|data| !data.is_null())
    }

    /// What happened, as text: `msg` of later gateways, whose title is the same for all problems of a kind;
    /// else the title.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.msg().or(self.title.as_deref())
    }

    /// What happened in this case, as text, where the title is that of the kind: `msg` of Backend.AI.
    #[must_use]
    pub fn msg(&self) -> Option<&str> {
        let msg = self.extra.get("msg").and_then(Value::as_str);
        msg.filter(|msg| !msg.is_empty())
    }

    /// Whether it is about the date of the request.
    pub(super) fn is_about_date(&self) -> bool {
        [self.msg(), self.title.as_deref()]
            .into_iter()
            .flatten()
            .any(|text| text.to_ascii_lowercase().contains("date"))
    }
}

/// The agent's part of a problem document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentDetails {
    /// A URI or name: `…/agent-timeout`, `…/agent-invalid-input`, `…/agent-failure`.
    #[serde(default, rename = "type")]
    pub type_uri: Option<String>,
    /// What happened, as text.
    #[serde(default)]
    pub title: Option<String>,
    /// The exception in the agent, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// Its other fields.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
