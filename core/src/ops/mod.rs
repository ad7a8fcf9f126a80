//! One plain type for each operation of the API: the crate's page has the table.
//!
//! Each operation writes its request and reads its response for every dialect, side by side: in place where
//! that takes a line or two, else in a file named after the dialect.

mod authorize;
mod backend_ai;
mod complete;
mod create;
mod destroy;
mod execute;
mod graphql;
mod info;
mod languages;
mod operation;
mod restart;
mod sessions;
mod sorna_v2;
#[cfg(test)]
pub(crate) mod testing;
mod upload;
mod version;

pub use authorize::{Authorize, Authorized};
pub use complete::Complete;
pub use create::{CreateKernel, CreatedKernel, KernelSpec, Limits};
pub use destroy::Destroy;
pub use execute::{Batch, Continuation, Execute, ExecuteMode, ExecutionResult, ExecutionStatus};
pub use info::{Info, KernelInfo};
pub use languages::{LanguageInfo, ListLanguages};
pub use operation::{Operation, Repeat, Reply, Success};
pub use restart::Restart;
pub use sessions::{ListSessions, MatchSessions, SessionPage, SessionSummary};
pub(crate) use upload::check_files;
pub use upload::{Boundary, FileContent, UploadFile, UploadFiles};
pub use version::{Version, VersionInfo};
