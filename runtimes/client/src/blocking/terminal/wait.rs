//! Waiting for a socket and for other threads at the same time.

#[cfg(not(unix))]
pub(super) use self::anywhere::{Waiter, Waker, pair};
#[cfg(unix)]
pub(super) use self::unix::{Waiter, Waker, pair};

/// What a socket is expected to be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) read: bool,
    pub(super) write: bool,
}

#[cfg(unix)]
mod unix {
    use std::io::{self, Read as _, Write as _};
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;

    use super::Interest;

    /// Ends the wait of the other half, or the next one.
    #[derive(Debug)]
    pub(in super::super) struct Waker(UnixStream);

    #[derive(Debug)]
    pub(in super::super) struct Waiter(UnixStream);

    pub(in super::super) fn pair() -> io::Result<(Waker, Waiter)> {
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        Ok((Waker(sender), Waiter(receiver)))
    }

    impl Waker {
        pub(in super::super) fn wake(&self) {
            // If there is no room, there is enough to wake up for; if nobody is there, nobody waits.
            let _full = (&self.0).write(&[0]);
        }
    }

    impl Waiter {
        /// Waits until the socket is ready, the waker was used, or the time is over.
        pub(in super::super) fn wait(
            &mut self,
            tcp: &TcpStream,
            interest: Interest,
            limit: Option<Duration>,
        ) -> io::Result<()> {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, interest.read);
            flags.set(PollFlags::OUT, interest.write);
            let mut entries = [PollFd::new(&self.0, PollFlags::IN), PollFd::new(tcp, flags)];
            // A broken connection is always reported: without interest in it, that would be at once
            // and for ever.
            let watched = if flags.is_empty() { 1 } else { 2 };
            // A limit that is too long for the system is none.
            let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
            match poll(&mut entries[..watched], limit.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !entries[0].revents().is_empty() {
                let _all = (&self.0).read(&mut [0; 64]);
            }
            Ok(())
        }
    }
}

/// Where there is no `poll`: looks at the socket a hundred times a second.
#[cfg(any(test, not(unix)))]
mod anywhere {
    use std::io;
    use std::net::TcpStream;
    use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
    use std::time::Duration;

    use super::Interest;

    const STEP: Duration = Duration::from_millis(10);

    #[derive(Debug)]
    pub(in super::super) struct Waker(SyncSender<()>);

    #[derive(Debug)]
    pub(in super::super) struct Waiter(Receiver<()>);

    #[expect(
        clippy::unnecessary_wraps,
        reason = "the other implementation can fail"
    )]
    pub(in super::super) fn pair() -> io::Result<(Waker, Waiter)> {
        let (sender, receiver) = mpsc::sync_channel(1);
        Ok((Waker(sender), Waiter(receiver)))
    }

    impl Waker {
        pub(in super::super) fn wake(&self) {
            let _full = self.0.try_send(());
        }
    }

    impl Waiter {
        #[expect(
            clippy::unnecessary_wraps,
            reason = "the other implementation can fail"
        )]
        pub(in super::super) fn wait(
            &mut self,
            _: &TcpStream,
            interest: Interest,
            limit: Option<Duration>,
        ) -> io::Result<()> {
            let limit = match limit {
                _ if interest.read || interest.write => Some(limit.map_or(STEP, |l| l.min(STEP))),
                limit => limit,
            };
            let _woken = match limit {
                Some(limit) => self.0.recv_timeout(limit),
                None => self.0.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(60));
    const SHORT: Option<Duration> = Some(Duration::from_millis(1));
    const NOTHING: Interest = Interest {
        read: false,
        write: false,
    };
    const READ: Interest = Interest {
        read: true,
        write: false,
    };
    const WRITE: Interest = Interest {
        read: false,
        write: true,
    };

    fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let here = TcpStream::connect(listener.local_addr().expect("an address"));
        (
            here.expect("a connection"),
            listener.accept().expect("a connection").0,
        )
    }

    // Each wait that should end by itself would else take a minute.

    #[cfg(unix)]
    #[test]
    fn a_socket_and_a_waker_end_a_wait() {
        let (here, mut there) = sockets();
        let (waker, mut waiter) = pair().unwrap();
        waiter.wait(&here, WRITE, LONG).unwrap();
        for _ in 0..100_000 {
            waker.wake();
        }
        waiter.wait(&here, READ, LONG).unwrap();
        there.write_all(b"x").unwrap();
        waiter.wait(&here, READ, LONG).unwrap();
        drop(there);
        waiter.wait(&here, READ, Some(Duration::MAX)).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_broken_socket_without_interest_does_not_end_it() {
        let (here, there) = sockets();
        (&here).write_all(b"unread").unwrap();
        drop(there);
        let (_waker, mut waiter) = pair().unwrap();
        waiter.wait(&here, READ, LONG).unwrap();
        let start = std::time::Instant::now();
        let limit = Duration::from_millis(50);
        waiter.wait(&here, NOTHING, Some(limit)).unwrap();
        assert!(start.elapsed() >= limit);
    }

    #[test]
    fn the_other_way_to_wait_ends_too() {
        let (here, _there) = sockets();
        let (waker, mut waiter) = super::anywhere::pair().unwrap();
        waker.wake();
        waker.wake();
        waiter.wait(&here, NOTHING, None).unwrap();
        waiter.wait(&here, NOTHING, SHORT).unwrap();
        waiter.wait(&here, READ, LONG).unwrap();
        waiter.wait(&here, WRITE, None).unwrap();
    }
}
