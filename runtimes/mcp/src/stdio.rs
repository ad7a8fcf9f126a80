//! One client, on standard input and output.

use std::collections::HashSet;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{ClientNotification, ClientRequest, JsonRpcMessage, JsonRpcRequest, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader, Empty};
use tokio::sync::{Notify, oneshot};

use crate::message::{Received, received, too_long};

/// The longest message, in bytes: files are sent in one.
const MOST_LINE: usize = 64 * 1024 * 1024;
/// How much is kept of one that is too long, in bytes: its ID is mostly there.
const BEGINNING: usize = 4096;
/// The stack of the thread that waits, in bytes.
const STACK: usize = 64 * 1024;

/// Requests that were not answered yet.
#[derive(Clone, Debug, Default)]
struct Open {
    ids: Arc<Mutex<HashSet<RequestId>>>,
    changed: Arc<Notify>,
}

impl Open {
    fn ids(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, id: &RequestId) {
        self.ids().remove(id);
        self.changed.notify_one();
    }

    async fn all_answered(&self) {
        while !self.ids().is_empty() {
            self.changed.notified().await;
        }
    }
}

/// The lines of an input, as far as they are not too long.
struct Input<R> {
    from: BufReader<R>,
    /// What there is of the next line.
    line: Vec<u8>,
    /// Whether it is too long, and so thrown away but for its beginning and its end.
    is_too_long: bool,
    end: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Input<R> {
    /// The next line, `Err` with the beginning and the end of one that is too long, and `None` at the end. Nothing is lost if the future is dropped.
    async fn next(&mut self) -> Option<Result<Vec<u8>, (Vec<u8>, Vec<u8>)>> {
        loop {
            let there = self.from.fill_buf().await.ok()?;
            if there.is_empty() {
                return None;
            }
            let end = there.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(there.len());
            self.is_too_long |= self.line.len() + taken > MOST_LINE;
            match self.is_too_long {
                true => {
                    let from = self.line.len().saturating_sub(BEGINNING).max(BEGINNING);
                    self.end
                        .extend_from_slice(self.line.get(from..).unwrap_or_default());
                    self.line.truncate(BEGINNING);
                    self.line.shrink_to_fit();
                    self.end.extend_from_slice(&there[..taken]);
                    let over = self.end.len().saturating_sub(BEGINNING);
                    self.end.drain(..over);
                }
                false => self.line.extend_from_slice(&there[..taken]),
            }
            self.from.consume(taken + usize::from(end.is_some()));
            if end.is_none() {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            return Some(match std::mem::take(&mut self.is_too_long) {
                true => Err((line, std::mem::take(&mut self.end))),
                false => Ok(line),
            });
        }
    }
}

/// A response on its way.
type Sending = Pin<Box<dyn Future<Output = Result<(), io::Error>> + Send>>;

/// Messages by lines. Its end comes when all requests are answered: the SDK would wait for some seconds only. Lines that are no
/// messages are answered here: the SDK would say nothing, and who has sent one would wait.
pub(crate) struct Lines<
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
> {
    input: Input<tokio::io::Chain<R, &'static [u8]>>,
    output: AsyncRwTransport<RoleServer, Empty, W>,
    refusal: Option<Sending>,
    open: Open,
    /// Whether a request has come with which the SDK begins. Before that, it would take what is no request for an error.
    has_begun: bool,
    has_ended: bool,
}

impl<R: AsyncRead + Send + Unpin + 'static, W: AsyncWrite + Send + Unpin + 'static> Lines<R, W> {
    pub(crate) fn new(input: R, output: W) -> Self {
        Self {
            input: Input {
                // The last line may have no end.
                from: BufReader::new(input.chain(b"\n".as_slice())),
                line: Vec::new(),
                is_too_long: false,
                end: Vec::new(),
            },
            output: AsyncRwTransport::new_server(tokio::io::empty(), output),
            refusal: None,
            open: Open::default(),
            has_begun: false,
            has_ended: false,
        }
    }

    /// The next message. `None` if there is none any more, or no one reads what is answered.
    async fn next(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(refusal) = &mut self.refusal {
                let sent = refusal.await;
                self.refusal = None;
                sent.ok()?;
            }
            let refusal = match self.input.next().await?.map(|line| received(&line)) {
                Ok(Received::Message(message)) => return Some(*message),
                Ok(Received::Nothing) => continue,
                Ok(Received::Refused(refusal)) => refusal,
                Err((beginning, end)) => too_long(MOST_LINE, &beginning, &end),
            };
            self.refusal = Some(Box::pin(self.output.send(JsonRpcMessage::Error(refusal))));
        }
    }
}

impl<R: AsyncRead + Send + Unpin + 'static, W: AsyncWrite + Send + Unpin + 'static>
    Transport<RoleServer> for Lines<R, W>
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let id = match &item {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            JsonRpcMessage::Error(error) => error.id.clone(),
            _ => None,
        };
        let open = self.open.clone();
        let sent = self.output.send(item);
        async move {
            let result = sent.await;
            if let Some(id) = id {
                open.remove(&id);
            }
            result
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        while !self.has_ended {
            let Some(message) = self.next().await else {
                self.has_ended = true;
                break;
            };
            match &message {
                JsonRpcMessage::Request(request) => {
                    self.has_begun |= begins(request);
                    self.open.ids().insert(request.id.clone());
                    return Some(message);
                }
                // It gets no answer any more.
                JsonRpcMessage::Notification(notification) => {
                    if let ClientNotification::CancelledNotification(cancelled) =
                        &notification.notification
                        && let Some(id) = &cancelled.params.request_id
                    {
                        self.open.remove(id);
                    }
                }
                _ => {}
            }
            if self.has_begun {
                return Some(message);
            }
        }
        self.open.all_answered().await;
        None
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.output.close().await
    }
}

/// Whether a request begins what a client has to say: a handshake, or one that says its revision, as those without a state do. Others
/// are answered, and the SDK still waits for such a one.
fn begins(request: &JsonRpcRequest<ClientRequest>) -> bool {
    let asked = match serde_json::to_value(&request.request) {
        Ok(asked) => asked,
        Err(_) => return false,
    };
    match asked["method"].as_str() {
        Some("initialize") => true,
        Some("ping" | "server/discover") | None => false,
        Some(_) => asked["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string(),
    }
}

/// Waits until no one can read standard output any more. For what cannot tell, it never ends.
pub(crate) async fn output_broken() {
    let (over, is_over) = oneshot::channel();
    let wait = move || {
        let stdout = rustix::stdio::stdout();
        // Nothing but an error is waited for.
        let mut waited = [PollFd::new(&stdout, PollFlags::empty())];
        loop {
            match poll(&mut waited, None) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
        let _ = over.send(());
    };
    let thread = std::thread::Builder::new().name("output".to_owned());
    if thread.stack_size(STACK).spawn(wait).is_err() || is_over.await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Line = Option<RxJsonRpcMessage<RoleServer>>;

    fn is_request(line: &Line) -> bool {
        matches!(line, Some(JsonRpcMessage::Request(_)))
    }

    #[tokio::test]
    async fn what_is_no_request_is_passed_over_until_the_beginning() {
        let initialized = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
        let request = |method: &str, parameters: &str| {
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{parameters}}}\n"
            )
        };
        let info = "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"a\",\"version\":\"1\"}}";
        let begins = request("initialize", info);
        let early = [request("ping", "{}"), request("tools/list", "{}")].map(|it| it + initialized);
        let input = format!("{}{begins}{initialized}", early.concat());
        let mut lines = Lines::new(std::io::Cursor::new(input.into_bytes()), Vec::new());
        for _ in 0..3 {
            assert!(is_request(&lines.receive().await));
        }
        let line = lines.receive().await;
        assert!(
            matches!(line, Some(JsonRpcMessage::Notification(_))),
            "{line:?}"
        );
    }

    #[tokio::test]
    async fn the_end_comes_after_the_answers() {
        let input = b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n\
            {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"method\":\"ping\"}";
        let mut lines = Lines::new(input.as_slice(), Vec::new());
        assert!(is_request(&lines.receive().await));
        assert!(is_request(&lines.receive().await));
        for id in [RequestId::Number(1), RequestId::String("b".into())] {
            let ended = tokio::select! {
                biased;
                line = lines.receive() => line.is_none(),
                () = tokio::task::yield_now() => false,
            };
            assert!(!ended);
            let answer = JsonRpcMessage::response(rmcp::model::ServerResult::empty(()), id);
            lines.send(answer).await.expect("it is sent");
        }
        assert!(lines.receive().await.is_none());
    }

    #[tokio::test]
    async fn lines_that_are_too_long_are_refused_and_skipped() {
        let mut line = vec![b' '; MOST_LINE + 1];
        line.extend_from_slice(b"\n{}\n");
        let mut input = Input {
            from: BufReader::new(line.as_slice()),
            line: Vec::new(),
            is_too_long: false,
            end: Vec::new(),
        };
        let blank = vec![b' '; BEGINNING];
        assert_eq!(input.next().await, Some(Err((blank.clone(), blank))));
        assert_eq!(input.next().await, Some(Ok(b"{}".to_vec())));
        assert_eq!(input.next().await, None);
    }
}
