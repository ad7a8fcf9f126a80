//! The WebSocket of a terminal.

use std::pin::pin;
use std::sync::Arc;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use sorna_core::server::ProblemReply;
use sorna_core::server::backend_ai::Parameters;
use sorna_core::terminal::{Command, Message};
use sorna_core::{Dialect, ProblemKind};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::files;
use super::websocket::{self, CLOSE_TIME, Socket, Upgrade};
use crate::kernel::{AttachError, Attached, FromTerminal, ToTerminal};
use crate::kernels::{Cause, Entry};

/// Joins a kernel's terminal, which is started if it does not run: in the `directory` of the query, if there is one.
///
/// # Errors
///
/// 400 `invalid-api-params` if there is no such directory, or if the terminal runs and was started in another one.
pub(super) async fn attach(entry: &Entry, query: Option<&str>) -> Result<Attached, ProblemReply> {
    let parameters = Parameters::parse(query, b"")?;
    let directory = match parameters.text("directory") {
        Some(path) => Some(files::directory(entry, &path).await?),
        None => None,
    };
    entry
        .kernel
        .attach(directory)
        .map_err(|error| match error {
            AttachError::Start(error) => error.problem(ProblemKind::KernelExecutionFailed),
            AttachError::StartedIn(other) => ProblemKind::InvalidApiParams.reply_with(&format!(
                "the terminal of this kernel already runs and was started in {}: join it without naming a directory, or end its shell first",
                if other.as_os_str().is_empty() {
                    "the work directory".to_owned()
                } else {
                    format!("{:?}", other.display().to_string())
                }
            )),
        })
}

/// Serves one client until it leaves or the terminal ends.
pub(super) async fn serve(
    upgrade: Upgrade,
    entry: Arc<Entry>,
    mut attached: Attached,
    dialect: Dialect,
) {
    let Some(socket) = upgrade.open().await else {
        return;
    };
    let Some(output) = attached.output.take() else {
        return;
    };
    let (sink, stream) = socket.split();
    let (errors, reported) = mpsc::channel(4);
    // Each direction is independent: a client may send while it does not read, and vice versa.
    let mut listening = pin!(listen(stream, &entry, &mut attached, errors));
    let is_over = tokio::select! {
        is_over = show(sink, output, reported, &entry, dialect) => is_over,
        () = &mut listening => false,
    };
    if is_over {
        // If the connection is closed before the client's close frame arrives, ours may be lost.
        let _ = tokio::time::timeout(CLOSE_TIME, listening).await;
    }
}

/// Sends the output until the terminal ends, then a close frame; false if the client is gone.
async fn show(
    mut sink: SplitSink<Socket, Frame>,
    mut output: mpsc::Receiver<FromTerminal>,
    mut reported: mpsc::Receiver<String>,
    entry: &Entry,
    dialect: Dialect,
) -> bool {
    loop {
        let message = tokio::select! {
            biased;
            Some(error) = reported.recv() => Message::Error(error),
            output = output.recv() => match output {
                Some(FromTerminal::Output(bytes)) => Message::Out(bytes),
                Some(FromTerminal::Closed) | None => break,
            },
        };
        let frame = match (dialect, &message) {
            // There are no such messages.
            (Dialect::BackendAi, Message::Error(_)) => continue,
            // Binary frames since 25.6.
            (Dialect::BackendAi, _) => Frame::binary(message.encode()),
            _ => Frame::text(message.encode()),
        };
        if sink.send(frame).await.is_err() {
            return false;
        }
    }
    // If that is not because its shell has ended.
    let cause = entry.cause().map(Cause::text).unwrap_or_default();
    if dialect == Dialect::SornaV2 && !cause.is_empty() {
        let message = Message::Error(cause.clone());
        let _ = sink.send(Frame::text(message.encode())).await;
    }
    websocket::close_for(&mut sink, &cause).await
}

/// Passes on what the client sends until it disconnects.
async fn listen(
    mut stream: SplitStream<Socket>,
    entry: &Entry,
    attached: &mut Attached,
    errors: mpsc::Sender<String>,
) {
    while let Some(Ok(frame)) = stream.next().await {
        let text = match &frame {
            Frame::Text(text) => text.as_str(),
            Frame::Binary(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            // Reading once more lets tungstenite send the reply to a close frame, and then ends.
            _ => continue,
        };
        entry.kernel.touch();
        let message = match Command::decode(text) {
            Some(Command::Stdin(bytes)) => ToTerminal::Typed(bytes),
            Some(Command::Resize { rows, cols }) => ToTerminal::Resized(rows, cols),
            Some(Command::Restart) => {
                let shell = attached.shells();
                if let Err(error) = entry.kernel.restart().await {
                    let _ = errors.try_send(error.into_reason());
                }
                // Input that follows is for the new shell.
                attached.next_shell(shell).await;
                continue;
            }
            Some(_) => continue,
            None => {
                let error = "invalid message: expected stdin, resize, ping or restart as JSON";
                let _ = errors.try_send(error.to_owned());
                continue;
            }
        };
        // This fails if the terminal has ended, which `show` reports to the client.
        let _ = attached.to_shell.send(message).await;
    }
}
