//! The reference of the book: pages that are generated, or have to have everything. `UPDATE_REFERENCE=1` writes the former.

// Other builds do not have all commands.
#[cfg(all(feature = "jupyter", feature = "mcp"))]
mod commands;
mod events;
mod exit_codes;
mod page;
mod settings;
