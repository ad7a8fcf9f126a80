//! What is reported when an exchange fails: the same text and the same facts by every driver.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use rustls::{CertificateError, InvalidMessage};
use sorna_core::{Hop, Sent, TransportCause as Cause, TransportError, TransportErrorKind as Kind};

use super::Proxy;
use super::way::Way;

/// What a request is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Resolving,
    Connecting,
    Tunneling,
    Encrypting,
    Sending,
    Receiving,
}

impl Phase {
    pub(crate) const ALL: [Self; 6] = [
        Self::Resolving,
        Self::Connecting,
        Self::Tunneling,
        Self::Encrypting,
        Self::Sending,
        Self::Receiving,
    ];
}

/// What a request is doing, to stand behind "while".
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doing {
    pub(crate) phase: Phase,
    /// Some of the response came already.
    pub(crate) received: bool,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.phase {
            Phase::Resolving => "resolving the name",
            Phase::Connecting => "connecting",
            Phase::Tunneling => "waiting for the proxy",
            Phase::Encrypting => "setting up TLS",
            Phase::Sending => "sending the request",
            Phase::Receiving if self.received => "receiving the response",
            Phase::Receiving => "waiting for the response",
        })
    }
}

/// Failures before there is a connection. Nothing was sent.
impl Way<'_> {
    /// The other end of the TCP connection.
    fn peer(&self) -> String {
        match self.proxy {
            Some(proxy) => format!("the proxy {proxy}"),
            None => self.origin.to_string(),
        }
    }

    /// The other end of the way. Where there is a proxy, it may be at fault for what fails beyond it.
    fn target(&self) -> String {
        match self.proxy {
            Some(proxy) => format!("{} (through the proxy {proxy})", self.origin),
            None => self.origin.to_string(),
        }
    }

    pub(crate) fn late(&self, limit: Duration, doing: Doing) -> TransportError {
        let (peer, hop) = match self.proxy {
            Some(_) if doing.phase < Phase::Encrypting => (self.peer(), Hop::Proxy),
            _ => (self.target(), Hop::Gateway),
        };
        let message =
            format!("no connection to {peer} within {limit:?}: time ran out while {doing}");
        TransportError::new(Kind::Timeout, Sent::Nothing, message).with_hop(hop)
    }

    pub(crate) fn unresolved(&self, source: io::Error) -> TransportError {
        let host = self.address().0;
        let message = match self.proxy {
            Some(_) => format!("could not find the address of the proxy {host}"),
            None => format!("could not find the address of {host}"),
        };
        self.failed(Kind::Resolve, message).with_source(source)
    }

    pub(crate) fn unconnected(&self, source: io::Error) -> TransportError {
        let message = format!("could not connect to {}", self.peer());
        self.failed(Kind::Connect, message).with_source(source)
    }

    pub(crate) fn unencrypted(&self, source: io::Error) -> TransportError {
        let cause = match source.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => tls_cause(error),
            None => is_over(&source).then_some(Cause::HandshakeClosed),
        };
        let hint = match cause {
            Some(Cause::UntrustedCertificate) => {
                ": its certificate is not trusted; add the CA that issued it"
            }
            Some(Cause::CaCertificate) => {
                ": it presents the certificate of a CA; give it a server certificate"
            }
            Some(Cause::CertificateName) => ": its certificate is for another name",
            Some(Cause::CertificateExpired) => ": its certificate has expired or is not valid yet",
            Some(Cause::NotTls) => ": its response is not TLS; check the port, or use http",
            Some(Cause::HandshakeRefused) => ": it refused the handshake",
            Some(Cause::HandshakeClosed) if source.kind() == io::ErrorKind::UnexpectedEof => {
                ": the connection was closed during the handshake"
            }
            Some(Cause::HandshakeClosed) => ": the connection was reset during the handshake",
            _ => "",
        };
        let message = format!("could not set up TLS with {}{hint}", self.target());
        with(
            TransportError::new(Kind::Tls, Sent::Nothing, message),
            cause,
        )
        .with_source(source)
    }

    fn failed(&self, otherwise: Kind, message: String) -> TransportError {
        let (kind, hop) = match self.proxy {
            Some(_) => (Kind::Proxy, Hop::Proxy),
            None => (otherwise, Hop::Gateway),
        };
        TransportError::new(kind, Sent::Nothing, message).with_hop(hop)
    }
}

/// Whether the connection has ended.
fn is_over(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof, WriteZero};
    let over = [
        BrokenPipe,
        ConnectionAborted,
        ConnectionReset,
        UnexpectedEof,
        WriteZero,
    ];
    over.contains(&error.kind())
}

/// What exactly went wrong in a TLS handshake.
fn tls_cause(error: &rustls::Error) -> Option<Cause> {
    match error {
        rustls::Error::InvalidCertificate(error) => match error {
            // A CA of the same name, with another key, makes a bad signature.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Some(Cause::UntrustedCertificate)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Some(Cause::CertificateName)
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Some(Cause::CertificateExpired),
            CertificateError::Other(other) => match other.0.downcast_ref() {
                Some(webpki::Error::CaUsedAsEndEntity) => Some(Cause::CaCertificate),
                _ => None,
            },
            _ => None,
        },
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => Some(Cause::NotTls),
        rustls::Error::AlertReceived(_) | rustls::Error::PeerIncompatible(_) => {
            Some(Cause::HandshakeRefused)
        }
        _ => None,
    }
}

/// The proxy sent an error response.
pub(crate) fn refused(proxy: &Proxy, status: StatusCode, sent: Sent) -> TransportError {
    let hint = if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        "; check the user name and password in the proxy's URL"
    } else {
        ""
    };
    let status = status.to_string().to_ascii_lowercase();
    let message = format!("the proxy {proxy} refused: {status}{hint}");
    TransportError::new(Kind::Proxy, sent, message).with_hop(Hop::Proxy)
}

/// The proxy made no connection, for this reason.
pub(crate) fn no_tunnel(way: &Way<'_>, reason: TransportError) -> TransportError {
    let message = format!("{} made no connection to {}", way.peer(), way.origin);
    let cause = reason.cause();
    let made = TransportError::new(Kind::Proxy, Sent::Nothing, message).with_hop(Hop::Proxy);
    with(made, cause).with_source(reason)
}

/// A peer that a request was sent to, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Peer<'a> {
    way: Way<'a>,
    /// Whether it is the proxy that is spoken to.
    hop: Hop,
}

impl<'a> Peer<'a> {
    /// What is at the other end of a request: the gateway, through a tunnel or not.
    pub(crate) fn gateway(way: Way<'a>) -> Self {
        Self {
            way,
            hop: Hop::Gateway,
        }
    }

    /// A proxy that a request is for, or that forwards it.
    pub(crate) fn proxy(way: Way<'a>) -> Self {
        Self {
            way,
            hop: Hop::Proxy,
        }
    }

    /// The connection was silent for too long.
    pub(crate) fn silent(&self, idle: Duration, doing: Doing, sent: Sent) -> TransportError {
        let message = format!("no data to or from {self} for {idle:?} while {doing}");
        self.failed(Kind::Timeout, sent, message)
    }

    /// The whole exchange took too long.
    pub(crate) fn late(&self, limit: Duration, doing: Doing, sent: Sent) -> TransportError {
        if doing.phase < Phase::Sending {
            return self.way.late(limit, doing);
        }
        let message = format!(
            "no complete response from {self} within {limit:?}: time ran out while {doing}"
        );
        self.failed(Kind::Timeout, sent, message)
    }

    /// The connection broke.
    pub(crate) fn broke(&self, source: io::Error, doing: Doing, sent: Sent) -> TransportError {
        let kind = match doing.phase {
            Phase::Sending => Kind::Send,
            _ => Kind::Receive,
        };
        let message = format!("the connection to {self} broke while {doing}");
        let cause = (!doing.received && is_over(&source)).then_some(Cause::NoResponse);
        with(self.failed(kind, sent, message), cause).with_source(source)
    }

    /// The response cannot be used.
    pub(crate) fn bad_response(&self, fault: Fault, sent: Sent) -> TransportError {
        let message = format!("{self} {fault}");
        with(self.failed(fault.kind(), sent, message), fault.cause())
    }

    fn failed(&self, kind: Kind, sent: Sent, message: String) -> TransportError {
        TransportError::new(kind, sent, message).with_hop(self.hop)
    }
}

impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hop {
            Hop::Proxy => f.write_str(&self.way.peer()),
            _ => f.write_str(&self.way.target()),
        }
    }
}

/// What is wrong with a response. The text completes a sentence that begins with the peer's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection was closed before a byte of it came.
    NoResponse,
    /// The connection was closed in the middle of the head.
    CutHead,
    /// The connection was closed in the middle of the body; so many bytes are missing, if that is known.
    CutBody(Option<u64>),
    NotHttp,
    /// What came first is another protocol.
    Foreign(Foreign),
    /// The sizes between the pieces of the body are malformed.
    BadChunks,
    EndlessChunkHeader,
    TooManyHeaders,
    HeadTooLarge(usize),
    BodyTooLarge(u64),
    UnknownEncoding,
    /// It switched protocols without being asked.
    Upgrade,
}

impl Fault {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::EndlessChunkHeader
            | Self::TooManyHeaders
            | Self::HeadTooLarge(_)
            | Self::BodyTooLarge(_) => Kind::TooLarge,
            _ => Kind::Receive,
        }
    }

    fn cause(self) -> Option<Cause> {
        match self {
            Self::NoResponse => Some(Cause::NoResponse),
            Self::NotHttp => Some(Cause::NotHttp),
            Self::Foreign(Foreign::Tls) => Some(Cause::ExpectsTls),
            Self::Foreign(Foreign::Ssh | Foreign::Http2) => Some(Cause::OtherProtocol),
            _ => None,
        }
    }

    /// Whether the connection ended too early, which is not the response's fault.
    pub(crate) fn is_closed(self) -> bool {
        matches!(self, Self::NoResponse | Self::CutHead | Self::CutBody(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResponse => f.write_str("closed the connection without a response"),
            Self::CutHead => {
                f.write_str("closed the connection in the middle of a response's head")
            }
            Self::CutBody(Some(missing)) => write!(
                f,
                "closed the connection {missing} bytes before the end of its response"
            ),
            Self::CutBody(None) => f.write_str("closed the connection in the middle of a response"),
            Self::NotHttp => f.write_str("sent something that is not HTTP"),
            Self::Foreign(Foreign::Tls) => f.write_str("expects TLS"),
            Self::Foreign(Foreign::Ssh) => f.write_str("is an SSH server"),
            Self::Foreign(Foreign::Http2) => f.write_str("speaks HTTP/2 only"),
            Self::BadChunks => f.write_str("sent a response whose chunks are malformed"),
            Self::EndlessChunkHeader => f.write_str("sent an endless chunk header"),
            Self::TooManyHeaders => f.write_str("sent more than 128 headers"),
            Self::HeadTooLarge(limit) => {
                write!(f, "sent a response whose head is longer than {limit} bytes")
            }
            Self::BodyTooLarge(limit) => write!(f, "sent a response longer than {limit} bytes"),
            Self::UnknownEncoding => {
                f.write_str("sent a response with an unknown transfer encoding")
            }
            Self::Upgrade => f.write_str("switched protocols without being asked"),
        }
    }
}

/// A protocol that is not HTTP/1. What speaks it cannot have understood a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    Tls,
    Ssh,
    Http2,
}

impl Foreign {
    /// The protocol of which these are the first bytes, if it is well known.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            // An alert, of two bytes: RFC 8446, sections 5.1 and 6.
            [0x15, 3, 0..=4, 0, 2, 1 | 2, _, ..] => Some(Self::Tls),
            [b'S', b'S', b'H', b'-', ..] => Some(Self::Ssh),
            // A SETTINGS frame for the connection, of whole settings: RFC 9113, sections 3.4 and 6.5.
            [0, high, low, 4, 0, 0, 0, 0, 0, ..]
                if u16::from_be_bytes([*high, *low]).is_multiple_of(6) =>
            {
                Some(Self::Http2)
            }
            _ => None,
        }
    }
}

/// What is wrong with a local file.
#[derive(Debug)]
pub(crate) enum FileFault {
    Unreadable(io::Error),
    Shrank,
    Grew,
}

impl FileFault {
    pub(crate) fn explain(self, path: &Path, sent: Sent) -> TransportError {
        let name = path.display();
        let (message, source) = match self {
            Self::Unreadable(source) => (format!("cannot read {name}"), Some(source)),
            Self::Shrank => (format!("{name} shrank after the upload was planned"), None),
            Self::Grew => (format!("{name} grew after the upload was planned"), None),
        };
        let made = TransportError::new(Kind::LocalFile, sent, message);
        match source {
            Some(source) => made.with_source(source),
            None => made,
        }
    }
}

fn with(error: TransportError, cause: Option<Cause>) -> TransportError {
    match cause {
        Some(cause) => error.with_cause(cause),
        None => error,
    }
}
