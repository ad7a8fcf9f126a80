//! Faults between a client and a gateway.

use std::time::Duration;

use super::Message;

/// What the proxy does to one connection, or to one request and its response.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// To a new connection, before anything is read.
    Accept(Accept),
    /// Passes the request on up to a place, and ends both connections there. The gateway never
    /// receives the whole request, so it does not act. (A request that ends at that place is passed
    /// on unchanged.)
    CutRequest {
        /// Where.
        at: Place,
        /// How.
        end: End,
    },
    /// Passes the request on at this pace.
    PaceRequest(Pace),
    /// Reads the request, does not pass it on, and sends this.
    Instead {
        /// What to send.
        say: fn() -> Vec<u8>,
        /// What happens then.
        end: End,
    },
    /// Passes the request on, waits for the whole response, and sends something else.
    Response {
        /// Whether responses without a body are left unchanged.
        bodies_only: bool,
        /// What to send.
        change: fn(Message) -> Vec<u8>,
        /// How fast.
        pace: Pace,
        /// What happens then.
        end: End,
    },
    /// Passes the request on, and the response up to a place. (One that ends there is left unchanged.)
    CutResponse {
        /// Where.
        at: Place,
        /// How.
        end: End,
    },
    /// Passes a terminal on, and does this to the gateway's bytes after the handshake.
    Stream(Stream),
    /// Resets the connection instead of passing the request on, and every new one from then on.
    Gone,
}

/// What happens to a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// It is refused: nothing listens.
    Refuse,
    /// It is reset.
    Reset,
    /// It is closed.
    Close,
    /// It is never read from.
    Ignore,
}

/// A place in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// After this many bytes, or at the end.
    After(usize),
    /// In the middle of its head.
    MidHead,
    /// Between head and body.
    HeadEnd,
    /// Before its last byte.
    Last,
}

impl Place {
    /// The place in bytes.
    #[must_use]
    pub fn of(self, message: &Message) -> usize {
        let whole = message.head.len() + message.body.len();
        match self {
            Self::After(bytes) => bytes.min(whole),
            Self::MidHead => message.head.len() / 2,
            Self::HeadEnd => message.head.len(),
            Self::Last => whole - 1,
        }
    }
}

/// What happens after the last byte that the proxy sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The next request.
    Next,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing: it stays open, and silent.
    Silence,
    /// One byte after the other, forever.
    Drip,
}

/// How fast bytes are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At once.
    Whole,
    /// Each byte in a separate packet.
    Bytewise,
    /// At once, after this time.
    After(Duration),
}

/// What happens to the gateway's side of an open terminal.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// Passed on at this pace.
    Paced(Pace),
    /// It ends after this many bytes.
    Cut(usize, End),
    /// These bytes are sent first.
    Say(fn() -> Vec<u8>, End),
}

/// The requests that a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// All.
    Any,
    /// Those that create a kernel.
    Create,
    /// Those that upload files.
    Upload,
    /// Those that execute code.
    Execute,
    /// Those that give input to a program, which only Backend.AI tells from code.
    Input,
    /// Those that destroy a kernel.
    Destroy,
}

impl Target {
    pub(super) fn matches(self, request: &Message) -> bool {
        let method = request.method();
        let target = request.target();
        let path = target.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let is_post = method == "POST";
        match self {
            Self::Any => true,
            Self::Create => {
                is_post && matches!(segments[..], ["v2", "kernel", "create"] | ["session"])
            }
            Self::Upload => matches!(
                segments[..],
                ["v2", "kernel", _, "upload"] | ["session", _, "upload"]
            ),
            Self::Execute => match segments[..] {
                ["v2", "kernel", id] => is_post && id != "create",
                ["session", _] => is_post,
                _ => false,
            },
            Self::Input => {
                let mode = br#""mode":"input""#;
                request.body.windows(mode.len()).any(|part| part == mode)
            }
            Self::Destroy => method == "DELETE",
        }
    }
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Times {
    /// The first request that it is for; for faults of connections, the first connection.
    Once,
    /// Each one from then on.
    Always,
}
