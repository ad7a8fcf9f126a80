//! What a run does.

use std::time::Duration;

use crate::ident::SessionToken;
use crate::ops::{ExecuteMode, KernelSpec, UploadFile};

/// What a run does: get or create a kernel, upload files, execute, and destroy the kernel.
///
/// ```
/// use sorna_core::machine::RunPlan;
/// use sorna_core::{Batch, UploadFile};
///
/// let hello = RunPlan::temporary("python3", ["print('hello')"]);
/// assert!(!hello.keeps_kernel());
///
/// let main = UploadFile::from_bytes("main.c", "int main(void) { return 0; }")?;
/// let program = RunPlan::temporary("c", [Batch::new()]).with_files(vec![main]);
/// assert_eq!(program.files().len(), 1);
/// # Ok::<(), sorna_core::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RunPlan {
    pub(super) spec: KernelSpec,
    pub(super) token: Option<SessionToken>,
    pub(super) temporary: bool,
    pub(super) files: Vec<UploadFile>,
    pub(super) is_any_size: bool,
    pub(super) executions: Vec<ExecuteMode>,
    pub(super) start_limit: Option<Duration>,
    pub(super) silence_limit: Option<Duration>,
    pub(super) busy_wait: Option<Duration>,
    pub(super) detaches: bool,
    pub(super) is_detached: bool,
    pub(super) echoes: bool,
    pub(super) is_piped: bool,
    pub(super) ends_interpreter: bool,
}

impl RunPlan {
    /// A run in a temporary kernel, without files. The kernel is destroyed however the run ends.
    ///
    /// The executions run one after the other. After one that fails (with an exit code that is
    /// known and not 0) or times out, the rest is skipped.
    ///
    /// With the gateway in `sorna-gateway`, the interpreter ends after the last snippet as its language does: threads are
    /// waited for, hooks run, and what they print is output of the run. The exit code of the last execution is then that
    /// of the interpreter's process. See [`Execute::with_final`](crate::Execute::with_final).
    #[must_use]
    pub fn temporary<E: Into<ExecuteMode>>(
        spec: impl Into<KernelSpec>,
        executions: impl IntoIterator<Item = E>,
    ) -> Self {
        Self {
            spec: spec.into(),
            token: None,
            temporary: true,
            files: Vec::new(),
            is_any_size: false,
            executions: executions.into_iter().map(Into::into).collect(),
            start_limit: None,
            silence_limit: None,
            busy_wait: None,
            detaches: false,
            is_detached: false,
            echoes: false,
            is_piped: false,
            ends_interpreter: false,
        }
    }

    /// Waits this long for the kernel to start: see [`Create::with_time_limit`](crate::machine::Create::with_time_limit).
    #[must_use]
    pub fn with_start_limit(mut self, limit: Duration) -> Self {
        self.start_limit = Some(limit);
        self
    }

    /// Gives up a program that prints nothing for this long: see
    /// [`Execution::with_silence_limit`](crate::machine::Execution::with_silence_limit).
    #[must_use]
    pub fn with_silence_limit(mut self, limit: Duration) -> Self {
        self.silence_limit = Some(limit);
        self
    }

    /// Waits at most this long, before each execution, for one of another client that keeps the kernel busy: see
    /// [`Execution::with_busy_wait`](crate::machine::Execution::with_busy_wait). Without this, that is an error.
    #[must_use]
    pub fn with_busy_wait(mut self, limit: Duration) -> Self {
        self.busy_wait = Some(limit);
        self
    }

    /// Leaves the program running in a kernel that is kept when the run is [cancelled](super::Run::cancel), where it would be
    /// interrupted without this. Has no effect with managers of Backend.AI, where an execution that no one continues blocks
    /// its session.
    #[must_use]
    pub fn with_detach_on_cancel(mut self, detaches: bool) -> Self {
        self.detaches = detaches;
        self
    }

    /// Only starts the last execution, in a kernel that is kept, or not: see
    /// [`RunMark::with_detached`](crate::RunMark::with_detached). Its result is then that it is
    /// [`Continued`](crate::ExecutionStatus::Continued).
    ///
    /// If the gateway does not offer that, the run ends with [`BuildError::NotOffered`](crate::BuildError::NotOffered) once the
    /// kernel is ready, before anything is uploaded or executed.
    #[must_use]
    pub fn with_detach(mut self, is_detached: bool) -> Self {
        self.is_detached = is_detached;
        self.temporary &= !is_detached;
        self
    }

    /// Asks for the value of each snippet's last expression, as an interactive prompt shows it: see
    /// [`Execute::with_echo`](crate::Execute::with_echo). That has no effect where the gateway, or the language, does not know
    /// it: [`Run::echoes`](super::Run::echoes) says whether it does.
    #[must_use]
    pub fn with_echo(mut self, echoes: bool) -> Self {
        self.echoes = echoes;
        self
    }

    /// Says that answers come from a pipe or a file, or not: see
    /// [`RunMark::with_piped_input`](crate::RunMark::with_piped_input). That has no effect where the gateway does not know it.
    #[must_use]
    pub fn with_piped_input(mut self, is_piped: bool) -> Self {
        self.is_piped = is_piped;
        self
    }

    /// Sets whether the interpreter of a temporary kernel ends as its language does, even if this run executes nothing. A prompt
    /// needs that, whose snippets are executed by runs of their own in the same kernel.
    ///
    /// What the interpreter prints at its end is reported after [`KernelReady`](super::RunEvent::KernelReady). If it fails, its
    /// result is that of the run. Without effect on gateways that do not know
    /// [`Execute::with_final`](crate::Execute::with_final).
    #[must_use]
    pub fn with_interpreter_end(mut self, ends: bool) -> Self {
        self.ends_interpreter = ends;
        self
    }

    /// Runs in the living kernel with this token, or in a new one with it. Without this, the token is random,
    /// and so the kernel is new.
    #[must_use]
    pub fn with_token(mut self, token: SessionToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Keeps the kernel at the end, for later runs with the same token.
    #[must_use]
    pub fn keep_kernel(mut self) -> Self {
        self.temporary = false;
        self
    }

    /// Uploads these files first.
    #[must_use]
    pub fn with_files(mut self, files: Vec<UploadFile>) -> Self {
        self.files = files;
        self
    }

    /// The kernel to get or create.
    #[must_use]
    pub fn spec(&self) -> &KernelSpec {
        &self.spec
    }

    /// The token of the kernel; `None` for a random one.
    #[must_use]
    pub fn token(&self) -> Option<&SessionToken> {
        self.token.as_ref()
    }

    /// Whether the kernel is kept at the end.
    #[must_use]
    pub fn keeps_kernel(&self) -> bool {
        !self.temporary
    }

    /// Sets whether files may have any size: no by default. See [`UploadFiles::with_any_size`](crate::UploadFiles::with_any_size)
    /// for the gateways that take these. `Client::run` of crate `sorna` asks the gateway where it matters.
    #[must_use]
    pub fn with_any_size(mut self, is_any_size: bool) -> Self {
        self.is_any_size = is_any_size;
        self
    }

    /// The files to upload first.
    #[must_use]
    pub fn files(&self) -> &[UploadFile] {
        &self.files
    }

    /// What to execute, one after the other.
    #[must_use]
    pub fn executions(&self) -> &[ExecuteMode] {
        &self.executions
    }
}
