//! What the clones of a client share.

use sorna_core::Caller;

use super::background::Background;
use crate::Observer;
use crate::clock::Clock;

pub(super) struct Inner<T> {
    pub(super) caller: Caller,
    pub(super) transport: T,
    pub(super) observer: Option<Observer>,
    pub(super) clock: Clock,
    pub(super) background: Background,
}
