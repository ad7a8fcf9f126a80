//! The kernels of a gateway: who has which, and how many there may be.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use sorna_core::server::{CreateRequest, ProblemKind, ProblemReply};
use sorna_core::{KernelId, KernelInfo, LanguageInfo};
use tokio::task::JoinSet;

use crate::base::Base;
use crate::config::GatewayConfig;
use crate::kernel::{
    Bounds, Census, Confinement, Home, Isolation, Kernel, Languages, Launcher, Setup, StartError,
    Unavailable,
};
use crate::lock::lock;
use crate::random;
use crate::stats::{Counters, GatewayStats};

/// How often to look for kernels that nobody uses, at most.
const IDLE_CHECK: Duration = Duration::from_secs(10);
/// How often to look how much the kernels take that something runs in.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Which of these looks is at all kernels.
const LOOKS_AT_ALL: u64 = 20;
/// How long a closing gateway waits for kernels that are being made.
const CLOSE_TIME: Duration = Duration::from_secs(15);

/// All kernels.
#[derive(Debug)]
pub(crate) struct Kernels {
    /// Goes before the files: what is in control groups may still write some.
    confinement: Confinement,
    base: Base,
    launcher: Arc<Launcher>,
    census: Arc<Mutex<Census>>,
    languages: Languages,
    kernels_per_key: usize,
    bounds: Bounds,
    console_limit: usize,
    exec_timeout: Duration,
    idle_timeout: Duration,
    next_number: AtomicU64,
    closing: AtomicBool,
    pub(crate) counters: Counters,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    kernels: HashMap<String, Arc<Entry>>,
    sessions: HashMap<Session, Arc<Slot>>,
    /// How many kernels each key has, those included that are being made or unmade.
    owned: HashMap<String, usize>,
}

/// What decides whether a kernel is reused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Session {
    owner: String,
    token: String,
    lang: String,
}

/// The place of a session's kernel. The lock is held while the kernel is being made, so that two
/// requests at once make one.
type Slot = tokio::sync::Mutex<Option<Arc<Entry>>>;

/// A kernel in the table.
#[derive(Debug)]
pub(crate) struct Entry {
    id: KernelId,
    session: Session,
    pub(crate) kernel: Kernel,
}

impl Kernels {
    pub(crate) fn new(config: &GatewayConfig, base: Base, confinement: Confinement) -> Self {
        Self {
            base,
            launcher: Arc::new(Launcher::new(config.path.clone())),
            confinement,
            census: Arc::default(),
            languages: Languages::new(&config.languages),
            kernels_per_key: config.kernels_per_key,
            bounds: Bounds {
                memory: config.max_memory,
                processes: config.max_processes,
                file_size: config.max_file_size,
            },
            console_limit: config.console_limit,
            exec_timeout: config.exec_timeout,
            idle_timeout: config.idle_timeout,
            next_number: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            counters: Counters::default(),
            table: Mutex::default(),
        }
    }

    /// The living kernel of a session, or a new one.
    ///
    /// # Errors
    ///
    /// 412 `quota-exceeded`; 500 `kernel-creation-failed` for a language that is unknown, misses
    /// its tool or does not start.
    pub(crate) async fn get_or_create(
        self: &Arc<Self>,
        owner: &str,
        request: CreateRequest,
    ) -> Result<KernelId, ProblemReply> {
        let session = Session {
            owner: owner.to_owned(),
            token: request.token.as_str().to_owned(),
            lang: request.lang.clone(),
        };
        // A task of its own: a client that hangs up must not leave half a kernel.
        let this = Arc::clone(self);
        let task = tokio::spawn(async move { this.fill_slot(session, request).await });
        task.await
            .unwrap_or_else(|_| Err(ProblemKind::ServiceUnavailable.reply()))
    }

    async fn fill_slot(
        self: Arc<Self>,
        session: Session,
        request: CreateRequest,
    ) -> Result<KernelId, ProblemReply> {
        loop {
            let slot = Arc::clone(self.table().sessions.entry(session.clone()).or_default());
            let mut place = slot.lock().await;
            // While we waited it may have been filled, or given up.
            if !self.is_current(&session, &slot) {
                continue;
            }
            if let Some(entry) = place.as_ref().filter(|entry| !entry.kernel.is_gone()) {
                entry.kernel.touch();
                return Ok(entry.id.clone());
            }
            let created = self.create(&session, &request).await;
            let mut table = self.table();
            match created {
                Ok(entry) => {
                    let id = entry.id.clone();
                    table
                        .kernels
                        .insert(id.as_str().to_owned(), Arc::clone(&entry));
                    *place = Some(entry);
                    self.counters.kernels_created.up();
                    return Ok(id);
                }
                Err(problem) => {
                    table.sessions.remove(&session);
                    return Err(problem);
                }
            }
        }
    }

    fn is_current(&self, session: &Session, slot: &Arc<Slot>) -> bool {
        let table = self.table();
        let current = table.sessions.get(session);
        current.is_some_and(|current| Arc::ptr_eq(current, slot))
    }

    async fn create(
        self: &Arc<Self>,
        session: &Session,
        request: &CreateRequest,
    ) -> Result<Arc<Entry>, ProblemReply> {
        if !request.mounts.is_empty() {
            return Err(creation_failed(
                "agent-invalid-input",
                "this gateway has no folders to mount",
            ));
        }
        self.reserve(&session.owner)?;
        if self.closing.load(Ordering::SeqCst) {
            self.release(&session.owner);
            return Err(ProblemKind::ServiceUnavailable.reply());
        }
        let started = self.start(request).await;
        if started.is_err() {
            self.release(&session.owner);
        }
        let (id, kernel) = started?;
        Ok(Arc::new(Entry {
            id,
            session: session.clone(),
            kernel,
        }))
    }

    async fn start(
        self: &Arc<Self>,
        request: &CreateRequest,
    ) -> Result<(KernelId, Kernel), ProblemReply> {
        let failed = |error: io::Error| creation_failed("agent-failure", &error.to_string());
        let id = random::kernel_id().map_err(failed)?;
        let this = Arc::clone(self);
        let wanted = request.clone();
        let prepared = tokio::task::spawn_blocking(move || this.prepare(&wanted)).await;
        let setup = prepared.map_err(|error| failed(error.into()))??;
        let kernel = Kernel::start(setup)
            .await
            .map_err(|StartError(words)| creation_failed("agent-failure", &words))?;
        tracing::info!(kernel = %id, lang = %request.lang, "kernel created");
        Ok((id, kernel))
    }

    /// Finds the language and makes the directory. Blocks.
    fn prepare(&self, request: &CreateRequest) -> Result<Setup, ProblemReply> {
        let lang = &request.lang;
        let installed = self.languages.find(lang, &self.launcher).map_err(|error| {
            let words = match error {
                Unavailable::Unknown => {
                    let lang: String = lang.chars().take(40).collect();
                    let known = self.languages.names();
                    format!("unknown language {lang:?}; known are {known}")
                }
                Unavailable::ToolMissing(tools) => {
                    let tools = tools.join(" or ");
                    format!("{lang} needs {tools}, which is not on this machine")
                }
            };
            creation_failed("agent-invalid-input", &words)
        })?;
        let failed = |error: io::Error| creation_failed("agent-failure", &error.to_string());
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let home = Home::create(self.base.kernel(number), installed.compiles_snippets());
        let home = home.map_err(failed)?;
        let limits = &request.limits;
        let bounds = Bounds {
            memory: match (limits.max_mem, self.bounds.memory) {
                (Some(wanted), Some(most)) => Some(wanted.min(most)),
                (wanted, most) => wanted.or(most),
            },
            ..self.bounds
        };
        let runners = self.base.runners();
        let confined = self
            .confinement
            .kernel(number, &home, &runners, &installed, bounds)
            .map_err(|error| {
                let _ = home.remove();
                failed(error)
            })?;
        // So that no program of another kernel can pass for one of this.
        let secret = random::mark().map_err(failed)?;
        Ok(Setup {
            mark: format!("{}.{number}.{secret}.", self.base.mark()),
            home,
            installed,
            launcher: Arc::clone(&self.launcher),
            census: Arc::clone(&self.census),
            runners,
            exec_timeout: limits.exec_timeout.unwrap_or(self.exec_timeout),
            console_limit: self.console_limit,
            confined,
        })
    }

    /// The languages, and whether their tools are there.
    pub(crate) async fn languages(self: &Arc<Self>) -> Vec<LanguageInfo> {
        let this = Arc::clone(self);
        let list = tokio::task::spawn_blocking(move || this.languages.list(&this.launcher)).await;
        list.unwrap_or_default()
    }

    /// The kernel, if it exists and belongs to this key: others do not see it.
    ///
    /// # Errors
    ///
    /// 404 `kernel-not-found`.
    pub(crate) fn find(&self, owner: &str, id: &KernelId) -> Result<Arc<Entry>, ProblemReply> {
        self.table()
            .kernels
            .get(id.as_str())
            .filter(|entry| entry.session.owner == owner && !entry.kernel.is_gone())
            .cloned()
            .ok_or_else(|| ProblemKind::KernelNotFound.reply())
    }

    /// What is known of a kernel.
    pub(crate) fn info(&self, entry: &Entry) -> KernelInfo {
        entry.kernel.info(&entry.session.lang, self.idle_timeout)
    }

    /// Destroys a kernel; its session is free at once, its place in the quota when it is gone.
    pub(crate) async fn destroy(self: &Arc<Self>, entry: Arc<Entry>) {
        if !self.forget(&entry) {
            // Somebody else is at it; wait with them.
            return entry.kernel.destroy().await;
        }
        let this = Arc::clone(self);
        let task = tokio::spawn(async move {
            entry.kernel.destroy().await;
            this.release(&entry.session.owner);
            tracing::info!(kernel = %entry.id, "kernel destroyed");
        });
        let _ = task.await;
    }

    /// Takes a kernel out of the table; `false` if it is not there any more.
    fn forget(&self, entry: &Entry) -> bool {
        let mut table = self.table();
        let was_there = table.kernels.remove(entry.id.as_str()).is_some();
        if was_there {
            table.sessions.remove(&entry.session);
        }
        was_there
    }

    /// Makes no more kernels, and destroys those there are and those being made.
    pub(crate) async fn close(self: &Arc<Self>) {
        self.closing.store(true, Ordering::SeqCst);
        let until = Instant::now() + CLOSE_TIME;
        loop {
            // One that hangs must not hold up the end.
            let _ = tokio::time::timeout_at(until.into(), self.destroy_all()).await;
            if self.table().owned.values().all(|owned| *owned == 0) || Instant::now() > until {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn destroy_all(self: &Arc<Self>) {
        let entries: Vec<_> = self.table().kernels.values().cloned().collect();
        let mut tasks = JoinSet::new();
        for entry in entries {
            let this = Arc::clone(self);
            tasks.spawn(async move { this.destroy(entry).await });
        }
        tasks.join_all().await;
    }

    /// Destroys kernels that nobody uses, for ever.
    pub(crate) async fn destroy_idle(self: Arc<Self>) {
        let interval = (self.idle_timeout / 4).clamp(Duration::from_millis(10), IDLE_CHECK);
        loop {
            tokio::time::sleep(interval).await;
            let idle: Vec<_> = self
                .table()
                .kernels
                .values()
                .filter(|entry| entry.kernel.idle() > self.idle_timeout)
                .cloned()
                .collect();
            for entry in idle {
                tracing::info!(kernel = %entry.id, "kernel was idle for too long");
                self.destroy(entry).await;
            }
        }
    }

    /// Sees to it that no kernel takes more than it may, for ever, where the system does not.
    pub(crate) async fn watch(self: Arc<Self>) {
        for look in 0_u64.. {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let all = look % LOOKS_AT_ALL == 0;
            let entries: Vec<_> = self
                .table()
                .kernels
                .values()
                .filter(|entry| entry.kernel.needs_a_look() && (all || entry.kernel.is_busy()))
                .map(|entry| (Arc::clone(entry), entry.kernel.kills()))
                .collect();
            if entries.is_empty() {
                continue;
            }
            let this = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || this.look(&entries)).await;
            if looked.is_err() {
                // The runtime goes.
                return;
            }
        }
    }

    /// Looks what these kernels take. Blocks.
    fn look(&self, entries: &[(Arc<Entry>, u64)]) {
        let counted = OnceCell::new();
        for (entry, kills) in entries {
            let kernel = &entry.kernel;
            match kernel.members() {
                Some(members) => kernel.check(&members, *kills),
                None => {
                    let counted = counted.get_or_init(|| {
                        // Of all: what is not looked at now belongs to somebody as well.
                        let kernels: Vec<Arc<Entry>> =
                            self.table().kernels.values().cloned().collect();
                        let marks: Vec<&str> =
                            kernels.iter().map(|entry| entry.kernel.mark()).collect();
                        lock(&self.census).take(&marks)
                    });
                    if let Some(members) = counted.get(kernel.mark()) {
                        kernel.check(members, *kills);
                    }
                }
            }
        }
    }

    /// How kernels are kept apart.
    pub(crate) fn isolation(&self) -> Isolation {
        self.confinement.isolation()
    }

    pub(crate) fn stats(&self) -> GatewayStats {
        let living = self.table().kernels.len();
        self.counters.with_kernels(living)
    }

    fn reserve(&self, owner: &str) -> Result<(), ProblemReply> {
        let mut table = self.table();
        let owned = table.owned.entry(owner.to_owned()).or_default();
        if *owned >= self.kernels_per_key {
            return Err(ProblemKind::QuotaExceeded.reply());
        }
        *owned += 1;
        Ok(())
    }

    fn release(&self, owner: &str) {
        if let Some(owned) = self.table().owned.get_mut(owner) {
            *owned = owned.saturating_sub(1);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

fn creation_failed(kind: &str, words: &str) -> ProblemReply {
    ProblemKind::KernelCreationFailed
        .reply()
        .with_agent(kind, words, None)
}
