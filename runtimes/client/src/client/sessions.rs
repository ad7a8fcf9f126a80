//! What Backend.AI does besides: sessions by name, and their events; and files.

use std::time::Duration;

use sorna_core::events::SubscribeEvents;
use sorna_core::machine;
use sorna_core::{
    ApiVersion, BuildError, Dialect, Error, FileListing, Info, Interrupt, KeepAlive, ListFiles,
    ListSessions, LoginCheck, MatchSessions, Rename, SessionSummary, SessionToken, StatusChange,
    StatusHistory,
};

use super::download::DownloadStream;
use super::driver::Driven;
use super::events::Events;
use super::handle::Client;
use super::kernel::Kernel;
use crate::net::{StreamTransport, Transport};

/// Sessions in a request of [`Client::list`], where the caller does not say.
const PAGE: u32 = 100;

impl<T: Transport + 'static> Client<T> {
    /// Lists sessions: those of all pages, from the one that `sessions` starts with. For the caller's own that have
    /// not ended: `client.list(ListSessions::living().with_owner(access_key))`.
    ///
    /// It is put together from as many requests as there are pages, of [`limit`](ListSessions::limit) sessions each.
    /// What changes meanwhile may be missing; no session is there twice.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`BuildError::Unsupported`](sorna_core::BuildError::Unsupported) in Sorna v2, which has no list.
    pub async fn list(&self, sessions: ListSessions) -> Result<Vec<SessionSummary>, Error> {
        let mut found: Vec<SessionSummary> = Vec::new();
        let mut next = Some(sessions);
        while let Some(list) = next {
            let page = self.call(list.clone()).await?.value;
            next = list.next(&page);
            for session in page.sessions {
                if found.iter().all(|other| other.id != session.id) {
                    found.push(session);
                }
            }
        }
        Ok(found)
    }

    /// Finds the caller's sessions that have not ended by name, ID, or what either starts with. A session whose name
    /// or ID is the whole text is the only result; else there may be several, or none.
    ///
    /// In Sorna v2, the living kernels of a session token, one for each language, or the one with an ID; none is created.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list); in Sorna v2, [`BuildError::NotOffered`] for a gateway that does not have the extension
    /// [`MatchSessions::EXTENSION`].
    pub async fn find(&self, text: &str) -> Result<Vec<SessionSummary>, Error> {
        let dialect = self.caller().await?.version().dialect();
        if dialect == Dialect::SornaV2 {
            let is_offered = self.offers(MatchSessions::EXTENSION).await?;
            let matches = MatchSessions::new(text).with_extension(is_offered);
            return Ok(self.call(matches).await?.value);
        }
        // Managers find whole names only, and IDs not at all.
        let matches = self.call(MatchSessions::new(text)).await?.value;
        if let Some(session) = matches.into_iter().find(|session| is_called(session, text)) {
            return Ok(vec![session]);
        }
        let mut living = ListSessions::living().with_limit(PAGE);
        let owner = match self.config().credentials() {
            Some(keys) => Some(keys.access_key().to_string()),
            // In a session with a web server, which has the keys.
            None => {
                let user = self.call(LoginCheck::new()).await?.value;
                user.and_then(|user| user.access_key)
            }
        };
        if let Some(owner) = owner {
            living = living.with_owner(owner);
        }
        let mut found = self.list(living).await?;
        found.retain(|session| {
            session.name.starts_with(text) || starts_with_id(session.id.as_str(), text)
        });
        if let Some(exact) = found.iter().position(|session| is_called(session, text)) {
            return Ok(vec![found.swap_remove(exact)]);
        }
        Ok(found)
    }
}

fn is_called(session: &SessionSummary, text: &str) -> bool {
    session.name == text || session.id.as_str().eq_ignore_ascii_case(text)
}

fn starts_with_id(id: &str, text: &str) -> bool {
    let start = id.as_bytes().get(..text.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes()))
}

impl<T: StreamTransport + 'static> Client<T> {
    /// Subscribes to events of sessions, from now on.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`BuildError::Unsupported`](sorna_core::BuildError::Unsupported) in Sorna v2, which has none.
    pub async fn events(&self, subscribe: SubscribeEvents) -> Result<Events<T::Body>, Error> {
        let response = self.stream(subscribe.clone()).await?;
        let stream = subscribe.stream_of(response.headers())?;
        Ok(Events::new(response, stream))
    }
}

/// Files: in Backend.AI, and in Sorna v2 with gateways that have the extension
/// [`ListFiles::FILES`], as `sorna-gateway` has.
impl<T: Transport + 'static> Kernel<T> {
    /// Lists the files in a directory, whose path is relative to the work directory: `.` is that itself.
    ///
    /// # Errors
    ///
    /// See [`Error`]; a directory that does not exist is an
    /// [`ErrorBody::Reported`](sorna_core::ErrorBody::Reported), and a gateway without the extension a
    /// [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered).
    pub async fn list_files(&self, path: &str) -> Result<FileListing, Error> {
        let client = self.client();
        let is_offered = client.offers_files().await?;
        let list = ListFiles::new(self.id().clone(), path).with_extension(is_offered);
        Ok(client.call(list).await?.value)
    }
}

/// What only Backend.AI has. In Sorna v2 each of these is an error
/// ([`BuildError::Unsupported`](sorna_core::BuildError::Unsupported)), and nothing is sent, unless it says otherwise.
impl<T: Transport + 'static> Kernel<T> {
    /// Interrupts the program that it runs, as Ctrl-C does. The interpreter's state stays, and the execution ends by
    /// itself. In Sorna v2 only gateways of `sorna serve` can do that.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::MayHaveRun`] if no response came, since an interrupt is not retried;
    /// [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered) if the gateway does not understand it.
    pub async fn interrupt(&self) -> Result<(), Error> {
        let client = self.client();
        let dialect = client.caller().await?.version().dialect();
        if dialect == Dialect::SornaV2 && !client.offers(Interrupt::EXTENSION).await? {
            return Err(BuildError::NotOffered { what: "interrupts" }.into());
        }
        client.call(Interrupt::new(self.id().clone())).await?;
        Ok(())
    }

    /// Keeps it although nothing uses it: the time for which it has not been in use begins anew. With an `idle_timeout`, it may not
    /// be in use for that long from now on, as far as the gateway allows; `None` leaves that as it is. Returns what it
    /// is. For gateways of `sorna serve`, in both dialects.
    ///
    /// # Errors
    ///
    /// See [`Error`]; a 400 that says what the gateway allows, if that is less;
    /// [`BuildError::NotOffered`](sorna_core::BuildError::NotOffered) if the gateway does not understand it.
    pub async fn keep_alive(&self, idle_timeout: Option<Duration>) -> Result<Duration, Error> {
        let client = self.client();
        let is_offered = client.offers(KeepAlive::EXTENSION).await?;
        let mut keep = KeepAlive::new(self.id().clone()).with_extension(is_offered);
        keep.idle_timeout = idle_timeout;
        Ok(client.call(keep).await?.value.idle_timeout)
    }

    /// Frees it from an execution whose client is gone before its end, for example since it was killed, by its
    /// [run ID](crate::Execution::run_id): the program is interrupted if it still runs, and its output is dropped. Managers
    /// let all other executions in the kernel wait until then. Takes some seconds.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::Aborted`] if the kernel is not free, since the program does not end, or another execution
    /// keeps it busy. That one is not interrupted.
    pub async fn free(&self, run_id: &str) -> Result<(), Error> {
        let caller = self.client().caller().await?;
        let end = machine::Execution::of_abandoned_run(self.id().clone(), run_id, caller);
        let mut end = self.client().drive(end);
        loop {
            return match end.next().await {
                Driven::Event(_) => continue,
                Driven::Done(Err(Error::Aborted(aborted))) if aborted.is_freed => Ok(()),
                Driven::Done(result) => result.map(drop),
                Driven::Idle => unreachable!("it gives input by itself"),
            };
        }
    }

    /// Gives its session another name. A `Kernel` that was made of the former name does not find it any more; one that
    /// was created or listed has its ID, and does.
    ///
    /// # Errors
    ///
    /// See [`Error`]; a [`GatewayError`](sorna_core::GatewayError) whose `is_name_taken` is true if another
    /// session has the name, or [`BuildError::SessionNameInUse`] from managers that do not look for that (before
    /// 26.x), where the client does; [`Error::MayHaveRun`] if no response came, since it is not retried.
    pub async fn rename(&self, name: SessionToken) -> Result<(), Error> {
        let client = self.client();
        let version = client.negotiated().await?.version;
        if version.dialect() == Dialect::BackendAi && version < ApiVersion::V9_20250722 {
            let other = client.call(MatchSessions::new(name.as_str())).await?.value;
            let other = other
                .into_iter()
                .find(|session| session.name == name.as_str());
            if let Some(other) = other
                && !is_called(&other, self.id().as_str())
            {
                return Err(Error::Build(BuildError::SessionNameInUse {
                    name: name.as_str().to_owned(),
                    id: other.id.to_string(),
                }));
            }
        }
        let rename = Rename::new(self.id().clone(), name);
        self.client().call(rename).await?;
        Ok(())
    }

    /// When its session reached which status, oldest first.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn status_history(&self) -> Result<Vec<StatusChange>, Error> {
        let history = StatusHistory::new(self.id().clone());
        Ok(self.client().call(history).await?.value)
    }
}

impl<T: StreamTransport + 'static> Kernel<T> {
    /// A download of files and directories, by their paths below the work directory: any number of them, unpacked as
    /// they arrive. It starts when its first event is asked for. In Sorna v2 the gateway must have the extension
    /// [`ListFiles::FILES`].
    pub fn download<P: Into<String>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> DownloadStream<T> {
        let paths = paths.into_iter().map(Into::into).collect();
        DownloadStream::new(self.clone(), paths)
    }

    /// Subscribes to the events of its session, from now on. Then it asks whether there is such a session: managers also
    /// accept the ID of one that has ended (23.09.10 also its name), of which no event would ever come.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn events(&self) -> Result<Events<T::Body>, Error> {
        let subscribe = SubscribeEvents::new();
        let subscribe = match self.id().is_uuid() {
            true => subscribe.with_session_id(self.id().clone()),
            false => subscribe.with_session(self.id().as_str()),
        };
        let events = self.client().events(subscribe).await?;
        self.client().call(Info::new(self.id().clone())).await?;
        Ok(events)
    }
}
