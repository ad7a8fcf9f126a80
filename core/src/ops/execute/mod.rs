//! `POST /v2/kernel/{id}`: run code in a kernel. (API manual of 2017, "Code execution".)
//!
//! One execution may take many of these requests: see
//! [`Execution`](crate::machine::Execution), which makes them all.

mod backend_ai;
mod body;
mod bytes;
mod limit;
mod mark;
mod mode;
mod query;
mod request;
mod result;
mod sorna_v2;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
mod usage;

pub use limit::{Exceeded, Limit};
pub use mark::RunMark;
pub use mode::{Batch, Continuation, ExecuteMode};
pub use request::Execute;
pub use result::{ExecutionResult, ExecutionStatus};
pub use stream::OpenExecution;
pub use usage::Usage;

use super::operation::{Operation, Repeat, Success};
use crate::error::{BuildError, Error};
use crate::unsigned::UnsignedRequest;
use crate::version::{ApiVersion, Dialect};

impl Operation for Execute {
    type Output = ExecutionResult;

    fn prepare(&self, version: ApiVersion) -> Result<UnsignedRequest, BuildError> {
        let dialect = version.dialect();
        let request = match dialect {
            Dialect::SornaV2 => sorna_v2::prepare(self)?,
            Dialect::BackendAi => backend_ai::prepare(self)?,
        };
        let size = usize::try_from(request.body_len()).unwrap_or(usize::MAX);
        check_size(size, dialect)?;
        Ok(request)
    }

    fn read(&self, version: ApiVersion, success: &Success) -> Result<ExecutionResult, Error> {
        match version.dialect() {
            Dialect::SornaV2 | Dialect::BackendAi => body::read(success),
        }
    }

    /// Code must not run twice; and a continuation fetches output (or gives input), which a second
    /// one would miss. A gateway that knows marks recognizes both.
    fn repeat(&self) -> Repeat {
        match self.mark {
            Some(_) => Repeat::Recognized,
            None => Repeat::IfUnsent,
        }
    }
}

/// What starts or continues an execution must be shorter than what gateways reject.
fn check_size(size: usize, dialect: Dialect) -> Result<(), BuildError> {
    let limit = dialect.execute_body_limit();
    match size >= limit {
        true => Err(BuildError::CodeTooLong { size, limit }),
        false => Ok(()),
    }
}
