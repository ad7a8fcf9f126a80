//! The words that say what a helper is to do.

pub(crate) const HOLD: &str = "hold";
pub(crate) const ENTER: &str = "enter";
pub(super) const FIRST: &str = "first";
