//! Opens a terminal.

use std::future::poll_fn;

use async_tungstenite::WebSocketStream;
use sorna_core::terminal::{OpenTerminal, TerminalOptions};
use sorna_core::{Error, KernelId};
use tungstenite::protocol::Role;

use super::duplex::Duplex;
use super::pty::Pty;
use crate::Client;
use crate::net::{UpgradeTransport, Upgraded};
use crate::websocket::{Handshake, socket_config};

/// The largest message: those of terminals have a few KiB.
const MESSAGE: usize = 4 * 1024 * 1024;

/// Connects, does the handshake and starts the terminal, within one attempt's time limit.
pub(crate) async fn open<T: UpgradeTransport + 'static>(
    client: &Client<T>,
    kernel: KernelId,
    options: TerminalOptions,
) -> Result<Pty<T>, Error> {
    let mut open = OpenTerminal::new(kernel);
    if let Some(directory) = options.directory() {
        let is_offered = client.offers(OpenTerminal::DIRECTORY).await?;
        open = open.with_directory(directory).with_extension(is_offered);
    }
    let caller = client.caller().await?;
    let mut request = open.request(caller.signer(), client.clock().now().wall)?;
    let handshake = Handshake::begin(&mut request);
    let peer = client.config().endpoint().host().to_owned();
    let (io, read_ahead) = match client.upgrade(request).await? {
        Upgraded::Switched {
            head,
            io,
            read_ahead,
        } => {
            handshake.check(&peer, &head).map_err(Error::Transport)?;
            (io, read_ahead)
        }
        Upgraded::Refused(response) => {
            return Err(open.read_error(caller.version(), response));
        }
    };
    // What is typed is sent in small pieces, when nothing waits.
    let config = Some(socket_config(MESSAGE, 0));
    let socket =
        WebSocketStream::from_partially_read(io, read_ahead.into(), Role::Client, config).await;
    let mut duplex = Duplex::new(peer, client.clone(), socket, options, caller.version());
    poll_fn(|context| duplex.poll_start(context)).await;
    Ok(Pty::new(duplex))
}
