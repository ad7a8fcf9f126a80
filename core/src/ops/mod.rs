//! One plain type for each operation of the API: the crate's page has the table.
//!
//! Each operation writes its request and reads its response for every dialect, side by side: in the
//! operation's file if that takes a line or two, otherwise in a file named after the dialect.

mod authorize;
mod backend_ai;
mod complete;
mod create;
mod destroy;
mod download;
mod execute;
mod files;
mod graphql;
mod info;
mod interrupt;
mod keep_alive;
mod languages;
mod login;
mod login_check;
mod logs;
mod operation;
mod rename;
mod restart;
mod sessions;
mod sorna_v2;
mod status_history;
#[cfg(test)]
pub(crate) mod testing;
mod upload;
mod version;

pub use authorize::{Authorize, Authorized};
pub use complete::Complete;
pub use create::{
    ClusterMode, CreateKernel, CreatedKernel, KernelSpec, Limits, ServicePort, SessionStatus,
};
pub use destroy::Destroy;
pub use download::{Download, DownloadSingle, DownloadedFile};
pub(crate) use execute::stream;
pub use execute::{
    Batch, Continuation, Exceeded, Execute, ExecuteMode, ExecutionResult, ExecutionStatus, Limit,
    OpenExecution, RunMark, Usage,
};
pub use files::{FileInfo, FileListing, ListFiles};
pub use info::{Info, KernelInfo};
pub use interrupt::Interrupt;
pub use keep_alive::{KeepAlive, KeptAlive};
pub use languages::{LanguageInfo, ListLanguages};
pub use login::{Login, Logout, WebSession};
pub use login_check::{LoginCheck, WebUser};
pub use logs::{FollowLogs, LogPart, Logs};
pub use operation::{Operation, Repeat, Reply, Success};
pub use rename::Rename;
pub use restart::Restart;
pub use sessions::{ListSessions, MatchSessions, SessionPage, SessionSummary};
pub use status_history::{StatusChange, StatusHistory};
pub use upload::{Boundary, FileContent, FileMode, UploadFile, UploadFiles};
pub(crate) use upload::{check_files, check_files_of};
pub use version::{Version, VersionInfo};
