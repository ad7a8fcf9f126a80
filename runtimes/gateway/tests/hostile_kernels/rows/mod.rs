//! The rows of the table.

mod ending;
mod files;
mod limits;
mod network;
mod privileges;
mod processes;
mod row;
mod secrets;
mod sharing;
mod watching;

use row::Row;

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
