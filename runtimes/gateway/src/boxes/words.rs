//! The words that say what a helper is to do.

pub(crate) const HOLD: &str = "hold";
pub(crate) const ENTER: &str = "enter";
pub(crate) const DISK: &str = "disk";
pub(super) const FIRST: &str = "first";
