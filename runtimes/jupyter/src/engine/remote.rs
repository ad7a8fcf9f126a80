//! The kernel on the gateway, which may be lost, and is replaced then.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use sorna::protocol::{Complete, Execute, Interrupt};
use sorna::tokio::{Client, Kernel, TemporaryKernel};
use sorna::{BuildError, Dialect, Error, KernelSpec, ProblemKind};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::completion::Cursor;

/// How long the gateway has to interrupt a program.
const PATIENCE: Duration = Duration::from_secs(10);
/// The least and the most time between two requests to keep a kernel, and that while nothing is known of the gateway's limit.
const LEAST: Duration = Duration::from_millis(200);
const MOST: Duration = Duration::from_secs(300);
const UNKNOWN: Duration = Duration::from_secs(5);

/// The kernel, or how it comes to be.
enum State {
    None,
    Creating(JoinHandle<Result<TemporaryKernel, Error>>),
    Ready(Box<TemporaryKernel>, JoinHandle<()>),
}

pub(super) struct Remote {
    client: Client,
    spec: KernelSpec,
    state: State,
    /// Where is said why a session does not run yet.
    news: UnboundedSender<String>,
    pub(super) pending: UnboundedReceiver<String>,
    /// Whether the gateway completes code; `None` if that is not known yet.
    completes: Option<bool>,
    /// The kernel that is ready, for who watches it.
    current: watch::Sender<Option<Kernel>>,
    in_use: watch::Sender<bool>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl Remote {
    pub(super) fn new(client: Client, spec: KernelSpec) -> Self {
        let (news, pending) = unbounded_channel();
        Self {
            client,
            spec,
            state: State::None,
            news,
            pending,
            completes: None,
            current: watch::Sender::new(None),
            in_use: watch::Sender::new(true),
        }
    }

    #[cfg(feature = "server")]
    pub(super) fn current(&self) -> watch::Receiver<Option<Kernel>> {
        self.current.subscribe()
    }

    #[cfg(feature = "server")]
    pub(super) fn in_use(&self) -> watch::Sender<bool> {
        self.in_use.clone()
    }

    /// Begins to create a kernel, unless there is one.
    pub(super) fn begin(&mut self) {
        if !matches!(self.state, State::None) {
            return;
        }
        let (client, spec, news) = (self.client.clone(), self.spec.clone(), self.news.clone());
        self.state = State::Creating(tokio::spawn(async move {
            let say = |pending: sorna::SessionPending| {
                let status = &pending.status;
                let _ = news.send(match pending.status_info {
                    Some(reason) => format!("Waiting for the session: {status} ({reason})\n"),
                    None => format!("Waiting for the session: {status}\n"),
                });
            };
            let kernel = client.temporary_with(spec, say).await?;
            // Else the first cell could be left and not interrupted, which needs to be known before it begins. What is wrong
            // with the gateway shows in cells.
            let _ = client.offers(Interrupt::EXTENSION).await;
            Ok(kernel)
        }));
    }

    /// The kernel, once it is there. May be dropped and called again.
    pub(super) async fn kernel(&mut self) -> Result<Kernel, Error> {
        self.begin();
        if let State::Creating(creation) = &mut self.state {
            let created = match creation.await {
                Ok(created) => created,
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            };
            self.state = State::None;
            let kernel = created?;
            let keeper = tokio::spawn(keep(Kernel::clone(&kernel), self.in_use.subscribe()));
            self.current.send_replace(Some(Kernel::clone(&kernel)));
            self.state = State::Ready(Box::new(kernel), keeper);
        }
        match &self.state {
            State::Ready(kernel, _) => Ok(Kernel::clone(kernel)),
            _ => unreachable!("it is ready, or its creation has failed"),
        }
    }

    /// Whether there is one, and its gateway is one of this project: these say if a program has failed, and respond soon.
    pub(super) fn is_ours(&self) -> bool {
        match &self.state {
            State::Ready(kernel, _) => kernel.has_marked_executions(),
            _ => false,
        }
    }

    /// Whether its gateway can be told that nobody answers a program.
    pub(super) async fn takes_refusals(&self) -> bool {
        self.is_ours() && self.client.offers(Execute::REFUSALS).await.unwrap_or(false)
    }

    /// Forgets the kernel, which is gone. The next one is created when it is needed.
    pub(super) fn is_gone(&mut self) {
        if let State::Ready(_, keeper) = std::mem::replace(&mut self.state, State::None) {
            keeper.abort();
        }
        self.current.send_replace(None);
    }

    /// Restarts the interpreter, or has another kernel if this one is gone.
    pub(super) async fn restart(&mut self, is_running: bool) -> Result<(), Error> {
        let kernel = match &self.state {
            State::Ready(kernel, _) => Kernel::clone(kernel),
            _ => return self.kernel().await.map(drop),
        };
        match kernel.restart().await {
            Ok(()) => {
                if is_running {
                    // It may report the end of what was stopped in response to the next cell.
                    let _ = kernel.execute("").finish().await;
                }
                Ok(())
            }
            Err(error) if error.is_not_found() => {
                self.is_gone();
                self.kernel().await.map(drop)
            }
            Err(error) => Err(error),
        }
    }

    /// Interrupts what runs. Whether the gateway could do that: if not, what runs was ended by a new start of the interpreter.
    pub(super) async fn interrupt(&self, kernel: &Kernel) -> Result<bool, Error> {
        let interrupt = Interrupt::new(kernel.id().clone());
        let interrupted = tokio::time::timeout(PATIENCE, self.client.call(interrupt)).await;
        match interrupted {
            Ok(Ok(_)) => Ok(true),
            // The gateway of 2017.
            Ok(Err(error)) if is_unknown(&error) => {
                kernel.restart().await?;
                Ok(false)
            }
            Ok(Err(error)) => Err(error),
            // What runs shows what has become of it.
            Err(_) => Ok(true),
        }
    }

    /// The candidates at a place; none if the gateway does not say.
    pub(super) async fn complete(&mut self, cursor: &Cursor<'_>) -> Vec<String> {
        if self.completes == Some(false) {
            return Vec::new();
        }
        let Ok(kernel) = self.kernel().await else {
            return Vec::new();
        };
        if self.completes.is_none() {
            let negotiated = self.client.negotiated().await;
            // Managers of Backend.AI have no candidates, and take half a minute to say so.
            let is_manager = |it: &sorna::Negotiated| {
                it.dialect() == Dialect::BackendAi && !it.has_marked_executions()
            };
            self.completes = Some(!negotiated.is_ok_and(|it| is_manager(&it)));
            return Box::pin(self.complete(cursor)).await;
        }
        let code = format!("{}{}", cursor.before, cursor.after);
        let mut complete = Complete::at_end(kernel.id().clone(), code);
        complete.row = cursor.row() as u64;
        complete.col = cursor.line().chars().count() as u64;
        complete.line = cursor.line().to_owned();
        complete.post = cursor.rest_of_line().to_owned();
        match self.client.call(complete).await {
            Ok(reply) => reply.value,
            Err(error) => {
                // The original gateway does not complete.
                let status = error.gateway().map(sorna::GatewayError::status);
                if status.is_some_and(|status| status.is_server_error()) {
                    self.completes = Some(false);
                }
                Vec::new()
            }
        }
    }

    /// Destroys the kernel.
    pub(super) async fn close(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.state, State::None) {
            State::None => {}
            State::Creating(creation) => {
                // Dropped in the middle, it destroys what it has created in the background.
                creation.abort();
                if let Ok(Ok(kernel)) = creation.await {
                    kernel.close().await?;
                }
            }
            State::Ready(kernel, keeper) => {
                keeper.abort();
                kernel.close().await?;
            }
        }
        self.client.settled().await;
        Ok(())
    }
}

/// Whether the gateway has no such request.
fn is_unknown(error: &Error) -> bool {
    match error {
        Error::Build(BuildError::NotOffered { .. }) => true,
        error => {
            let gateway = error.gateway();
            gateway.is_some_and(|it| {
                let kind = it.kind();
                // The second is what that of 2017 says.
                kind == Some(ProblemKind::UrlNotFound)
                    || kind == Some(ProblemKind::GenericNotFound)
                    || it.is_unsupported()
            })
        }
    }
}

/// Begins the idle time of a kernel anew, long before it is over, while it is in use: an open notebook counts as that. Failures
/// are silent, as the next cell shows them.
async fn keep(kernel: Kernel, mut in_use: watch::Receiver<bool>) {
    let mut pause = UNKNOWN;
    while in_use.wait_for(|it| *it).await.is_ok() {
        match kernel.keep_alive(None).await {
            Ok(timeout) => pause = (timeout / 3).clamp(LEAST, MOST),
            Err(Error::Build(BuildError::NotOffered { .. })) => return,
            Err(error) if error.is_not_found() => return,
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
    }
}

/// An error and its causes, each once.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = cause.source();
    }
    text
}
