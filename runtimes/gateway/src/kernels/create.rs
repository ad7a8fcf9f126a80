//! Creating a kernel, or finding the one of a session.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sorna_core::server::{CreateRequest, ProblemReply};
use sorna_core::{KernelId, ProblemKind};

use super::table::{Entry, Kernels, Session, Slot};
use crate::kernel::{Bounds, Home, Kernel, KernelStartError, Setup, Unavailable};
use crate::random;

impl Kernels {
    /// The living kernel of a session, or a new one.
    ///
    /// # Errors
    ///
    /// 412 `quota-exceeded`; 500 `kernel-creation-failed` for a language that is unknown, whose
    /// tool is not installed, or that does not start.
    pub(crate) async fn get_or_create(
        self: &Arc<Self>,
        owner: &str,
        request: CreateRequest,
    ) -> Result<KernelId, ProblemReply> {
        let session = Session {
            owner: owner.to_owned(),
            token: request.token.as_str().to_owned(),
            lang: request.spec.language().to_owned(),
        };
        // In a separate task, so that a client that hangs up does not leave half a kernel.
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
            // Meanwhile, another request may have failed and removed the slot.
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
        if !request.spec.mounts().is_empty() {
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
            .map_err(|KernelStartError(reason)| creation_failed("agent-failure", &reason))?;
        tracing::info!(kernel = %id, lang = %request.spec.language(), "kernel created");
        Ok((id, kernel))
    }

    /// Finds the language and makes the directory. Blocks.
    fn prepare(&self, request: &CreateRequest) -> Result<Setup, ProblemReply> {
        let lang = request.spec.language();
        let installed = self.languages.find(lang, &self.launcher).map_err(|error| {
            let reason = match error {
                Unavailable::Unknown => {
                    let lang: String = lang.chars().take(40).collect();
                    let known = self.languages.names();
                    format!("unknown language {lang:?} (known: {known})")
                }
                Unavailable::ToolMissing(tools) => {
                    let tools = tools.join(" or ");
                    format!("{lang} needs {tools}, which is not installed")
                }
            };
            creation_failed("agent-invalid-input", &reason)
        })?;
        let failed = |error: io::Error| creation_failed("agent-failure", &error.to_string());
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let home = Home::create(self.base.kernel(number), installed.compiles_snippets());
        let home = home.map_err(failed)?;
        let limits = request.spec.limits();
        let bounds = Bounds {
            memory: match (limits.max_memory(), self.bounds.memory) {
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
        // Keeps programs of other kernels from passing as this kernel's.
        let secret = random::mark().map_err(failed)?;
        Ok(Setup {
            mark: format!("{}.{number}.{secret}.", self.base.mark()),
            home,
            installed,
            launcher: Arc::clone(&self.launcher),
            process_table: Arc::clone(&self.process_table),
            runners,
            exec_timeout: limits.exec_timeout().unwrap_or(self.exec_timeout),
            console_limit: self.console_limit,
            confined,
        })
    }
}

fn creation_failed(kind: &str, reason: &str) -> ProblemReply {
    ProblemKind::KernelCreationFailed
        .reply()
        .with_agent(kind, reason, None)
}
