//! A client of a kernel, and what waits for it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::Notify;

use crate::message::{Channel, EMPTY, Stamp};
use crate::server::frames::Outgoing;

/// How much waits for a client before who makes messages waits for it, in bytes.
const BACKLOG: usize = 4 * 1024 * 1024;
/// How much of that may be left when they are not to wait any longer.
pub(super) const ENOUGH: usize = BACKLOG / 2;
/// How much is kept for a client that is not connected, or is left behind, in bytes. Output that comes after that is left out.
const KEPT: usize = 16 * 1024 * 1024;
/// How much more is kept of what is not output: replies, questions and states.
const KEPT_REPLIES: usize = 4 * 1024 * 1024;

/// Who has connected, and what waits for it: what is kept belongs to the client, whichever connection it has.
pub(super) struct Client {
    pub(super) session: String,
    /// Whether it has named its session, so that it may come back.
    pub(super) is_named: bool,
    pub(super) connection: Option<Connection>,
    pub(super) waiting: VecDeque<Arc<Outgoing>>,
    /// What is being written to its connection.
    pub(super) writing: Option<Arc<Outgoing>>,
    /// The bytes of both.
    pub(super) size: usize,
    /// Whether it was waited for in vain, so that no one waits for it until it has taken what is kept.
    pub(super) is_left_behind: bool,
    /// Whether output was left out since then.
    is_cut: bool,
    /// Notified when it has taken something, or will take nothing more.
    pub(super) taken: Arc<Notify>,
}

/// A connection that is there.
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) filled: Arc<Notify>,
    pub(super) replaced: Arc<Notify>,
}

impl Client {
    /// One that has just connected.
    pub(super) fn new(session: &str, is_named: bool, connection: Connection) -> Self {
        Self {
            session: session.to_owned(),
            is_named,
            connection: Some(connection),
            waiting: VecDeque::new(),
            writing: None,
            size: 0,
            is_left_behind: false,
            is_cut: false,
            taken: Arc::default(),
        }
    }

    pub(super) fn connect(&mut self, connection: Connection) {
        self.leave();
        if !self.waiting.is_empty() {
            connection.filled.notify_one();
        }
        self.connection = Some(connection);
        // No one waits until it has caught up.
        self.is_left_behind = self.size > ENOUGH;
        self.taken.notify_one();
    }

    /// Takes back what its connection has not sent.
    pub(super) fn leave(&mut self) {
        if let Some(older) = self.connection.take() {
            older.replaced.notify_one();
        }
        if let Some(unsent) = self.writing.take() {
            self.waiting.push_front(unsent);
        }
    }

    /// Whether it has been given a message, or will not get it. If not, it is to be waited for.
    pub(super) fn takes(&mut self, message: &Arc<Outgoing>, stamp: &Stamp) -> bool {
        if self.size <= ENOUGH {
            (self.is_left_behind, self.is_cut) = (false, false);
        }
        let is_slow = self.connection.is_some() && !self.is_left_behind && self.size >= BACKLOG;
        if !is_slow {
            self.keep(Arc::clone(message), stamp);
        }
        !is_slow
    }

    pub(super) fn keep(&mut self, message: Arc<Outgoing>, stamp: &Stamp) {
        let is_behind = self.is_left_behind || self.connection.is_none();
        let is_output = message.channel == Channel::Iopub && message.kind != "status";
        let most = match is_output {
            true => KEPT,
            false => KEPT + KEPT_REPLIES,
        };
        if !is_behind || self.size + message.len() <= most {
            return self.push(message);
        }
        if !is_output || std::mem::replace(&mut self.is_cut, true) {
            return;
        }
        let text = match self.connection {
            Some(_) => {
                "This client has taken its output too slowly: it is not whole, and some is left out here.\n"
            }
            None => {
                "The output that came while this client was not connected is too long, and is not whole.\n"
            }
        };
        let content = json!({"name": "stderr", "text": text});
        let header = stamp.header("stream");
        self.push(Arc::new(Outgoing {
            channel: Channel::Iopub,
            kind: "stream",
            id: header["msg_id"].as_str().unwrap_or_default().to_owned(),
            header: header.to_string().into(),
            parent: match message.parent.is_empty() {
                true => Bytes::from_static(EMPTY),
                false => message.parent.clone(),
            },
            content: content.to_string().into(),
        }));
    }

    fn push(&mut self, message: Arc<Outgoing>) {
        self.size += message.len();
        self.waiting.push_back(message);
        if let Some(connection) = &self.connection {
            connection.filled.notify_one();
        }
    }
}
