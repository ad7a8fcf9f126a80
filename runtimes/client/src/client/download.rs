//! Downloads, unpacked as they arrive.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use sorna_core::download::{UnpackEvent, UnpackLimits, Unpacker};
use sorna_core::machine::ExplainDownload;
use sorna_core::{BuildError, Download, Error};

use super::driver::Driven;
use super::kernel::Kernel;
use super::stream::StreamedResponse;
use crate::files::Saver;
use crate::net::StreamTransport;

/// Files and directories of a kernel, unpacked as they arrive: see [`Kernel::download`].
///
/// ```no_run
/// # use sorna::net::StreamTransport;
/// # async fn example<T: StreamTransport + 'static>(kernel: sorna::Kernel<T>) -> Result<(), Box<dyn std::error::Error>> {
/// let saved = kernel.download(["results", "plot.png"]).save_to("here").await?;
/// println!("{} files", saved.len());
/// # Ok(())
/// # }
/// ```
///
/// Memory is constant, whatever the size, and a slow reader slows the gateway. Each request is for at most 5 files,
/// the most that gateways send at once; they send none of them if one cannot be sent. That error says which one it
/// was ([`Error::FilesUnavailable`]).
#[must_use = "nothing is downloaded until its events are asked for"]
pub struct DownloadStream<T: StreamTransport> {
    kernel: Kernel<T>,
    limits: UnpackLimits,
    /// What was not requested yet.
    paths: Vec<String>,
    is_checked: bool,
    /// The next request, kept so that dropping a future that waits for it does not send it again.
    opening: Option<Opening<T::Body>>,
    current: Option<Current<T::Body>>,
}

type Opening<B> = Pin<Box<dyn Future<Output = Result<Current<B>, Error>> + Send>>;

struct Current<B> {
    response: StreamedResponse<B>,
    unpacker: Unpacker,
}

impl<T: StreamTransport + 'static> DownloadStream<T> {
    pub(super) fn new(kernel: Kernel<T>, paths: Vec<String>) -> Self {
        Self {
            kernel,
            limits: UnpackLimits::default(),
            paths,
            is_checked: false,
            opening: None,
            current: None,
        }
    }

    /// Accepts at most this much in each response, which holds up to 5 of the paths.
    pub fn with_limits(mut self, limits: UnpackLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Waits for the next event; `None` after the last. May be dropped and called again without loss.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::FilesUnavailable`] names the files that cannot be downloaded; [`Error::Unpack`] is for
    /// a response that is not what was requested, or larger than the limits. Paths that leave the work directory are
    /// reported before anything is sent. There are no more events after an error.
    pub async fn next_event(&mut self) -> Result<Option<UnpackEvent>, Error> {
        let result = self.advance().await;
        if result.is_err() {
            self.paths.clear();
            self.opening = None;
            self.current = None;
        }
        result
    }

    async fn advance(&mut self) -> Result<Option<UnpackEvent>, Error> {
        if !self.is_checked {
            self.check()?;
            self.is_checked = true;
        }
        loop {
            if let Some(opening) = &mut self.opening {
                let opened = opening.as_mut().await;
                self.opening = None;
                self.current = Some(opened?);
            }
            let Some(current) = &mut self.current else {
                if self.paths.is_empty() {
                    return Ok(None);
                }
                let count = self.paths.len().min(Download::MAX_FILES);
                let paths = self.paths.drain(..count).collect();
                self.opening = Some(Box::pin(open(self.kernel.clone(), self.limits, paths)));
                continue;
            };
            if let Some(event) = current.unpacker.next_event()? {
                return Ok(Some(event));
            }
            let is_complete = current.unpacker.is_complete();
            match current.response.chunk().await {
                Ok(None) => {
                    current.unpacker.finish()?;
                    self.current = None;
                }
                // A server may never end what it sends after the last archive.
                _ if is_complete => self.current = None,
                Ok(Some(bytes)) => current.unpacker.feed(bytes),
                Err(error) => return Err(error),
            }
        }
    }

    /// Checks all paths before the first request.
    fn check(&self) -> Result<(), BuildError> {
        if self.paths.is_empty() {
            return Err(BuildError::NoFiles);
        }
        let id = self.kernel.id();
        self.paths
            .chunks(Download::MAX_FILES)
            .try_for_each(|paths| Download::new(id.clone(), paths.to_vec()).check())
    }

    /// Downloads all of it into a directory on this machine, as a [`Saver`] does, and returns the paths of the files.
    /// Links in directories are left out; a [`Saver`] of your own says [which](Saver::left_out).
    ///
    /// Writes to the disk in between without leaving the thread, at most one network buffer at a time.
    ///
    /// # Errors
    ///
    /// As [`next_event`](Self::next_event), and an [`Error::Transport`] of kind
    /// [`LocalFile`](sorna_core::TransportErrorKind::LocalFile) if something cannot be written. Files that were
    /// complete stay; of others nothing does.
    pub async fn save_to(mut self, directory: impl AsRef<Path>) -> Result<Vec<PathBuf>, Error> {
        let mut saver = Saver::new(directory.as_ref());
        while let Some(event) = self.next_event().await? {
            saver.handle(event)?;
        }
        Ok(saver.into_saved())
    }
}

/// Requests files.
async fn open<T: StreamTransport + 'static>(
    kernel: Kernel<T>,
    limits: UnpackLimits,
    paths: Vec<String>,
) -> Result<Current<T::Body>, Error> {
    let (id, client) = (kernel.id(), kernel.client());
    let is_offered = client.offers_files().await?;
    let download = Download::new(id.clone(), paths.clone()).with_extension(is_offered);
    match client.stream(download.clone()).await {
        Ok(response) => Ok(Current {
            unpacker: download.unpacker(response.headers(), limits)?,
            response,
        }),
        Err(error) => {
            let explain = ExplainDownload::new(id.clone(), paths, error, client.caller().await?);
            match client.drive(explain).next().await {
                Driven::Done(error) => Err(error),
                Driven::Event(never) => match never {},
                Driven::Idle => unreachable!("it idles only while a request is in flight"),
            }
        }
    }
}

impl<T: StreamTransport> fmt::Debug for DownloadStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadStream")
            .field("kernel", &self.kernel)
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}
