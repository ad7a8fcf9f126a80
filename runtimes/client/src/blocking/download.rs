//! Downloads, unpacked as they arrive.

use std::path::{Path, PathBuf};

use sorna_core::Error;
use sorna_core::download::{UnpackEvent, UnpackLimits};

use super::transport::UreqTransport;
use super::wait::wait;

/// Files and directories of a kernel, unpacked as they arrive: see [`Kernel::download`](super::Kernel::download). An
/// iterator of events.
///
/// ```no_run
/// # fn example(kernel: sorna::blocking::Kernel) -> Result<(), sorna::Error> {
/// let saved = kernel.download(["results", "plot.png"]).save_to("here")?;
/// println!("{} files", saved.len());
/// # Ok(())
/// # }
/// ```
///
/// Memory is constant, whatever the size, and a slow reader slows the gateway. Each request is for at most 5 files,
/// the most that gateways send at once; they send none of them if one cannot be sent. That error says which one it
/// was ([`Error::FilesUnavailable`]).
#[derive(Debug)]
#[must_use = "nothing is downloaded until its events are asked for"]
pub struct DownloadStream(pub(super) crate::DownloadStream<UreqTransport>);

impl DownloadStream {
    /// Accepts at most this much in each response, which holds up to 5 of the paths.
    pub fn with_limits(self, limits: UnpackLimits) -> Self {
        Self(self.0.with_limits(limits))
    }

    /// Waits for the next event; `None` after the last.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::FilesUnavailable`] names the files that cannot be downloaded; [`Error::Unpack`] is for
    /// a response that is not what was requested, or larger than the limits. Paths that leave the work directory are
    /// reported before anything is sent. There are no more events after an error.
    pub fn next_event(&mut self) -> Result<Option<UnpackEvent>, Error> {
        wait(self.0.next_event())
    }

    /// Downloads all of it into a directory on this machine, as a [`Saver`](crate::files::Saver) does, and returns the
    /// paths of the files. Links in directories are left out; a `Saver` of your own says
    /// [which](crate::files::Saver::left_out).
    ///
    /// # Errors
    ///
    /// As [`next_event`](Self::next_event), and an [`Error::Transport`] of kind
    /// [`LocalFile`](sorna_core::TransportErrorKind::LocalFile) if something cannot be written. Files that were
    /// complete stay; of others nothing does.
    pub fn save_to(self, directory: impl AsRef<Path>) -> Result<Vec<PathBuf>, Error> {
        wait(self.0.save_to(directory))
    }
}

impl Iterator for DownloadStream {
    type Item = Result<UnpackEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}
