//! What a driver reports when no response came.

use std::error::Error as StdError;
use std::fmt;

use super::parse::line;

/// The failure of one exchange: the request got no (complete) response.
///
/// Drivers make these; machines decide by [`sent`](Self::sent) whether a retry is safe. The
/// driver's own error is kept as the source.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    sent: Sent,
    hop: Hop,
    cause: Option<TransportCause>,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync + 'static>>,
}

/// Where an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The host's name could not be resolved. Check the endpoint.
    Resolve,
    /// No connection: refused, unreachable, or the time limit for connecting passed.
    Connect,
    /// The TLS handshake failed. Check the certificate and the CA options.
    Tls,
    /// A proxy rejected or broke the connection.
    Proxy,
    /// The connection broke while the request was being sent.
    Send,
    /// The connection broke before the response was complete, or what came was not HTTP.
    Receive,
    /// A time limit passed.
    Timeout,
    /// The response was larger than the client accepts.
    TooLarge,
    /// A local file of the request body could not be read, or changed while it was sent; or a downloaded one could
    /// not be written.
    LocalFile,
    /// The caller cancelled.
    Cancelled,
    /// Anything else.
    Other,
}

/// What exactly went wrong, where a driver found it out.
///
/// For programs that give advice: this is a fact, while the text of an error may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportCause {
    /// What came is not HTTP. Check the port, and whether the endpoint should be `https`.
    NotHttp,
    /// What came first on a new connection is TLS, in reply to a request without it. The endpoint should be
    /// `https`. No part of the request was understood.
    ExpectsTls,
    /// What came first on a new connection is a protocol other than HTTP/1 and TLS, such as SSH or HTTP/2. Check
    /// the port. No part of the request was understood.
    OtherProtocol,
    /// The connection was closed or reset without a response.
    NoResponse,
    /// The connection was closed or reset during the TLS handshake. What is there may not speak TLS, or a proxy
    /// or a firewall on the way may have closed it.
    HandshakeClosed,
    /// The TLS handshake was refused: no version or cipher in common, an unknown name, or another reason of the
    /// server.
    HandshakeRefused,
    /// What came in reply to the TLS handshake is not TLS. Check whether the endpoint should be `http`.
    NotTls,
    /// No trusted authority issued the certificate. Trust its authority in the client's options.
    UntrustedCertificate,
    /// The certificate of an authority (a CA) is used as that of a server. Issue a server certificate.
    CaCertificate,
    /// The certificate is for other names. Use one of its names in the endpoint.
    CertificateName,
    /// The certificate has expired, or is not valid yet. Renew it, or set the clock.
    CertificateExpired,
}

/// The peer that an exchange failed at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hop {
    /// The gateway, or what stands in its place at the endpoint.
    #[default]
    Gateway,
    /// The proxy on the way to it.
    Proxy,
}

/// How much of the request may have reached the gateway when the exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Sent {
    /// Not one byte of it: repeating it is always safe.
    Nothing,
    /// A connection that had been idle turned out closed: bytes were written, but not one byte of
    /// a response came. The gateway almost certainly never saw it; see RFC 9110, section 9.2.2.
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
            hop: Hop::Gateway,
            cause: None,
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

    /// Adds what exactly went wrong.
    #[must_use]
    pub fn with_cause(mut self, cause: TransportCause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Names the peer at which it failed; without this it is the gateway.
    #[must_use]
    pub fn with_hop(mut self, hop: Hop) -> Self {
        self.hop = hop;
        self
    }

    /// Where the exchange failed.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// How much of the request may have reached the gateway.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// What exactly went wrong, if the driver found it out.
    #[must_use]
    pub fn cause(&self) -> Option<TransportCause> {
        self.cause
    }

    /// The peer at which it failed.
    #[must_use]
    pub fn hop(&self) -> Hop {
        self.hop
    }

    /// Whether the gateway may have acted on the request: some of it was sent, and not to something that
    /// speaks another protocol.
    #[must_use]
    pub fn may_have_acted(&self) -> bool {
        self.sent != Sent::Nothing && !self.is_of_another_protocol()
    }

    /// Whether the same request may succeed later without any change. Failures of TLS, of a local file and of
    /// the size of a response come again until something is changed, and so does what speaks another
    /// protocol; and a caller who cancelled does not want to retry.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use TransportErrorKind::{Cancelled, LocalFile, Tls, TooLarge};

        !matches!(self.kind, Tls | TooLarge | LocalFile | Cancelled)
            && !self.is_of_another_protocol()
    }

    fn is_of_another_protocol(&self) -> bool {
        matches!(
            self.cause,
            Some(TransportCause::ExpectsTls | TransportCause::OtherProtocol)
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stay_beside_the_text() {
        let error = TransportError::new(TransportErrorKind::Tls, Sent::Nothing, "no TLS");
        assert_eq!((error.hop(), error.cause()), (Hop::Gateway, None));
        let error = error
            .with_hop(Hop::Proxy)
            .with_cause(TransportCause::NotTls);
        assert_eq!(error.hop(), Hop::Proxy);
        assert_eq!(error.cause(), Some(TransportCause::NotTls));
        assert_eq!(error.to_string(), "no TLS");
    }

    #[test]
    fn what_speaks_another_protocol_has_not_acted() {
        for (sent, cause, expected) in [
            (Sent::Nothing, None, false),
            (Sent::StaleConnection, None, true),
            (Sent::Maybe, None, true),
            (Sent::Maybe, Some(TransportCause::NotHttp), true),
            (Sent::Maybe, Some(TransportCause::NoResponse), true),
            (Sent::Maybe, Some(TransportCause::ExpectsTls), false),
            (Sent::Maybe, Some(TransportCause::OtherProtocol), false),
        ] {
            let mut error = TransportError::new(TransportErrorKind::Receive, sent, "it broke");
            if let Some(cause) = cause {
                error = error.with_cause(cause);
            }
            assert_eq!(error.may_have_acted(), expected, "{error:?}");
            let speaks_http = !matches!(
                cause,
                Some(TransportCause::ExpectsTls | TransportCause::OtherProtocol)
            );
            assert_eq!(error.is_transient(), speaks_http, "{error:?}");
        }
    }
}
