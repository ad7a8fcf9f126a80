//! What one version of the protocol does differently from another, all in one place.
//!
//! An [`ApiVersion`] chooses a [`Dialect`]; every request whose form depends on the dialect is made
//! here. Answers are read by the operations themselves, which take the words of all dialects. To
//! add a dialect (Backend.AI v4 and later: `X-BackendAI-Version`, no `/v2`, bodies never hashed,
//! sessions in place of kernels, run ids), add a file and a variant, and follow the compiler.

mod sorna_v2;

use http::Method;

use crate::ident::KernelId;
use crate::ops::{Complete, CreateKernel, Execute};
use crate::signing::Unsigned;
use crate::version::Dialect;

/// What a request is about; the dialect turns it into a method and a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resource<'a> {
    Version,
    Authorize,
    Languages,
    Create,
    Info(&'a KernelId),
    Restart(&'a KernelId),
    Destroy(&'a KernelId),
    Execute(&'a KernelId),
    Complete(&'a KernelId),
    Upload(&'a KernelId),
    Terminal(&'a KernelId),
}

impl Dialect {
    /// The method of a request; its path, below the endpoint's prefix, is added to `path`.
    pub(crate) fn route(self, resource: Resource<'_>, path: &mut Vec<u8>) -> Method {
        match self {
            Self::SornaV2 => sorna_v2::route(resource, path),
        }
    }

    /// A create request.
    pub(crate) fn create(self, create: &CreateKernel) -> Unsigned {
        match self {
            Self::SornaV2 => sorna_v2::create(create),
        }
    }

    /// An execute request.
    pub(crate) fn execute(self, execute: &Execute) -> Unsigned {
        match self {
            Self::SornaV2 => sorna_v2::execute(execute),
        }
    }

    /// A request for completions.
    pub(crate) fn complete(self, complete: &Complete) -> Unsigned {
        match self {
            Self::SornaV2 => sorna_v2::complete(complete),
        }
    }
}
