//! The kernel on the gateway, which may be lost, and is replaced then.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sorna::protocol::{Complete, Execute, Interrupt};
use sorna::tokio::{Client, Kernel, TemporaryKernel};
use sorna::{BuildError, Console, Dialect, Error, ExecutionResult, KernelSpec, ProblemKind};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::completion::Cursor;
use crate::lock::lock;
use crate::traceback::Failure;

/// How long the gateway has to interrupt a program.
const PATIENCE: Duration = Duration::from_secs(10);
/// The least and the most time between two requests to keep a kernel, and that while nothing is known of the gateway's limit.
const LEAST: Duration = Duration::from_millis(200);
const MOST: Duration = Duration::from_secs(300);
const UNKNOWN: Duration = Duration::from_secs(5);

/// What became of an interrupt.
pub(super) enum Interrupted {
    Yes,
    /// The gateway cannot do that: what ran was ended by a new start of the interpreter.
    Restarted,
    /// The gateway has not said in time. What runs shows what has become of it.
    Unanswered,
}

/// Why there is no kernel.
pub(crate) enum NoKernel {
    /// There is no client yet: what is wrong with the settings.
    Unopened(Failure),
    /// The gateway has not created one.
    Refused(Error),
}

/// Makes a client, or says why it cannot. May block.
pub(crate) type Open = Arc<dyn Fn() -> Result<Client, Failure> + Send + Sync>;

/// A kernel, and whether its gateway tells what is printed between executions.
type Created = (TemporaryKernel, bool);

/// The kernel, or how it comes to be.
enum State {
    None,
    Creating(JoinHandle<Result<Created, NoKernel>>),
    Ready(Box<TemporaryKernel>, JoinHandle<()>),
}

pub(super) struct Remote {
    /// Shared with the task that creates the kernel. There is none before `open` has succeeded.
    client: Arc<Mutex<Option<Client>>>,
    open: Option<Open>,
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
    /// Whether the gateway tells what is printed between executions, and takes questions as such.
    has_between: bool,
    /// The number that the interpreter gives to the next cell, 0 if that is not known.
    pub(super) next_number: u64,
    /// Whether the interpreter has ended, which only the answer to a question of this kernel's own has said.
    pub(super) unsaid_loss: bool,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl Remote {
    /// Notes what the answer to a question of this kernel's own says of the interpreter.
    pub(super) fn note(&mut self, result: &ExecutionResult) {
        if result.has_restarted() == Some(true) || result.had_restarted() == Some(true) {
            self.next_number = 0;
            self.unsaid_loss = true;
        }
    }

    pub(super) fn new(client: Client, spec: KernelSpec) -> Self {
        Self::with(Some(client), None, spec)
    }

    /// One whose client is made when it is needed, and tried again until that succeeds and there is a kernel.
    #[cfg(feature = "kernel")]
    pub(super) fn opening(open: Open, spec: KernelSpec) -> Self {
        Self::with(None, Some(open), spec)
    }

    fn with(client: Option<Client>, open: Option<Open>, spec: KernelSpec) -> Self {
        let (news, pending) = unbounded_channel();
        Self {
            client: Arc::new(Mutex::new(client)),
            open,
            spec,
            state: State::None,
            news,
            pending,
            completes: None,
            current: watch::Sender::new(None),
            in_use: watch::Sender::new(true),
            has_between: false,
            next_number: 0,
            unsaid_loss: false,
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

    /// The client, which there is where there is a kernel.
    fn client(&self) -> Option<Client> {
        lock(&self.client).clone()
    }

    /// Begins to create a kernel before it is needed, unless its client is not there yet: who sees why mends the settings, and then
    /// runs a cell, for which it is made.
    pub(super) fn prepare(&mut self) {
        if self.open.is_none() {
            self.begin();
        }
    }

    /// Whether the kernel that is on its way is there in that time. What has failed before it was needed is tried again when it is.
    pub(super) async fn is_ready_in(&mut self, time: Duration) -> bool {
        if let State::Creating(creation) = &mut self.state
            && let Ok(created) = tokio::time::timeout(time, creation).await
        {
            self.state = State::None;
            if let Ok(Ok(kernel)) = created {
                self.is_created(kernel);
            }
        }
        matches!(self.state, State::Ready(..))
    }

    /// Notes the kernel that is wanted.
    fn is_created(&mut self, (kernel, has_between): Created) {
        self.has_between = has_between;
        // Another one is to be of the same gateway.
        self.open = None;
        self.next_number = 0;
        let keeper = tokio::spawn(keep(Kernel::clone(&kernel), self.in_use.subscribe()));
        self.current.send_replace(Some(Kernel::clone(&kernel)));
        self.state = State::Ready(Box::new(kernel), keeper);
    }

    /// Begins to create a kernel, unless there is one.
    fn begin(&mut self) {
        if !matches!(self.state, State::None) {
            return;
        }
        let (spec, news) = (self.spec.clone(), self.news.clone());
        let (slot, open) = (Arc::clone(&self.client), self.open.clone());
        self.state = State::Creating(tokio::spawn(async move {
            let client = match open {
                None => lock(&slot).clone(),
                Some(open) => {
                    let opened = tokio::task::spawn_blocking(move || open()).await;
                    let opened = match opened {
                        Ok(opened) => opened.map_err(NoKernel::Unopened)?,
                        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
                    };
                    *lock(&slot) = Some(opened.clone());
                    Some(opened)
                }
            };
            let client = client.expect("it is given, or has just been opened");
            let say = |pending: sorna::SessionPending| {
                let status = &pending.status;
                let _ = news.send(match pending.status_info {
                    Some(reason) => format!("Waiting for the session: {status} ({reason})\n"),
                    None => format!("Waiting for the session: {status}\n"),
                });
            };
            let kernel = client.temporary_with(spec, say).await;
            let kernel = kernel.map_err(NoKernel::Refused)?;
            // Else the first cell could be left and not interrupted, which needs to be known before it begins. What is wrong
            // with the gateway shows in cells.
            let _ = client.offers(Interrupt::EXTENSION).await;
            let has_between = client.offers(Execute::BETWEEN).await.unwrap_or(false);
            Ok((kernel, has_between))
        }));
    }

    /// The kernel, once it is there. May be dropped and called again.
    pub(super) async fn kernel(&mut self) -> Result<Kernel, NoKernel> {
        self.begin();
        if let State::Creating(creation) = &mut self.state {
            let created = match creation.await {
                Ok(created) => created,
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            };
            self.state = State::None;
            self.is_created(created?);
        }
        match &self.state {
            State::Ready(kernel, _) => {
                Ok(Kernel::clone(kernel).with_earlier_apart(self.has_between))
            }
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

    /// Whether questions are told from programs: the gateway has the extension for that.
    pub(super) fn has_between(&self) -> bool {
        self.has_between && self.is_ours()
    }

    /// The kernel, if it is ready and its gateway tells what is printed between executions.
    pub(super) fn to_listen(&self) -> Option<Kernel> {
        match &self.state {
            State::Ready(kernel, _) if self.has_between() => Some(Kernel::clone(kernel)),
            _ => None,
        }
    }

    /// Whether its gateway can be told that no one answers a program.
    pub(super) async fn takes_refusals(&self) -> bool {
        match self.client() {
            Some(client) if self.is_ours() => {
                client.offers(Execute::REFUSALS).await.unwrap_or(false)
            }
            _ => false,
        }
    }

    /// Forgets the kernel, which is gone. The next one is created when it is needed.
    pub(super) fn is_gone(&mut self) {
        if let State::Ready(_, keeper) = std::mem::replace(&mut self.state, State::None) {
            keeper.abort();
        }
        self.current.send_replace(None);
    }

    /// Restarts the interpreter, or has another kernel if this one is gone. Returns what was left of what ran.
    pub(super) async fn restart(&mut self, is_running: bool) -> Result<Console, NoKernel> {
        let nothing = Console::new();
        let kernel = match &self.state {
            State::Ready(kernel, _) => Kernel::clone(kernel),
            _ => return self.kernel().await.map(|_| nothing),
        };
        self.next_number = 0;
        match kernel.restart().await {
            Ok(()) => {
                if !is_running {
                    return Ok(nothing);
                }
                // It may report the end of what was stopped in response to the next cell.
                let left = kernel.execute("").finish().await;
                Ok(left.map_or(nothing, |result| result.console))
            }
            Err(error) if error.is_not_found() => {
                self.is_gone();
                self.kernel().await.map(|_| nothing)
            }
            Err(error) => Err(NoKernel::Refused(error)),
        }
    }

    /// Interrupts what runs.
    pub(super) async fn interrupt(&self, kernel: &Kernel) -> Result<Interrupted, Error> {
        let Some(client) = self.client() else {
            return Ok(Interrupted::Yes);
        };
        let interrupt = Interrupt::new(kernel.id().clone());
        let interrupted = tokio::time::timeout(PATIENCE, client.call(interrupt)).await;
        match interrupted {
            Ok(Ok(_)) => Ok(Interrupted::Yes),
            // The gateway of 2017.
            Ok(Err(error)) if is_unknown(&error) => {
                kernel.restart().await?;
                Ok(Interrupted::Restarted)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(Interrupted::Unanswered),
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
        let Some(client) = self.client() else {
            return Vec::new();
        };
        if self.completes.is_none() {
            let negotiated = client.negotiated().await;
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
        match client.call(complete).await {
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
                if let Ok(Ok((kernel, _))) = creation.await {
                    kernel.close().await?;
                }
            }
            State::Ready(kernel, keeper) => {
                keeper.abort();
                kernel.close().await?;
            }
        }
        if let Some(client) = self.client() {
            client.settled().await;
        }
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
