//! Things that block for as long as they like, with a time limit: on threads of their own.
//!
//! A thread that lost ends when the system's look-up does, or at the deadline; nobody waits for it.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::socket::{Deadline, late};
use crate::net::hop::{HEAD_START, interleave};

/// The addresses of a name.
pub(super) fn resolve(host: &str, port: u16, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
    let (sender, receiver) = mpsc::channel();
    let host = host.to_owned();
    detach("sorna-resolve", move || {
        let found = (host.as_str(), port).to_socket_addrs();
        // Nobody listens any more if it took too long.
        let _late = sender.send(found.map(Iterator::collect));
    })?;
    receive(&receiver, deadline.left()?).unwrap_or_else(|| Err(late()))
}

/// Connects to the address that answers first, each having a head start before the next.
pub(super) fn connect(addresses: Vec<SocketAddr>, deadline: Deadline) -> io::Result<TcpStream> {
    let tcp = match addresses[..] {
        [address] => connect_one(address, deadline)?,
        _ => connect_any(interleave(addresses), deadline)?,
    };
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

fn connect_one(address: SocketAddr, deadline: Deadline) -> io::Result<TcpStream> {
    let Some(left) = deadline.left()? else {
        return TcpStream::connect(address);
    };
    TcpStream::connect_timeout(&address, left).map_err(|error| {
        // The system's own timeout has a number.
        let ours = error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none();
        if ours { late() } else { error }
    })
}

fn connect_any(addresses: Vec<SocketAddr>, deadline: Deadline) -> io::Result<TcpStream> {
    let (sender, receiver) = mpsc::channel();
    let mut waiting = addresses.into_iter();
    let mut running = 0;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = waiting.next() {
            let sender = sender.clone();
            detach("sorna-connect", move || {
                // Nobody listens any more if another address was faster: this one is closed.
                let _slower = sender.send(connect_one(address, deadline));
            })?;
            running += 1;
        }
        if running == 0 {
            return Err(failure);
        }
        let left = deadline.left()?;
        let patience = match waiting.len() {
            0 => left,
            _ => Some(left.map_or(HEAD_START, |left| left.min(HEAD_START))),
        };
        match receive(&receiver, patience) {
            Some(Ok(tcp)) => return Ok(tcp),
            Some(Err(error)) => {
                running -= 1;
                failure = error;
            }
            None => {}
        }
    }
}

/// What a thread has to say; `None` if it says nothing in time.
fn receive<T>(
    receiver: &Receiver<io::Result<T>>,
    patience: Option<Duration>,
) -> Option<io::Result<T>> {
    let silent = || io::Error::other("a thread ended before its work");
    match patience {
        None => Some(receiver.recv().unwrap_or_else(|_| Err(silent()))),
        Some(patience) => match receiver.recv_timeout(patience) {
            Ok(said) => Some(said),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(silent())),
        },
    }
}

fn detach(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        let parse = |address: &&str| address.parse().expect("an address");
        list.iter().map(parse).collect()
    }

    #[test]
    fn every_address_is_tried() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let open = listener.local_addr().unwrap();
        // Nobody listens there.
        let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let tcp = connect(vec![closed, closed, open], Deadline::after(LONG)).unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), open);
        assert!(tcp.nodelay().unwrap());
        let error = connect(vec![closed, closed], Deadline::after(LONG)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = connect(Vec::new(), Deadline::after(LONG)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn no_time_left_is_said_to_be_that() {
        use super::super::socket::is_late;

        let over = Deadline::after(Duration::ZERO);
        let two = addresses(&["127.0.0.1:1", "127.0.0.1:2"]);
        for error in [
            connect(addresses(&["127.0.0.1:1"]), over).unwrap_err(),
            connect(two, over).unwrap_err(),
            resolve("localhost", 1, over).unwrap_err(),
        ] {
            assert!(is_late(&error), "{error}");
        }
    }
}
