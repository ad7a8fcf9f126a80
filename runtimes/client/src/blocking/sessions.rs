//! What Backend.AI does besides: sessions by name, their files, logs and events.

use std::time::Duration;

use sorna_core::events::SubscribeEvents;
use sorna_core::{Error, FileListing, ListSessions, SessionSummary, SessionToken, StatusChange};

use super::wait::wait;
use super::{Client, DownloadStream, Events, Kernel, LogStream};

impl Client {
    /// Lists sessions: those of all pages, from the one that `sessions` starts with. For the caller's own that have
    /// not ended: `client.list(ListSessions::living().with_owner(access_key))`.
    ///
    /// It is put together from as many requests as there are pages, of [`limit`](ListSessions::limit) sessions each.
    /// What changes meanwhile may be missing; no session is there twice.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`BuildError::Unsupported`](sorna_core::BuildError::Unsupported) in Sorna v2, which has no list.
    pub fn list(&self, sessions: ListSessions) -> Result<Vec<SessionSummary>, Error> {
        wait(self.0.list(sessions))
    }

    /// Finds the caller's sessions that have not ended by name, ID, or what either starts with. A session whose name
    /// or ID is the whole text is the only result; else there may be several, or none.
    ///
    /// In Sorna v2, the living kernels of a session token, one for each language, or the one with an ID; none is created.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list); in Sorna v2, [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered) for a gateway that
    /// does not have the extension [`MatchSessions::EXTENSION`](sorna_core::MatchSessions::EXTENSION).
    pub fn find(&self, text: &str) -> Result<Vec<SessionSummary>, Error> {
        wait(self.0.find(text))
    }

    /// Subscribes to events of sessions, from now on.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`BuildError::Unsupported`](sorna_core::BuildError::Unsupported) in Sorna v2, which has none.
    pub fn events(&self, subscribe: SubscribeEvents) -> Result<Events, Error> {
        wait(self.0.events(subscribe)).map(Events)
    }
}

/// Logs: in Backend.AI, and in Sorna v2 with gateways that have the extension
/// [`FollowLogs::EXTENSION`](sorna_core::FollowLogs::EXTENSION), as `sorna-gateway` has.
impl Kernel {
    /// What it has printed: its executions, in Backend.AI also its container. For the two streams apart, take the first part of
    /// [`follow_logs`](Self::follow_logs).
    ///
    /// In Sorna v2, and on gateways of `sorna serve` in general, these are the last 256 KiB that its executions have printed,
    /// whether a client has received that or not.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered) for a gateway of Sorna v2 that does not have
    /// the extension.
    pub fn logs(&self) -> Result<String, Error> {
        wait(self.0.logs())
    }

    /// What it has printed, and what it prints from now on, until it ends. Nothing is requested until the first part is asked
    /// for.
    #[must_use]
    pub fn follow_logs(&self) -> LogStream {
        LogStream(self.0.follow_logs())
    }
}

/// What only Backend.AI has. In Sorna v2 each of these is an error
/// ([`BuildError::Unsupported`](sorna_core::BuildError::Unsupported)), and nothing is sent, unless it says otherwise.
impl Kernel {
    /// Interrupts the program that it runs, as Ctrl-C does. The interpreter's state stays, and the execution ends by
    /// itself. In Sorna v2 only gateways of `sorna serve` can do that.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::MayHaveRun`] if no response came, since an interrupt is not retried;
    /// [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered) if the gateway does not understand it.
    pub fn interrupt(&self) -> Result<(), Error> {
        wait(self.0.interrupt())
    }

    /// Keeps it although nothing uses it: the time for which it has not been in use begins anew. With an `idle_timeout`, it may not
    /// be in use for that long from now on, as far as the gateway allows; `None` leaves that as it is. Returns what it
    /// is. For gateways of `sorna serve`, in both dialects.
    ///
    /// # Errors
    ///
    /// See [`Error`]; a 400 that says what the gateway allows, if that is less;
    /// [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered) if the gateway does not understand it.
    pub fn keep_alive(&self, idle_timeout: Option<Duration>) -> Result<Duration, Error> {
        wait(self.0.keep_alive(idle_timeout))
    }

    /// Frees it from an execution whose client is gone before its end, for example since it was killed, by its
    /// [run ID](super::Execution::run_id): the program is interrupted if it still runs, and its output is dropped. Managers
    /// let all other executions in the kernel wait until then. Takes some seconds.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::Aborted`] if the kernel is not free, since the program does not end, or another execution
    /// keeps it busy. That one is not interrupted.
    pub fn free(&self, run_id: &str) -> Result<(), Error> {
        wait(self.0.free(run_id))
    }

    /// Gives its session another name. A `Kernel` that was made of the former name does not find it any more; one that
    /// was created or listed has its ID, and does.
    ///
    /// # Errors
    ///
    /// See [`Error`]; a [`GatewayError`](sorna_core::GatewayError) whose `is_name_taken` is true if another
    /// session has the name, or [`BuildError::SessionNameInUse`](sorna_core::BuildError::SessionNameInUse) from
    /// managers that do not look for that (before 26.x), where the client does; [`Error::MayHaveRun`] if no response
    /// came, since it is not retried.
    pub fn rename(&self, name: SessionToken) -> Result<(), Error> {
        wait(self.0.rename(name))
    }

    /// When its session reached which status, oldest first.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn status_history(&self) -> Result<Vec<StatusChange>, Error> {
        wait(self.0.status_history())
    }

    /// Subscribes to the events of its session, from now on. Then it asks whether there is such a session: managers also
    /// accept the ID of one that has ended (23.09.10 also its name), of which no event would ever come.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn events(&self) -> Result<Events, Error> {
        wait(self.0.events()).map(Events)
    }
}

/// Files: in Backend.AI, and in Sorna v2 with gateways that have the extension
/// [`ListFiles::FILES`](sorna_core::ListFiles::FILES), as `sorna-gateway` has.
impl Kernel {
    /// Lists the files in a directory, whose path is relative to the work directory: `.` is that itself.
    ///
    /// # Errors
    ///
    /// See [`Error`]; a directory that does not exist is an
    /// [`ErrorBody::Reported`](sorna_core::ErrorBody::Reported), and a gateway without the extension a
    /// [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered).
    pub fn list_files(&self, path: &str) -> Result<FileListing, Error> {
        wait(self.0.list_files(path))
    }

    /// A download of files and directories, by their paths below the work directory: any number of them, unpacked as
    /// they arrive. It starts when its first event is asked for. In Sorna v2 the gateway must have the extension
    /// [`ListFiles::FILES`](sorna_core::ListFiles::FILES).
    pub fn download<P: Into<String>>(&self, paths: impl IntoIterator<Item = P>) -> DownloadStream {
        DownloadStream(self.0.download(paths))
    }
}
