//! Connecting the shell with its clients.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::restarts::Restarts;
use super::shell::{FIRST_SIZE, Shell};
use super::side::Side;
use super::window::Window;
use crate::kernel::KernelStartError;
use crate::kernel::process::Process;
use crate::kernel::setup::Setup;
use crate::kernel::state::Shared;
use crate::lock::lock;

/// How much output is read from the shell at a time, in bytes.
const CHUNK: usize = 8 * 1024;
/// How many chunks are queued for a client before the shell has to wait.
const CLIENT_QUEUE: usize = 8;
/// How many messages are queued for the shell before a client has to wait.
const SHELL_QUEUE: usize = 16;
/// How much of the last output a new client is shown, in bytes.
const SCROLLBACK: usize = 16 * 1024;
/// How long one client may delay the others.
const STALL_TIME: Duration = Duration::from_secs(10);
/// How long to wait for the rest of the output when the shell has ended: on a busy machine, what writes it may have to wait for
/// its turn.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A message of a client.
#[derive(Debug)]
pub(crate) enum ToTerminal {
    Typed(Bytes),
    Resized(u16, u16),
}

/// A message for a client.
#[derive(Debug)]
pub(crate) enum FromTerminal {
    Output(Bytes),
    /// The shell has ended or the kernel is gone: nothing follows.
    Closed,
}

/// A running terminal.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Where its shells start, relative to the work directory.
    directory: PathBuf,
    shared: Arc<Shared>,
    to_shell: mpsc::Sender<ToTerminal>,
    screen: Mutex<Screen>,
    /// How many shells were started; closed when the last one has ended.
    shells: watch::Sender<u64>,
    ended: watch::Sender<bool>,
    /// Whether the kernel is being destroyed, so that no client is waited for any more.
    closing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Screen {
    clients: HashMap<u64, mpsc::Sender<FromTerminal>>,
    next_client: u64,
    scrollback: VecDeque<u8>,
    size: Option<(u16, u16)>,
}

/// Why a client cannot join a terminal.
#[derive(Debug)]
pub(crate) enum AttachError {
    Start(KernelStartError),
    /// It was started in this directory, relative to the work directory, and the client wants another one.
    StartedIn(PathBuf),
}

/// A client's connection to a terminal. Dropping it leaves the terminal.
#[derive(Debug)]
pub(crate) struct Attached {
    hub: Weak<Hub>,
    number: u64,
    shells: watch::Receiver<u64>,
    pub(crate) to_shell: mpsc::Sender<ToTerminal>,
    pub(crate) output: Option<mpsc::Receiver<FromTerminal>>,
}

impl Hub {
    /// Starts the shell in a directory, relative to the work directory. Must be called within a tokio runtime.
    pub(crate) fn start(
        directory: PathBuf,
        setup: Arc<Setup>,
        shared: Arc<Shared>,
        restarts: Arc<Restarts>,
    ) -> io::Result<Arc<Self>> {
        let shell = Shell::start(&setup, &directory, FIRST_SIZE)?;
        shared.lock().terminal = shell.process.id();
        let (to_shell, from_clients) = mpsc::channel(SHELL_QUEUE);
        let hub = Arc::new(Self {
            directory,
            shared,
            to_shell,
            screen: Mutex::default(),
            shells: watch::Sender::new(1),
            ended: watch::Sender::new(false),
            closing: watch::Sender::new(false),
        });
        tokio::spawn(Arc::clone(&hub).run(setup, restarts, shell, from_clients));
        Ok(hub)
    }

    /// Adds a client, which first gets the last output.
    pub(crate) fn attach(self: &Arc<Self>) -> Attached {
        let (to_client, output) = mpsc::channel(CLIENT_QUEUE);
        let mut screen = self.screen();
        let number = screen.next_client;
        screen.next_client += 1;
        if !screen.scrollback.is_empty() {
            let last: Vec<u8> = screen.scrollback.iter().copied().collect();
            // The queue is new and has room.
            let _ = to_client.try_send(FromTerminal::Output(last.into()));
        }
        if *self.ended.borrow() {
            let _ = to_client.try_send(FromTerminal::Closed);
        } else {
            screen.clients.insert(number, to_client);
        }
        Attached {
            hub: Arc::downgrade(self),
            number,
            shells: self.shells.subscribe(),
            to_shell: self.to_shell.clone(),
            output: Some(output),
        }
    }

    /// Where its shells start, relative to the work directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether someone is there.
    pub(crate) fn has_clients(&self) -> bool {
        !self.screen().clients.is_empty()
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until the last shell is gone, without waiting for clients.
    pub(crate) async fn end(&self) {
        self.closing.send_replace(true);
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Serves one shell after another: a restart of the kernel kills one, and starts the next.
    async fn run(
        self: Arc<Self>,
        setup: Arc<Setup>,
        restarts: Arc<Restarts>,
        mut shell: Shell,
        mut from_clients: mpsc::Receiver<ToTerminal>,
    ) {
        let mut count = restarts.count();
        loop {
            self.serve_shell(shell, &mut from_clients).await;
            restarts.settled().await;
            if restarts.count() == count {
                break;
            }
            count = restarts.count();
            let size = self.screen().size.unwrap_or(FIRST_SIZE);
            // It may have been removed.
            let started = Shell::start(&setup, &self.directory, size)
                .or_else(|_| Shell::start(&setup, Path::new(""), size));
            match started {
                Ok(next) => {
                    self.shared.lock().terminal = next.process.id();
                    shell = next;
                }
                Err(error) => {
                    tracing::warn!(%error, "a terminal could not be restarted");
                    break;
                }
            }
            self.shells.send_modify(|shells| *shells += 1);
        }
        from_clients.close();
        let clients: Vec<_> = {
            let mut screen = self.screen();
            self.ended.send_replace(true);
            screen.clients.drain().map(|(_, client)| client).collect()
        };
        for client in clients {
            // A client whose queue is full sees the end of the queue instead.
            let _ = client.try_send(FromTerminal::Closed);
        }
    }

    /// Serves one shell to its end.
    async fn serve_shell(&self, shell: Shell, from_clients: &mut mpsc::Receiver<ToTerminal>) {
        let Shell {
            mut process,
            side,
            mut window,
        } = shell;
        let mut closing = self.closing.subscribe();
        tokio::select! {
            () = self.show_all(&side, &mut process) => {}
            () = self.type_all(&side, &mut window, from_clients) => {}
            // The shell may have been started after the kernel's other processes were killed.
            _ = closing.wait_for(|closing| *closing) => {}
        }
        process.kill_group();
        process.wait_killed().await;
    }

    /// Shows the shell's output to all clients until it ends, or until the shell has ended and a
    /// background process keeps the terminal open without writing to it.
    async fn show_all(&self, side: &Side, process: &mut Process) {
        let mut buffer = vec![0; CHUNK];
        let mut has_ended = false;
        loop {
            let read = tokio::select! {
                biased;
                read = side.read(&mut buffer) => read,
                _ = process.wait(), if !has_ended => {
                    has_ended = true;
                    continue;
                }
                () = tokio::time::sleep(DRAIN_TIME), if has_ended => return,
            };
            // On Linux, the master side ends with an error (EIO), not with the end of file.
            match read {
                Ok(count @ 1..) => self.show(Bytes::copy_from_slice(&buffer[..count])).await,
                _ => return,
            }
        }
    }

    async fn show(&self, bytes: Bytes) {
        self.shared.lock().used = Instant::now();
        let clients: Vec<_> = {
            let mut screen = self.screen();
            screen.remember(&bytes);
            let clients = screen.clients.iter();
            clients.map(|(number, to)| (*number, to.clone())).collect()
        };
        for (number, client) in &clients {
            match self.room(client).await {
                Some(room) => room.send(FromTerminal::Output(bytes.clone())),
                None => {
                    self.screen().clients.remove(number);
                }
            }
        }
    }

    /// Waits until a client has room: as long as it takes if it is the only one, or up to
    /// `STALL_TIME` if it delays others. `None` if it is given up.
    async fn room<'c>(
        &self,
        client: &'c mpsc::Sender<FromTerminal>,
    ) -> Option<mpsc::Permit<'c, FromTerminal>> {
        let mut closing = self.closing.subscribe();
        loop {
            tokio::select! {
                biased;
                room = client.reserve() => return room.ok(),
                _ = closing.wait_for(|closing| *closing) => return None,
                () = tokio::time::sleep(STALL_TIME) => {
                    if self.screen().clients.len() > 1 {
                        return None;
                    }
                }
            }
        }
    }

    /// Passes on to the shell what clients type.
    async fn type_all(
        &self,
        side: &Side,
        window: &mut Window,
        from_clients: &mut mpsc::Receiver<ToTerminal>,
    ) {
        loop {
            let message = tokio::select! {
                message = from_clients.recv() => message,
                () = window.keep() => continue,
            };
            let Some(message) = message else { break };
            match message {
                ToTerminal::Typed(bytes) => {
                    if side.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
                ToTerminal::Resized(rows, cols) => {
                    self.screen().size = Some((rows, cols));
                    let _ = window.resize((rows, cols));
                }
            }
        }
        // The shell has ended, and `show_all` returns when its output does.
        std::future::pending::<()>().await;
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        lock(&self.screen)
    }
}

impl Screen {
    fn remember(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(SCROLLBACK)..];
        let surplus = (self.scrollback.len() + new.len()).saturating_sub(SCROLLBACK);
        self.scrollback.drain(..surplus);
        self.scrollback.extend(new);
    }
}

impl Attached {
    /// The number of shells that were started so far.
    pub(crate) fn shells(&self) -> u64 {
        *self.shells.borrow()
    }

    /// Waits until there is a later shell than the one of this number, or the terminal has ended.
    pub(crate) async fn next_shell(&mut self, number: u64) {
        let mut shells = self.shells.clone();
        tokio::select! {
            _ = shells.wait_for(|shells| *shells > number) => {}
            () = self.to_shell.closed() => {}
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.screen().clients.remove(&self.number);
            hub.shared.lock().used = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_output_is_remembered() {
        let mut screen = Screen::default();
        screen.remember(b"old");
        screen.remember(&vec![b'x'; SCROLLBACK - 1]);
        assert_eq!(screen.scrollback.len(), SCROLLBACK);
        assert_eq!(screen.scrollback.front(), Some(&b'd'));
        screen.remember(&vec![b'y'; 3 * SCROLLBACK]);
        assert_eq!(screen.scrollback.len(), SCROLLBACK);
        assert!(screen.scrollback.iter().all(|byte| *byte == b'y'));
    }
}
