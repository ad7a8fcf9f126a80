//! A session: a kernel on the gateway, which keeps variables and files between calls.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sorna::KernelSpec;
use sorna::tokio::{Client, Kernel};
use tokio::sync::{Mutex as Turn, RwLock, watch};
use tokio_util::sync::CancellationToken;

use crate::client_id::ClientId;
use crate::failure::Failure;
use crate::report::report;
use crate::run::Run;

/// How long the gateway has to destroy a kernel.
const FAREWELL: Duration = Duration::from_secs(10);
/// How often, and for how long, that is tried while it cannot be reached.
const AGAIN: Duration = Duration::from_secs(1);
const OUTAGE: Duration = Duration::from_secs(10 * 60);

/// What is known of the kernel.
#[derive(Clone, Debug)]
enum Stage {
    /// It is being created; why it is not there yet, if the gateway says so.
    Waiting(Option<String>),
    Ready(Kernel),
    Failed(Failure),
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) name: String,
    /// As the gateway calls it.
    pub(crate) language: String,
    stage: watch::Receiver<Stage>,
    closing: CancellationToken,
    /// Whoever has it may run a program.
    pub(crate) turn: Arc<Turn<()>>,
    /// Held by those that write files, so that programs that came after them find what they have written.
    pub(crate) writing: Arc<RwLock<()>>,
    used: Mutex<Used>,
    /// Whether it has ended because it was not used.
    has_expired: AtomicBool,
    /// Whether its kernel is gone, or was never there.
    is_gone: CancellationToken,
}

#[derive(Debug)]
struct Used {
    last: Instant,
    clients: BTreeSet<ClientId>,
    run: Option<Arc<Run>>,
    runs: u64,
    /// Whether a client has written files to it.
    has_files: bool,
    /// What has become of the one of this name before it, which its first program is to tell.
    before: Option<String>,
}

impl Session {
    /// Begins to create one. The future has to be polled to its end by someone: it keeps the kernel until the session is closed, or
    /// was not used for this long, and then destroys it.
    pub(crate) fn open(
        name: String,
        spec: KernelSpec,
        client: Client,
        idle_timeout: Duration,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let (set_stage, stage) = watch::channel(Stage::Waiting(None));
        let session = Arc::new(Self {
            name,
            language: spec.language().to_owned(),
            stage,
            closing: CancellationToken::new(),
            turn: Arc::default(),
            writing: Arc::default(),
            used: Mutex::new(Used {
                last: Instant::now(),
                clients: BTreeSet::new(),
                run: None,
                runs: 0,
                has_files: false,
                before: None,
            }),
            has_expired: AtomicBool::new(false),
            is_gone: CancellationToken::new(),
        });
        let life = live(Arc::clone(&session), spec, client, idle_timeout, set_stage);
        let gone = session.is_gone.clone().drop_guard();
        let life = async move {
            life.await;
            drop(gone);
        };
        (session, life)
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins its idle time anew.
    pub(crate) fn touch(&self) {
        self.used().last = Instant::now();
    }

    /// The same, for a client, of which it is now.
    pub(crate) fn touch_for(&self, client: &ClientId) {
        let mut used = self.used();
        used.last = Instant::now();
        used.clients.insert(client.clone());
    }

    /// Those who have used it.
    pub(crate) fn clients(&self) -> BTreeSet<ClientId> {
        self.used().clients.clone()
    }

    /// Whether this client has used it.
    pub(crate) fn is_of(&self, client: &ClientId) -> bool {
        self.used().clients.contains(client)
    }

    /// Whether it has ended because it was not used, after something was made in it.
    pub(crate) fn has_expired(&self) -> bool {
        let used = self.used();
        self.has_expired.load(Ordering::Relaxed) && (used.runs > 0 || used.has_files)
    }

    /// A client has written files to it.
    pub(crate) fn note_files(&self) {
        self.used().has_files = true;
    }

    /// Takes the place of one that has ended without a word to its client, for this reason.
    pub(crate) fn replace(&self, reason: &str) {
        let name = &self.name;
        self.used().before = Some(format!(
            "Session `{name}` had ended, {reason}. This is a new one: variables and files of the old one are lost."
        ));
    }

    /// Forgets a client that has gone. Whether it was of this one alone.
    pub(crate) fn leave(&self, client: &ClientId) -> bool {
        let mut used = self.used();
        used.clients.remove(client) && used.clients.is_empty()
    }

    /// A program runs in it now.
    pub(crate) fn begin(&self, run: &Arc<Run>) {
        let mut used = self.used();
        used.last = Instant::now();
        used.runs += 1;
        if let Some(before) = used.run.replace(Arc::clone(run)) {
            run.follow(&before);
        } else if let Some(loss) = used.before.take() {
            run.note_loss(loss);
        }
    }

    /// The program that runs in it.
    pub(crate) fn running(&self) -> Option<Arc<Run>> {
        self.used().run.clone().filter(|run| run.is_running())
    }

    /// How many programs were started in it, and how long ago it was used last.
    pub(crate) fn usage(&self) -> (u64, Duration) {
        let used = self.used();
        (used.runs, used.last.elapsed())
    }

    /// Its kernel, once it is there.
    pub(crate) async fn kernel(&self, patience: Duration) -> Result<Kernel, Failure> {
        let mut stage = self.stage.clone();
        let there = stage.wait_for(|stage| !matches!(stage, Stage::Waiting(_)));
        let is_there = tokio::time::timeout(patience, there).await.is_ok();
        let stage = self.stage.borrow().clone();
        match stage {
            Stage::Ready(kernel) => Ok(kernel),
            Stage::Failed(failure) => Err(failure),
            Stage::Waiting(_) if is_there => Err(Failure::new("The session was closed.")),
            Stage::Waiting(reason) => {
                let reason = reason.map_or_else(String::new, |it| format!(" ({it})"));
                Err(Failure::new(format!(
                    "Session `{}` is still being prepared{reason}. Call again later.",
                    self.name
                )))
            }
        }
    }

    /// Ends it. What runs in it fails.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// Waits until its kernel is gone. Whether the gateway has said so in time.
    pub(crate) async fn gone(&self) -> bool {
        let gone = tokio::time::timeout(FAREWELL, self.is_gone.cancelled());
        gone.await.is_ok()
    }

    /// Whether it was to tell what has become of the one before it, and has not.
    pub(crate) fn is_silent(&self) -> bool {
        self.used().before.is_some()
    }

    /// The program that was begun last.
    pub(crate) fn last_run(&self) -> Option<Arc<Run>> {
        self.used().run.clone()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Waits until it is closed.
    pub(crate) async fn closed(&self) {
        self.closing.cancelled().await;
    }

    /// Waits until it was not used for this long.
    async fn unused(&self, idle_timeout: Duration) {
        loop {
            if self.running().is_some() {
                self.touch();
            }
            let (_, idle) = self.usage();
            let Some(rest) = idle_timeout.checked_sub(idle).filter(|it| !it.is_zero()) else {
                return;
            };
            // A program that runs may end at any time, and the time begins then.
            tokio::time::sleep(rest.min(Duration::from_secs(60))).await;
        }
    }
}

async fn live(
    session: Arc<Session>,
    spec: KernelSpec,
    client: Client,
    idle_timeout: Duration,
    set_stage: watch::Sender<Stage>,
) {
    let creation = client.temporary_with(spec, |pending| {
        let reason = match pending.status_info {
            Some(info) => format!("{}: {info}", pending.status),
            None => pending.status.to_string(),
        };
        set_stage.send_replace(Stage::Waiting(Some(reason)));
    });
    let created = tokio::select! {
        created = creation => created,
        // Dropped in the middle, it destroys what it has created in the background.
        () = session.closed() => return,
    };
    let kernel = match created {
        Ok(kernel) => kernel,
        Err(error) => {
            let failure = Failure::of("The session could not be created", &error);
            set_stage.send_replace(Stage::Failed(failure));
            session.close();
            return;
        }
    };
    session.touch();
    set_stage.send_replace(Stage::Ready(Kernel::clone(&kernel)));
    tokio::select! {
        () = session.closed() => {}
        () = session.unused(idle_timeout) => {
            session.has_expired.store(true, Ordering::Relaxed);
            session.close();
        }
    }
    let handle = client.kernel(kernel.id().clone());
    let mut destroyed = tokio::time::timeout(FAREWELL, kernel.close()).await;
    let until = Instant::now() + OUTAGE;
    // A gateway that cannot be reached now would let it run on.
    loop {
        let reason = match destroyed {
            Ok(Ok(())) => return,
            Ok(Err(error)) if error.is_not_found() => return,
            Ok(Err(error)) if error.transport().is_none() || Instant::now() > until => {
                format!("could not be destroyed: {}", sorna::with_causes(&error))
            }
            Err(_) if Instant::now() > until => "is still being destroyed".to_owned(),
            _ => {
                tokio::time::sleep(AGAIN).await;
                destroyed = tokio::time::timeout(FAREWELL, handle.destroy()).await;
                continue;
            }
        };
        return report(format_args!("session `{}` {reason}", session.name));
    }
}
