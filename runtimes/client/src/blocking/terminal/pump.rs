//! A terminal's thread: moves messages between the WebSocket and the state that it shares.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sorna_core::terminal::{Frame, Terminal, TerminalOptions};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

use super::shared::{Ending, Next, Shared};
use super::wait::{Interest, Waiter, pair};
use crate::blocking::dial::Connection;
use crate::clock::Clock;
use crate::terminal::socket_error;

/// The most messages that are read before something is sent again.
const BURST: usize = 64;

/// How long the gateway may take to accept the answer to its close.
const GOODBYE: Duration = Duration::from_secs(2);

pub(super) struct Pump {
    peer: String,
    clock: Clock,
    socket: WebSocket<Connection>,
    waiter: Waiter,
    /// Something was given to the socket and is perhaps not sent yet.
    unflushed: bool,
    /// Dropped last: when it is told that this thread is through, the connection is closed.
    shared: Ending,
}

/// Why reading paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// Nothing came.
    Empty,
    /// There is no room.
    Full,
    /// It is somebody else's turn.
    Turn,
    /// The gateway said goodbye.
    Closed,
}

impl Pump {
    /// Starts the thread. The socket must not block.
    pub(super) fn start(
        peer: String,
        clock: Clock,
        socket: WebSocket<Connection>,
        options: TerminalOptions,
    ) -> io::Result<Arc<Shared>> {
        Ok(Self::spawn(peer, clock, socket, options)?.0)
    }

    fn spawn(
        peer: String,
        clock: Clock,
        socket: WebSocket<Connection>,
        options: TerminalOptions,
    ) -> io::Result<(Arc<Shared>, JoinHandle<()>)> {
        let (waker, waiter) = pair()?;
        let terminal = Terminal::new(options, clock.now());
        let shared = Arc::new(Shared::new(terminal, waker));
        let pump = Self {
            peer,
            clock,
            socket,
            waiter,
            unflushed: false,
            shared: Ending(Arc::clone(&shared)),
        };
        let builder = thread::Builder::new().name("sorna-terminal".to_owned());
        let thread = builder.spawn(move || pump.run())?;
        Ok((shared, thread))
    }

    fn run(mut self) {
        if let Err(error) = self.pump() {
            match socket_error(&self.peer, error) {
                Some(failure) => self.shared.0.failed(failure),
                None => self.shared.0.closed(None, ""),
            }
        }
        self.socket.get_mut().finish();
    }

    /// Works until the terminal is closed or nobody uses it any more.
    fn pump(&mut self) -> Result<(), Error> {
        loop {
            if self.shared.0.is_abandoned() {
                return self.leave();
            }
            let timer = self.send()?;
            let pause = self.receive()?;
            if pause == Pause::Closed {
                return self.acknowledge();
            }
            // The other way round this would miss what reading has to answer.
            self.unflushed |= self.socket.get_ref().wants_write();
            if pause == Pause::Turn || !self.shared.0.fall_asleep(pause == Pause::Full) {
                continue;
            }
            let interest = Interest {
                read: pause == Pause::Empty,
                write: self.unflushed,
            };
            let waited = self.wait(interest, timer.map(|until| self.clock.until(until)));
            self.shared.0.wake_up();
            waited?;
        }
    }

    fn wait(&mut self, interest: Interest, limit: Option<Duration>) -> Result<(), Error> {
        let tcp = self.socket.get_ref().tcp();
        Ok(self.waiter.wait(tcp, interest, limit)?)
    }

    /// Sends what there is, as far as the connection takes it. Says when there is more, if that is a
    /// matter of time.
    fn send(&mut self) -> Result<Option<sorna_core::Instant>, Error> {
        loop {
            if !self.flush()? {
                return Ok(None);
            }
            let written = match self.shared.0.next_outgoing(self.clock.now()) {
                Next::Message(message) => self.socket.write(message),
                Next::Goodbye => self.say_goodbye(),
                Next::Wait(until) => return Ok(Some(until)),
                Next::Nothing => return Ok(None),
            };
            // The socket keeps what it could not send.
            self.unflushed = true;
            unless_blocked(written)?;
        }
    }

    /// Whether everything is sent.
    fn flush(&mut self) -> Result<bool, Error> {
        if self.unflushed {
            self.unflushed = unless_blocked(self.socket.flush())?.is_none();
        }
        Ok(!self.unflushed)
    }

    fn say_goodbye(&mut self) -> Result<(), Error> {
        self.socket.close(Some(CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        }))
    }

    /// Takes what came, as far as there is room for it.
    fn receive(&mut self) -> Result<Pause, Error> {
        let mut came = false;
        let pause = self.receive_some(&mut came);
        if came {
            self.shared.0.show();
        }
        pause
    }

    fn receive_some(&mut self, came: &mut bool) -> Result<Pause, Error> {
        for _ in 0..BURST {
            if !self.shared.0.has_room() {
                return Ok(Pause::Full);
            }
            let frame = match unless_blocked(self.socket.read())? {
                None => return Ok(Pause::Empty),
                Some(Message::Text(text)) => Frame::Text(text.as_str().to_owned()),
                Some(Message::Binary(bytes)) => Frame::Binary(bytes),
                Some(Message::Close(frame)) => {
                    let (code, reason) = frame
                        .map(|frame| (u16::from(frame.code), frame.reason.as_str().to_owned()))
                        .unzip();
                    let reason = reason.unwrap_or_default();
                    self.shared.0.closed(code, &reason);
                    return Ok(Pause::Closed);
                }
                Some(_) => {
                    // A ping has an answer now.
                    self.unflushed = true;
                    continue;
                }
            };
            self.shared.0.arrived(self.clock.now(), frame);
            *came = true;
        }
        Ok(Pause::Turn)
    }

    /// Answers the gateway's goodbye, so that it need not wait for the answer. What comes behind it
    /// is not read: gateway 0.9.11 may send an HTTP answer there.
    fn acknowledge(&mut self) -> Result<(), Error> {
        self.unflushed = true;
        let until = Instant::now() + GOODBYE;
        let write = Interest {
            read: false,
            write: true,
        };
        while !self.flush()? {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.wait(write, Some(left))?;
        }
        Ok(())
    }

    /// Says goodbye if that is possible at once.
    fn leave(&mut self) -> Result<(), Error> {
        // Not into the middle of a message.
        if self.flush()? {
            unless_blocked(self.say_goodbye())?;
        }
        Ok(())
    }
}

/// `None` if the socket would block.
fn unless_blocked<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use tungstenite::protocol::Role;

    use super::*;
    use crate::blocking::dial::dial;
    use crate::net::{NetOptions, Origin};
    use crate::terminal::QUEUE;

    struct Scene {
        shared: Arc<Shared>,
        thread: JoinHandle<()>,
        gateway: WebSocket<TcpStream>,
    }

    fn scene() -> Scene {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let origin = Origin::of(&url.parse().expect("a URL")).expect("an origin");
        let mut connection = dial(&NetOptions::default(), &origin).expect("a connection");
        connection.stop_blocking().expect("a socket");
        let socket = WebSocket::from_raw_socket(connection, Role::Client, None);
        let options = TerminalOptions::default();
        let started = Pump::spawn("gateway".to_owned(), Clock::start(), socket, options);
        let (shared, thread) = started.expect("a thread");
        let (tcp, _) = listener.accept().expect("a connection");
        tcp.set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a socket");
        Scene {
            shared,
            thread,
            gateway: WebSocket::from_raw_socket(tcp, Role::Server, None),
        }
    }

    impl Scene {
        fn drop_halves(&self) {
            self.shared.drop_writer();
            self.shared.drop_reader();
        }
    }

    #[test]
    fn the_thread_ends_when_nobody_is_left() {
        let mut scene = scene();
        assert!(matches!(scene.gateway.read(), Ok(Message::Text(_))));
        scene.drop_halves();
        scene.thread.join().unwrap();
        assert!(matches!(
            scene.gateway.read(),
            Ok(Message::Close(Some(CloseFrame {
                code: CloseCode::Normal,
                ..
            })))
        ));
    }

    #[test]
    fn the_thread_ends_in_the_middle_of_a_message_that_nobody_takes() {
        let mut scene = scene();
        // It stays full for longer than typing is held back at the start.
        let halted = |shared: &Shared| {
            (0..100).all(|_| {
                thread::sleep(Duration::from_millis(5));
                shared.lock().terminal.queued() >= QUEUE
            })
        };
        while !halted(&scene.shared) {
            scene.shared.take(&[0; QUEUE]).unwrap();
        }
        scene.drop_halves();
        scene.thread.join().unwrap();
        // What was on its way comes, then the end.
        let end = scene.gateway.get_mut().read_to_end(&mut Vec::new());
        assert!(end.is_ok_and(|bytes| bytes > QUEUE));
    }

    #[test]
    fn the_thread_ends_with_the_terminal_though_both_halves_are_there() {
        let mut scene = scene();
        scene.gateway.close(None).unwrap();
        scene.thread.join().unwrap();
        assert!(scene.shared.lock().is_over());
        assert!(!scene.shared.is_abandoned());
    }

    #[test]
    fn the_thread_ends_with_the_connection() {
        let scene = scene();
        drop(scene.gateway);
        scene.thread.join().unwrap();
        assert!(scene.shared.next_event().is_err());
        assert_eq!(scene.shared.next_event().unwrap(), None);
    }

    #[test]
    fn the_thread_ends_while_there_is_no_room_for_output() {
        let mut scene = scene();
        while scene.shared.has_room() {
            scene.gateway.send(Message::text("?")).unwrap();
        }
        scene.drop_halves();
        scene.thread.join().unwrap();
    }
}
