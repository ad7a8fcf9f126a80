//! A server in a separate process, so that the processor time of this one is the client's.

use std::io::{BufRead, BufReader, Read, stdin};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use tokio::net::{TcpListener, TcpStream};

/// The argument that turns a benchmark into a server.
const SERVE: &str = "serve";

/// The other process; it ends when this is dropped, or this process ends.
pub struct Server {
    pub address: SocketAddr,
    child: Child,
    leash: Option<ChildStdin>,
}

impl Server {
    /// Starts this program once more, as a server of that kind.
    pub fn start(kind: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a program"))
            .args([SERVE, kind])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("another process");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        Self {
            address: line.trim().parse().expect("an address"),
            leash: child.stdin.take(),
            child,
        }
    }

    /// The ID of its process.
    #[allow(dead_code, reason = "not every benchmark needs it")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, and waits for its end.
    #[allow(dead_code, reason = "not every benchmark does that")]
    pub fn kill(&mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("its end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.leash.take());
        let _ = self.child.wait();
    }
}

/// The kind of server that this process should be, if it is one.
pub fn asked_for() -> Option<String> {
    let mut arguments = std::env::args().skip(1);
    (arguments.next()? == SERVE).then(|| arguments.next().expect("a kind"))
}

/// Accepts connections and serves each, until the process ends.
pub fn serve_each<W>(work: impl Fn(TcpStream) -> W)
where
    W: Future<Output: Send> + Send + 'static,
{
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime")
        .block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            announce(listener.local_addr().expect("an address"));
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("an option");
                tokio::spawn(work(stream));
            }
        });
}

/// Reports the address of this process, and makes it end with the one that started it.
fn announce(address: SocketAddr) {
    println!("{address}");
    thread::spawn(|| {
        let _ = stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}
