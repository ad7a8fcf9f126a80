//! What a driver reports when no answer came.

use std::error::Error as StdError;
use std::fmt;

use super::parse::line;

/// The failure of one exchange: the request got no (complete) answer.
///
/// Drivers make these; machines decide by [`sent`](Self::sent) whether asking again is safe. The
/// driver's own error is kept as the source.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    sent: Sent,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync + 'static>>,
}

/// At what an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The host's name could not be resolved. Check the endpoint.
    Resolve,
    /// No connection: refused, unreachable, or the time limit for connecting passed.
    Connect,
    /// The TLS handshake failed. Check the certificate and the CA options.
    Tls,
    /// A proxy refused or broke the connection.
    Proxy,
    /// The connection broke while the request was being sent.
    Send,
    /// The connection broke before the answer was complete, or what came was not HTTP.
    Receive,
    /// A time limit passed.
    Timeout,
    /// The answer was larger than the client accepts.
    TooLarge,
    /// A local file of the request body could not be read, or changed while it was sent.
    LocalFile,
    /// The caller cancelled.
    Cancelled,
    /// Anything else.
    Other,
}

/// How much of the request may have reached the gateway when the exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Sent {
    /// Not one byte of it: repeating it is always safe.
    Nothing,
    /// A connection that had been idle turned out closed: bytes were written, but not one byte of
    /// an answer came. The gateway almost certainly never saw it; see RFC 9110, section 9.2.2.
    StaleConnection,
    /// Some or all of it: the gateway may have acted on it.
    Maybe,
}

impl TransportError {
    /// A failure without an underlying error.
    #[must_use]
    pub fn new(kind: TransportErrorKind, sent: Sent, message: impl Into<String>) -> Self {
        Self {
            kind,
            sent,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the driver's own error as the source.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync + 'static>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// At what the exchange failed.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// How much of the request may have reached the gateway.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// Whether a time limit passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind == TransportErrorKind::Timeout
    }

    /// Whether no connection to the gateway could be made at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self.kind,
            TransportErrorKind::Resolve | TransportErrorKind::Connect | TransportErrorKind::Proxy
        )
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(self.message.as_bytes(), 1000))
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
