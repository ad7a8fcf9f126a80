//! Parks a thread until a socket is ready, another thread wakes it, or its time is over.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::SeqCst};
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

#[cfg(unix)]
use self::unix::Pipe;

/// Where sockets cannot be waited for (no `poll`, or no file descriptor left for the pipe), they are
/// tried again this often.
const STEP: Duration = Duration::from_millis(10);

/// A socket that does not block.
#[derive(Debug)]
pub(super) struct Tcp {
    pub(super) stream: TcpStream,
    /// The last read took everything there was. That saves a system call for each message: the next
    /// read waits before it tries. Only a hint: at worst a thread waits for bytes that are there
    /// already.
    pub(super) drained: AtomicBool,
}

/// What to wait for on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Read,
    Write,
}

/// Parks and wakes one thread.
#[derive(Debug)]
pub(super) struct Parker {
    thread: Thread,
    woken: AtomicBool,
    /// The thread waits in `poll`, so only the pipe can wake it.
    #[cfg(unix)]
    polls: AtomicBool,
    #[cfg(unix)]
    pipe: std::sync::OnceLock<Option<Pipe>>,
}

impl Parker {
    /// A parker for the current thread.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            thread: thread::current(),
            woken: AtomicBool::new(false),
            #[cfg(unix)]
            polls: AtomicBool::new(false),
            #[cfg(unix)]
            pipe: std::sync::OnceLock::new(),
        })
    }

    /// Forgets that it was woken. Call it before checking the reasons for which it may be woken.
    pub(super) fn reset(&self) {
        self.woken.store(false, SeqCst);
    }

    /// Parks the thread, unless it was woken since the last reset. May return early.
    pub(super) fn park(&self, sockets: &[(Arc<Tcp>, Readiness)], alarm: Option<Instant>) {
        let limit = alarm.map(|at| at.saturating_duration_since(Instant::now()));
        if self.woken.load(SeqCst) || limit == Some(Duration::ZERO) {
            return;
        }
        if sockets.is_empty() {
            return match limit {
                Some(limit) => thread::park_timeout(limit),
                None => thread::park(),
            };
        }
        #[cfg(unix)]
        if let Some(pipe) = self.pipe.get_or_init(Pipe::new) {
            self.polls.store(true, SeqCst);
            // From here on, waking it means writing to the pipe.
            let polled = self.woken.load(SeqCst) || pipe.poll(sockets, limit).is_ok();
            self.polls.store(false, SeqCst);
            if polled {
                return;
            }
        }
        thread::park_timeout(limit.map_or(STEP, |limit| limit.min(STEP)));
        for (socket, _) in sockets {
            socket.drained.store(false, Relaxed);
        }
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, SeqCst);
        #[cfg(unix)]
        if self.polls.load(SeqCst)
            && let Some(Some(pipe)) = self.pipe.get()
        {
            return pipe.wake();
        }
        self.thread.unpark();
    }
}

#[cfg(unix)]
mod unix {
    use std::io::{self, Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;

    use super::{Readiness, Tcp};

    /// Ends a `poll` of the thread that has it.
    #[derive(Debug)]
    pub(super) struct Pipe {
        sender: UnixStream,
        receiver: UnixStream,
    }

    impl Pipe {
        /// `None` if the system has no more file descriptors.
        pub(super) fn new() -> Option<Self> {
            let (sender, receiver) = UnixStream::pair().ok()?;
            sender.set_nonblocking(true).ok()?;
            receiver.set_nonblocking(true).ok()?;
            Some(Self { sender, receiver })
        }

        pub(super) fn wake(&self) {
            // If the pipe is full, its content is enough to wake the thread.
            let _ = (&self.sender).write(&[0]);
        }

        /// Waits until a socket is ready, the thread is woken, or its time is over.
        pub(super) fn poll(
            &self,
            sockets: &[(Arc<Tcp>, Readiness)],
            limit: Option<Duration>,
        ) -> io::Result<()> {
            let mut entries = Vec::with_capacity(1 + sockets.len());
            entries.push(PollFd::new(&self.receiver, PollFlags::IN));
            entries.extend(sockets.iter().map(|(socket, readiness)| {
                let flags = match readiness {
                    Readiness::Read => PollFlags::IN,
                    Readiness::Write => PollFlags::OUT,
                };
                PollFd::new(&socket.stream, flags)
            }));
            // A limit that is too long for the system counts as no limit.
            let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
            match poll(&mut entries, limit.as_ref()) {
                Ok(_) => {}
                // By a signal: the future is polled once more, and waits again.
                Err(Errno::INTR) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            if !entries[0].revents().is_empty() {
                let _ = (&self.receiver).read(&mut [0; 64]);
            }
            for ((socket, readiness), entry) in sockets.iter().zip(&entries[1..]) {
                if *readiness == Readiness::Read && !entry.revents().is_empty() {
                    socket.drained.store(false, Relaxed);
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn sockets() -> (Arc<Tcp>, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("an address"));
        let here = Tcp {
            stream: stream.expect("a connection"),
            drained: AtomicBool::new(true),
        };
        (Arc::new(here), listener.accept().expect("a connection").0)
    }

    fn soon() -> Option<Instant> {
        Some(Instant::now() + LONG)
    }

    // A call that does not return early takes a minute.

    #[test]
    fn ready_socket_ends_parking() {
        let (here, mut there) = sockets();
        let parker = Parker::new();
        parker.park(&[(Arc::clone(&here), Readiness::Write)], soon());
        assert!(here.drained.load(Relaxed));
        there.write_all(b"x").unwrap();
        let both = [
            (Arc::clone(&here), Readiness::Read),
            (Arc::clone(&sockets().0), Readiness::Read),
        ];
        parker.park(&both, soon());
        assert!(!here.drained.load(Relaxed));
        drop(there);
        parker.park(&both[..1], None);
    }

    #[test]
    fn another_thread_ends_parking() {
        let (here, _there) = sockets();
        let parker = Parker::new();
        let sockets = [(here, Readiness::Read)];
        for with_socket in [true, false] {
            for delay in [0, 0, 20] {
                parker.reset();
                let waker = Arc::clone(&parker);
                let thread = thread::spawn(move || {
                    thread::sleep(Duration::from_millis(delay));
                    waker.wake();
                });
                while !parker.woken.load(SeqCst) {
                    parker.park(if with_socket { &sockets } else { &[] }, soon());
                }
                thread.join().unwrap();
            }
        }
        // Woken many times over, it still parks afterwards.
        for _ in 0..100_000 {
            Arc::clone(&parker).wake();
        }
        parker.reset();
        parker.park(&[], Some(Instant::now() + Duration::from_millis(1)));
    }

    #[test]
    fn alarm_ends_parking() {
        let (here, _there) = sockets();
        let parker = Parker::new();
        for sockets in [&[][..], &[(here, Readiness::Read)]] {
            let alarm = Instant::now() + Duration::from_millis(20);
            while Instant::now() < alarm {
                parker.park(sockets, Some(alarm));
            }
        }
    }
}
