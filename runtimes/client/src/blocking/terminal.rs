//! A terminal for blocking use.

use std::io::{self, Read, Write};
use std::iter::FusedIterator;
use std::thread::{self, JoinHandle};

use sorna_core::terminal::{TerminalEvent, TerminalOptions};
use sorna_core::{Error, Sent, TransportError, TransportErrorKind};

use super::transport::UreqTransport;
use super::wait::wait;
use crate::terminal;

/// Opens a terminal, and starts the thread that keeps it alive.
pub(super) fn open(
    kernel: &crate::Kernel<UreqTransport>,
    options: TerminalOptions,
) -> Result<Pty, Error> {
    let pty = wait(kernel.stream_pty(options))?;
    let (pty, _) = start(pty).map_err(|error| {
        let message = "could not start a thread for the terminal";
        let failure = TransportError::new(TransportErrorKind::Other, Sent::Maybe, message);
        Error::Transport(failure.with_source(error))
    })?;
    Ok(pty)
}

fn start(pty: terminal::Pty<UreqTransport>) -> io::Result<(Pty, JoinHandle<()>)> {
    let stand_in = pty.stand_in();
    let builder = thread::Builder::new().name("sorna-terminal".to_owned());
    let thread = builder.spawn(move || wait(stand_in.run()))?;
    let (reader, writer) = pty.split();
    let pty = Pty {
        reader: PtyReader(reader),
        writer: PtyWriter(writer),
    };
    Ok((pty, thread))
}

/// A terminal on a kernel, full duplex. [`split`](Self::split) it to read and write from different
/// threads.
///
/// ```no_run
/// use sorna::{TerminalEvent, TerminalOptions};
/// use sorna::blocking::Client;
///
/// let kernel = Client::from_env()?.create("bash")?;
/// let mut pty = kernel.stream_pty(TerminalOptions::default())?;
/// pty.write(b"echo hello; exit\n")?;
/// while let Some(event) = pty.next_event()? {
///     if let TerminalEvent::Output(bytes) = event {
///         print!("{}", String::from_utf8_lossy(&bytes));
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The calling thread sends and receives the messages. While no thread reads, one in the background
/// does so, and sends the pings that keep the kernel alive. It reads at most 64 events ahead, or 64
/// KiB and one message. Beyond that, a slow reader slows the program in the kernel, since the
/// gateway cannot send any more. A fast writer is held up while 64 KiB wait to be sent.
///
/// Dropping it, or both halves, ends the background thread and closes the connection, with a close
/// message if it can be sent within 2 s; the kernel stays. What was typed through [`Write`] without
/// a [`flush`](Write::flush) may then be lost.
#[derive(Debug)]
pub struct Pty {
    reader: PtyReader,
    writer: PtyWriter,
}

/// The reading half of a [`Pty`]: an [`Iterator`] over the events, or [`Read`] for the output alone.
///
/// Once it is dropped, output is discarded, so the program in the kernel is not held up.
#[derive(Debug)]
pub struct PtyReader(terminal::PtyReader<UreqTransport>);

/// The writing half of a [`Pty`]; also [`Write`], which waits only for room unless it is flushed.
///
/// Clones write to the same terminal. A call with at most 64 KiB is never mixed with others.
#[derive(Debug)]
pub struct PtyWriter(terminal::PtyWriter<UreqTransport>);

impl Pty {
    /// The two halves, for different threads. The connection ends when both are dropped.
    #[must_use]
    pub fn split(self) -> (PtyReader, PtyWriter) {
        (self.reader, self.writer)
    }

    /// As [`PtyReader::next_event`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn next_event(&mut self) -> Result<Option<TerminalEvent>, Error> {
        self.reader.next_event()
    }

    /// As [`PtyWriter::write`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.writer.write(bytes)
    }

    /// As [`PtyWriter::resize`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn resize(&mut self, rows: u16, cols: u16) -> Result<(), Error> {
        self.writer.resize(rows, cols)
    }

    /// As [`PtyWriter::restart`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.writer.restart()
    }

    /// As [`PtyWriter::ping`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn ping(&mut self) -> Result<(), Error> {
        self.writer.ping()
    }

    /// Whether it is closed. Events may still wait to be read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.reader.is_closed()
    }

    /// Sends a close message and waits for the gateway's, for at most 2 s in all. The kernel keeps living.
    ///
    /// # Errors
    ///
    /// The connection broke before the close message was sent, or it could not be sent in time.
    pub fn close(self) -> Result<(), Error> {
        wait(self.reader.0.close_both())
    }
}

impl PtyReader {
    /// Waits for the next event; `None` after the end.
    ///
    /// # Errors
    ///
    /// The connection broke, or what arrived was not WebSocket. There are no more events then.
    pub fn next_event(&mut self) -> Result<Option<TerminalEvent>, Error> {
        wait(self.0.next_event())
    }

    /// Whether it is closed. Events may still wait to be read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Iterator for PtyReader {
    type Item = Result<TerminalEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}

impl FusedIterator for PtyReader {}

impl Read for PtyReader {
    /// Waits for output. A problem that the gateway reports is an error here; reading can continue
    /// after it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        wait(self.0.read(buffer))
    }
}

impl PtyWriter {
    /// Types bytes, and waits until they are sent. There is no time limit if the gateway does not
    /// read.
    ///
    /// # Errors
    ///
    /// [`UsageError::TerminalClosed`](sorna_core::UsageError::TerminalClosed) if the terminal is
    /// closed, or the connection broke in the meantime.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        wait(self.0.write(bytes))
    }

    /// Reports the window's new size, in lines and columns.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn resize(&mut self, rows: u16, cols: u16) -> Result<(), Error> {
        wait(self.0.resize(rows, cols))
    }

    /// Restarts the kernel; the terminal continues with the new one.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn restart(&mut self) -> Result<(), Error> {
        wait(self.0.restart())
    }

    /// Says that the client is still there; also sent automatically every 30 s, or as the options say.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn ping(&mut self) -> Result<(), Error> {
        wait(self.0.ping())
    }

    /// Sends a close message after everything that was typed. The reading half then sees the end;
    /// the kernel keeps living.
    ///
    /// # Errors
    ///
    /// The connection had broken already.
    pub fn close(&mut self) -> Result<(), Error> {
        wait(self.0.close())
    }
}

impl Write for PtyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        wait(self.0.write_some(bytes)).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        wait(self.0.flush()).map_err(io::Error::other)
    }
}

impl Clone for PtyWriter {
    fn clone(&self) -> Self {
        Self(self.0.another())
    }
}

impl Drop for PtyWriter {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Drop for PtyReader {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::time::Duration;

    use sorna_core::{AccessKey, Config, Credentials, KernelId, SecretKey};
    use tungstenite::protocol::CloseFrame;
    use tungstenite::protocol::frame::coding::CloseCode;
    use tungstenite::{Message, WebSocket};

    use super::*;
    use crate::ClientOptions;
    use crate::blocking::wait::wait_at_most;

    struct Scene {
        pty: Pty,
        thread: JoinHandle<()>,
        gateway: WebSocket<TcpStream>,
    }

    fn scene() -> Scene {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let gateway = thread::spawn(move || {
            let (tcp, _) = listener.accept().expect("a connection");
            tcp.set_read_timeout(Some(Duration::from_secs(20)))
                .expect("a socket");
            tungstenite::accept(tcp).expect("a handshake")
        });
        let keys = Credentials::new(
            AccessKey::new("AKIAIOSFODNN7EXAMPLE").expect("a key"),
            SecretKey::new("wJalrXUtnFEMI").expect("a key"),
        );
        let config = Config::new(url.parse().expect("a URL"), keys)
            .with_version(sorna_core::ApiVersion::V2_20170315);
        let client = crate::blocking::Client::with_options(config, ClientOptions::default());
        let kernel = client.0.kernel(KernelId::new("k").expect("an ID"));
        let opened = wait(kernel.stream_pty(TerminalOptions::default()));
        let (pty, thread) = start(opened.expect("a terminal")).expect("a thread");
        Scene {
            pty,
            thread,
            gateway: gateway.join().expect("a gateway"),
        }
    }

    #[test]
    fn thread_ends_when_both_halves_are_dropped() {
        let Scene {
            pty,
            thread,
            mut gateway,
        } = scene();
        assert!(matches!(gateway.read(), Ok(Message::Text(_))));
        drop(pty);
        thread.join().unwrap();
        assert!(matches!(
            gateway.read(),
            Ok(Message::Close(Some(CloseFrame {
                code: CloseCode::Normal,
                ..
            })))
        ));
    }

    #[test]
    fn thread_ends_in_the_middle_of_a_message_that_is_not_read() {
        const PIECE: usize = 64 * 1024;

        let Scene {
            pty,
            thread,
            mut gateway,
        } = scene();
        let (reader, mut writer) = pty.split();
        let piece = vec![b'x'; PIECE];
        // Longer than typed bytes are held back at the start.
        let full = Duration::from_millis(500);
        while wait_at_most(full, writer.0.write_some(&piece)).is_some() {}
        drop((reader, writer));
        thread.join().unwrap();
        let end = gateway.get_mut().read_to_end(&mut Vec::new());
        assert!(end.is_ok_and(|bytes| bytes > PIECE));
    }

    #[test]
    fn thread_ends_with_the_terminal_while_both_halves_exist() {
        let Scene {
            pty,
            thread,
            mut gateway,
        } = scene();
        gateway.close(None).unwrap();
        thread.join().unwrap();
        assert!(pty.is_closed());
    }

    #[test]
    fn thread_ends_with_the_connection() {
        let Scene {
            mut pty,
            thread,
            gateway,
        } = scene();
        drop(gateway);
        thread.join().unwrap();
        assert!(pty.next_event().is_err());
        assert_eq!(pty.next_event().unwrap(), None);
    }

    #[test]
    fn thread_ends_while_there_is_no_room_for_output() {
        let Scene {
            mut pty,
            thread,
            mut gateway,
        } = scene();
        for _ in 0..1000 {
            gateway.send(Message::text("?")).unwrap();
        }
        // The reader receives the first one, the next are read ahead.
        assert!(pty.next_event().unwrap().is_some());
        thread::sleep(Duration::from_millis(100));
        drop(pty);
        thread.join().unwrap();
    }
}
