//! Creating a session, or finding the one of that name.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::json;
use sorna_core::server::ProblemReply;
use sorna_core::server::backend_ai::{CreateSession, ExecuteInSession, parse_cores, parse_size};
use sorna_core::{KernelSpec, ProblemKind, SessionStatus};

use super::session::Session;
use super::table::Sessions;
use crate::kernel::{Environ, Unavailable, excerpt};
use crate::kernels::{Cause, Entry, Wanted};
use crate::random;

/// The most bytes of all environment variables.
const MAX_ENVIRON: usize = 64 * 1024;
/// How often to look whether a script has ended.
const SCRIPT_INTERVAL: Duration = Duration::from_secs(1);

/// The result of a creation.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) session: Arc<Session>,
    /// Whether it is new.
    pub(crate) is_new: bool,
    /// Its status; `TIMEOUT` if it does not run yet and the client does not want to wait longer.
    pub(crate) status: SessionStatus,
}

impl Sessions {
    /// The living session of this name or with this ID, or a new one.
    ///
    /// # Errors
    ///
    /// 400 `invalid-api-params` for what this gateway does not have; 404 `object-not-found` for an image that is no
    /// language; 400 `session-already-exists`; and those of creating a kernel.
    pub(crate) async fn create(
        self: &Arc<Self>,
        owner: &str,
        request: &CreateSession,
    ) -> Result<Created, ProblemReply> {
        let wanted = self.check(owner, request).await?;
        self.adopt(owner);
        loop {
            let name = request.name.as_str();
            if let Some(existing) = self.by_name(owner, name) {
                if existing.status() == SessionStatus::Terminating {
                    // The name is free soon.
                    existing.wait_for(SessionStatus::is_over).await;
                    continue;
                }
                if !request.spec.reuse() || existing.language != wanted.language {
                    let data = json!({"existingSessionId": existing.id});
                    return Err(ProblemKind::SessionAlreadyExists.reply().with_data(data));
                }
                return wait(existing, &request.spec, false).await;
            }
            let id = random::session_id()
                .map_err(|error| ProblemKind::InternalServerError.reply_with(&error.to_string()))?;
            let language = wanted.language.clone();
            let session = Arc::new(Session::new(id, owner, request, language));
            if self.insert(&session).is_ok() {
                self.events
                    .tell(&session, "session_pending", "Session enqueued");
                let start = Arc::clone(self).start(Arc::clone(&session), wanted);
                // In a separate task, so that a client that hangs up does not leave half a session.
                tokio::spawn(start);
                return wait(session, &request.spec, true).await;
            }
        }
    }

    /// Checks what a request asks for, and finds the language.
    async fn check(&self, owner: &str, request: &CreateSession) -> Result<Wanted, ProblemReply> {
        let spec = &request.spec;
        let refused = |text: &str| Err(ProblemKind::InvalidApiParams.reply_with(text));
        if request.owner.as_ref().is_some_and(|other| other != owner) {
            let reply =
                ProblemKind::GenericForbidden.reply_with("sessions are of their own key only");
            return Err(reply);
        }
        if !spec.mounts().is_empty() {
            return refused("this gateway has no folders to mount");
        }
        if spec.cluster_size().is_some_and(|size| size != 1) {
            return refused("clusterSize: this gateway has one machine, so it must be 1");
        }
        if let Some(what) = request.waits_for {
            return refused(&format!("{what}: this gateway starts sessions at once"));
        }
        if spec.callback_url().is_some() {
            return refused("callback_url: this gateway calls nothing back");
        }
        if request.is_batch && spec.startup_command().is_none() {
            return refused("startupCommand: a session of type batch needs one");
        }
        let mut wanted = Wanted::default();
        let least = self.kernels.least_memory(spec.language());
        for (slot, amount) in spec.resources() {
            match slot {
                "mem" => match parse_size(amount) {
                    Some(bytes) if (1..least).contains(&bytes) => {
                        return refused(&format!(
                            "mem: {amount:?} is too little for {} (minimum {}m)",
                            excerpt(spec.language()),
                            least >> 20
                        ));
                    }
                    Some(bytes) => wanted.memory = Some(bytes).filter(|bytes| *bytes > 0),
                    None => return refused(&format!("mem: {amount:?} is no size such as 256m")),
                },
                "cpu" => match parse_cores(amount) {
                    Some(cores) => wanted.cores = Some(cores).filter(|cores| *cores > 0),
                    None => return refused(&format!("cpu: {amount:?} is no number of cores")),
                },
                _ if parse_cores(amount) == Some(0) => {}
                _ => return refused(&format!("{slot}: this gateway has cpu and mem only")),
            }
        }
        wanted.environ = environ(spec)?;
        wanted.language = self.language(spec.language()).await?;
        Ok(wanted)
    }

    /// The language that an image stands for.
    async fn language(&self, image: &str) -> Result<String, ProblemReply> {
        let detail = match self.kernels.check_language(image).await {
            Ok(()) => return Ok(self.kernels.canonical_language(image)),
            Err(Unavailable::Unknown) => {
                let (image, known) = (excerpt(image), self.kernels.language_names());
                format!("Unknown image reference: {image} (this gateway runs {known})")
            }
            Err(Unavailable::ToolMissing(tools)) => {
                let (image, tools) = (excerpt(image), tools.join(" or "));
                format!("{image} needs {tools}, which is not installed")
            }
        };
        let reply = ProblemKind::ObjectNotFound.reply_with(&detail);
        Err(reply
            .with_title("No such environment image.")
            .with_error_code("image_read_not-found"))
    }

    /// Makes the kernel of a new session.
    async fn start(self: Arc<Self>, session: Arc<Session>, wanted: Wanted) {
        for (status, event) in [
            (SessionStatus::Scheduled, "session_scheduled"),
            (SessionStatus::Preparing, "session_preparing"),
            (SessionStatus::Creating, "kernel_creating"),
        ] {
            session.enter(status, None);
            self.events.tell(&session, event, "");
        }
        let id = session.id.clone();
        let created = self.kernels.create_under(&session.owner, id, &wanted).await;
        let entry = match created {
            Ok(entry) => entry,
            Err(problem) => {
                let reason = problem.to_string();
                session.set_failure(problem);
                return self.end(&session, SessionStatus::Cancelled, &reason);
            }
        };
        // In this order, so that either this or a request to destroy the session sees what the other did.
        session.set_entry(Arc::clone(&entry));
        if session.status().is_over() {
            self.kernels.destroy(entry, Cause::Requested).await;
            return session.clear_entry();
        }
        // The tasks of a session must not keep a closing gateway's files.
        let sessions = Arc::downgrade(&self);
        drop(self);
        tokio::spawn(follow(
            sessions.clone(),
            Arc::clone(&session),
            Arc::clone(&entry),
            "idle-timeout",
        ));
        run_scripts(sessions, session, entry).await;
    }
}

/// Runs the scripts that a session begins with, and lets it run; one of type `batch` to its end.
async fn run_scripts(sessions: Weak<Sessions>, session: Arc<Session>, entry: Arc<Entry>) {
    if let Some(script) = session.spec.bootstrap_script() {
        run_script(&session, &entry, script).await;
    }
    // Told before it may be used, so that its end is not told first. It may have been destroyed meanwhile.
    let is_pending = session.status().is_pending();
    if let Some(sessions) = sessions.upgrade().filter(|_| is_pending) {
        sessions.events.tell(&session, "kernel_started", "");
        sessions.events.tell(&session, "session_started", "");
    }
    session.enter_running();
    let Some(command) = session.spec.startup_command().filter(|_| session.is_batch) else {
        return;
    };
    let exit_code = run_script(&session, &entry, command).await;
    let is_success = exit_code == Some(0);
    session.set_result(if is_success { "SUCCESS" } else { "FAILURE" });
    if let Some(sessions) = sessions.upgrade() {
        let (event, reason) = if is_success {
            ("session_success", "task-finished")
        } else {
            ("session_failure", "task-failed")
        };
        sessions
            .events
            .tell_with(&session, event, reason, exit_code);
        session.enter(SessionStatus::Terminating, Some(reason));
        sessions.kernels.destroy(entry, Cause::Requested).await;
        sessions.end(&session, SessionStatus::Terminated, reason);
    }
}

/// Notes the end of a session whose kernel ends for another reason than a request: idle for too long, or a closing
/// gateway.
///
/// `otherwise` is the reason if none is known.
pub(super) async fn follow(
    sessions: Weak<Sessions>,
    session: Arc<Session>,
    entry: Arc<Entry>,
    otherwise: &str,
) {
    entry.kernel.gone().await;
    if let Some(sessions) = sessions.upgrade() {
        let code = entry.cause().and_then(Cause::code);
        let reason = session.reason();
        let reason = reason.unwrap_or_else(|| code.unwrap_or(otherwise).to_owned());
        sessions.end(&session, SessionStatus::Terminated, &reason);
    }
}

/// Runs a shell script to its end. Its output goes to the log. Returns its exit code, if it has one.
async fn run_script(session: &Session, entry: &Entry, script: &str) -> Option<i32> {
    let request = json!({"mode": "batch", "options": {"exec": script}}).to_string();
    let mut request = ExecuteInSession::parse(request.as_bytes()).ok()?;
    loop {
        let reply = session
            .execute(&entry.kernel, &request, None, SCRIPT_INTERVAL, || {})
            .await;
        match reply {
            Ok(reply) if reply.status.is_end() => return reply.exit_code,
            // Nothing answers a script that asks for input: it reads the end of it.
            Ok(reply) if reply.status == sorna_core::ExecutionStatus::WaitingInput => {
                request = ExecuteInSession::Input {
                    run_id: reply.run_id,
                    text: "\u{4}".to_owned(),
                };
            }
            Ok(reply) => {
                request = ExecuteInSession::Continue {
                    run_id: reply.run_id,
                };
            }
            Err(_) => return None,
        }
    }
}

/// Waits until a session runs, if and as long as the client wants to.
async fn wait(
    session: Arc<Session>,
    spec: &KernelSpec,
    is_new: bool,
) -> Result<Created, ProblemReply> {
    let created = |session: Arc<Session>, status| Created {
        session,
        is_new,
        status,
    };
    if spec.enqueue_only() {
        let status = if is_new {
            SessionStatus::Pending
        } else {
            session.status()
        };
        return Ok(created(session, status));
    }
    let has_started = session.wait_for(|status| !status.is_pending());
    match spec.max_wait() {
        None => has_started.await,
        Some(time) => {
            if tokio::time::timeout(time, has_started).await.is_err() {
                return Ok(created(session, SessionStatus::Timeout));
            }
        }
    }
    let status = session.status();
    match session.failure() {
        Some(problem) => Err(problem),
        // Destroyed while it was being created.
        None if status == SessionStatus::Cancelled => {
            let detail = "the session was destroyed before it ran";
            Err(ProblemKind::KernelCreationFailed.reply_with(detail))
        }
        None => Ok(created(session, status)),
    }
}

/// The environment variables of a session.
fn environ(spec: &KernelSpec) -> Result<Environ, ProblemReply> {
    let refused = |text: String| Err(ProblemKind::InvalidApiParams.reply_with(&text));
    let mut size = 0;
    let mut environ = Vec::new();
    for (name, value) in spec.env() {
        if name.is_empty() || name.contains(['=', '\0']) {
            return refused(format!(
                "environ: {name:?} cannot be the name of a variable"
            ));
        }
        if value.contains('\0') {
            return refused(format!("environ: the value of {name} contains a NUL"));
        }
        if is_reserved(name) {
            return refused(format!("environ: {name} cannot be set on this gateway"));
        }
        size += name.len() + value.len() + 2;
        if size > MAX_ENVIRON {
            return refused(format!("environ: more than {MAX_ENVIRON} bytes"));
        }
        environ.push((name.to_owned(), value.to_owned()));
    }
    Ok(Environ(environ))
}

/// Variables that would run code before a process is under its limits, or that the gateway recognizes processes by.
fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 7] = [
        "BASH_ENV",
        "BASHOPTS",
        "ENV",
        "GCONV_PATH",
        "GLIBC_TUNABLES",
        "PS4",
        "SHELLOPTS",
    ];
    const PREFIXES: [&str; 3] = ["LD_", "BASH_FUNC_", "SORNA_KERNEL_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a session with this status is over.
trait IsOver {
    fn is_over(&self) -> bool;
}

impl IsOver for SessionStatus {
    fn is_over(&self) -> bool {
        matches!(self, Self::Terminated | Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn variables_that_act_before_the_limits_do_are_refused() {
        let check =
            |name: &str, value: &str| environ(&KernelSpec::new("c").with_env(name, value)).is_ok();
        for name in ["A", "PATH", "PYTHONPATH", "LANG", "env"] {
            assert!(check(name, "1"), "{name}");
        }
        for name in [
            "",
            "A=B",
            "A\0",
            "LD_PRELOAD",
            "BASH_ENV",
            "BASH_FUNC_x%%",
            "SORNA_KERNEL_MARK",
        ] {
            assert!(!check(name, "1"), "{name:?}");
        }
        assert!(!check("A", "\0"));
        assert!(!check("A", &"x".repeat(MAX_ENVIRON)));
    }
}
