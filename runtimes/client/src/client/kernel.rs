//! A kernel.

use std::fmt;

use sorna_core::machine::{Upload, UploadProgress};
#[cfg(feature = "terminal")]
use sorna_core::terminal::TerminalOptions;
use sorna_core::{
    Complete, CreateKernel, Destroy, Error, ExecuteMode, ExecutionResult, Info, KernelId,
    KernelInfo, KernelSpec, Restart, SessionToken, UploadFile, UsageError,
};

use super::Execution;
use super::driver::Driven;
use super::handle::Client;
use crate::net::Transport;
#[cfg(feature = "terminal")]
use crate::net::UpgradeTransport;
#[cfg(feature = "terminal")]
use crate::terminal::{self, Pty};
use crate::{random_boundary, random_token};

/// A kernel on the gateway.
///
/// Dropping it does not destroy it: call [`destroy`](Self::destroy), or use [`Client::temporary`]
/// or [`Client::run`], which do so for you.
///
/// | the original client | here |
/// |---|---|
/// | `Kernel.get_or_create(lang, token)` | [`Client::get_or_create`] |
/// | `kernel.execute(code, mode)` | [`run`](Self::run) and [`execute`](Self::execute), with a [`Batch`](sorna_core::Batch) for `batch` |
/// | `kernel.execute(code, mode='complete')` | [`complete`](Self::complete) |
/// | `kernel.upload(files)` | [`upload`](Self::upload) |
/// | `kernel.get_info()` | [`info`](Self::info) |
/// | `kernel.restart()`, `kernel.destroy()` | [`restart`](Self::restart), [`destroy`](Self::destroy) |
pub struct Kernel<T> {
    client: Client<T>,
    id: KernelId,
}

impl<T: Transport + 'static> Client<T> {
    /// Creates a kernel: of a language (`"python3"`), or of a [`KernelSpec`] with limits and mounts.
    ///
    /// It lives until it is [destroyed](Kernel::destroy), or idle for longer than the gateway
    /// allows. For one that is destroyed automatically, use [`temporary`](Self::temporary).
    ///
    /// # Errors
    ///
    /// See [`Error`]; for a language that the gateway does not have, a
    /// [`GatewayError`](sorna_core::GatewayError) whose `is_creation_failed` is true. If
    /// [`Error::may_have_acted`] is true the kernel may exist all the same.
    pub async fn create(&self, spec: impl Into<KernelSpec>) -> Result<Kernel<T>, Error> {
        self.create_kernel(CreateKernel::new(spec, random_token()))
            .await
    }

    /// Gets the kernel with this session token and language if it is alive, or creates it.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create). If the kernel was created despite the error, calling this again finds it.
    pub async fn get_or_create(
        &self,
        spec: impl Into<KernelSpec>,
        token: &SessionToken,
    ) -> Result<Kernel<T>, Error> {
        self.create_kernel(CreateKernel::new(spec, token.clone()))
            .await
    }

    async fn create_kernel(&self, create: CreateKernel) -> Result<Kernel<T>, Error> {
        let created = self.call(create).await?.value;
        Ok(self.kernel(created.id))
    }

    /// A kernel that exists already. Sends no request.
    #[must_use]
    pub fn kernel(&self, id: KernelId) -> Kernel<T> {
        Kernel::new(self.clone(), id)
    }
}

impl<T: Transport + 'static> Kernel<T> {
    pub(super) fn new(client: Client<T>, id: KernelId) -> Self {
        Self { client, id }
    }

    pub(super) fn client(&self) -> &Client<T> {
        &self.client
    }

    /// The ID that the gateway gave it.
    #[must_use]
    pub fn id(&self) -> &KernelId {
        &self.id
    }

    /// An execution of a snippet (`&str`, `String`) or of the files in the work directory
    /// ([`Batch`](sorna_core::Batch)). It starts when its first event is asked for.
    pub fn execute(&self, mode: impl Into<ExecuteMode>) -> Execution<T> {
        Execution::new(self.client.clone(), self.id.clone(), mode.into())
    }

    /// Executes a snippet (`&str`, `String`) or the files in the work directory
    /// ([`Batch`](sorna_core::Batch)), waits for the end, and returns all output.
    ///
    /// A program that fails is not an error: see [`ExecutionResult::exit_code`] and
    /// [`ExecutionResult::stderr`]. To get output as it arrives, or to answer input requests, use
    /// [`execute`](Self::execute).
    ///
    /// # Errors
    ///
    /// See [`Error`]. [`UsageError::InputUnavailable`] if the program asks for input, which cannot be given
    /// here. Such a program would take the code of the next execution for its input, so it is
    /// stopped by [restarting](Self::restart) the kernel: files are kept, the interpreter's state
    /// is lost. If the restart fails, its error is returned.
    pub async fn run(&self, mode: impl Into<ExecuteMode>) -> Result<ExecutionResult, Error> {
        match self.execute(mode).finish().await {
            Err(Error::Usage(UsageError::InputExpected)) => {
                self.restart().await?;
                // A gateway may report the end of the stopped program in response to the next execution.
                let _ = self.execute("").finish().await;
                Err(UsageError::InputUnavailable.into())
            }
            result => result,
        }
    }

    /// Completes `code` at its end: the candidates, in the gateway's order.
    ///
    /// # Errors
    ///
    /// See [`Error`]; the original gateway does not have this and responds with 500.
    pub async fn complete(&self, code: &str) -> Result<Vec<String>, Error> {
        let complete = Complete::at_end(self.id.clone(), code);
        Ok(self.client.call(complete).await?.value)
    }

    /// Puts files into the work directory, in as many requests as needed. See
    /// [`files::relative_to`](crate::files::relative_to) for local ones.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::FilesRejected`] names the files that the gateway rejected. Files of
    /// more than 1 MiB, and two of the same name, are reported before anything is sent.
    pub async fn upload(&self, files: Vec<UploadFile>) -> Result<UploadProgress, Error> {
        self.upload_with(files, |_| ()).await
    }

    /// As [`upload`](Self::upload), reporting how far it has come after each request.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn upload_with(
        &self,
        files: Vec<UploadFile>,
        mut progress: impl FnMut(UploadProgress),
    ) -> Result<UploadProgress, Error> {
        let client = &self.client;
        let caller = client.caller().await?;
        let upload = Upload::new(self.id.clone(), files, random_boundary(), caller);
        let mut upload = client.drive(upload);
        loop {
            match upload.next().await {
                Driven::Event(event) => progress(event),
                Driven::Done(result) => return result,
                Driven::Idle => unreachable!("an upload idles only while a request is in flight"),
            }
        }
    }

    /// What the gateway knows about it: times as [`Duration`](std::time::Duration)s, memory in bytes.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn info(&self) -> Result<KernelInfo, Error> {
        Ok(self.client.call(Info::new(self.id.clone())).await?.value)
    }

    /// Drops the interpreter's state; the files stay.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::MayHaveRun`] if no response came, since a restart is not retried.
    pub async fn restart(&self) -> Result<(), Error> {
        self.client.call(Restart::new(self.id.clone())).await?;
        Ok(())
    }

    /// Ends the kernel and discards its files.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::is_not_found`] is true if it was gone already.
    pub async fn destroy(&self) -> Result<(), Error> {
        self.client.call(Destroy::new(self.id.clone())).await?;
        Ok(())
    }
}

#[cfg(feature = "terminal")]
impl<T: UpgradeTransport + 'static> Kernel<T> {
    /// Opens a terminal. Several may be open on one kernel; it depends on the gateway what each of them shows.
    ///
    /// # Errors
    ///
    /// See [`Error`]; an error response of the gateway is a [`GatewayError`](sorna_core::GatewayError).
    pub async fn stream_pty(&self, options: TerminalOptions) -> Result<Pty<T>, Error> {
        terminal::open(&self.client, self.id.clone(), options).await
    }
}

impl<T> Clone for Kernel<T> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            id: self.id.clone(),
        }
    }
}

impl<T> fmt::Debug for Kernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kernel").field(&self.id).finish()
    }
}
