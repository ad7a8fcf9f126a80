//! A terminal for async use.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::future::{Either, select};
use sorna_core::terminal::{Terminal, TerminalEvent};
use sorna_core::{Error, Sent, TransportError, TransportErrorKind};

use super::duplex::Duplex;
use super::queue::QUEUE;
use crate::lock::lock;
use crate::net::UpgradeTransport;

/// How long [`Pty::close`] waits for the gateway's close message.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// A terminal on a kernel, full duplex. [`split`](Self::split) it to read and write from different
/// tasks.
///
/// ```no_run
/// # use sorna::{Kernel, net::UpgradeTransport};
/// use sorna::{TerminalEvent, TerminalOptions};
/// # async fn example<T: UpgradeTransport + 'static>(kernel: Kernel<T>) -> Result<(), sorna::Error> {
///
/// let mut pty = kernel.stream_pty(TerminalOptions::default()).await?;
/// pty.write(b"echo hello; exit\n").await?;
/// while let Some(event) = pty.next_event().await? {
///     if let TerminalEvent::Output(bytes) = event {
///         print!("{}", String::from_utf8_lossy(&bytes));
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// No task runs in the background, so nothing happens between calls. A slow reader slows the
/// program in the kernel, since the gateway cannot send more; a fast writer has to wait. Pings,
/// which keep the kernel alive, are sent while you wait for the next event.
pub struct Pty<T: UpgradeTransport> {
    pub(super) reader: PtyReader<T>,
    writer: PtyWriter<T>,
}

/// The reading half of a [`Pty`]: a [`Stream`] of events, or [`AsyncRead`] for the output alone.
pub struct PtyReader<T: UpgradeTransport> {
    pub(super) shared: Arc<Mutex<Duplex<T>>>,
    /// Output that was not read yet.
    rest: Bytes,
}

/// The writing half of a [`Pty`]; also [`AsyncWrite`].
pub struct PtyWriter<T: UpgradeTransport> {
    pub(super) shared: Arc<Mutex<Duplex<T>>>,
}

impl<T: UpgradeTransport + 'static> Pty<T> {
    pub(super) fn new(duplex: Duplex<T>) -> Self {
        let shared = Arc::new(Mutex::new(duplex));
        Self {
            reader: PtyReader {
                shared: Arc::clone(&shared),
                rest: Bytes::new(),
            },
            writer: PtyWriter { shared },
        }
    }

    /// The two halves, for different tasks. The connection ends when both are dropped.
    #[must_use]
    pub fn split(self) -> (PtyReader<T>, PtyWriter<T>) {
        (self.reader, self.writer)
    }

    /// As [`PtyReader::next_event`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn next_event(&mut self) -> Result<Option<TerminalEvent>, Error> {
        self.reader.next_event().await
    }

    /// As [`PtyWriter::write`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.writer.write(bytes).await
    }

    /// As [`PtyWriter::resize`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn resize(&mut self, rows: u16, cols: u16) -> Result<(), Error> {
        self.writer.resize(rows, cols).await
    }

    /// As [`PtyWriter::restart`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.writer.restart().await
    }

    /// As [`PtyWriter::ping`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.writer.ping().await
    }

    /// Whether it is closed. Events may still wait to be read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.reader.is_closed()
    }

    /// Sends a close message and waits for the gateway's, for at most 2 s. The kernel keeps living.
    ///
    /// # Errors
    ///
    /// The connection broke before the close message was sent, or it could not be sent in time.
    pub async fn close(self) -> Result<(), Error> {
        self.reader.close_both().await
    }
}

impl<T: UpgradeTransport + 'static> PtyReader<T> {
    /// Closes the terminal, for both halves: as [`Pty::close`].
    pub(crate) async fn close_both(&self) -> Result<(), Error> {
        let shared = &self.shared;
        let limit = lock(shared).sleep(CLOSE_TIME);
        let closing = poll_fn(|context| lock(shared).poll_close_both(context));
        match select(pin!(closing), limit).await {
            Either::Left((result, _)) => result,
            Either::Right(_) if lock(shared).has_sent_close() => Ok(()),
            Either::Right(_) => {
                let message =
                    "the gateway does not read, so the terminal was closed without a close message";
                let kind = TransportErrorKind::Timeout;
                let failure = TransportError::new(kind, Sent::Maybe, message);
                Err(Error::Transport(failure))
            }
        }
    }

    /// Waits for the next event; `None` after the end. May be dropped and called again without loss.
    ///
    /// # Errors
    ///
    /// The connection broke, or what arrived was not WebSocket. There are no more events then.
    pub async fn next_event(&mut self) -> Result<Option<TerminalEvent>, Error> {
        poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<TerminalEvent>, Error>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Ok(Some(TerminalEvent::Output(rest))));
        }
        lock(&self.shared).poll_event(context)
    }

    /// Whether it is closed. Events may still wait to be read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.shared).terminal.is_closed()
    }

    fn poll_output(
        &mut self,
        context: &mut Context<'_>,
        take: impl FnOnce(&mut Bytes),
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(lock(&self.shared).poll_event(context)).map_err(io::Error::other)? {
                Some(TerminalEvent::Output(bytes)) => self.rest = bytes,
                Some(TerminalEvent::Error(message)) => {
                    return Poll::Ready(Err(io::Error::other(message)));
                }
                Some(_) => {}
                None => return Poll::Ready(Ok(())),
            }
        }
        take(&mut self.rest);
        Poll::Ready(Ok(()))
    }
}

impl<T: UpgradeTransport + 'static> PtyWriter<T> {
    /// Types bytes, and waits until they are sent.
    ///
    /// If the future is dropped, the bytes that were already accepted are sent with the next ones.
    ///
    /// # Errors
    ///
    /// The terminal is closed, or its connection broke.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        lock(&self.shared).check_open()?;
        while !bytes.is_empty() {
            let taken = poll_fn(|context| self.poll_type(context, bytes)).await?;
            bytes = &bytes[taken..];
        }
        self.flush().await
    }

    /// Reports the window's new size, in lines and columns.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn resize(&mut self, rows: u16, cols: u16) -> Result<(), Error> {
        self.command(|terminal| terminal.resize(rows, cols)).await
    }

    /// Restarts the kernel; the terminal continues with the new one.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.command(Terminal::restart).await
    }

    /// Says that the client is still there; also sent automatically every 30 s while you wait for
    /// the next event.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.command(Terminal::ping).await
    }

    /// Sends a close message. The reading half then sees the end; the kernel keeps living.
    ///
    /// # Errors
    ///
    /// The connection had broken already.
    pub async fn close(&mut self) -> Result<(), Error> {
        poll_fn(|context| lock(&self.shared).poll_close(context)).await
    }

    async fn command(&mut self, give: impl FnOnce(&mut Terminal)) -> Result<(), Error> {
        {
            let mut duplex = lock(&self.shared);
            duplex.check_open()?;
            give(&mut duplex.terminal);
        }
        self.flush().await
    }

    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|context| lock(&self.shared).poll_flush(context)).await
    }

    /// Accepts as many bytes as there is room for.
    pub(super) fn poll_type(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Error>> {
        let mut duplex = lock(&self.shared);
        ready!(duplex.poll_room(context))?;
        let taken = bytes.len().min(QUEUE);
        duplex.terminal.stdin(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }
}

impl<T: UpgradeTransport + 'static> Stream for PtyReader<T> {
    type Item = Result<TerminalEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(context).map(Result::transpose)
    }
}

impl<T: UpgradeTransport + 'static> AsyncRead for PtyReader<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        let read = self.poll_output(context, |rest| {
            taken = rest.len().min(buffer.len());
            rest.copy_to_slice(&mut buffer[..taken]);
        });
        read.map_ok(|()| taken)
    }
}

impl<T: UpgradeTransport + 'static> AsyncWrite for PtyWriter<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(self.poll_type(context, bytes)).map_err(io::Error::other)?;
        // As with a socket, written bytes are sent without a flush; if that has to wait or fails,
        // the next call reports it.
        let _ = lock(&self.shared).poll_flush(context);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.shared)
            .poll_flush(context)
            .map_err(io::Error::other)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.shared)
            .poll_close(context)
            .map_err(io::Error::other)
    }
}

#[cfg(feature = "tokio")]
impl<T: UpgradeTransport + 'static> ::tokio::io::AsyncRead for PtyReader<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ::tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_output(context, |rest| {
            let taken = rest.len().min(buffer.remaining());
            buffer.put_slice(&rest[..taken]);
            rest.advance(taken);
        })
    }
}

#[cfg(feature = "tokio")]
impl<T: UpgradeTransport + 'static> ::tokio::io::AsyncWrite for PtyWriter<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(self, context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(self, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_close(self, context)
    }
}

impl<T: UpgradeTransport> fmt::Debug for Pty<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pty").finish_non_exhaustive()
    }
}

impl<T: UpgradeTransport> fmt::Debug for PtyReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PtyReader").finish_non_exhaustive()
    }
}

impl<T: UpgradeTransport> fmt::Debug for PtyWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PtyWriter").finish_non_exhaustive()
    }
}
