//! What a run reports, during its work and at the end.

use crate::error::Error;
use crate::ident::KernelId;
use crate::machine::create::SessionPending;
use crate::machine::execution::ExecutionEvent;
use crate::machine::upload::UploadProgress;
use crate::ops::ExecutionResult;

/// What happens during a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunEvent {
    /// The kernel exists, or an older one of its name does, but does not run yet: its status, once and when it changes. Of
    /// Backend.AI only.
    SessionPending(SessionPending),
    /// The kernel exists.
    KernelReady(KernelId),
    /// The gateway accepted some of the files.
    Uploading(UploadProgress),
    /// The gateway accepted all of the files.
    Uploaded(UploadProgress),
    /// An execution starts.
    ExecutionStarted {
        /// Its place in the plan, from 0.
        index: usize,
    },
    /// Something happened in it, or at the end of the interpreter, after the last one. After `InputRequested`, call [`Run::answer`](super::Run::answer).
    Execution(ExecutionEvent),
    /// It ended.
    ExecutionFinished(ExecutionResult),
    /// The temporary kernel is about to be destroyed.
    CleaningUp,
}

/// How a run ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunReport {
    /// The kernel, if it is known.
    pub kernel: Option<KernelId>,
    /// How it ended.
    pub ending: Ending,
    /// What happened to the kernel.
    pub cleanup: Cleanup,
}

/// How the work itself ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ending {
    /// Everything planned was done, or an execution timed out or ended with another exit code than
    /// 0 (see its result). Holds the last result, without its console.
    Finished(Option<ExecutionResult>),
    /// The caller cancelled.
    Cancelled,
    /// Something failed.
    Failed(Error),
}

/// What happened to the kernel.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cleanup {
    /// It was kept, and is still alive.
    Kept,
    /// There was no kernel to destroy.
    NoKernel,
    /// It is destroyed, or was gone already.
    Destroyed,
    /// It could not be destroyed, and stays alive until the gateway's idle timeout.
    Failed(Error),
    /// The request to create it got no response, or one that does not say whether it was created, and
    /// the attempts to find it failed: it may or may not exist.
    Unknown,
}
