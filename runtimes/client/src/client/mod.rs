//! The async client: everything above a [`Transport`], once for all runtimes.

mod background;
#[cfg_attr(
    not(feature = "terminal"),
    allow(
        dead_code,
        reason = "only transports that can upgrade connections have WebSockets"
    )
)]
mod channel;
mod deferred;
mod download;
mod driver;
mod events;
mod execution;
mod handle;
mod inner;
mod kernel;
mod logs;
mod negotiation;
mod run;
mod sessions;
#[cfg(feature = "terminal")]
mod socket;
mod stream;
mod temporary;

pub use download::DownloadStream;
pub use events::Events;
pub use execution::Execution;
pub use handle::Client;
pub use kernel::Kernel;
pub use logs::LogStream;
pub use run::{Canceller, Run};
pub use stream::StreamedResponse;
pub use temporary::TemporaryKernel;
