//! The clients of a kernel: who is connected, and what those get that come back.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::frames::Outgoing;
use crate::message::{Channel, EMPTY, Message, Stamp, now};

/// How much waits for a client before who makes messages waits for it, in bytes.
const BACKLOG: usize = 4 * 1024 * 1024;
/// How much of that may be left when they are not to wait any longer.
const ENOUGH: usize = BACKLOG / 2;
/// How long they wait for a client to take this much, in bytes. Who takes less is left behind.
const PATIENCE: Duration = Duration::from_secs(1);
const LEAST: usize = 256 * 1024;
/// How much is kept for a client that is not connected, or is left behind, in bytes. Output that comes after that is left out.
const KEPT: usize = 16 * 1024 * 1024;
/// How much more is kept of what is not output: replies, questions and states.
const KEPT_REPLIES: usize = 4 * 1024 * 1024;
/// How many requests of a client may wait, with the one that is carried out, and how large they may be in sum, in bytes.
const MOST_REQUESTS: usize = 10_000;
const MOST_REQUESTED: usize = 64 * 1024 * 1024;
/// How many times that of all clients together.
const SHARES: usize = 4;
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

/// Who has connected, and what waits for it: what is kept belongs to the client, whichever connection it has.
struct Client {
    session: String,
    /// Whether it has named its session, so that it may come back.
    is_named: bool,
    connection: Option<Connection>,
    waiting: VecDeque<Arc<Outgoing>>,
    /// What is being written to its connection.
    writing: Option<Arc<Outgoing>>,
    /// The bytes of both.
    size: usize,
    /// Whether it was waited for in vain, so that no one waits for it until it has taken what is kept.
    is_left_behind: bool,
    /// Whether output was left out since then.
    is_cut: bool,
    /// Notified when it has taken something, or will take nothing more.
    taken: Arc<Notify>,
}

struct Connection {
    number: u64,
    filled: Arc<Notify>,
    replaced: Arc<Notify>,
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

/// Requests that have not been carried out.
#[derive(Default)]
struct Requested {
    /// Who has sent them, and their sizes, by their headers. Clients may send the same twice.
    all: HashMap<Bytes, Vec<(String, usize)>>,
    /// How many they are of each client, and their sizes.
    loads: HashMap<String, Load>,
    sum: Load,
}

#[derive(Clone, Copy, Default)]
struct Load {
    count: usize,
    size: usize,
}

impl Load {
    fn is_within(self, shares: usize) -> bool {
        self.count <= shares * MOST_REQUESTS && self.size <= shares * MOST_REQUESTED
    }

    fn with(self, size: usize) -> Self {
        Self {
            count: self.count + 1,
            size: self.size + size,
        }
    }

    fn without(self, size: usize) -> Self {
        Self {
            count: self.count - 1,
            size: self.size - size,
        }
    }
}

impl Requested {
    /// Adds a request, unless there are too many: `false` then.
    fn add(&mut self, session: &str, header: &Bytes, size: usize) -> bool {
        let load = self.loads.get(session).copied().unwrap_or_default();
        let (load, sum) = (load.with(size), self.sum.with(size));
        let is_within = load.is_within(1) && sum.is_within(SHARES);
        if is_within {
            self.sum = sum;
            self.loads.insert(session.to_owned(), load);
            let known = self.all.entry(header.clone()).or_default();
            known.push((session.to_owned(), size));
        }
        is_within
    }

    /// Takes note that one with this header was carried out.
    fn remove(&mut self, header: &Bytes) {
        let Some(known) = self.all.get_mut(header) else {
            return;
        };
        let first = (!known.is_empty()).then(|| known.remove(0));
        if known.is_empty() {
            self.all.remove(header);
        }
        let Some((session, size)) = first else {
            return;
        };
        self.sum = self.sum.without(size);
        if let Some(load) = self.loads.get_mut(&session) {
            *load = load.without(size);
            if load.count == 0 {
                self.loads.remove(&session);
            }
        }
    }
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
            None => state.clients.push(Client {
                session: session.to_owned(),
                is_named,
                connection: Some(connection),
                waiting: VecDeque::new(),
                writing: None,
                size: 0,
                is_left_behind: false,
                is_cut: false,
                taken: Arc::default(),
            }),
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

impl Client {
    fn connect(&mut self, connection: Connection) {
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
    fn leave(&mut self) {
        if let Some(older) = self.connection.take() {
            older.replaced.notify_one();
        }
        if let Some(unsent) = self.writing.take() {
            self.waiting.push_front(unsent);
        }
    }

    /// Whether it has been given a message, or will not get it. If not, it is to be waited for.
    fn takes(&mut self, message: &Arc<Outgoing>, stamp: &Stamp) -> bool {
        if self.size <= ENOUGH {
            (self.is_left_behind, self.is_cut) = (false, false);
        }
        let is_slow = self.connection.is_some() && !self.is_left_behind && self.size >= BACKLOG;
        if !is_slow {
            self.keep(Arc::clone(message), stamp);
        }
        !is_slow
    }

    fn keep(&mut self, message: Arc<Outgoing>, stamp: &Stamp) {
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
