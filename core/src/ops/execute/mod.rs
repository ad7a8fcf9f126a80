//! `POST /v2/kernel/{id}`: run code in a kernel. (API manual of 2017, "Code execution".)
//!
//! One execution may take many of these requests: see
//! [`Execution`](crate::machine::Execution), which makes them all.

mod body;
mod mode;
mod result;
mod sorna_v2;
#[cfg(test)]
mod tests;

pub use mode::{Batch, Continuation, ExecuteMode};
pub use result::{ExecutionResult, ExecutionStatus};

use super::operation::{Operation, Repeat, Success};
use crate::error::{BuildError, Error};
use crate::ident::KernelId;
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

/// `POST /v2/kernel/{id}`: starts or continues an execution.
///
/// One execution may take many of these requests: [`Execution`](crate::machine::Execution) makes them
/// all. None is repeated by a machine if the gateway may have acted on it ([`Repeat::IfUnsent`]). (API
/// manual of 2017, "Code execution".)
///
/// Making the request fails with [`BuildError::CodeTooLong`] if its body has 1 MiB or more, which the
/// original gateway rejects: upload such code as a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Execute {
    /// The kernel to run it in.
    pub kernel: KernelId,
    /// What to run.
    pub mode: ExecuteMode,
    /// Whether this starts the execution or continues it.
    pub continuation: Continuation,
}

impl Execute {
    /// Starts an execution.
    #[must_use]
    pub fn start(kernel: KernelId, mode: ExecuteMode) -> Self {
        Self {
            kernel,
            mode,
            continuation: Continuation::Start,
        }
    }

    /// The next request of the same execution. The code is not sent again: gateways ignore what comes
    /// with a continuation.
    #[must_use]
    pub fn proceed(&self, continuation: Continuation) -> Self {
        Self {
            kernel: self.kernel.clone(),
            // What was sent at the start need not be kept: the gateway has it.
            mode: match &self.mode {
                ExecuteMode::Query { .. } => ExecuteMode::query(""),
                batch @ ExecuteMode::Batch(_) => batch.clone(),
            },
            continuation,
        }
    }
}

impl Operation for Execute {
    type Output = ExecutionResult;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        let dialect = version.dialect();
        let request = match dialect {
            Dialect::SornaV2 => sorna_v2::prepare(&self.kernel, &self.mode, &self.continuation)?,
        };
        let limit = dialect.execute_body_limit();
        let size = usize::try_from(request.body_len()).unwrap_or(usize::MAX);
        if size >= limit {
            return Err(BuildError::CodeTooLong { size, limit });
        }
        Ok(request)
    }

    fn read(&self, version: ApiVersion, success: &Success) -> Result<ExecutionResult, Error> {
        match version.dialect() {
            Dialect::SornaV2 => body::read(success),
        }
    }

    /// Code must not run twice; and a continuation takes output (or gives input) that a second one
    /// would not find again.
    fn repeat(&self) -> Repeat {
        Repeat::IfUnsent
    }
}
