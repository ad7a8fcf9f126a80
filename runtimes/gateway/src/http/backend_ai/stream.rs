//! WebSockets of a session: its terminal, and executions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sorna_core::server::backend_ai::ExecuteInSession;
use sorna_core::server::{ProblemReply, wants_bytes};
use sorna_core::{Dialect, ExecutionStatus, KernelId, ProblemKind, RunMark};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::answer::Result;
use super::execute::{ResultBody, problem};
use super::sent::Sent;
use crate::http::body::ReplyBody;
use crate::http::busy::busy_reply;
use crate::http::context::{Call, Context};
use crate::http::terminal;
use crate::http::websocket::{self, CLOSE_TIME, Socket, Upgrade};
use crate::kernel::{ExecuteError, Peer};
use crate::kernels::{Entry, Kernels};
use crate::random;
use crate::sessions::{RunError, RunReply, Session};

/// How often output is sent while a program runs.
const INTERVAL: Duration = Duration::from_millis(200);
/// After what time a client is told that its program runs, whether that has printed something or not.
const BEGINNING: Duration = Duration::from_millis(20);
/// How long to wait for a client that has not received all of the output yet.
const SLOW_TIME: Duration = Duration::from_secs(60);
/// For how long a client may still receive what it has been sent once another one has taken its run over.
const HURRY: Duration = Duration::from_secs(1);
/// How often what remains of a run is asked for whose client is gone.
const COLLECT_INTERVAL: Duration = Duration::from_secs(1);
/// How many messages of a client, and bytes of them, are kept until they are asked for.
const MAX_TYPED: (usize, usize) = (64, 64 * 1024);

/// `GET /stream/session/{name}/pty`
pub(super) async fn open_terminal(context: &Context, call: &mut Call<'_>, id: &KernelId) -> Result {
    let session = context.sessions.find(call.key, id)?;
    let response = websocket::accept(call.parts)?;
    let upgrade = call.upgrade.take().ok_or_else(websocket::no_handshake)?;
    let entry = session.running()?;
    entry.kernel.touch();
    let attached = terminal::attach(&entry, call.parts.uri.query()).await?;
    tokio::spawn(terminal::serve(
        upgrade,
        entry,
        attached,
        Dialect::BackendAi,
    ));
    Ok(response.map(ReplyBody::new))
}

/// `GET /stream/session/{name}/execute`
pub(super) fn open_execution(context: &Context, call: &mut Call<'_>, id: &KernelId) -> Result {
    let session = context.sessions.find(call.key, id)?;
    let response = websocket::accept(call.parts)?;
    let upgrade = call.upgrade.take().ok_or_else(websocket::no_handshake)?;
    let entry = session.running()?;
    let patience = context.continuation_interval;
    let kernels = Arc::clone(&context.kernels);
    tokio::spawn(serve(upgrade, session, entry, kernels, patience));
    Ok(response.map(ReplyBody::new))
}

async fn serve(
    upgrade: Upgrade,
    session: Arc<Session>,
    entry: Arc<Entry>,
    kernels: Arc<Kernels>,
    patience: Duration,
) {
    let Some(socket) = upgrade.open().await else {
        return;
    };
    let mut line = Line {
        socket,
        sent: Sent::default(),
        peer: Peer::of_socket(),
        run_id: String::new(),
        wants_bytes: false,
    };
    let presence = line.peer.presence();
    let count = || kernels.counters.executions.up();
    let ended = run(&mut line, &session, &entry, count, patience).await;
    match ended {
        Some(()) => line.close(&entry).await,
        None => line.break_off(&entry).await,
    }
    drop(presence);
    entry.kernel.note_left();
}

/// A connection, and what is on its way over it.
struct Line {
    socket: Socket,
    sent: Sent,
    peer: Peer,
    /// The run of its client.
    run_id: String,
    /// Whether its client takes output that is not text.
    wants_bytes: bool,
}

impl Line {
    /// Closes it when the client has received all, as far as can be known. In this order: a client that has got the close frame
    /// is done, and would not learn that its last sign of what it has received was lost.
    async fn close(mut self, entry: &Entry) {
        if !self.has_received(entry).await {
            self.break_off(entry).await;
        }
        if websocket::close(&mut self.socket).await {
            // If the connection is closed before the client's close frame arrives, ours may be lost.
            let rest = async { while let Some(Ok(_)) = self.socket.next().await {} };
            let displaced = entry.kernel.displaced(&self.run_id);
            tokio::select! {
                _ = tokio::time::timeout(CLOSE_TIME, rest) => {}
                () = displaced => {}
            }
        }
    }

    /// Waits until the client has received all; `false` if it is gone, or too slow.
    async fn has_received(&mut self, entry: &Entry) -> bool {
        let mut displaced = std::pin::pin!(entry.kernel.displaced(&self.run_id));
        let mut is_displaced = false;
        let mut deadline = std::pin::pin!(tokio::time::sleep(SLOW_TIME));
        while !self.sent.is_empty() {
            tokio::select! {
                frame = self.socket.next() => {
                    let Some(Ok(frame)) = frame else { return false };
                    self.sent.note(&frame);
                }
                // Another client waits for what this one does not receive.
                () = &mut displaced, if !is_displaced => {
                    is_displaced = true;
                    deadline.as_mut().reset(tokio::time::Instant::now() + HURRY);
                }
                () = &mut deadline => return false,
            }
        }
        true
    }

    /// Reads what a client has sent before it has gone.
    async fn drain(&mut self) {
        let rest = async {
            while let Some(Ok(frame)) = self.socket.next().await {
                self.sent.note(&frame);
            }
        };
        let _ = tokio::time::timeout(HURRY, rest).await;
    }

    /// The client is gone: what it has not received is for others.
    async fn break_off(&mut self, entry: &Entry) {
        self.drain().await;
        self.sent.leave(&entry.kernel, &self.run_id);
    }

    /// The next message. `None` if the client is gone.
    async fn next_message(&mut self) -> Option<Typed> {
        loop {
            if let Some(typed) = self.next_frame().await? {
                return Some(typed);
            }
        }
    }

    /// The next frame, which may be no message, but a sign of what has arrived. `None` if the client is gone.
    async fn next_frame(&mut self) -> Option<Option<Typed>> {
        let frame = self.socket.next().await?.ok()?;
        self.sent.note(&frame);
        Some(match frame {
            Frame::Text(text) => Some(Typed::Text(text.as_str().to_owned())),
            Frame::Binary(bytes) => Some(Typed::Bytes(bytes.into())),
            // Reading once more lets tungstenite send the reply to a close frame, and then ends.
            _ => None,
        })
    }

    async fn send(&mut self, message: &Value) -> Option<()> {
        let message = Frame::text(message.to_string());
        self.socket.send(message).await.ok()
    }

    /// The message with a result, which stays as it is for others that take more.
    fn message(&self, reply: &mut RunReply) -> Value {
        if self.wants_bytes || !reply.console.has_bytes() {
            return json!(ResultBody::without_id(reply));
        }
        let exact = reply.console.clone();
        reply.console.replace_bytes();
        let message = json!(ResultBody::without_id(reply));
        reply.console = exact;
        message
    }

    /// Sends a result whose output is kept if the client is gone. If it `confirms` what arrives, that means until then.
    async fn report(&mut self, entry: &Entry, reply: &mut RunReply, confirms: bool) -> Option<()> {
        let message = self.message(reply);
        self.sent.begin();
        let run_id = self.run_id.clone();
        let sent = tokio::select! {
            biased;
            sent = self.send(&message) => sent,
            // A client that does not read must not keep what it does not receive.
            () = entry.kernel.displaced(&run_id) => None,
        };
        if sent.is_none() || confirms {
            self.sent.keep(reply.take());
        }
        sent?;
        match confirms {
            true => self.sent.ask(&mut self.socket).await,
            false => Some(()),
        }
    }
}

/// Runs what the client sends to its end, if it may wait for that after others that end within `patience`. `None` if the
/// client is gone.
async fn run(
    line: &mut Line,
    session: &Session,
    entry: &Entry,
    count: impl Fn(),
    patience: Duration,
) -> Option<()> {
    let first = line.next_message().await?;
    let first = match first {
        Typed::Text(text) => text,
        Typed::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    line.wants_bytes = wants_bytes(first.as_bytes());
    let (run_id, mut request, mut mark) = match start_of(&first) {
        Ok(start) => start,
        Err(problem) => {
            return line.send(&problem_message(problem)).await;
        }
    };
    // What the client sends before it is asked is the answer to a later question.
    let mut typed = Ahead::default();
    let confirms = mark.as_ref().is_some_and(|mark| mark.takes_unclaimed);
    let is_detached = mark.as_ref().is_some_and(|mark| mark.is_detached);
    line.run_id.clone_from(&run_id);
    line.sent
        .set_persists(mark.as_ref().is_some_and(|mark| mark.persists));
    let peer = line.peer.clone();
    let until = Instant::now() + patience;
    loop {
        // Its client can only interrupt what it knows to run.
        let says_begin = mark.as_ref().is_some_and(|mark| mark.persists);
        let interval = match &mark {
            Some(mark) if says_begin && !mark.waits => BEGINNING,
            _ => INTERVAL,
        };
        let executed = session.execute(
            &entry.kernel,
            &request,
            mark.as_ref().map(|mark| (mark, &peer)),
            interval,
            &count,
        );
        let Some(executed) = with_client(line, &mut typed, executed).await else {
            return abandon(line, session, entry, &run_id).await;
        };
        let mut reply = match executed {
            Ok(reply) => reply,
            Err(RunError::Execute(ExecuteError::Busy(busy))) => {
                if mark.as_ref().is_some_and(|mark| mark.waits) && Instant::now() < until {
                    continue;
                }
                return line.send(&problem_message(busy_reply(&busy))).await;
            }
            Err(error) => return line.send(&problem_message(problem(error, entry))).await,
        };
        // What follows comes over the same connection, or not at all.
        if let Some(mark) = mark.take() {
            entry.kernel.pass_on(&mark);
        }
        let is_news = !reply.console.is_empty() || reply.status != ExecutionStatus::Continued;
        if (is_news || is_detached || says_begin)
            && line.report(entry, &mut reply, confirms).await.is_none()
        {
            return abandon(line, session, entry, &run_id).await;
        }
        if reply.status.is_end() || is_detached {
            return Some(());
        }
        while line.sent.is_much() {
            let frame = tokio::select! {
                frame = line.next_frame() => frame,
                () = entry.kernel.displaced(&run_id) => break,
            };
            match frame {
                Some(message) => message.into_iter().for_each(|message| typed.push(message)),
                None => return abandon(line, session, entry, &run_id).await,
            }
        }
        let run_id = run_id.clone();
        request = if reply.status == ExecutionStatus::WaitingInput {
            let typed = match typed.0.pop_front() {
                Some(typed) => Some(Some(typed)),
                // The program may go on without an answer, which is for a later question then.
                None => tokio::select! {
                    message = line.next_message() => Some(message),
                    () = entry.kernel.goes_on() => None,
                    // The next request says so.
                    () = entry.kernel.displaced(&run_id) => None,
                },
            };
            match typed {
                Some(Some(Typed::Text(text))) => ExecuteInSession::Input { run_id, text },
                Some(Some(Typed::Bytes(bytes))) => ExecuteInSession::InputBytes { run_id, bytes },
                Some(None) => return abandon(line, session, entry, &run_id).await,
                None => ExecuteInSession::Continue { run_id },
            }
        } else {
            ExecuteInSession::Continue { run_id }
        };
    }
}

/// Waits for a result while the client is there; `None` if it leaves.
async fn with_client<T>(
    line: &mut Line,
    typed: &mut Ahead,
    result: impl Future<Output = T>,
) -> Option<T> {
    let mut result = std::pin::pin!(result);
    loop {
        tokio::select! {
            biased;
            result = &mut result => return Some(result),
            message = line.next_message() => typed.push(message?),
        }
    }
}

/// Interrupts a run whose client is gone: no other client knows the run's ID, so none can continue it. What it still
/// reports is collected, since a batch goes on with its next step only then; that is interrupted as well. Its output is kept for
/// another client.
async fn abandon(line: &mut Line, session: &Session, entry: &Entry, run_id: &str) -> Option<()> {
    line.break_off(entry).await;
    if entry.kernel.detach(run_id) {
        return None;
    }
    let request = ExecuteInSession::Continue {
        run_id: run_id.to_owned(),
    };
    // Whether what runs was not interrupted yet.
    let mut is_new = true;
    while session.is_running(run_id) {
        let interval = if is_new {
            Duration::ZERO
        } else {
            COLLECT_INTERVAL
        };
        let executed = session.execute(&entry.kernel, &request, None, interval, || {});
        let Ok(reply) = executed.await else { break };
        entry.kernel.leave(reply.console, reply.held);
        match reply.status {
            ExecutionStatus::WaitingInput => {
                entry.kernel.interrupt().await;
                // It may ask again.
                tokio::time::sleep(INTERVAL).await;
            }
            ExecutionStatus::Continued => {
                if std::mem::take(&mut is_new) {
                    entry.kernel.interrupt().await;
                }
            }
            _ => is_new = true,
        }
    }
    None
}

/// The error message for what has an extension of its own: that of a response.
fn problem_message(problem: ProblemReply) -> Value {
    let text = problem.to_string();
    let body = problem.into_response_in(Dialect::BackendAi).into_body();
    let mut message = serde_json::from_slice(&body).unwrap_or_else(|_| json!({}));
    message["status"] = json!("error");
    message["msg"] = json!(text);
    message
}

/// What the first message asks for.
type Start = (String, ExecuteInSession, Option<RunMark>);

/// The run that the first message asks for, with its ID and its mark.
fn start_of(text: &str) -> std::result::Result<Start, ProblemReply> {
    match ExecuteInSession::parse_marked(text.as_bytes()) {
        Ok((ExecuteInSession::Start { run_id, request }, mark)) => {
            let marked = mark.as_ref().map(|mark| mark.id.clone());
            let run_id = match marked.or(run_id) {
                Some(run_id) => run_id,
                None => random::run_id().map_err(|error| {
                    ProblemKind::KernelExecutionFailed.reply_with(&error.to_string())
                })?,
            };
            let start = ExecuteInSession::Start {
                run_id: Some(run_id.clone()),
                request,
            };
            Ok((run_id, start, mark))
        }
        Ok(_) => Err(ProblemKind::InvalidApiParams
            .reply_with("mode has an invalid value: only query and batch can be streamed")),
        Err(problem) => Err(problem),
    }
}

/// What a client has typed before it was asked.
#[derive(Default)]
struct Ahead(VecDeque<Typed>);

impl Ahead {
    /// Keeps a message, if there is room.
    fn push(&mut self, message: Typed) {
        let size: usize = self.0.iter().map(Typed::len).sum();
        let (messages, bytes) = MAX_TYPED;
        // No bytes only ask whether a program still waits.
        if message.len() > 0 && self.0.len() < messages && size + message.len() <= bytes {
            self.0.push_back(message);
        }
    }
}

/// A message of a client.
enum Typed {
    Text(String),
    /// Input that is not text, or not as a whole.
    Bytes(Vec<u8>),
}

impl Typed {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}
