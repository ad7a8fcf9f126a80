//! What answers the requests of Jupyter's clients, and runs cells in a kernel of a gateway, whatever carries the messages.

mod aside;
mod between;
mod control;
mod expressions;
mod hints;
mod info;
mod inspect;
mod leaving;
mod link;
mod listening;
mod look_up;
mod question;
mod remote;
mod run;
mod shell;
mod shell_words;
mod whole;

use std::pin::pin;
use std::time::Duration;

use serde_json::{Value, json};
use sorna::KernelSpec;
use sorna::tokio::Client;
#[cfg(feature = "server")]
use sorna::tokio::Kernel;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
#[cfg(feature = "server")]
use tokio::sync::watch;

use crate::completion::{Completions, Cursor};
use crate::history::History;
use crate::language::Language;
use crate::message::{Message, Request};
use control::Control;
use info::Info;
pub(crate) use link::{Arrivals, Link, Published, Replies};
use listening::Listening;
pub(crate) use remote::NoKernel;
#[cfg(feature = "kernel")]
pub(crate) use remote::Open;
use remote::Remote;

/// How long the gateway has to destroy the kernel.
const FAREWELL: Duration = Duration::from_secs(4);

/// How long the first client waits for an interpreter that says its version. Others than the largest ones are there by then.
const VERSION: Duration = Duration::from_secs(1);

/// Whether code is whole, as far as its text says that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It is.
    Complete,
    /// More is to come.
    Incomplete,
    /// It never will be.
    Invalid,
    /// Nothing is known of this language.
    Unknown,
}

/// A kernel, before messages are carried to it.
#[derive(Debug)]
pub(crate) struct Engine {
    remote: Remote,
    language: Language,
    judge: fn(&str, &str) -> Completeness,
    ports: Value,
}

impl Engine {
    /// One whose cells run in a kernel like this, that `client` creates when this one starts, and destroys when it ends.
    pub(crate) fn new(client: Client, spec: KernelSpec) -> Self {
        let language = Language::of(spec.language());
        Self::with(Remote::new(client, spec), language)
    }

    /// One whose client is made for the first cell, or a later one, as long as that fails.
    #[cfg(feature = "kernel")]
    pub(crate) fn opening(open: Open, spec: KernelSpec) -> Self {
        let language = Language::of(spec.language());
        Self::with(Remote::opening(open, spec), language)
    }

    fn with(remote: Remote, language: Language) -> Self {
        Self {
            remote,
            language,
            judge: |_, _| Completeness::Unknown,
            ports: json!({}),
        }
    }

    /// With the ports of its channels, for clients that ask for them: an object.
    #[cfg(feature = "kernel")]
    pub(crate) fn with_ports(mut self, ports: Value) -> Self {
        self.ports = ports;
        self
    }

    /// With what judges whether code of a language is whole, by the name of the language.
    pub(crate) fn with_judge(mut self, judge: fn(&str, &str) -> Completeness) -> Self {
        self.judge = judge;
        self
    }

    /// Creates the kernel on the gateway now, and not with the first request that needs it.
    #[cfg(feature = "server")]
    pub(crate) async fn create(&mut self) -> Result<(), NoKernel> {
        self.remote.kernel().await.map(drop)
    }

    /// Which kernel it is on the gateway; `None` while one that is gone has not been replaced.
    #[cfg(feature = "server")]
    pub(crate) fn current(&self) -> watch::Receiver<Option<Kernel>> {
        self.remote.current()
    }

    /// Whether the kernel is in use though nothing runs in it: then its idle time does not pass. It is, unless this says otherwise.
    #[cfg(feature = "server")]
    pub(crate) fn in_use(&self) -> watch::Sender<bool> {
        self.remote.in_use()
    }

    /// Answers requests until one asks for the end, there are no more, or `end` is ready. Then the kernel on the gateway is
    /// destroyed. What is wrong with the gateway is shown in cells, and the next one tries again. Returns its ends of the link,
    /// for who has to wait until the last messages have been taken.
    ///
    /// `restarts` says when to restart, and takes the outcome; without it, a request for a restart is one for the end, as
    /// Jupyter starts such a kernel again.
    pub(crate) async fn serve<R: Replies>(
        self,
        link: Link<R>,
        restarts: Option<UnboundedReceiver<Restarted>>,
        end: impl Future<Output = ()>,
    ) -> impl Sized {
        let (interrupt, interrupts) = unbounded_channel();
        let mut control = Control {
            replies: link.control,
            iopub: link.iopub.clone(),
            info: Info::of(&self.language),
            interrupt,
        };
        let starting = json!({"execution_state": "starting"});
        link.iopub.send(Message::new("status", starting)).await;
        let mut worker = Worker {
            remote: self.remote,
            info: control.info.clone(),
            language: self.language,
            judge: self.judge,
            replies: link.shell,
            stdin: link.stdin,
            iopub: link.iopub,
            requests: link.requests.shell,
            waiting: Vec::new(),
            running: None,
            last: None,
            listening: None,
            is_left: false,
            answers: link.requests.stdin,
            interrupts,
            count: 0,
            history: History::default(),
            asked: None,
            ports: self.ports,
            patience: VERSION,
        };
        worker.remote.prepare();
        let restarts_itself = restarts.is_some();
        let mut restarts = restarts.unwrap_or_else(|| unbounded_channel().1);
        let mut orders = link.requests.control;
        let mut end = pin!(end);
        let asked = loop {
            let asked = {
                let mut asked = pin!(control.attend(&mut orders));
                loop {
                    tokio::select! {
                        asked = &mut asked => break asked,
                        () = &mut end => break None,
                        Some(outcome) = restarts.recv() => {
                            let _ = outcome.send(worker.restart().await);
                        }
                        () = worker.attend() => break None,
                    }
                }
            };
            // Older clients ask on the shell channel.
            let from_shell = worker.asked.take();
            let is_from_shell = from_shell.is_some();
            let asked = asked.or(from_shell);
            match asked {
                Some(request) if restarts_itself && request.flag("restart", false) => {
                    let status = match worker.restart().await {
                        Ok(()) => "ok",
                        Err(_) => "error",
                    };
                    match is_from_shell {
                        true => stopped(&mut worker.replies, &worker.iopub, &request, status).await,
                        false => {
                            stopped(&mut control.replies, &control.iopub, &request, status).await;
                        }
                    }
                }
                asked => break (asked, is_from_shell),
            }
        };
        worker.close().await;
        match asked {
            (Some(request), true) => {
                stopped(&mut worker.replies, &worker.iopub, &request, "ok").await;
            }
            (Some(request), false) => {
                stopped(&mut control.replies, &control.iopub, &request, "ok").await;
            }
            (None, _) => {}
        }
        (worker, control)
    }
}

/// Tells of the end, or a restart, that a request has asked for.
async fn stopped(replies: &mut impl Replies, iopub: &Published, request: &Request, status: &str) {
    let content = json!({"status": status, "restart": request.flag("restart", false)});
    replies
        .send(request.child("shutdown_reply", content.clone()))
        .await;
    iopub.child(request, "shutdown_reply", content).await;
    iopub.state(request, "idle").await;
}

/// Who is told how a restart went.
pub(crate) type Restarted = tokio::sync::oneshot::Sender<Result<(), NoKernel>>;

/// Carries out the requests of the shell channel, one after the other.
struct Worker<R> {
    remote: Remote,
    info: Info,
    language: Language,
    judge: fn(&str, &str) -> Completeness,
    replies: R,
    stdin: R,
    iopub: Published,
    requests: UnboundedReceiver<Request>,
    /// Those that were taken out of the queue, the next one last.
    waiting: Vec<Request>,
    /// The request that is carried out.
    running: Option<Request>,
    /// The last cell that has run, under which is shown what comes after its end.
    last: Option<Request>,
    /// What waits for that.
    listening: Option<Listening>,
    /// Whether a cell may still run that was given up, as its connection was lost.
    is_left: bool,
    answers: UnboundedReceiver<Request>,
    interrupts: UnboundedReceiver<()>,
    /// The number of the last cell.
    count: u64,
    history: History,
    /// The request for the end that has come.
    asked: Option<Request>,
    ports: Value,
    /// How long who asks for the version of the language waits for its interpreter.
    patience: Duration,
}

impl<R: Replies> Worker<R> {
    async fn attend(&mut self) {
        loop {
            let request = match self.waiting.pop() {
                Some(request) => request,
                None => {
                    self.begin_listening();
                    tokio::select! {
                        biased;
                        request = self.requests.recv() => match request {
                            Some(request) => request,
                            None => return,
                        },
                        // Else there is nothing to interrupt.
                        Some(()) = self.interrupts.recv() => {
                            if self.is_left {
                                self.end_left().await;
                            }
                            continue;
                        }
                        heard = listening::heard(&mut self.listening) => {
                            self.note_heard(heard).await;
                            continue;
                        }
                    }
                }
            };
            self.running = Some(request.clone());
            self.carry_out(&request).await;
            self.running = None;
            self.put_off_listening();
            if self.asked.is_some() {
                return;
            }
        }
    }

    async fn publish(&self, request: &Request, kind: &'static str, content: Value) {
        self.iopub.child(request, kind, content).await;
    }

    async fn reply(&mut self, request: &Request, kind: &'static str, content: Value) {
        self.replies.send(request.child(kind, content)).await;
    }

    async fn carry_out(&mut self, request: &Request) {
        self.iopub.state(request, "busy").await;
        match request.kind() {
            "execute_request" => self.execute(request).await,
            "kernel_info_request" => {
                self.learn_version().await;
                let info = self.info.reply();
                self.reply(request, "kernel_info_reply", info).await;
            }
            "complete_request" => self.complete(request).await,
            "inspect_request" => self.inspect(request).await,
            "is_complete_request" => {
                let content = self.is_complete(request.text("code")).await;
                self.reply(request, "is_complete_reply", content).await;
            }
            "history_request" => {
                let history = self.history.reply(&request.content);
                let content = json!({"status": "ok", "history": history});
                self.reply(request, "history_reply", content).await;
            }
            "comm_info_request" => {
                let content = json!({"status": "ok", "comms": {}});
                self.reply(request, "comm_info_reply", content).await;
            }
            "connect_request" => {
                let mut content = self.ports.clone();
                content["status"] = json!("ok");
                self.reply(request, "connect_reply", content).await;
            }
            "shutdown_request" => {
                self.asked = Some(request.clone());
                return;
            }
            // No comm can be opened here, so it is closed at once.
            "comm_open" => {
                let content = json!({"comm_id": request.content["comm_id"], "data": {}});
                self.publish(request, "comm_close", content).await;
            }
            _ => {}
        }
        self.iopub.state(request, "idle").await;
    }

    /// Asks the interpreter for the version of its language. Clients ask for that before anything else, and note it in notebooks.
    async fn learn_version(&mut self) {
        if self.info.has_version() {
            return;
        }
        if !aside::has_version(&self.language) {
            return;
        }
        // Only the first one waits: one that gets no reply asks again.
        let patience = std::mem::take(&mut self.patience);
        if !self.remote.is_ready_in(patience).await || !self.remote.is_ours() {
            return;
        }
        let question = aside::version(&self.language, &self.way(), self.count + 1);
        let found = match question {
            Some(question) => self.look_up(&question).await,
            None => None,
        };
        let is_version = |it: &&String| it.starts_with(|c: char| c.is_ascii_digit());
        if let Some(version) = found.as_ref().filter(is_version) {
            self.info.set_version(version);
            // It has said that as well.
            self.remote.next_number = self.count + 1;
        }
    }

    async fn complete(&mut self, request: &Request) {
        let code = request.text("code").to_owned();
        let cursor = Cursor::at(&code, request.position());
        // Else it is not known what its gateway does.
        tokio::select! {
            _ = self.remote.kernel() => {}
            _ = self.interrupts.recv() => {}
        }
        let question = aside::completion(&self.language, &self.way(), &cursor);
        let question = question.filter(|_| self.remote.is_ours());
        let (candidates, token) = match question {
            Some(question) => {
                let found = self.look_up(&question).await.unwrap_or_default();
                aside::candidates(&self.language, &cursor, &found)
            }
            None => tokio::select! {
                candidates = self.remote.complete(&cursor) => (candidates, None),
                _ = self.interrupts.recv() => (Vec::new(), None),
            },
        };
        let found = match token {
            Some(token) => Completions::in_place_of(&token, &cursor, candidates),
            None => Completions::of(&cursor, candidates),
        };
        let kinds = found.matches.iter().zip(&found.are_functions);
        let kinds: Vec<_> = kinds
            .map(|(text, is_function)| {
                let kind = if *is_function { "function" } else { "" };
                json!({"text": text, "type": kind, "start": found.start, "end": found.end})
            })
            .collect();
        let content = json!({
            "status": "ok",
            "matches": found.matches,
            "cursor_start": found.start,
            "cursor_end": found.end,
            "metadata": {"_jupyter_types_experimental": kinds},
        });
        self.reply(request, "complete_reply", content).await;
    }

    /// Begins anew, whatever it was doing: the interpreter loses its state, and files stay. Requests that were waiting are
    /// answered as aborted.
    async fn restart(&mut self) -> Result<(), NoKernel> {
        self.iopub.state_alone("restarting").await;
        let is_running = self.running.is_some();
        let requests = std::iter::from_fn(|| self.requests.try_recv().ok());
        let mut left: Vec<Request> = requests.collect();
        left.reverse();
        left.append(&mut self.waiting);
        if let Some(running) = self.running.take() {
            if running.kind() == "execute_request" {
                self.note_run(&running);
            }
            left.push(running);
        }
        self.waiting = left;
        self.abort_waiting().await;
        while self.answers.try_recv().is_ok() || self.interrupts.try_recv().is_ok() {}
        self.count = 0;
        self.is_left = false;
        self.history = History::default();
        let rest = self.remote.restart(is_running).await?;
        self.show_earlier(&rest).await;
        self.iopub.state_alone("idle").await;
        Ok(())
    }

    /// Ends all that it has begun.
    async fn close(&mut self) {
        let farewell = tokio::time::timeout(FAREWELL, self.remote.close());
        if let Err(error) = farewell.await.unwrap_or(Ok(())) {
            eprintln!("sorna: the kernel could not be destroyed: {error}");
        }
    }
}
