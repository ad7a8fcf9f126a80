//! Opens a terminal for blocking use.

use std::io::{self, Read as _, Write as _};

use sorna_core::terminal::{OpenTerminal, TerminalOptions};
use sorna_core::{Error, KernelId, Sent, TransportError, TransportErrorKind};
use tungstenite::WebSocket;
use tungstenite::protocol::Role;

use super::handshake::{Opening, Outcome, tell};
use super::pty::Pty;
use super::pump::Pump;
use crate::blocking::Client;
use crate::blocking::dial::{Connection, Deadline, dial, is_late};
use crate::clock::Clock;
use crate::net::Origin;
use crate::observe::Watch;
use crate::terminal::socket_config;

/// Control frames that may wait to be sent, bytes. A gateway that asks for answers and does not take
/// them gets no more.
const CONTROL: usize = 64 * 1024;

/// Connects, shakes hands, and starts the terminal, within one attempt's time limit.
pub(in crate::blocking) fn open(
    client: &Client,
    kernel: KernelId,
    options: TerminalOptions,
) -> Result<Pty, Error> {
    let clock = Clock::start();
    let open = OpenTerminal::new(kernel);
    let request = open.request(client.caller().signer(), clock.now().wall)?;
    let peer = client.config().endpoint().host().to_owned();
    let limit = client.options().retry.attempt_limit();
    let deadline = Deadline::after(limit);

    let mut net = client.options().net.clone();
    net.times.connect = net.times.connect.min(limit);
    let watch = Watch::begin(client.options().observer.as_ref(), &request, 1);
    let dialed = Origin::of(request.uri()).and_then(|origin| dial(&net, &origin));
    let shaken = dialed.and_then(|connection| {
        Opening::new(request, &net.sizes)
            .and_then(|(head, handshake)| shake_hands(connection, &head, handshake, deadline))
            .map_err(|error| match error {
                error if error.is_timeout() => {
                    let message =
                        format!("opening a terminal on {peer} took longer than {limit:?}");
                    TransportError::new(TransportErrorKind::Timeout, Sent::Maybe, message)
                }
                error => error,
            })
    });
    tell(watch, shaken.as_ref().map(|(_, outcome)| outcome));
    let (mut connection, first) = match shaken.map_err(Error::Transport)? {
        (connection, Outcome::Open(first)) => (connection, first),
        (_, Outcome::Refused(response)) => {
            return Err(open.read_error(client.caller().version(), response));
        }
    };
    let unblocked = connection.stop_blocking().map_err(broke);
    unblocked.map_err(Error::Transport)?;
    let config = socket_config().max_write_buffer_size(CONTROL);
    let socket = WebSocket::from_partially_read(connection, first, Role::Client, Some(config));
    let shared = Pump::start(peer, clock, socket, options).map_err(|error| {
        let message = "could not start a thread for the terminal";
        let failure = TransportError::new(TransportErrorKind::Other, Sent::Maybe, message);
        Error::Transport(failure.with_source(error))
    })?;
    Ok(Pty::new(shared))
}

fn shake_hands(
    mut connection: Connection,
    head: &[u8],
    mut handshake: Opening,
    deadline: Deadline,
) -> Result<(Connection, Outcome), TransportError> {
    connection.set_deadline(deadline);
    // In one piece, which gateway 0.9.11 needs.
    connection.write_all(head).map_err(broke)?;
    connection.flush().map_err(broke)?;
    let mut buffer = [0; 4096];
    loop {
        let read = match connection.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(broke)?,
        };
        if let Some(outcome) = handshake.feed(&buffer[..read])? {
            return Ok((connection, outcome));
        }
    }
}

fn broke(error: io::Error) -> TransportError {
    let kind = match is_late(&error) {
        true => TransportErrorKind::Timeout,
        false => TransportErrorKind::Receive,
    };
    let message = "the connection broke while the terminal was being opened";
    TransportError::new(kind, Sent::Maybe, message).with_source(error)
}
