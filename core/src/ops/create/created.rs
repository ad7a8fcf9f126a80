//! The result of a creation.

use serde_json::{Map, Value};

use crate::ident::KernelId;

/// A kernel that was created, or found by its token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CreatedKernel {
    /// The gateway's identifier of the kernel.
    pub id: KernelId,
    /// Whether it is new: `false` for a living one that was found by its token. `None` if the
    /// gateway does not say, like those of 2017.
    pub created: Option<bool>,
    /// The state of the kernel, such as `RUNNING`. `None` if the gateway does not say, like those of 2017.
    pub status: Option<String>,
    /// The other fields of the response, and `created` and `status` if they were of another type.
    pub extra: Map<String, Value>,
}

impl CreatedKernel {
    /// The kernel, as described by `fields`, the rest of the response.
    pub(super) fn new(id: KernelId, mut fields: Map<String, Value>) -> Self {
        let created = fields.get("created").and_then(Value::as_bool);
        if created.is_some() {
            fields.remove("created");
        }
        let status = match fields.remove("status") {
            Some(Value::String(status)) => Some(status),
            Some(other) => {
                fields.insert("status".to_owned(), other);
                None
            }
            None => None,
        };
        Self {
            id,
            created,
            status,
            extra: fields,
        }
    }
}
