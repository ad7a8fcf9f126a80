//! The clients of a kernel: who is connected, and what those get that come back.

mod client;
mod requested;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::frames::Outgoing;
use crate::message::{Channel, Message, Stamp, now};
use client::{Client, Connection, ENOUGH};
use requested::Requested;

/// How long who makes messages waits for a client to take this much, in bytes. Who takes less is left behind.
const PATIENCE: Duration = Duration::from_secs(1);
const LEAST: usize = 256 * 1024;
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

/// A connection of a client. Another one takes its place if the client connects again.
pub(super) struct Connected {
    number: u64,
    /// Notified when something waits for the client, or no more will come.
    filled: Arc<Notify>,
    /// Notified when another connection has taken its place.
    pub(super) replaced: Arc<Notify>,
}

struct State {
    execution: String,
    last_activity: Timestamp,
    /// The one that left last at the end.
    clients: Vec<Client>,
    number: u64,
    /// How many clients wait for a restart.
    restarts: usize,
    requested: Requested,
    /// Whether a client was asked for input that has not answered.
    is_asked: bool,
    is_over: bool,
}

impl State {
    fn connected(&mut self, number: u64) -> Option<&mut Client> {
        let mut clients = self.clients.iter_mut();
        clients.find(|it| it.connection.as_ref().is_some_and(|it| it.number == number))
    }

    fn connections(&self) -> usize {
        let clients = self.clients.iter();
        clients.filter(|it| it.connection.is_some()).count()
    }
}

pub(super) struct Hub {
    stamp: Stamp,
    state: Mutex<State>,
    in_use: watch::Sender<bool>,
    /// How many times it was said that it is idle without a request that led to that, as after a restart.
    renewals: watch::Sender<u64>,
}

/// What is told of a kernel.
pub(super) struct Report {
    pub(super) execution: String,
    pub(super) last_activity: Timestamp,
    pub(super) connections: usize,
}

impl Hub {
    /// One that says through `in_use` whether someone is connected.
    pub(super) fn new(in_use: watch::Sender<bool>) -> Self {
        in_use.send_replace(false);
        let state = State {
            execution: "starting".to_owned(),
            last_activity: now(),
            clients: Vec::new(),
            number: 0,
            restarts: 0,
            requested: Requested::default(),
            is_asked: false,
            is_over: false,
        };
        Self {
            stamp: Stamp::new(sorna::random_token().to_string()),
            state: Mutex::new(state),
            in_use,
            renewals: watch::Sender::new(0),
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
            connections: state.connections(),
        }
    }

    /// Takes note of a state of the kernel that no message tells of.
    pub(super) fn set_state(&self, state: &str) {
        state.clone_into(&mut self.lock().execution);
    }

    /// A restart that someone waits for begins. What this returns changes when the kernel is idle after that, and what was told
    /// before of it was delivered. The others are not told that it restarts until [`restarted`](Self::restarted), as Jupyter's own
    /// server does it: JupyterLab takes that for the end of a kernel that has died.
    pub(super) fn restarting(&self) -> watch::Receiver<u64> {
        self.lock().restarts += 1;
        self.renewals.subscribe()
    }

    pub(super) fn restarted(&self) {
        self.lock().restarts -= 1;
    }

    /// Takes note of a request that a client sends, until it is said that the kernel is idle after it; `false` if so many wait that
    /// it cannot be taken.
    pub(super) fn request(&self, session: &str, kind: &str, header: &Bytes, size: usize) -> bool {
        let mut state = self.lock();
        if !UNTRACKED.contains(&kind) {
            state.last_activity = now();
        }
        state.requested.add(session, header, size)
    }

    /// Whether someone was asked for input, so that this answer is one.
    pub(super) fn takes_answer(&self) -> bool {
        std::mem::take(&mut self.lock().is_asked)
    }

    /// Connects a client, in place of an older connection of the same session. First it gets what was kept for that, and what
    /// the older connection has not sent. Without a session, it cannot come back. `None` if the kernel is over.
    pub(super) fn connect(&self, session: &str, is_named: bool) -> Option<Connected> {
        let mut state = self.lock();
        if state.is_over {
            return None;
        }
        state.number += 1;
        let connection = Connection {
            number: state.number,
            filled: Arc::default(),
            replaced: Arc::default(),
        };
        let connected = Connected {
            number: connection.number,
            filled: Arc::clone(&connection.filled),
            replaced: Arc::clone(&connection.replaced),
        };
        match state.clients.iter_mut().find(|it| it.session == session) {
            Some(client) => client.connect(connection),
            None => {
                let client = Client::new(session, is_named, connection);
                state.clients.push(client);
            }
        }
        self.in_use.send_replace(true);
        Some(connected)
    }

    /// The next message for a client, which counts as unsent until it was [sent](Self::sent); `None` if there will be none. May be
    /// dropped and called again.
    pub(super) async fn next(&self, connected: &Connected) -> Option<Arc<Outgoing>> {
        loop {
            {
                let mut state = self.lock();
                let is_over = state.is_over;
                // Who was replaced is told so in another way.
                if let Some(client) = state.connected(connected.number) {
                    if let Some(message) = client.waiting.pop_front() {
                        client.writing = Some(Arc::clone(&message));
                        return Some(message);
                    }
                    if is_over {
                        return None;
                    }
                }
            }
            connected.filled.notified().await;
        }
    }

    /// Takes note that the last message was sent.
    pub(super) fn sent(&self, connected: &Connected) {
        let mut state = self.lock();
        if let Some(client) = state.connected(connected.number)
            && let Some(message) = client.writing.take()
        {
            client.size -= message.len();
            client.taken.notify_one();
        }
    }

    /// Disconnects a client, unless it has another connection. What follows is kept for it, after what it has not got.
    #[expect(clippy::needless_pass_by_value, reason = "it is over")]
    pub(super) fn disconnect(&self, connected: Connected) {
        let mut state = self.lock();
        let is_this = |it: &Connection| it.number == connected.number;
        let position = state.clients.iter();
        let mut position = position.map(|it| it.connection.as_ref().is_some_and(is_this));
        let Some(at) = position.position(|it| it) else {
            return;
        };
        let mut client = state.clients.remove(at);
        client.leave();
        // Who waits for it goes on.
        client.taken.notify_one();
        if client.is_named && !state.is_over {
            let is_absent = |it: &Client| it.connection.is_none();
            let absent = state.clients.iter().filter(|it| is_absent(it)).count();
            if absent >= MOST_ABSENT
                && let Some(at) = state.clients.iter().position(is_absent)
            {
                state.clients.remove(at);
            }
            state.clients.push(client);
        }
        self.in_use.send_replace(state.connections() > 0);
    }

    /// Whether a message to this session is not lost.
    pub(super) fn reaches(&self, session: &[u8]) -> bool {
        let state = self.lock();
        let mut clients = state.clients.iter();
        clients.any(|it| it.session.as_bytes() == session)
    }

    /// Sends a message to its client, or to all. Waits for those that take less than what is sent, but not for long.
    pub(super) async fn deliver(&self, message: Message) {
        if !self.note(&message) {
            return;
        }
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
        let mut slow = Vec::new();
        {
            let mut state = self.lock();
            for client in state.clients.iter_mut().filter(|it| is_for(&it.session)) {
                if !client.takes(&outgoing, &self.stamp) {
                    slow.push((client.session.clone(), Arc::clone(&client.taken)));
                }
            }
        }
        let waits = slow.into_iter().map(async |(session, taken)| {
            let has_room = self.room(&session, &taken).await;
            let mut state = self.lock();
            if let Some(client) = state.clients.iter_mut().find(|it| it.session == session) {
                client.is_left_behind |= !has_room;
                client.keep(Arc::clone(&outgoing), &self.stamp);
            }
        });
        join_all(waits).await;
    }

    /// Waits until a client has taken enough of what waits for it, or has left: `false` if it takes too little.
    async fn room(&self, session: &str, taken: &Notify) -> bool {
        // How much waits for it, unless that is little enough.
        let rest = || {
            let state = self.lock();
            let client = state.clients.iter().find(|it| it.session == session)?;
            (client.connection.is_some() && client.size > ENOUGH).then_some(client.size)
        };
        let mut before = rest();
        while let Some(size) = before {
            let some = async {
                loop {
                    taken.notified().await;
                    let now = rest();
                    if now.is_none_or(|now| now + LEAST <= size) {
                        return now;
                    }
                }
            };
            match timeout(PATIENCE, some).await {
                Ok(now) => before = now,
                Err(_) => return false,
            }
        }
        true
    }

    /// Takes note of what a message says of the kernel. Whether clients are to have it.
    fn note(&self, message: &Message) -> bool {
        let parent: Value = match message.kind {
            "status" => serde_json::from_slice(&message.parent).unwrap_or_default(),
            "input_request" => {
                self.lock().is_asked = true;
                return true;
            }
            _ => return true,
        };
        let state = message.content["execution_state"].as_str();
        if state == Some("idle") {
            self.lock().requested.remove(&message.parent);
        }
        let parent = parent["msg_type"].as_str();
        let is_tracked = parent.is_none_or(|kind| !UNTRACKED.contains(&kind));
        let mut known = self.lock();
        match state {
            // It has started before any message.
            Some("starting") => return true,
            Some(state) if is_tracked => state.clone_into(&mut known.execution),
            _ => return true,
        }
        if parent.is_some() {
            known.last_activity = now();
        } else if state == Some("idle") {
            // Some were given up, and nothing was said of them.
            known.requested = Requested::default();
            drop(known);
            self.renewals.send_modify(|count| *count += 1);
        } else if state == Some("restarting") {
            return known.restarts == 0;
        }
        true
    }

    /// Lets clients go, once they have got what waits for them.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_over = true;
        "dead".clone_into(&mut state.execution);
        state.clients.retain(|it| it.connection.is_some());
        for connection in state.clients.iter().filter_map(|it| it.connection.as_ref()) {
            connection.filled.notify_one();
        }
    }
}
