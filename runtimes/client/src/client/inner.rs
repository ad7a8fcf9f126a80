//! What the clones of a client share.

use sorna_core::Caller;

use super::background::Background;
use super::negotiation::Negotiation;
use crate::Observer;
use crate::clock::Clock;

pub(super) struct Inner<T> {
    /// Speaks the version of the configuration, which may not be the one in use: see [`Negotiation`].
    pub(super) caller: Caller,
    pub(super) negotiation: Negotiation,
    pub(super) transport: T,
    pub(super) observer: Option<Observer>,
    pub(super) clock: Clock,
    pub(super) background: Background,
}
