//! What only Backend.AI has.

use std::future::Future;
use std::path::{Path, PathBuf};

use sorna::{
    Error, ExecuteMode, ExecutionEvent, FileListing, KernelId, ListSessions, SessionEvent,
    SessionSummary, SessionToken, StatusChange, SubscribeEvents,
};

use super::{AsyncStd, Blocking, Driver, Executed, Gathered, Smol, Tokio};

/// What a check of sessions needs from a driver.
pub trait SessionDriver: Driver {
    /// Its streams of events.
    type Events: Send;

    /// Lists sessions.
    fn list(
        &self,
        sessions: ListSessions,
    ) -> impl Future<Output = Result<Vec<SessionSummary>, Error>> + Send;

    /// Finds sessions by the beginning of their name or ID.
    fn find(&self, text: &str) -> impl Future<Output = Result<Vec<SessionSummary>, Error>> + Send;

    /// Lists files.
    fn list_files(
        &self,
        kernel: KernelId,
        path: &str,
    ) -> impl Future<Output = Result<FileListing, Error>> + Send;

    /// Downloads files into a directory.
    fn download(
        &self,
        kernel: KernelId,
        paths: Vec<String>,
        directory: &Path,
    ) -> impl Future<Output = Result<Vec<PathBuf>, Error>> + Send;

    /// Its logs.
    fn logs(&self, kernel: KernelId) -> impl Future<Output = Result<String, Error>> + Send;

    /// Gives it another name.
    fn rename(
        &self,
        kernel: KernelId,
        name: SessionToken,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// When it reached which status.
    fn status_history(
        &self,
        kernel: KernelId,
    ) -> impl Future<Output = Result<Vec<StatusChange>, Error>> + Send;

    /// Executes, and stops the program when it has written something.
    fn execute_and(
        &self,
        stop: StopProgram,
        kernel: KernelId,
        mode: ExecuteMode,
    ) -> impl Future<Output = Result<Executed, Error>> + Send;

    /// Subscribes to events.
    fn events(
        &self,
        subscribe: SubscribeEvents,
    ) -> impl Future<Output = Result<Self::Events, Error>> + Send;

    /// Subscribes to the events of a kernel.
    fn events_of(
        &self,
        kernel: KernelId,
    ) -> impl Future<Output = Result<Self::Events, Error>> + Send;

    /// The next event.
    fn next_event(
        events: &mut Self::Events,
    ) -> impl Future<Output = Result<Option<SessionEvent>, Error>> + Send;
}

/// How a program is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopProgram {
    /// By an interrupt.
    Interrupt,
    /// By giving the execution up.
    GiveUp,
}

macro_rules! sessions {
    ($kind:tt $driver:ident, $module:ident) => {
        impl SessionDriver for $driver {
            type Events = sorna::$module::Events;

            async fn list(&self, sessions: ListSessions) -> Result<Vec<SessionSummary>, Error> {
                wait!($kind, self.0.list(sessions))
            }

            async fn find(&self, text: &str) -> Result<Vec<SessionSummary>, Error> {
                wait!($kind, self.0.find(text))
            }

            async fn list_files(&self, kernel: KernelId, path: &str) -> Result<FileListing, Error> {
                wait!($kind, self.0.kernel(kernel).list_files(path))
            }

            async fn download(
                &self,
                kernel: KernelId,
                paths: Vec<String>,
                directory: &Path,
            ) -> Result<Vec<PathBuf>, Error> {
                wait!(
                    $kind,
                    self.0.kernel(kernel).download(paths).save_to(directory)
                )
            }

            async fn logs(&self, kernel: KernelId) -> Result<String, Error> {
                wait!($kind, self.0.kernel(kernel).logs())
            }

            async fn rename(&self, kernel: KernelId, name: SessionToken) -> Result<(), Error> {
                wait!($kind, self.0.kernel(kernel).rename(name))
            }

            async fn status_history(&self, kernel: KernelId) -> Result<Vec<StatusChange>, Error> {
                wait!($kind, self.0.kernel(kernel).status_history())
            }

            async fn execute_and(
                &self,
                stop: StopProgram,
                kernel: KernelId,
                mode: ExecuteMode,
            ) -> Result<Executed, Error> {
                let kernel = self.0.kernel(kernel);
                let mut execution = kernel.execute(mode);
                let mut gathered = Gathered::default();
                let mut is_stopped = false;
                while let Some(event) = wait!($kind, execution.next_event())? {
                    let is_output = matches!(event, ExecutionEvent::Console(_));
                    gathered.take(event);
                    if is_output && !is_stopped {
                        is_stopped = true;
                        match stop {
                            StopProgram::Interrupt => wait!($kind, kernel.interrupt())?,
                            StopProgram::GiveUp => execution.give_up(),
                        }
                    }
                }
                Ok(gathered.end(execution.result()))
            }

            async fn events(&self, subscribe: SubscribeEvents) -> Result<Self::Events, Error> {
                wait!($kind, self.0.events(subscribe))
            }

            async fn events_of(&self, kernel: KernelId) -> Result<Self::Events, Error> {
                wait!($kind, self.0.kernel(kernel).events())
            }

            async fn next_event(events: &mut Self::Events) -> Result<Option<SessionEvent>, Error> {
                wait!($kind, events.next_event())
            }
        }
    };
}

sessions!(blocking Blocking, blocking);
sessions!(async Tokio, tokio);
sessions!(async Smol, smol);
sessions!(async AsyncStd, async_std);
