//! The rows of the table.

mod ending;
mod files;
mod limits;
mod network;
mod privileges;
mod processes;
mod secrets;
mod sharing;
mod watching;

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

const fn row(name: &'static str, reaches: fn(&mut World) -> bool) -> Row {
    Row {
        name,
        reaches,
        is_limit: false,
    }
}

const fn limit(name: &'static str, reaches: fn(&mut World) -> bool) -> Row {
    Row {
        name,
        reaches,
        is_limit: true,
    }
}

/// In the order of the table. The last one ends the gateway.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    let groups = [
        processes::ROWS,
        secrets::ROWS,
        files::ROWS,
        watching::ROWS,
        sharing::ROWS,
        network::ROWS,
        privileges::ROWS,
        limits::ROWS,
        ending::ROWS,
    ];
    groups.into_iter().flatten()
}
