//! The result of a creation.

use serde_json::{Map, Value};

use crate::ident::KernelId;

/// A kernel that was created, or found by its token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CreatedKernel {
    /// The gateway's name for the kernel.
    pub id: KernelId,
    /// The other fields of the response.
    pub extra: Map<String, Value>,
}
