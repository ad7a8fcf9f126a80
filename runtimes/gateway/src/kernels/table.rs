//! The table of kernels, and their number for each key.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use sorna_core::server::ProblemReply;
use sorna_core::{KernelId, LanguageInfo, ProblemKind};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::ended::{Cause, Ended, Late};
use super::shares::{Owned, Portion, Share};
use super::warm::WarmKernels;
use crate::base::Base;
use crate::config::GatewayConfig;
use crate::kernel::{
    Bounds, ClosedPlace, Confinement, Crowd, DiskLimit, Isolation, Kernel, Languages, Launcher,
    Log, ProcessTable, Stock,
};
use crate::keys::Keys;
use crate::lock::lock;
use crate::stats::{Counters, GatewayStats};

/// How long a closing gateway waits for kernels that are being created.
const CLOSE_TIME: Duration = Duration::from_secs(15);

/// All kernels.
#[derive(Debug)]
pub(crate) struct Kernels {
    /// Dropped first, with the boxes of kernels, and then the control groups: before the files, to which processes in them
    /// may still be writing.
    pub(super) table: Mutex<Table>,
    /// Kernels that are no one's yet. Dropped before the files as well.
    pub(super) warm: WarmKernels,
    /// Kernels of other keys are not created.
    keys: Arc<Keys>,
    pub(super) confinement: Confinement,
    pub(super) base: Base,
    pub(super) launcher: Arc<Launcher>,
    pub(super) process_table: Arc<Mutex<ProcessTable>>,
    pub(super) languages: Languages,
    share: Share,
    pub(super) bounds: Bounds,
    /// How much of the files of a kernel is held in memory, if that is asked for.
    pub(super) memory_disk: Option<u64>,
    pub(super) console_limit: usize,
    pub(super) stock: Arc<Stock>,
    pub(super) crowd: Arc<Crowd>,
    pub(super) exec_timeout: Duration,
    pub(super) idle_timeout: Duration,
    /// The most that clients may ask for.
    pub(super) max_idle_timeout: Duration,
    /// Notified when a kernel gets another idle timeout.
    pub(super) idle_changed: Notify,
    pub(super) next_number: AtomicU64,
    pub(super) closing: AtomicBool,
    pub(crate) counters: Counters,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) kernels: HashMap<String, Arc<Entry>>,
    pub(super) sessions: HashMap<Session, Arc<Slot>>,
    /// What each key has, including those being created or destroyed.
    pub(super) owned: HashMap<String, Owned>,
    ended: Ended,
}

/// Identifies a session: a create request with the same values reuses its kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) owner: String,
    pub(super) token: String,
    pub(super) lang: String,
}

/// The place of a session's kernel. The lock is held while the kernel is being created, so that two
/// simultaneous requests create one.
pub(super) type Slot = tokio::sync::Mutex<Option<Arc<Entry>>>;

/// A kernel in the table.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: KernelId,
    pub(crate) owner: String,
    /// The name under which its language was asked for.
    pub(crate) lang: String,
    /// Of Sorna v2: what a later request has to say to get this kernel.
    pub(super) session: Option<Session>,
    /// What it counts against the share of its owner.
    pub(super) portion: Portion,
    pub(crate) kernel: Kernel,
    /// How much memory its client asked for, in bytes; it may have less.
    pub(super) asked_memory: Option<u64>,
    /// Why it ends, once it does.
    pub(super) cause: OnceLock<Cause>,
}

impl Entry {
    /// Why it ends, once it does.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        self.cause.get()
    }

    /// The response to a request for it if it has ended meanwhile.
    pub(crate) fn gone(&self) -> ProblemReply {
        not_found(self.cause())
    }

    /// Whether it was created in Sorna v2.
    pub(crate) fn is_of_sorna_v2(&self) -> bool {
        self.session.is_some()
    }
}

impl Kernels {
    pub(crate) fn new(
        config: &GatewayConfig,
        base: Base,
        confinement: Confinement,
        keys: Arc<Keys>,
    ) -> Self {
        let share = Share::new(config);
        Self {
            keys,
            base,
            launcher: Arc::new(Launcher::new(config.path())),
            confinement,
            process_table: Arc::default(),
            languages: Languages::new(config.languages()),
            share,
            bounds: Bounds {
                memory: config.max_memory().into_iter().chain(share.memory).min(),
                processes: config
                    .max_processes()
                    .min(share.processes.unwrap_or(u64::MAX)),
                file_size: config.max_file_size(),
                disk: disk_limit(config),
                cores: None,
            },
            memory_disk: config.memory_disk(),
            console_limit: config.max_console_size(),
            stock: Arc::default(),
            crowd: Arc::default(),
            exec_timeout: config.exec_timeout(),
            idle_timeout: config.idle_timeout(),
            max_idle_timeout: config.max_idle_timeout(),
            idle_changed: Notify::new(),
            next_number: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            counters: Counters::default(),
            warm: WarmKernels::new(config),
            table: Mutex::default(),
        }
    }

    /// What the kernels of a key may have in sum.
    pub(crate) fn share(&self) -> &Share {
        &self.share
    }

    /// How long a kernel may be idle.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// The languages, and whether their tools are installed.
    pub(crate) async fn languages(self: &Arc<Self>) -> Vec<LanguageInfo> {
        let this = Arc::clone(self);
        let list = tokio::task::spawn_blocking(move || this.languages.list(&this.launcher)).await;
        list.unwrap_or_default()
    }

    /// The kernel, if it exists and belongs to this key: other keys do not see it.
    ///
    /// # Errors
    ///
    /// 404 `kernel-not-found`, with the reason if there was one of this ID; or, since clients ask by their tokens as well, of this
    /// session token, if there is none now.
    pub(crate) fn find(&self, owner: &str, id: &KernelId) -> Result<Arc<Entry>, ProblemReply> {
        let table = self.table();
        let found = table.kernels.get(id.as_str());
        found
            .filter(|entry| entry.owner == owner && !entry.kernel.is_gone())
            .cloned()
            .ok_or_else(|| not_found(table.cause_of_end(owner, id)))
    }

    /// Why a kernel of this key has ended, if that is known.
    pub(crate) fn cause_of_end(&self, owner: &str, id: &KernelId) -> Option<Cause> {
        self.table().ended.cause(owner, id).cloned()
    }

    /// What a kernel has printed; also of one that has just ended.
    ///
    /// # Errors
    ///
    /// 404 `kernel-not-found`.
    pub(crate) fn find_log(&self, owner: &str, id: &KernelId) -> Result<Arc<Log>, ProblemReply> {
        let found = self.find(owner, id).map(|entry| entry.kernel.log());
        found.or_else(|problem| self.table().ended.log(owner, id).ok_or(problem))
    }

    /// The living kernels of a key that were created in Sorna v2, with their tokens.
    pub(crate) fn of_sorna_v2(&self, owner: &str) -> Vec<(Arc<Entry>, String)> {
        let table = self.table();
        let own = table
            .kernels
            .values()
            .filter(|entry| entry.owner == owner && !entry.kernel.is_gone());
        let with_token = own.filter_map(|entry| {
            let token = entry.session.as_ref()?.token.clone();
            Some((Arc::clone(entry), token))
        });
        with_token.collect()
    }

    /// Destroys a kernel. Its session token can be reused at once; it counts against the quota
    /// until it is gone.
    pub(crate) async fn destroy(self: &Arc<Self>, entry: Arc<Entry>, cause: Cause) {
        let _ = entry.cause.set(cause);
        if !self.forget(&entry) {
            // Another request is destroying it; wait for the same end.
            return entry.kernel.destroy().await;
        }
        let this = Arc::clone(self);
        let task = tokio::spawn(async move {
            entry.kernel.destroy().await;
            this.release(&entry.owner, entry.portion);
            let reason = entry.cause.get().map(Cause::text);
            tracing::info!(kernel = %entry.id, key = entry.owner, reason, "kernel destroyed");
        });
        let _ = task.await;
    }

    /// Removes a kernel from the table; `false` if it is not there any more.
    pub(super) fn forget(&self, entry: &Entry) -> bool {
        let mut table = self.table();
        let was_there = table.kernels.remove(entry.id.as_str()).is_some();
        if let Some(session) = entry.session.as_ref().filter(|_| was_there) {
            table.sessions.remove(session);
        }
        if let Some(cause) = entry.cause.get().filter(|_| was_there) {
            table.ended.note(Late {
                id: entry.id.clone(),
                owner: entry.owner.clone(),
                token: entry.session.as_ref().map(|it| it.token.clone()),
                cause: cause.clone(),
                log: Some(entry.kernel.log()),
            });
        }
        was_there
    }

    /// Stops creating kernels, and destroys all, including those being created.
    pub(crate) async fn close(self: &Arc<Self>) {
        self.closing.store(true, Ordering::SeqCst);
        let until = Instant::now() + CLOSE_TIME;
        loop {
            // A kernel that hangs must not keep the gateway from ending.
            let all = async {
                tokio::join!(
                    self.destroy_all(&Cause::Closing, |_| true),
                    self.destroy_all_warm()
                )
            };
            let _ = tokio::time::timeout_at(until.into(), all).await;
            let is_empty = self.table().owned.values().all(|owned| owned.kernels == 0);
            if (is_empty && self.warm.is_empty()) || Instant::now() > until {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Destroys the kernels of a key that is not accepted any more, including those being created.
    pub(crate) async fn destroy_of_revoked(self: &Arc<Self>, owner: &str) {
        // It may be accepted again meanwhile, and have new kernels.
        let is_over = || self.closing.load(Ordering::SeqCst) || self.keys.has(owner);
        while !is_over() && self.owned(owner) > 0 {
            self.destroy_all(&Cause::Revoked, |entry| entry.owner == owner)
                .await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many kernels a key has, including those being created or destroyed.
    fn owned(&self, owner: &str) -> usize {
        self.table().owned.get(owner).map_or(0, |it| it.kernels)
    }

    async fn destroy_all(self: &Arc<Self>, cause: &Cause, is_meant: impl Fn(&Entry) -> bool) {
        let entries: Vec<_> = {
            let table = self.table();
            let all = table.kernels.values();
            all.filter(|entry| is_meant(entry)).cloned().collect()
        };
        let mut tasks = JoinSet::new();
        for entry in entries {
            let (this, cause) = (Arc::clone(self), cause.clone());
            tasks.spawn(async move { this.destroy(entry, cause).await });
        }
        tasks.join_all().await;
    }

    /// How kernels are isolated.
    pub(crate) fn isolation(&self) -> Isolation {
        self.confinement.isolation()
    }

    /// Why kernels are isolated less well than they were to be.
    pub(crate) fn isolation_shortfall(&self) -> Option<&str> {
        self.confinement.shortfall()
    }

    /// What kernels cannot use of what they are given.
    pub(crate) fn closed_places(&self) -> &[ClosedPlace] {
        self.confinement.closed_places()
    }

    pub(crate) fn stats(&self) -> GatewayStats {
        let living = self.table().kernels.len();
        self.counters.with_kernels(living, self.warm.count())
    }

    /// Counts a kernel that is to be created.
    pub(super) fn reserve(&self, owner: &str, portion: Portion) -> Result<(), ProblemReply> {
        let mut table = self.table();
        // Who revokes a key waits for what is reserved by then.
        if !self.keys.has(owner) {
            return Err(ProblemKind::AuthFailed.reply());
        }
        let owned = table.owned.entry(owner.to_owned()).or_default();
        owned.add(portion, &self.share)
    }

    pub(super) fn release(&self, owner: &str, portion: Portion) {
        if let Some(owned) = self.table().owned.get_mut(owner) {
            owned.remove(portion);
        }
        self.warm.disturb();
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

impl Table {
    /// Why the kernel of this ID has ended, or else the last one of this session token, if there is none now.
    fn cause_of_end(&self, owner: &str, id: &KernelId) -> Option<&Cause> {
        self.ended.cause(owner, id).or_else(|| {
            let is_of_token = |entry: &Arc<Entry>| {
                let session = entry.session.as_ref();
                session.is_some_and(|it| it.owner == owner && it.token == id.as_str())
            };
            let mut living = self.kernels.values().filter(|it| !it.kernel.is_gone());
            match living.any(is_of_token) {
                true => None,
                false => self.ended.cause_by_token(owner, id.as_str()),
            }
        })
    }
}

/// 404 `kernel-not-found`, with the reason if there was such a kernel.
fn not_found(cause: Option<&Cause>) -> ProblemReply {
    match cause {
        Some(cause) => ProblemKind::KernelNotFound.reply_with(&cause.text()),
        None => ProblemKind::KernelNotFound.reply(),
    }
}

/// How much disk a kernel may use: what is in memory is limited like all else.
fn disk_limit(config: &GatewayConfig) -> Option<DiskLimit> {
    let sizes = [
        config.max_disk(),
        config.memory_disk(),
        config.max_disk_per_key(),
    ];
    let sizes = sizes.into_iter().flatten();
    sizes.min().map(|bytes| DiskLimit {
        bytes,
        files: config.max_files(),
    })
}
