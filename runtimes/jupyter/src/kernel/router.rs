//! A socket that has requests of many clients, and replies to each of them.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, BufReader};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::outbox::{Outbox, PATIENCE};
use super::places::{Listener, Listening, Place, Stream, listen};
use super::seal::Seal;
use super::zmtp::{Frames, Limits, Said, answer, greet, said};
use crate::lock::lock;
use crate::message::{Message, Request};

/// What a message may have. The size is that of messages over WebSockets.
const LIMITS: Limits = Limits {
    size: 16 * 1024 * 1024,
    parts: 512,
};
/// The longest name that a client may give itself, in bytes.
const MOST_NAMED: usize = 255;

/// The socket.
pub(super) struct Router {
    clients: Arc<Clients>,
    seal: Arc<Seal>,
    _listening: Listening,
}

impl Router {
    /// Listens, and passes on the messages whose signature is right. What else comes is left alone: whoever has no key gets no
    /// answer.
    pub(super) fn of(
        listener: Listener,
        seal: &Arc<Seal>,
        requests: UnboundedSender<Request>,
    ) -> io::Result<Self> {
        let clients = Arc::<Clients>::default();
        let all = Arc::clone(&clients);
        let unseal = Arc::clone(seal);
        let listening = listen(listener, move |stream, place| {
            let (all, seal) = (Arc::clone(&all), Arc::clone(&unseal));
            attend(stream, place, all, seal, requests.clone())
        })?;
        Ok(Self {
            clients,
            seal: Arc::clone(seal),
            _listening: listening,
        })
    }

    /// Sends a message to the client that its first identity names. Returns whether there is one. Waits if the client is slow, but
    /// not for long: then it misses what is sent until it has taken what waits.
    pub(super) async fn send(&self, message: Message) -> bool {
        let mut parts = self.seal.close(message);
        let name = parts.remove(0);
        let Some(client) = self.clients.named(&name) else {
            return false;
        };
        let frames = Frames::of(parts);
        if !client.outbox.takes(&frames, false) {
            client.outbox.wait(&frames, Instant::now() + PATIENCE).await;
        }
        true
    }
}

/// Those that are connected.
#[derive(Default)]
struct Clients {
    all: Mutex<Vec<Arc<Client>>>,
    names: AtomicU32,
    ranks: AtomicU64,
}

struct Client {
    name: Bytes,
    outbox: Outbox,
    /// Of those with its name, the one with the highest gets the messages.
    rank: AtomicU64,
    has_key: Mutex<bool>,
    is_here: bool,
}

impl Clients {
    /// The one with this name.
    ///
    /// Clients reconnect under the name that they had, while the connection before may still be there, dead without a word. ZeroMQ
    /// would keep them out until it is gone, which can take as long as TCP tries. So the newest connection gets what is sent, as
    /// with Jupyter's own kernels, which set `ROUTER_HANDOVER`. Those close the one before; here, it gets its name back with its
    /// next message that is signed. And no one takes the name without the key while a connection of this machine has it that has
    /// shown that it knows the key: such a one is not dead, for it would be closed.
    fn named(&self, name: &[u8]) -> Option<Arc<Client>> {
        let all = lock(&self.all);
        let named = all.iter().filter(|it| it.name == name);
        named.max_by_key(|it| it.rank.load(Relaxed)).cloned()
    }

    /// The next rank, which is the highest.
    fn rank(&self) -> u64 {
        self.ranks.fetch_add(1, Relaxed) + 1
    }

    /// A client that has come, and has named itself.
    fn enter(self: &Arc<Self>, name: Bytes, is_here: bool) -> io::Result<Entered> {
        let name = match &name[..] {
            [] => self.name(),
            // Those that are made up.
            [0, ..] => return Err(io::ErrorKind::InvalidData.into()),
            _ if name.len() > MOST_NAMED => return Err(io::ErrorKind::InvalidData.into()),
            _ => name,
        };
        let holder = self.named(&name);
        let is_held = holder.is_some_and(|it| it.is_here && *lock(&it.has_key));
        let client = Arc::new(Client {
            name,
            outbox: Outbox::default(),
            rank: AtomicU64::new(if is_held { 0 } else { self.rank() }),
            has_key: Mutex::new(false),
            is_here,
        });
        lock(&self.all).push(Arc::clone(&client));
        let clients = Arc::clone(self);
        Ok(Entered { client, clients })
    }

    /// A name for one that has none, as ZeroMQ makes them up.
    fn name(&self) -> Bytes {
        let mut name = BytesMut::new();
        name.put_u8(0);
        name.put_u32(self.names.fetch_add(1, Relaxed));
        name.freeze()
    }
}

/// A client, for as long as it is connected.
struct Entered {
    client: Arc<Client>,
    clients: Arc<Clients>,
}

impl Entered {
    /// It has the key.
    fn trusted(&self) {
        *lock(&self.client.has_key) = true;
        self.client.rank.store(self.clients.rank(), Relaxed);
    }

    /// Passes on what it sends.
    async fn read(
        &self,
        mut stream: impl AsyncRead + Unpin,
        place: &Place,
        seal: &Seal,
        requests: &UnboundedSender<Request>,
    ) -> io::Result<()> {
        loop {
            match said(&mut stream, LIMITS, &mut |count| place.hold(count)).await? {
                Said::Message(mut parts) => {
                    parts.insert(0, self.client.name.clone());
                    if let Some(request) = seal.open(parts) {
                        self.trusted();
                        place.trusted();
                        if requests.send(request).is_err() {
                            return Ok(());
                        }
                    }
                }
                Said::Command(command) => {
                    if let Some(answer) = answer(&command) {
                        self.client.outbox.offer(&answer);
                    }
                }
            }
            place.release();
            // Whoever floods it gets no more than a share.
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        lock(&self.clients.all).retain(|it| !Arc::ptr_eq(it, &self.client));
        self.client.outbox.close();
    }
}

/// Has to do with a client until it is gone.
async fn attend(
    stream: impl Stream,
    place: Place,
    all: Arc<Clients>,
    seal: Arc<Seal>,
    requests: UnboundedSender<Request>,
) -> io::Result<()> {
    let (from, mut to) = tokio::io::split(stream);
    let mut from = BufReader::new(from);
    let name = greet(&mut from, &mut to, "ROUTER").await?;
    place.greeted();
    let entered = all.enter(name, place.is_here())?;
    tokio::select! {
        written = entered.client.outbox.write(to, &place) => written,
        read = entered.read(from, &place, &seal, &requests) => read,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::json;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex, split};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use crate::kernel::outbox;
    use crate::kernel::places::some_place;
    use crate::kernel::zmtp::Pieces;

    fn entered(clients: &Arc<Clients>, name: &'static str, is_here: bool) -> Entered {
        clients.enter(Bytes::from(name), is_here).unwrap()
    }

    fn has_name(entered: &Entered) -> bool {
        let named = entered.clients.named(&entered.client.name);
        named.is_some_and(|it| Arc::ptr_eq(&it, &entered.client))
    }

    #[test]
    fn names_are_given_to_those_without() {
        let clients = Arc::<Clients>::default();
        let [first, second] = [entered(&clients, "", true), entered(&clients, "", true)];
        assert_eq!(first.client.name[..], [0; 5]);
        assert_eq!(second.client.name[..], [0, 0, 0, 0, 1]);
        assert!(has_name(&first) && has_name(&second));
        assert!(clients.enter(Bytes::from_static(b"\0abcd"), true).is_err());
        assert!(clients.enter(vec![7; 256].into(), true).is_err());
        drop(first);
        assert!(clients.named(&[0; 5]).is_none() && has_name(&second));
    }

    #[test]
    fn who_reconnects_gets_its_name() {
        let clients = Arc::<Clients>::default();
        // One that may be dead without a word, though it had the key.
        let old = entered(&clients, "a", false);
        old.trusted();
        let new = entered(&clients, "a", false);
        assert!(has_name(&new) && !has_name(&old));
        // It was not.
        old.trusted();
        assert!(has_name(&old));
        drop(old);
        assert!(has_name(&new));
    }

    #[test]
    fn without_the_key_nobody_takes_the_name_of_one_with_it() {
        let clients = Arc::<Clients>::default();
        let first = entered(&clients, "a", true);
        let second = entered(&clients, "a", true);
        assert!(has_name(&second));
        first.trusted();
        assert!(has_name(&first));
        let third = entered(&clients, "a", true);
        assert!(has_name(&first));
        third.trusted();
        assert!(has_name(&third));
        drop(third);
        assert!(has_name(&first));
        drop(first);
        assert!(has_name(&second));
    }

    struct Sockets {
        router: Router,
        requests: UnboundedReceiver<Request>,
        sender: UnboundedSender<Request>,
    }

    impl Sockets {
        fn new() -> Self {
            let seal = Arc::new(Seal::new("a key", "s".to_owned()));
            let (sender, requests) = unbounded_channel();
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let router = Router::of(Listener::Tcp(listener), &seal, sender.clone()).unwrap();
            Self {
                router,
                requests,
                sender,
            }
        }

        async fn connected(&self) -> DuplexStream {
            let (client, server) = duplex(64 * 1024);
            let Router { clients, seal, .. } = &self.router;
            let (clients, seal) = (Arc::clone(clients), Arc::clone(seal));
            let attended = attend(server, some_place(true), clients, seal, self.sender.clone());
            tokio::spawn(attended);
            let (mut from, mut to) = split(client);
            greet(&mut from, &mut to, "DEALER").await.unwrap();
            from.unsplit(to)
        }

        async fn asked(&mut self, client: &mut DuplexStream) -> Request {
            let message = Message::new("kernel_info_request", json!({}));
            let frames = Frames::of(self.router.seal.close(message));
            client
                .write_all_buf(&mut Pieces::from(&frames))
                .await
                .unwrap();
            self.requests.recv().await.unwrap()
        }
    }

    #[tokio::test]
    async fn replies_go_to_whom_they_are_for() {
        let mut sockets = Sockets::new();
        let mut clients = [sockets.connected().await, sockets.connected().await];
        let mut requests = Vec::new();
        for client in &mut clients {
            requests.push(sockets.asked(client).await);
        }
        for (kind, request) in ["second", "first"].into_iter().zip(requests.iter().rev()) {
            assert!(sockets.router.send(request.child(kind, json!({}))).await);
        }
        for (client, kind) in clients.iter_mut().zip(["first", "second"]) {
            let reply = said(client, LIMITS, &mut |_| {}).await.unwrap();
            let Said::Message(parts) = reply else {
                panic!("a command");
            };
            let reply = sockets.router.seal.open(parts).unwrap();
            assert_eq!(reply.kind(), kind);
        }
        // One that is gone gets nothing, and the other what is for it.
        let [gone, _other] = clients;
        drop(gone);
        while sockets.router.clients.named(&[0; 5]).is_some() {
            tokio::task::yield_now().await;
        }
        assert!(!sockets.router.send(requests[0].child("x", json!({}))).await);
        assert!(sockets.router.send(requests[1].child("x", json!({}))).await);
    }

    #[tokio::test]
    async fn who_takes_no_replies_holds_up_nobody() {
        let mut sockets = Sockets::new();
        let mut stuck = sockets.connected().await;
        let request = sockets.asked(&mut stuck).await;
        let content = json!({"text": "a".repeat(outbox::MOST / 4)});
        let sent = Instant::now();
        for _ in 0..32 {
            let reply = request.child("reply", content.clone());
            assert!(sockets.router.send(reply).await);
        }
        assert!(sent.elapsed() < 16 * PATIENCE);
        let client = sockets.router.clients.named(&[0; 5]).unwrap();
        assert!(client.outbox.size() < 2 * outbox::MOST);
    }

    #[tokio::test]
    async fn messages_that_are_too_large_end_the_connection() {
        let sockets = Sockets::new();
        let endless = [1, 0].repeat(LIMITS.parts + 1);
        let large = [&[2][..], &(1_u64 << 62).to_be_bytes(), b"abc"].concat();
        for bytes in [endless, large] {
            let mut client = sockets.connected().await;
            client.write_all(&bytes).await.unwrap();
            assert!(said(&mut client, LIMITS, &mut |_| {}).await.is_err());
        }
    }
}
