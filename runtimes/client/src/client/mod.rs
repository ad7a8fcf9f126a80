//! The async client: everything above a [`Transport`], once for all runtimes.

mod background;
mod deferred;
mod driver;
mod execution;
mod handle;
mod inner;
mod kernel;
mod negotiation;
mod run;
mod stream;
mod temporary;

pub use execution::Execution;
pub use handle::Client;
pub use kernel::Kernel;
pub use run::{Canceller, Run};
pub use stream::StreamedResponse;
pub use temporary::TemporaryKernel;
