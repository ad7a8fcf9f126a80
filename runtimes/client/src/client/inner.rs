//! What the clones of a client share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sorna_core::machine::Transmit;
use sorna_core::{Caller, TransportError};

use super::background::Background;
use super::channel::Opened;
use super::negotiation::Negotiation;
use crate::Observer;
use crate::clock::Clock;
use crate::net::BoxFuture;

pub(super) struct Inner<T> {
    /// Speaks the version of the configuration, which may not be the one in use: see [`Negotiation`].
    pub(super) caller: Caller,
    pub(super) negotiation: Negotiation,
    pub(super) transport: T,
    pub(super) channels: Channels<T>,
    pub(super) observer: Option<Observer>,
    pub(super) clock: Clock,
    pub(super) background: Background,
    /// Whether the gateway recognizes marked executions, as far as it has said so.
    pub(super) marks: AtomicBool,
}

/// Requests a WebSocket.
pub(super) type Opener<T> =
    fn(Arc<Inner<T>>, Transmit) -> BoxFuture<Result<Opened, TransportError>>;

/// Whether executions may use WebSockets, and how one is opened.
pub(super) struct Channels<T> {
    opener: Option<Opener<T>>,
    /// Whether also executions use them that could block a kernel that is kept.
    pub(super) always: bool,
    /// Whether one was refused where plain requests work: by a gateway without them, or a proxy.
    refused: AtomicBool,
}

impl<T> Channels<T> {
    /// Without an opener, there are none.
    pub(super) fn new(opener: Option<Opener<T>>, always: bool) -> Self {
        Self {
            opener,
            always,
            refused: AtomicBool::new(false),
        }
    }

    /// How to open one; `None` if that is no use.
    pub(super) fn opener(&self) -> Option<Opener<T>> {
        self.opener
            .filter(|_| !self.refused.load(Ordering::Relaxed))
    }

    /// Opens no more of them.
    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }
}
