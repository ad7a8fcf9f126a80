//! What answers the requests of Jupyter's clients, and runs cells in a kernel of a gateway, whatever carries the messages.

mod control;
mod inspect;
mod link;
mod remote;
mod run;

use std::time::Duration;

use serde_json::{Value, json};
use sorna::KernelSpec;
use sorna::tokio::Client;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::completion::{Completions, Cursor};
use crate::history::History;
use crate::language::Language;
use crate::message::{Message, PROTOCOL, Request};
use control::{Control, Stop};
pub(crate) use link::{Arrivals, Link, Published, Replies};
use remote::Remote;

/// How long the gateway has to destroy the kernel.
const FAREWELL: Duration = Duration::from_secs(4);

/// Whether code is whole, as far as its text says that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It is.
    Complete,
    /// More is to come.
    Incomplete,
    /// Nothing is known of this language.
    Unknown,
}

/// A kernel, before messages are carried to it.
#[derive(Debug)]
pub(crate) struct Engine {
    client: Client,
    spec: KernelSpec,
    language: Language,
    judge: fn(&str, &str) -> Completeness,
}

impl Engine {
    /// One whose cells run in a kernel like this, that `client` creates when this one starts, and destroys when it ends.
    pub(crate) fn new(client: Client, spec: KernelSpec) -> Self {
        let language = Language::of(spec.language());
        Self {
            client,
            spec,
            language,
            judge: |_, _| Completeness::Unknown,
        }
    }

    /// With what judges whether code of a language is whole, by the name of the language.
    pub(crate) fn with_judge(mut self, judge: fn(&str, &str) -> Completeness) -> Self {
        self.judge = judge;
        self
    }

    /// Answers requests until one asks for the end, there are no more, or `end` is ready. Then the kernel on the gateway is
    /// destroyed. What is wrong with the gateway is shown in cells, and the next one tries again. Returns its ends of the link,
    /// for who has to wait until the last messages have been taken.
    pub(crate) async fn serve<R: Replies>(
        self,
        link: Link<R>,
        end: impl Future<Output = ()>,
    ) -> impl Sized {
        let (interrupt, interrupts) = unbounded_channel();
        let control = Control {
            replies: link.control,
            iopub: link.iopub.clone(),
            info: info(&self.language),
            interrupt,
        };
        let starting = json!({"execution_state": "starting"});
        link.iopub.send(Message::new("status", starting)).await;
        let mut worker = Worker {
            remote: Remote::new(self.client, self.spec),
            info: control.info.clone(),
            language: self.language,
            judge: self.judge,
            replies: link.shell,
            stdin: link.stdin,
            iopub: link.iopub,
            requests: link.requests.shell,
            waiting: Vec::new(),
            answers: link.requests.stdin,
            interrupts,
            count: 0,
            history: History::default(),
        };
        worker.remote.begin();
        let stop = tokio::select! {
            stop = control.attend(link.requests.control) => stop,
            () = end => Stop::default(),
            () = worker.attend() => Stop::default(),
        };
        worker.close(stop).await;
        worker
    }
}

/// The content of a reply to `kernel_info_request`.
fn info(language: &Language) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let title = language.title();
    json!({
        "status": "ok",
        "protocol_version": PROTOCOL,
        "implementation": "sorna",
        "implementation_version": version,
        "language_info": language.info(),
        "banner": format!("Sorna {version}: {title}"),
        "help_links": [],
        "debugger": false,
        "supported_features": [],
    })
}

/// Carries out the requests of the shell channel, one after the other.
struct Worker<R> {
    remote: Remote,
    info: Value,
    language: Language,
    judge: fn(&str, &str) -> Completeness,
    replies: R,
    stdin: R,
    iopub: Published,
    requests: UnboundedReceiver<Request>,
    /// Those that were taken out of the queue, the next one last.
    waiting: Vec<Request>,
    answers: UnboundedReceiver<Request>,
    interrupts: UnboundedReceiver<()>,
    /// The number of the last cell.
    count: u64,
    history: History,
}

impl<R: Replies> Worker<R> {
    async fn attend(&mut self) {
        loop {
            let request = match self.waiting.pop() {
                Some(request) => request,
                None => match self.requests.recv().await {
                    Some(request) => request,
                    None => return,
                },
            };
            self.carry_out(&request).await;
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
                let info = self.info.clone();
                self.reply(request, "kernel_info_reply", info).await;
            }
            "complete_request" => self.complete(request).await,
            "inspect_request" => self.inspect(request).await,
            "is_complete_request" => {
                let content = self.is_complete(request.text("code"));
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
            // No comm can be opened here, so it is closed at once.
            "comm_open" => {
                let content = json!({"comm_id": request.content["comm_id"], "data": {}});
                self.publish(request, "comm_close", content).await;
            }
            _ => {}
        }
        self.iopub.state(request, "idle").await;
    }

    fn is_complete(&self, code: &str) -> Value {
        match (self.judge)(&self.language.name, code) {
            Completeness::Complete => json!({"status": "complete"}),
            Completeness::Incomplete => json!({"status": "incomplete", "indent": indent(code)}),
            Completeness::Unknown => json!({"status": "unknown"}),
        }
    }

    async fn complete(&mut self, request: &Request) {
        let code = request.text("code").to_owned();
        let cursor = Cursor::at(&code, request.position());
        let candidates = tokio::select! {
            candidates = self.remote.complete(&cursor) => candidates,
            _ = self.interrupts.recv() => Vec::new(),
        };
        let found = Completions::of(&cursor, candidates);
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

    /// Ends all that it has begun.
    async fn close(&mut self, stop: Stop<R>) {
        let farewell = tokio::time::timeout(FAREWELL, self.remote.close());
        if let Err(error) = farewell.await.unwrap_or(Ok(())) {
            eprintln!("sorna: the kernel could not be destroyed: {error}");
        }
        if let Some((request, mut replies)) = stop.asked {
            let content = json!({"status": "ok", "restart": request.flag("restart", false)});
            let reply = request.child("shutdown_reply", content.clone());
            replies.send(reply).await;
            self.publish(&request, "shutdown_reply", content).await;
            self.iopub.state(&request, "idle").await;
        }
    }
}

/// The white space with which the next line of unfinished code begins.
fn indent(code: &str) -> String {
    let last = code
        .trim_end_matches('\n')
        .rsplit('\n')
        .next()
        .unwrap_or_default();
    let is_space = |c: &char| matches!(c, ' ' | '\t');
    let mut indent: String = last.chars().take_while(is_space).collect();
    if last.trim_end().ends_with([':', '{', '(', '[']) {
        indent.push_str("    ");
    }
    indent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_line_is_indented_as_code_is() {
        assert_eq!(indent("def f():"), "    ");
        assert_eq!(indent("if x:\n    y = 1\n"), "    ");
        assert_eq!(indent("x = 'a"), "");
    }
}
