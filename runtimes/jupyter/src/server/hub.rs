//! The clients of a kernel: who is connected, and what those get that come back.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::frames::Outgoing;
use crate::message::{Channel, EMPTY, Message, Stamp, now};

/// How much waits for a client before who makes messages waits, in KiB.
const BACKLOG: u32 = 4096;
/// How much is kept for a client that is not connected, in bytes. What comes after that is left out, but for replies and states.
const KEPT: usize = 16 * 1024 * 1024;
/// For how many clients that are not connected messages are kept.
const MOST_ABSENT: usize = 4;

/// Types of messages that are no sign of use, nor is what follows from them: clients send them by themselves. (Those of Jupyter's
/// own server.)
const UNTRACKED: &[&str] = &[
    "comm_info_request",
    "kernel_info_request",
    "shutdown_request",
    "interrupt_request",
    "debug_request",
    "input_reply",
];

/// A message that waits for its client, and the room that it takes.
pub(super) struct Queued {
    pub(super) message: Arc<Outgoing>,
    _room: Option<OwnedSemaphorePermit>,
}

/// A connection.
pub(super) struct Connected {
    pub(super) number: u64,
    pub(super) queue: UnboundedReceiver<Queued>,
    /// Notified when another connection takes its place.
    pub(super) replaced: Arc<Notify>,
}

struct Client {
    number: u64,
    session: String,
    queue: UnboundedSender<Queued>,
    room: Arc<Semaphore>,
    replaced: Arc<Notify>,
}

/// What a client gets when it comes back.
struct Absent {
    session: String,
    kept: Vec<Arc<Outgoing>>,
    size: usize,
    is_cut: bool,
}

struct State {
    execution: String,
    last_activity: Timestamp,
    clients: Vec<Client>,
    absent: Vec<Absent>,
    number: u64,
    is_over: bool,
}

pub(super) struct Hub {
    stamp: Stamp,
    state: Mutex<State>,
    in_use: watch::Sender<bool>,
}

/// What is told of a kernel.
pub(super) struct Report {
    pub(super) execution: String,
    pub(super) last_activity: Timestamp,
    pub(super) connections: usize,
}

impl Hub {
    /// One that says through `in_use` whether somebody is connected.
    pub(super) fn new(in_use: watch::Sender<bool>) -> Self {
        in_use.send_replace(false);
        let state = State {
            execution: "starting".to_owned(),
            last_activity: now(),
            clients: Vec::new(),
            absent: Vec::new(),
            number: 0,
            is_over: false,
        };
        Self {
            stamp: Stamp::new(sorna::random_token().to_string()),
            state: Mutex::new(state),
            in_use,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        crate::lock::lock(&self.state)
    }

    pub(super) fn report(&self) -> Report {
        let state = self.lock();
        Report {
            execution: state.execution.clone(),
            last_activity: state.last_activity,
            connections: state.clients.len(),
        }
    }

    /// Takes note of a state of the kernel that no message tells of.
    pub(super) fn set_state(&self, state: &str) {
        state.clone_into(&mut self.lock().execution);
    }

    /// Takes note of a request.
    pub(super) fn note_request(&self, kind: &str) {
        if !UNTRACKED.contains(&kind) {
            self.lock().last_activity = now();
        }
    }

    /// Connects a client, in place of an older connection of the same session. First it gets what was kept for that. `None` if
    /// the kernel is over.
    pub(super) fn connect(&self, session: &str) -> Option<Connected> {
        let mut state = self.lock();
        if state.is_over {
            return None;
        }
        state.number += 1;
        let (queue, messages) = unbounded_channel();
        let client = Client {
            number: state.number,
            session: session.to_owned(),
            queue,
            room: Arc::new(Semaphore::new(BACKLOG as usize)),
            replaced: Arc::new(Notify::new()),
        };
        if let Some(at) = state.absent.iter().position(|it| it.session == session) {
            for message in state.absent.remove(at).kept {
                let _ = client.queue.send(Queued {
                    message,
                    _room: None,
                });
            }
        }
        for older in state.clients.iter().filter(|it| it.session == session) {
            older.replaced.notify_one();
        }
        let connected = Connected {
            number: client.number,
            queue: messages,
            replaced: Arc::clone(&client.replaced),
        };
        state.clients.push(client);
        self.in_use.send_replace(true);
        Some(connected)
    }

    /// Disconnects a client. What follows is kept for it, after what it has not got.
    pub(super) fn disconnect(&self, connected: Connected, unsent: Option<Arc<Outgoing>>) {
        let mut state = self.lock();
        let Some(at) = (state.clients.iter()).position(|it| it.number == connected.number) else {
            return;
        };
        let client = state.clients.remove(at);
        // Who waits for room in it goes on.
        client.room.close();
        drop(client.queue);
        let mut queue = connected.queue;
        queue.close();
        let rest = std::iter::from_fn(|| queue.try_recv().ok().map(|it| it.message));
        let rest: Vec<_> = unsent.into_iter().chain(rest).collect();
        let mut others = state.clients.iter();
        if let Some(successor) = others.find(|it| it.session == client.session) {
            for message in rest {
                let _ = successor.queue.send(Queued {
                    message,
                    _room: None,
                });
            }
        } else {
            if state.absent.len() == MOST_ABSENT {
                state.absent.remove(0);
            }
            state.absent.push(Absent {
                session: client.session,
                kept: Vec::new(),
                size: 0,
                is_cut: false,
            });
            let absent = state.absent.last_mut().expect("it was just added");
            for message in rest {
                absent.keep(message, &self.stamp);
            }
        }
        self.in_use.send_replace(!state.clients.is_empty());
    }

    /// Whether a message to this session is not lost.
    pub(super) fn reaches(&self, session: &[u8]) -> bool {
        let state = self.lock();
        let is_connected = |it: &Client| it.session.as_bytes() == session;
        let is_kept = |it: &Absent| it.session.as_bytes() == session;
        state.clients.iter().any(is_connected) || state.absent.iter().any(is_kept)
    }

    /// Sends a message to its client, or to all. Waits while they are slower than what is sent.
    pub(super) async fn deliver(&self, message: Message) {
        self.note(&message);
        let header = self.stamp.header(message.kind);
        let to = match message.channel {
            Channel::Iopub => None,
            _ => message.identities.first().cloned(),
        };
        let id = header["msg_id"].as_str().unwrap_or_default().to_owned();
        let outgoing = Arc::new(Outgoing {
            channel: message.channel,
            kind: message.kind,
            id,
            header: header.to_string().into(),
            parent: message.parent,
            content: message.content.to_string().into(),
        });
        let is_for = |session: &str| to.as_ref().is_none_or(|to| session.as_bytes() == to);
        let targets: Vec<_> = {
            let mut state = self.lock();
            for absent in state.absent.iter_mut().filter(|it| is_for(&it.session)) {
                absent.keep(Arc::clone(&outgoing), &self.stamp);
            }
            let clients = state.clients.iter().filter(|it| is_for(&it.session));
            clients
                .map(|it| (it.session.clone(), it.queue.clone(), Arc::clone(&it.room)))
                .collect()
        };
        let size = u32::try_from(outgoing.len() / 1024 + 1).unwrap_or(BACKLOG);
        for (session, queue, room) in targets {
            let permit = room.acquire_many_owned(size.min(BACKLOG)).await;
            let queued = Queued {
                message: Arc::clone(&outgoing),
                _room: permit.ok(),
            };
            if queue.send(queued).is_err() {
                let mut state = self.lock();
                let mut absent = state.absent.iter_mut();
                if let Some(absent) = absent.find(|it| it.session == session) {
                    absent.keep(Arc::clone(&outgoing), &self.stamp);
                }
            }
        }
    }

    /// Takes note of what a message says of the kernel.
    fn note(&self, message: &Message) {
        let parent: Value = match message.kind {
            "status" => serde_json::from_slice(&message.parent).unwrap_or_default(),
            _ => return,
        };
        let state = message.content["execution_state"].as_str();
        let parent = parent["msg_type"].as_str();
        let is_tracked = parent.is_none_or(|kind| !UNTRACKED.contains(&kind));
        let mut known = self.lock();
        match state {
            // It has started before any message.
            Some("starting") => return,
            Some(state) if is_tracked => state.clone_into(&mut known.execution),
            _ => return,
        }
        if parent.is_some() {
            known.last_activity = now();
        }
    }

    /// Lets clients go, once they have got what waits for them.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_over = true;
        "dead".clone_into(&mut state.execution);
        state.clients.clear();
        state.absent.clear();
    }
}

impl Absent {
    fn keep(&mut self, message: Arc<Outgoing>, stamp: &Stamp) {
        let is_output = message.channel == Channel::Iopub && message.kind != "status";
        if is_output && self.size + message.len() > KEPT {
            if std::mem::replace(&mut self.is_cut, true) {
                return;
            }
            let text = "The output that came while this client was not connected is too long, and is not whole.\n";
            let content = json!({"name": "stderr", "text": text});
            let header = stamp.header("stream");
            self.kept.push(Arc::new(Outgoing {
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
            return;
        }
        self.size += message.len();
        self.kept.push(message);
    }
}
