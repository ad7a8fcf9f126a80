//! Opens a terminal for async use.

use std::future::poll_fn;
use std::pin::{Pin, pin};

use async_tungstenite::WebSocketStream;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::future::{Either, select};
use http::Request;
use sorna_core::terminal::{OpenTerminal, TerminalOptions};
use sorna_core::{Body, Error, KernelId, Sent, TransportError, TransportErrorKind};
use tungstenite::protocol::Role;

use super::duplex::Duplex;
use super::pty::Pty;
use super::{Handshake, Outcome, socket_config, tell};
use crate::Client;
use crate::engine::{Connection, HttpTransport};
use crate::observe::Watch;
use crate::runtime::Runtime;

/// Connects, shakes hands, and starts the terminal, within one attempt's time limit.
pub(crate) async fn open<R: Runtime>(
    client: &Client<HttpTransport<R>>,
    kernel: KernelId,
    options: TerminalOptions,
) -> Result<Pty<R>, Error> {
    let open = OpenTerminal::new(kernel);
    let now = client.clock().now();
    let request = open.request(client.caller().signer(), now.wall)?;
    let peer = client.config().endpoint().host().to_owned();
    let transport = client.transport();
    let limit = client.retry().attempt_limit;
    let watch = Watch::begin(client.observer(), &request, 1);
    let work = connect(transport, request);
    let time = transport.runtime().sleep(limit);
    let connected = match select(pin!(work), pin!(time)).await {
        Either::Left((connected, _)) => connected,
        Either::Right(((), _)) => {
            let message = format!("opening a terminal on {peer} took longer than {limit:?}");
            let kind = TransportErrorKind::Timeout;
            Err(TransportError::new(kind, Sent::Maybe, message))
        }
    };
    tell(watch, connected.as_ref().map(|(_, outcome)| outcome));
    let (connection, outcome) = connected.map_err(Error::Transport)?;
    let first = match outcome {
        Outcome::Open(first) => first,
        Outcome::Refused(response) => {
            return Err(open.read_error(client.caller().version(), response));
        }
    };
    let config = Some(socket_config());
    let socket =
        WebSocketStream::from_partially_read(connection, first, Role::Client, config).await;
    let runtime = transport.runtime().clone();
    Ok(Pty::new(Duplex::new(
        peer,
        runtime,
        client.clock(),
        socket,
        options,
    )))
}

async fn connect<R: Runtime>(
    transport: &HttpTransport<R>,
    request: Request<Body>,
) -> Result<(Connection<R::Tcp>, Outcome), TransportError> {
    let mut connection = transport.connect(request.uri()).await?;
    let (head, mut handshake) = Handshake::new(request, &transport.options().sizes)?;
    let broke = |error| {
        let message = "the connection broke while the terminal was being opened";
        TransportError::new(TransportErrorKind::Receive, Sent::Maybe, message).with_source(error)
    };
    let mut left = head.as_slice();
    while !left.is_empty() {
        let written = poll_fn(|context| Pin::new(&mut connection).poll_write(context, left));
        match written.await.map_err(broke)? {
            0 => return Err(broke(std::io::ErrorKind::WriteZero.into())),
            written => left = &left[written..],
        }
    }
    let flushed = poll_fn(|context| Pin::new(&mut connection).poll_flush(context));
    flushed.await.map_err(broke)?;
    let mut buffer = vec![0; 4096];
    loop {
        let read = poll_fn(|context| Pin::new(&mut connection).poll_read(context, &mut buffer));
        let read = read.await.map_err(broke)?;
        if let Some(outcome) = handshake.feed(&buffer[..read])? {
            return Ok((connection, outcome));
        }
    }
}
