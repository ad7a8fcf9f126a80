//! A kernel.

use std::fmt;
use std::thread;

use sorna_core::machine::{Upload, UploadProgress};
use sorna_core::terminal::TerminalOptions;
use sorna_core::{
    Complete, Destroy, Error, ExecuteMode, Info, KernelId, KernelInfo, Restart, UploadFile,
};

use super::client::Driven;
use super::{Client, Execution, Pty};
use crate::random_boundary;

/// A kernel on the gateway.
///
/// Dropping it does not destroy it: call [`destroy`](Self::destroy), or use [`Client::temporary`]
/// or [`Client::run`] for one that is.
///
/// | the original client | here |
/// |---|---|
/// | `Kernel.get_or_create(lang, token)` | [`Client::get_or_create`] |
/// | `kernel.execute(code, mode)` | [`execute`](Self::execute), with a [`Batch`](sorna_core::Batch) for `batch` |
/// | `kernel.execute(code, mode='complete')` | [`complete`](Self::complete) |
/// | `kernel.upload(files)` | [`upload`](Self::upload) |
/// | `kernel.get_info()` | [`info`](Self::info) |
/// | `kernel.restart()`, `kernel.destroy()` | [`restart`](Self::restart), [`destroy`](Self::destroy) |
#[derive(Clone)]
pub struct Kernel {
    client: Client,
    id: KernelId,
}

impl Kernel {
    pub(super) fn new(client: Client, id: KernelId) -> Self {
        Self { client, id }
    }

    /// The gateway's name for it.
    #[must_use]
    pub fn id(&self) -> &KernelId {
        &self.id
    }

    /// An execution of a snippet (`&str`, `String`) or of the files in the work directory
    /// ([`Batch`](sorna_core::Batch)). It starts when its first event is asked for.
    #[must_use]
    pub fn execute(&self, mode: impl Into<ExecuteMode>) -> Execution {
        Execution::new(self.client.clone(), self.id.clone(), mode.into())
    }

    /// Completes `code` at its end: the candidates, in the gateway's order.
    ///
    /// # Errors
    ///
    /// See [`Error`]; the original gateway does not have this and answers 500.
    pub fn complete(&self, code: &str) -> Result<Vec<String>, Error> {
        let complete = Complete::at_end(self.id.clone(), code);
        Ok(self.client.call(complete)?.value)
    }

    /// Puts files into the work directory, in as many requests as it takes. See
    /// [`files::relative_to`](crate::files::relative_to) for local ones.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::FilesRejected`] names the files that the gateway would not take. Files of
    /// more than 1 MiB, and two of one name, are told before anything is sent.
    pub fn upload(&self, files: Vec<UploadFile>) -> Result<UploadProgress, Error> {
        self.upload_with(files, |_| ())
    }

    /// As [`upload`](Self::upload), telling how far it has come after each request.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn upload_with(
        &self,
        files: Vec<UploadFile>,
        mut progress: impl FnMut(UploadProgress),
    ) -> Result<UploadProgress, Error> {
        let client = &self.client;
        let mut upload = Upload::new(
            self.id.clone(),
            files,
            random_boundary(),
            client.signer(),
            client.options().retry,
        );
        loop {
            match client.drive(&mut upload, thread::sleep, |_| ()) {
                Driven::Event(event) => progress(event),
                Driven::Done(result) => return result,
                Driven::Idle => unreachable!("an upload idles only while a request is on its way"),
            }
        }
    }

    /// What the gateway knows of it: times in ms, memory in KiB.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn info(&self) -> Result<KernelInfo, Error> {
        Ok(self.client.call(Info::new(self.id.clone()))?.value)
    }

    /// Opens a terminal on it, in a window of the size that the options say.
    ///
    /// # Errors
    ///
    /// See [`Error`]; a refusal of the gateway is a [`GatewayError`](sorna_core::GatewayError).
    pub fn stream_pty(&self, options: TerminalOptions) -> Result<Pty, Error> {
        super::terminal::open(&self.client, self.id.clone(), options)
    }

    /// Drops the interpreter's state; the files stay.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::MayHaveRun`] if no answer came, as it is not asked for twice.
    pub fn restart(&self) -> Result<(), Error> {
        self.client.call(Restart::new(self.id.clone()))?;
        Ok(())
    }

    /// Ends it and discards its files.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::is_not_found`] is true if it was gone already.
    pub fn destroy(&self) -> Result<(), Error> {
        self.client.call(Destroy::new(self.id.clone()))?;
        Ok(())
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kernel").field(&self.id).finish()
    }
}
