//! WebSockets of a session: its terminal, and executions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sorna_core::server::backend_ai::ExecuteInSession;
use sorna_core::server::wants_bytes;
use sorna_core::{Dialect, ExecutionStatus, KernelId, ProblemKind};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::answer::Result;
use super::execute::{ResultBody, problem};
use crate::http::body::ReplyBody;
use crate::http::context::{Call, Context};
use crate::http::terminal;
use crate::http::websocket::{self, CLOSE_TIME, Socket, Upgrade};
use crate::kernels::{Entry, Kernels};
use crate::random;
use crate::sessions::Session;

/// How often output is sent while a program runs.
const INTERVAL: Duration = Duration::from_millis(200);
/// How often what remains of a run is asked for whose client is gone.
const COLLECT_INTERVAL: Duration = Duration::from_secs(1);
/// How many messages of a client, and bytes of them, are kept until they are asked for.
const MAX_TYPED: (usize, usize) = (64, 64 * 1024);

/// `GET /stream/session/{name}/pty`
pub(super) fn open_terminal(context: &Context, call: &mut Call<'_>, id: &KernelId) -> Result {
    let session = context.sessions.find(call.key, id)?;
    let response = websocket::accept(call.parts)?;
    let upgrade = call.upgrade.take().ok_or_else(websocket::no_handshake)?;
    let entry = session.running()?;
    entry.kernel.touch();
    let attached = entry
        .kernel
        .attach()
        .map_err(|error| error.problem(ProblemKind::KernelExecutionFailed))?;
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
    tokio::spawn(serve(upgrade, session, entry, Arc::clone(&context.kernels)));
    Ok(response.map(ReplyBody::new))
}

async fn serve(upgrade: Upgrade, session: Arc<Session>, entry: Arc<Entry>, kernels: Arc<Kernels>) {
    let Some(mut socket) = upgrade.open().await else {
        return;
    };
    let count = || kernels.counters.executions.up();
    if run(&mut socket, &session, &entry, count).await.is_none() {
        return;
    }
    if websocket::close(&mut socket).await {
        // If the connection is closed before the client's close frame arrives, ours may be lost.
        let rest = async { while let Some(Ok(_)) = socket.next().await {} };
        let _ = tokio::time::timeout(CLOSE_TIME, rest).await;
    }
}

/// Runs what the client sends to its end. `None` if the client is gone.
async fn run(
    socket: &mut Socket,
    session: &Session,
    entry: &Entry,
    count: impl Fn(),
) -> Option<()> {
    let first = next_message(socket).await?;
    let first = match first {
        Typed::Text(text) => text,
        Typed::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    let wants_bytes = wants_bytes(first.as_bytes());
    let (run_id, mut request) = match start_of(&first) {
        Ok(start) => start,
        Err(message) => return send(socket, &json!({"status": "error", "msg": message})).await,
    };
    // What the client sends before it is asked is the answer to a later question.
    let mut typed = VecDeque::new();
    loop {
        let executed = session.execute(&entry.kernel, &request, INTERVAL, &count);
        let Some(executed) = with_client(socket, &mut typed, executed).await else {
            return abandon(session, entry, &run_id).await;
        };
        let mut reply = match executed {
            Ok(reply) => reply,
            Err(error) => {
                let message = problem(error).to_string();
                return send(socket, &json!({"status": "error", "msg": message})).await;
            }
        };
        if !wants_bytes {
            reply.console.replace_bytes();
        }
        let is_news = !reply.console.is_empty() || reply.status != ExecutionStatus::Continued;
        if is_news
            && send(socket, &json!(ResultBody::without_id(&reply)))
                .await
                .is_none()
        {
            return abandon(session, entry, &run_id).await;
        }
        if reply.status.is_end() {
            return Some(());
        }
        let run_id = run_id.clone();
        request = if reply.status == ExecutionStatus::WaitingInput {
            let typed = match typed.pop_front() {
                Some(typed) => Some(Some(typed)),
                // The program may go on without an answer, which is for a later question then.
                None => tokio::select! {
                    message = next_message(socket) => Some(message),
                    () = entry.kernel.goes_on() => None,
                },
            };
            match typed {
                Some(Some(Typed::Text(text))) => ExecuteInSession::Input { run_id, text },
                Some(Some(Typed::Bytes(bytes))) => ExecuteInSession::InputBytes { run_id, bytes },
                Some(None) => return abandon(session, entry, &run_id).await,
                None => ExecuteInSession::Continue { run_id },
            }
        } else {
            ExecuteInSession::Continue { run_id }
        };
    }
}

/// Waits for a result while the client is there; `None` if it leaves.
async fn with_client<T>(
    socket: &mut Socket,
    typed: &mut VecDeque<Typed>,
    result: impl Future<Output = T>,
) -> Option<T> {
    let mut result = std::pin::pin!(result);
    loop {
        tokio::select! {
            biased;
            result = &mut result => return Some(result),
            message = next_message(socket) => {
                let message = message?;
                let size: usize = typed.iter().map(Typed::len).sum();
                let (messages, bytes) = MAX_TYPED;
                // No bytes only ask whether a program still waits.
                if message.len() > 0 && typed.len() < messages && size + message.len() <= bytes {
                    typed.push_back(message);
                }
            }
        }
    }
}

/// Interrupts a run whose client is gone: no other client knows the run's ID, so none can continue it. What it still
/// reports is collected, since a batch goes on with its next step only then; that is interrupted as well.
async fn abandon(session: &Session, entry: &Entry, run_id: &str) -> Option<()> {
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
        let executed = session.execute(&entry.kernel, &request, interval, || {});
        let Ok(reply) = executed.await else { break };
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

/// The run that the first message asks for, and its ID.
fn start_of(text: &str) -> std::result::Result<(String, ExecuteInSession), String> {
    match ExecuteInSession::parse(text.as_bytes()) {
        Ok(ExecuteInSession::Start { run_id, request }) => {
            let run_id = match run_id {
                Some(run_id) => run_id,
                None => random::run_id().map_err(|error| error.to_string())?,
            };
            let start = ExecuteInSession::Start {
                run_id: Some(run_id.clone()),
                request,
            };
            Ok((run_id, start))
        }
        Ok(_) => Err("mode has an invalid value: only query and batch can be streamed".to_owned()),
        Err(problem) => Err(problem.to_string()),
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

/// The next message. `None` if the client is gone.
async fn next_message(socket: &mut Socket) -> Option<Typed> {
    loop {
        match socket.next().await?.ok()? {
            Frame::Text(text) => return Some(Typed::Text(text.as_str().to_owned())),
            Frame::Binary(bytes) => return Some(Typed::Bytes(bytes.into())),
            // Reading once more lets tungstenite send the reply to a close frame, and then ends.
            _ => {}
        }
    }
}

async fn send(socket: &mut Socket, message: &Value) -> Option<()> {
    socket.send(Frame::text(message.to_string())).await.ok()
}
