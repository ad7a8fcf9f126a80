//! Connections for ureq, by the dialer of the async drivers: names, proxies and TLS, and how their
//! failures are reported, are the same in all drivers, and ureq speaks HTTP only.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures_io::{AsyncRead as _, AsyncWrite as _};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use super::runtime::Threads;
use super::socket::Socket;
use super::tracker::{self, Tracked, limited};
use super::wait::{wait, wait_for};
use crate::engine::{Connection, HttpTransport};

/// Makes connections, through a tunnel if there is a proxy.
#[derive(Debug)]
pub(super) struct Dialer(pub(super) HttpTransport<Threads>);

impl Connector for Dialer {
    type Out = Tracked<Line>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let dialed = tracker::connecting(|progress| {
            within(limited(details.timeout), self.0.dial(details.uri, progress))
        })?;
        let connection = dialed.map_err(|error| ureq::Error::Other(Box::new(error)))?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Tracked::new(Line {
            runtime: *self.0.runtime(),
            connection,
            buffers,
        })))
    }
}

/// Leaves names to the [`Dialer`]. ureq asks before each request, even if it then uses an idle
/// connection.
#[derive(Debug)]
pub(super) struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// A connection, as ureq wants it.
#[derive(Debug)]
pub(super) struct Line {
    runtime: Threads,
    connection: Connection<Socket>,
    buffers: LazyBuffers,
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let mut left = &self.buffers.output()[..amount];
        let connection = &mut self.connection;
        let sent = within(limited(timeout).for_write(), async {
            while !left.is_empty() {
                let written = poll_fn(|cx| Pin::new(&mut *connection).poll_write(cx, left));
                match written.await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    written => left = &left[written..],
                }
            }
            poll_fn(|cx| Pin::new(&mut *connection).poll_flush(cx)).await
        });
        Ok(sent??)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = limited(timeout).for_read();
        let room = self.buffers.input_append_buf();
        let connection = &mut self.connection;
        // This future waits for nothing else.
        connection.tcp().set_patience(*timeout.after);
        let read = poll_fn(|cx| Pin::new(&mut *connection).poll_read(cx, room));
        let read = within(timeout, read);
        // TLS may have had something to read without the socket.
        connection.tcp().set_patience(Duration::ZERO);
        let read = read??;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.connection.tcp().look_again();
        self.connection.is_quiet(&self.runtime)
    }

    fn is_tls(&self) -> bool {
        self.connection.is_secure()
    }
}

/// Waits, unless it takes too long.
fn within<F: Future>(timeout: NextTimeout, future: F) -> Result<F::Output, ureq::Error> {
    if timeout.after.is_not_happening() {
        return Ok(wait(future));
    }
    wait_for(*timeout.after, future).ok_or(ureq::Error::Timeout(timeout.reason))
}
