//! A terminal for blocking use.

use std::fmt;
use std::io::{self, Read, Write};
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use sorna_core::Error;
use sorna_core::terminal::TerminalEvent;

use super::shared::Shared;

/// How long [`Pty::close`] waits for the gateway's goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// A terminal on a kernel, full duplex. [`split`](Self::split) it to read and write from different
/// threads.
///
/// ```no_run
/// use sorna::blocking::Client;
/// use sorna::terminal::{TerminalEvent, TerminalOptions};
///
/// let kernel = Client::from_env()?.get_or_create("bash", None)?;
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
/// A thread in the background moves the messages and sends the pings that keep the kernel alive. It
/// takes at most 64 events in advance, or 1 MiB and one message: then a reader that is slow slows the
/// program in the kernel, since the gateway can send no further. A writer that is fast waits once
/// 64 KiB wait to be sent.
///
/// Dropping it, or both halves, ends the thread and closes the connection, with a goodbye if that can
/// be sent at once; the kernel lives on. What was typed through [`Write`] without a
/// [`flush`](Write::flush) may be lost then.
#[derive(Debug)]
pub struct Pty {
    reader: PtyReader,
    writer: PtyWriter,
}

/// The reading half of a [`Pty`]: an [`Iterator`] over the events, or [`Read`] for the output alone.
///
/// Once it is dropped, output is thrown away, and does not stop the program in the kernel.
pub struct PtyReader {
    shared: Arc<Shared>,
    /// Output that was not read yet.
    rest: Bytes,
}

/// The writing half of a [`Pty`]; also [`Write`], which waits only for room unless it is flushed.
///
/// Clones write to the same terminal, each whole call of at most 64 KiB in one piece.
pub struct PtyWriter {
    shared: Arc<Shared>,
}

impl Pty {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            reader: PtyReader {
                shared: Arc::clone(&shared),
                rest: Bytes::new(),
            },
            writer: PtyWriter { shared },
        }
    }

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

    /// Says goodbye and waits for the gateway's, for at most 2 s in all. The kernel lives on.
    ///
    /// # Errors
    ///
    /// The connection broke before the goodbye was sent, or it could not be sent in time.
    pub fn close(self) -> Result<(), Error> {
        self.writer.shared.part(Instant::now() + GOODBYE)
    }
}

impl PtyReader {
    /// Waits for the next event; `None` after the end.
    ///
    /// # Errors
    ///
    /// The connection broke, or what came is not a WebSocket. There are no more events then.
    pub fn next_event(&mut self) -> Result<Option<TerminalEvent>, Error> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Ok(Some(TerminalEvent::Output(rest)));
        }
        self.shared.next_event()
    }

    /// Whether it is closed. Events may still wait to be read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_over()
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
    /// Waits for output. What the gateway reports as a problem is an error here; reading may go on
    /// after it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.rest.is_empty() {
            match self.shared.next_event().map_err(io::Error::other)? {
                Some(TerminalEvent::Output(bytes)) => self.rest = bytes,
                Some(TerminalEvent::Error(words)) => return Err(io::Error::other(words)),
                Some(_) => {}
                None => return Ok(0),
            }
        }
        let taken = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}

impl PtyWriter {
    /// Types bytes, and waits until they are on their way: for as long as it takes, while the gateway
    /// takes nothing.
    ///
    /// # Errors
    ///
    /// [`UsageError::TerminalClosed`](sorna_core::UsageError::TerminalClosed) if the terminal is
    /// closed, or the connection broke in the meantime.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.shared.take_all(bytes)
    }

    /// Tells the window's new size, in lines and columns.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn resize(&mut self, rows: u16, cols: u16) -> Result<(), Error> {
        self.shared.command(|terminal| terminal.resize(rows, cols))
    }

    /// Restarts the kernel; the terminal goes on with the new one.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn restart(&mut self) -> Result<(), Error> {
        self.shared.command(|terminal| terminal.restart())
    }

    /// Says that the client is still there; happens by itself every 30 s, or as the options say.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn ping(&mut self) -> Result<(), Error> {
        self.shared.command(|terminal| terminal.ping())
    }

    /// Says goodbye, after all that was typed. The reading half then sees the end; the kernel lives
    /// on.
    ///
    /// # Errors
    ///
    /// The connection broke before.
    pub fn close(&mut self) -> Result<(), Error> {
        self.shared.close()
    }
}

impl Write for PtyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.shared.take(bytes).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shared.flush().map_err(io::Error::other)
    }
}

impl Clone for PtyWriter {
    fn clone(&self) -> Self {
        self.shared.add_writer();
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for PtyWriter {
    fn drop(&mut self) {
        self.shared.drop_writer();
    }
}

impl Drop for PtyReader {
    fn drop(&mut self) {
        self.shared.drop_reader();
    }
}

impl fmt::Debug for PtyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PtyReader").finish_non_exhaustive()
    }
}

impl fmt::Debug for PtyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PtyWriter").finish_non_exhaustive()
    }
}
