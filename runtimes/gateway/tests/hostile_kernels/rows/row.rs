//! A row of the table.

use crate::outside::World;

/// One attempt.
pub(crate) struct Row {
    /// What is attempted, in the words of the table.
    pub(crate) name: &'static str,
    /// Attempts it, and returns whether that worked.
    pub(crate) reaches: fn(&mut World) -> bool,
    /// Whether it is more than a limit allows, which other tools leave to control groups.
    pub(crate) is_limit: bool,
}

pub(super) const fn row(name: &'static str, reaches: fn(&mut World) -> bool) -> Row {
    Row {
        name,
        reaches,
        is_limit: false,
    }
}

pub(super) const fn limit(name: &'static str, reaches: fn(&mut World) -> bool) -> Row {
    Row {
        name,
        reaches,
        is_limit: true,
    }
}
