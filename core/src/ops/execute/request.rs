//! The parts of an execute request.

use super::mode::{Continuation, ExecuteMode};
use super::result::ExecutionResult;
use crate::ident::KernelId;

/// `POST /v2/kernel/{id}`: starts or continues an execution.
///
/// One execution may take many of these requests: [`Execution`](crate::machine::Execution) makes them
/// all. Machines do not retry one if the gateway may have acted on it
/// ([`Repeat::IfUnsent`](crate::Repeat::IfUnsent)). (API manual of 2017, "Code execution".)
///
/// Making the request fails with [`BuildError::CodeTooLong`](crate::BuildError::CodeTooLong) if its body has 1 MiB or more, which the
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
    /// The ID that all requests of one execution share, in dialects with such IDs. Sorna v2 has
    /// none, so it is not sent there.
    pub run_id: Option<String>,
}

impl Execute {
    /// Starts an execution.
    #[must_use]
    pub fn start(kernel: KernelId, mode: ExecuteMode) -> Self {
        Self {
            kernel,
            mode,
            continuation: Continuation::Start,
            run_id: None,
        }
    }

    /// Keeps the part of a result that the next request needs: its run ID, if it has one.
    pub fn remember(&mut self, result: &ExecutionResult) {
        if let Some(run_id) = result.run_id()
            && self.run_id.as_deref() != Some(run_id)
        {
            self.run_id = Some(run_id.to_owned());
        }
    }

    /// The next request of the same execution. The code is not sent again: gateways ignore code in
    /// a continuation.
    #[must_use]
    pub fn proceed(&self, continuation: Continuation) -> Self {
        Self {
            kernel: self.kernel.clone(),
            // The code need not be kept: the gateway has it.
            mode: match &self.mode {
                ExecuteMode::Query { .. } => ExecuteMode::query(""),
                batch @ ExecuteMode::Batch(_) => batch.clone(),
            },
            continuation,
            run_id: self.run_id.clone(),
        }
    }
}
