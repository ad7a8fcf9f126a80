//! A connected stream, encrypted or not.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use rustls::ClientConnection;

use super::socket::{Deadline, Socket};

/// A connection to a gateway, through a proxy and TLS where the options and the URL say so.
///
/// `rustls::StreamOwned` would not do for a socket that does not block. It reads nothing while
/// something encrypted waits to be written, so that two peers who both write wait for each other for
/// ever; and a full buffer is a write of no bytes to it, which means a closed connection to others.
pub(in crate::blocking) struct Connection(Kind);

enum Kind {
    Plain(Socket),
    Tls(Box<Tls>),
}

struct Tls {
    session: ClientConnection,
    socket: Socket,
}

impl Connection {
    pub(super) fn plain(socket: Socket) -> Self {
        Self(Kind::Plain(socket))
    }

    pub(super) fn tls(session: ClientConnection, socket: Socket) -> Self {
        Self(Kind::Tls(Box::new(Tls { session, socket })))
    }

    fn socket(&self) -> &Socket {
        match &self.0 {
            Kind::Plain(socket) => socket,
            Kind::Tls(tls) => &tls.socket,
        }
    }

    fn socket_mut(&mut self) -> &mut Socket {
        match &mut self.0 {
            Kind::Plain(socket) => socket,
            Kind::Tls(tls) => &mut tls.socket,
        }
    }

    /// The socket, to wait for.
    pub(in crate::blocking) fn tcp(&self) -> &TcpStream {
        self.socket().tcp()
    }

    /// When reads and writes have to be done.
    pub(in crate::blocking) fn set_deadline(&mut self, deadline: Deadline) {
        self.socket_mut().set_deadline(deadline);
    }

    /// From now on, what would block is an error.
    pub(in crate::blocking) fn stop_blocking(&mut self) -> io::Result<()> {
        self.socket_mut().stop_blocking()
    }

    /// Whether something waits to be written that nobody asked to write, or could not be.
    pub(in crate::blocking) fn wants_write(&self) -> bool {
        matches!(&self.0, Kind::Tls(tls) if tls.session.wants_write())
    }

    /// Ends the sending side, as far as that is possible without waiting.
    pub(in crate::blocking) fn finish(&mut self) {
        if let Kind::Tls(tls) = &mut self.0 {
            tls.session.send_close_notify();
            let _best_effort = tls.push();
        }
        let _may_be_closed = self.tcp().shutdown(Shutdown::Write);
    }
}

impl Tls {
    /// Writes what is encrypted; whether that was everything.
    fn push(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Also the end, and an end that nobody announced.
                read => return read,
            }
            self.session.read_tls(&mut self.socket)?;
            if let Err(error) = self.session.process_new_packets() {
                // There may be an alert to send.
                let _best_effort = self.push();
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push()?;
        let written = self.session.writer().write(bytes)?;
        self.push()?;
        if written == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.push()? {
            self.socket.flush()
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(socket) => socket.read(buffer),
            Kind::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(socket) => socket.write(bytes),
            Kind::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Plain(socket) => socket.flush(),
            Kind::Tls(tls) => tls.flush(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("secure", &matches!(self.0, Kind::Tls(_)))
            .finish_non_exhaustive()
    }
}
