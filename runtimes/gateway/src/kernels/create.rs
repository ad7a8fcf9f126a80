//! Creating a kernel, or finding the one of a session.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fs, io};

use sorna_core::server::{CreateRequest, ProblemReply};
use sorna_core::{KernelId, ProblemKind};

use super::shares::Portion;
use super::table::{Entry, Kernels, Session, Slot};
use crate::kernel::{
    Bounds, Cores, DiskLimit, Environ, Home, Kernel, KernelStartError, Setup, SharedFiles,
    Unavailable, excerpt,
};
use crate::random;

/// What a kernel shall be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The name or an alias of a language, or an image that stands for one.
    pub(crate) language: String,
    /// The most memory, in bytes.
    pub(crate) memory: Option<u64>,
    /// How many processor cores it may use.
    pub(crate) cores: Option<u64>,
    pub(crate) exec_timeout: Option<Duration>,
    pub(crate) environ: Environ,
}

/// A kernel that was created, or found by its token.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) entry: Arc<Entry>,
    pub(crate) is_new: bool,
}

impl From<&CreateRequest> for Wanted {
    fn from(request: &CreateRequest) -> Self {
        let limits = request.spec.limits();
        Self {
            language: request.spec.language().to_owned(),
            memory: limits.max_memory(),
            exec_timeout: limits.exec_timeout(),
            ..Self::default()
        }
    }
}

impl Found {
    fn old(entry: Arc<Entry>) -> Self {
        let is_new = false;
        Self { entry, is_new }
    }
}

impl Kernels {
    /// The living kernel of a session, or a new one. A token that is the ID of a kernel of this language names that one.
    ///
    /// # Errors
    ///
    /// 412 `quota-exceeded`; 500 `kernel-creation-failed` for a language that is unknown, whose
    /// tool is not installed, or that does not start.
    pub(crate) async fn get_or_create(
        self: &Arc<Self>,
        owner: &str,
        request: CreateRequest,
    ) -> Result<Found, ProblemReply> {
        // Also for a kernel that exists, which would not have them either.
        if !request.spec.mounts().is_empty() {
            return Err(creation_failed(
                "agent-invalid-input",
                "this gateway has no folders to mount",
            ));
        }
        let session = Session {
            owner: owner.to_owned(),
            token: request.token.as_str().to_owned(),
            lang: request.spec.language().to_owned(),
        };
        if let Some(entry) = self.by_id_of_its_language(&session) {
            entry.kernel.touch();
            return Ok(Found::old(entry));
        }
        // In a separate task, so that a client that hangs up does not leave half a kernel.
        let this = Arc::clone(self);
        let task = tokio::spawn(async move { this.fill_slot(session, request).await });
        task.await
            .unwrap_or_else(|_| Err(ProblemKind::ServiceUnavailable.reply()))
    }

    fn by_id_of_its_language(&self, session: &Session) -> Option<Arc<Entry>> {
        let id = KernelId::new(session.token.as_str()).ok()?;
        let entry = self.find(&session.owner, &id).ok()?;
        let is_same =
            self.canonical_language(&entry.lang) == self.canonical_language(&session.lang);
        is_same.then_some(entry)
    }

    async fn fill_slot(
        self: Arc<Self>,
        session: Session,
        request: CreateRequest,
    ) -> Result<Found, ProblemReply> {
        loop {
            let slot = Arc::clone(self.table().sessions.entry(session.clone()).or_default());
            let mut place = slot.lock().await;
            // Meanwhile, another request may have failed and removed the slot.
            if !self.is_current(&session, &slot) {
                continue;
            }
            if let Some(entry) = place.as_ref().filter(|entry| !entry.kernel.is_gone()) {
                entry.kernel.touch();
                return Ok(Found::old(Arc::clone(entry)));
            }
            let created = self.create(&session, &request).await;
            let mut table = self.table();
            match created {
                Ok(entry) => {
                    let id = entry.id.as_str().to_owned();
                    table.kernels.insert(id, Arc::clone(&entry));
                    *place = Some(Arc::clone(&entry));
                    self.counters.kernels_created.up();
                    let is_new = true;
                    return Ok(Found { entry, is_new });
                }
                Err(problem) => {
                    table.sessions.remove(&session);
                    return Err(problem);
                }
            }
        }
    }

    /// The languages of other living kernels with the token of this one, and the same owner.
    pub(crate) fn other_languages(&self, entry: &Entry) -> Vec<String> {
        let Some(session) = &entry.session else {
            return Vec::new();
        };
        let own = self.canonical_language(&entry.lang);
        let of_token = self.of_sorna_v2(&session.owner);
        let of_token = of_token.into_iter().filter(|(_, it)| *it == session.token);
        let languages = of_token.map(|(other, _)| self.canonical_language(&other.lang));
        let mut languages: Vec<_> = languages.filter(|language| *language != own).collect();
        languages.sort();
        languages.dedup();
        languages
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
        let memory = request.spec.limits().max_memory();
        let least = self.least_memory(&session.lang);
        if let Some(bytes) = memory.filter(|bytes| (1..least).contains(bytes)) {
            let reason = format!(
                "{} KiB of memory are too little for {} (minimum {} MiB)",
                bytes.div_ceil(1024),
                excerpt(&session.lang),
                least >> 20
            );
            return Err(creation_failed("agent-invalid-input", &reason));
        }
        let id = random::kernel_id()
            .map_err(|error| creation_failed("agent-failure", &error.to_string()))?;
        let (kernel, portion) = self
            .start_counted(&session.owner, &id, &request.into())
            .await?;
        Ok(Arc::new(Entry {
            id,
            owner: session.owner.clone(),
            lang: session.lang.clone(),
            session: Some(session.clone()),
            portion,
            asked_memory: memory,
            cause: OnceLock::new(),
            kernel,
        }))
    }

    /// Creates a kernel for a session of Backend.AI, under an ID that no other has.
    ///
    /// # Errors
    ///
    /// As [`get_or_create`](Self::get_or_create).
    pub(crate) async fn create_under(
        self: &Arc<Self>,
        owner: &str,
        id: KernelId,
        wanted: &Wanted,
    ) -> Result<Arc<Entry>, ProblemReply> {
        let (kernel, portion) = self.start_counted(owner, &id, wanted).await?;
        let entry = Arc::new(Entry {
            owner: owner.to_owned(),
            lang: wanted.language.clone(),
            session: None,
            portion,
            asked_memory: wanted.memory,
            cause: OnceLock::new(),
            kernel,
            id,
        });
        let key = entry.id.as_str().to_owned();
        self.table().kernels.insert(key, Arc::clone(&entry));
        self.counters.kernels_created.up();
        Ok(entry)
    }

    /// Why there is no kernel of this language, if there is none.
    pub(crate) async fn check_language(
        self: &Arc<Self>,
        language: &str,
    ) -> Result<(), Unavailable> {
        let (this, language) = (Arc::clone(self), language.to_owned());
        let find = move || this.languages.find(&language, &this.launcher).map(|_| ());
        // Fails only if the runtime is shutting down, and then no kernel is created either.
        tokio::task::spawn_blocking(find).await.unwrap_or(Ok(()))
    }

    /// The language that this is a name of, by the name that the list of languages has.
    pub(crate) fn canonical_language(&self, name: &str) -> String {
        self.languages.canonical(name).unwrap_or(name).to_owned()
    }

    /// The least memory that a client may ask for with a language, in bytes: with less, its tool does not run.
    pub(crate) fn least_memory(&self, name: &str) -> u64 {
        self.languages.least_memory(name)
    }

    /// Whether kernels of a language send values of expressions.
    pub(crate) fn echoes(&self, name: &str) -> bool {
        self.languages.echoes(name)
    }

    /// The names of the languages, for messages.
    pub(crate) fn language_names(&self) -> String {
        self.languages.names()
    }

    /// Starts a kernel that counts against its owner's share, and says what it counts.
    async fn start_counted(
        self: &Arc<Self>,
        owner: &str,
        id: &KernelId,
        wanted: &Wanted,
    ) -> Result<(Kernel, Portion), ProblemReply> {
        let portion = self.portion(wanted);
        self.reserve(owner, portion)?;
        if self.closing.load(Ordering::SeqCst) {
            self.release(owner, portion);
            return Err(ProblemKind::ServiceUnavailable.reply());
        }
        let mut started = self.start_or_take(wanted).await;
        match &mut started {
            Ok(kernel) => {
                kernel.give_to(owner, wanted.exec_timeout.unwrap_or(self.exec_timeout));
                let lang = wanted.language.as_str();
                tracing::info!(kernel = %id, key = owner, lang, "kernel created");
            }
            Err(_) => self.release(owner, portion),
        }
        started.map(|kernel| (kernel, portion))
    }

    /// A kernel in stock, if there is one like that, or else a new one. It is no one's yet.
    async fn start_or_take(self: &Arc<Self>, wanted: &Wanted) -> Result<Kernel, ProblemReply> {
        let Some(language) = self.language_in_stock(wanted) else {
            return self.start(wanted).await;
        };
        let taken = self.warm.take(&language);
        if taken.is_some() {
            self.counters.warm_kernels_taken.up();
        }
        let kernel = match taken {
            Some(kernel) => kernel,
            None => self.start(wanted).await?,
        };
        self.warm.note_use(&language);
        Ok(kernel)
    }

    /// The language, if kernels that are kept in stock are like that.
    fn language_in_stock(&self, wanted: &Wanted) -> Option<String> {
        let is_usual = wanted.cores.is_none()
            && wanted.environ.0.is_empty()
            && (wanted.memory.is_none() || self.memory_limit(wanted) == self.bounds.memory);
        let language = self.languages.canonical(&wanted.language);
        let language = language.filter(|name| is_usual && self.warm.has(name))?;
        Some(language.to_owned())
    }

    /// What a kernel counts.
    fn portion(&self, wanted: &Wanted) -> Portion {
        Portion {
            memory: self.memory_limit(wanted).unwrap_or(0),
            processes: self.bounds.processes,
            disk: self.bounds.disk.map_or(0, |disk| disk.bytes),
        }
    }

    /// The most memory of a kernel, in bytes.
    fn memory_limit(&self, wanted: &Wanted) -> Option<u64> {
        match (wanted.memory, self.bounds.memory.or_else(machine_memory)) {
            (Some(wanted), Some(most)) => Some(wanted.min(most)),
            (Some(wanted), None) => Some(wanted),
            (None, _) => self.bounds.memory,
        }
    }

    /// Starts a kernel that is no one's yet.
    pub(super) async fn start(self: &Arc<Self>, wanted: &Wanted) -> Result<Kernel, ProblemReply> {
        let failed = |error: io::Error| creation_failed("agent-failure", &error.to_string());
        let this = Arc::clone(self);
        let wanted = wanted.clone();
        let prepared = tokio::task::spawn_blocking(move || this.prepare(&wanted)).await;
        let setup = prepared.map_err(|error| failed(error.into()))??;
        Kernel::start(setup)
            .await
            .map_err(|error| error.problem(ProblemKind::KernelCreationFailed))
    }

    /// Finds the language and makes the directory. Blocks.
    fn prepare(&self, wanted: &Wanted) -> Result<Setup, ProblemReply> {
        let lang = wanted.language.as_str();
        let installed = self.languages.find(lang, &self.launcher).map_err(|error| {
            let reason = match error {
                Unavailable::Unknown => {
                    let known = self.languages.names();
                    format!("unknown language {:?} (known: {known})", excerpt(lang))
                }
                Unavailable::ToolMissing(tools) => {
                    let tools = tools.join(" or ");
                    format!("{} needs {tools}, which is not installed", excerpt(lang))
                }
            };
            creation_failed("agent-invalid-input", &reason)
        })?;
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let root = self.base.kernel(number);
        let failed = |error: io::Error| {
            let reason = KernelStartError::of_system(&error, &root);
            reason.problem(ProblemKind::KernelCreationFailed)
        };
        // Keeps programs of other kernels from passing as this kernel's.
        let secret = random::mark().map_err(failed)?;
        let user = self.confinement.user(number);
        let home = Home::create(root.clone(), installed.compiles_snippets(), user);
        let mut home = home.map_err(failed)?;
        let mut bounds = Bounds {
            cores: wanted.cores.map(|count| Cores {
                first: usize::try_from(number).unwrap_or_default(),
                count: usize::try_from(count.max(1)).unwrap_or(usize::MAX),
            }),
            memory: self.memory_limit(wanted),
            ..self.bounds
        };
        if let Some(size) = self.memory_disk {
            // Else files that outlive all programs could take all memory.
            let size = bounds.memory.map_or(size, |memory| size.min(memory / 2));
            let files = bounds.disk.map_or(u64::MAX, |disk| disk.files);
            let disk = self.confinement.disk(number, &home, size, files);
            let moved = disk.and_then(|disk| disk.map_or(Ok(()), |disk| home.move_to(disk)));
            moved.map_err(|error| {
                let _ = home.remove();
                failed(error)
            })?;
            if home.disk().is_some() {
                bounds.disk = Some(DiskLimit { bytes: size, files });
            }
        }
        let runners = self.base.runners();
        let confined = self
            .confinement
            .kernel(number, &home, &runners, &installed, bounds)
            .map_err(|error| {
                let _ = home.remove();
                failed(error)
            })?;
        Ok(Setup {
            mark: format!("{}.{number}.{secret}.", self.base.mark()),
            home,
            installed,
            launcher: Arc::clone(&self.launcher),
            process_table: Arc::clone(&self.process_table),
            runners,
            bytecode: self.base.bytecode().clone(),
            environ: wanted.environ.clone(),
            console_limit: self.console_limit,
            confined,
            stock: Arc::clone(&self.stock),
            crowd: Arc::clone(&self.crowd),
            shared_files: SharedFiles::new(),
        })
    }
}

/// The memory of this machine, in bytes, if the system says.
fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn creation_failed(kind: &str, reason: &str) -> ProblemReply {
    ProblemKind::KernelCreationFailed
        .reply()
        .with_agent(kind, reason, None)
}
