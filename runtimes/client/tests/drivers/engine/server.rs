//! Servers that run a script, byte by byte.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// No server waits longer than this for a client; only a failing test reaches this limit.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with one thread for each connection; it ends when it is dropped, and passes on panics of
/// its script.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    stop: AtomicBool,
    threads: Mutex<Vec<(Weak<TcpStream>, JoinHandle<()>)>>,
}

impl Server {
    /// Runs the script for every connection, with the connection's number, from 0.
    pub(crate) fn start(script: impl Fn(usize, Peer) + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0", script)
    }

    pub(crate) fn start_on(
        address: &str,
        script: impl Fn(usize, Peer) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let script = Arc::new(script);
        let acceptor = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                for stream in listener.incoming() {
                    if state.stop.load(SeqCst) {
                        return;
                    }
                    let number = state.connections.fetch_add(1, SeqCst);
                    let script = Arc::clone(&script);
                    let peer = Peer::new(stream.unwrap());
                    let stream = Arc::downgrade(&peer.tcp);
                    let thread = thread::spawn(move || script(number, peer));
                    state.threads.lock().unwrap().push((stream, thread));
                }
            }
        });
        Self {
            address,
            state,
            acceptor: Some(acceptor),
        }
    }

    /// Responds to every request on every connection with 200 and the request's body.
    pub(crate) fn echo() -> Self {
        Self::start(|_, mut peer| {
            while let Some(request) = peer.request() {
                peer.answer("200 OK", &request.body);
            }
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stop.store(true, SeqCst);
        let _wake = TcpStream::connect(self.address);
        let mut ended = vec![self.acceptor.take().map(JoinHandle::join)];
        for (stream, thread) in self.state.threads.lock().unwrap().drain(..) {
            // The client may keep living, with an idle connection that is never used again.
            if let Some(stream) = stream.upgrade() {
                stream.shutdown(Shutdown::Read).ok();
            }
            ended.push(Some(thread.join()));
        }
        for outcome in ended.into_iter().flatten() {
            if let Err(panic) = outcome
                && !thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// The client's end, as a server's script sees it.
pub(crate) struct Peer {
    tcp: Arc<TcpStream>,
    tls: Option<Box<dyn Stream>>,
    /// What was read and not yet taken.
    pub(crate) input: Vec<u8>,
}

/// Something encrypted over the socket.
pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A request as received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Peer {
    fn new(tcp: TcpStream) -> Self {
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        Self {
            tcp: Arc::new(tcp),
            tls: None,
            input: Vec::new(),
        }
    }

    /// Encrypts the connection from here on.
    pub(crate) fn encrypt<S: Stream + 'static>(&mut self, wrap: impl FnOnce(TcpStream) -> S) {
        self.tls = Some(Box::new(wrap(self.tcp.try_clone().unwrap())));
    }

    /// Reads more into `input`; false at the end.
    pub(crate) fn read(&mut self) -> bool {
        let mut buf = [0; 64 * 1024];
        let read = match &mut self.tls {
            Some(tls) => tls.read(&mut buf),
            None => (&*self.tcp).read(&mut buf),
        };
        match read {
            Ok(n) => {
                self.input.extend_from_slice(&buf[..n]);
                n > 0
            }
            Err(error) => {
                let late = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
                assert!(!late.contains(&error.kind()), "the client does nothing");
                false
            }
        }
    }

    /// Reads one head; none if the client closes first.
    pub(crate) fn head(&mut self) -> Option<String> {
        let end = loop {
            if let Some(end) = self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if !self.read() {
                return None;
            }
        };
        let head = self.input.drain(..end).collect();
        Some(String::from_utf8(head).unwrap())
    }

    /// Reads one request with its body; none if the client closes first.
    pub(crate) fn request(&mut self) -> Option<Received> {
        let head = self.head()?;
        let mut received = Received {
            head,
            body: Vec::new(),
        };
        let len = received.header("content-length");
        let len: usize = len.map_or(0, |len| len.parse().unwrap());
        while self.input.len() < len {
            if !self.read() {
                return None;
            }
        }
        received.body = self.input.drain(..len).collect();
        Some(received)
    }

    /// Sends bytes; a client that has closed the connection is not an error.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _gone = match &mut self.tls {
            Some(tls) => tls.write_all(bytes.as_ref()).and_then(|()| tls.flush()),
            None => (&*self.tcp).write_all(bytes.as_ref()),
        };
    }

    /// Sends a response with a `Content-Length`.
    pub(crate) fn answer(&mut self, status: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        self.send(bytes);
    }

    /// Closes the sending side.
    pub(crate) fn finish(&mut self) {
        self.tcp.shutdown(Shutdown::Write).ok();
    }

    /// Reads until the client closes, and discards the bytes.
    pub(crate) fn drain(&mut self) {
        while self.read() {
            self.input.clear();
        }
    }

    /// Passes bytes on in both directions until both sides have closed.
    pub(crate) fn forward(self, to: SocketAddr) {
        let up = TcpStream::connect(to).unwrap();
        let (mut client, mut server) = (self.tcp.try_clone().unwrap(), up.try_clone().unwrap());
        let back = thread::spawn(move || {
            io::copy(&mut server, &mut client).ok();
            client.shutdown(Shutdown::Write).ok();
        });
        let (mut client, mut server) = (&*self.tcp, up);
        server.write_all(&self.input).unwrap();
        io::copy(&mut client, &mut server).ok();
        server.shutdown(Shutdown::Write).ok();
        back.join().unwrap();
    }
}
