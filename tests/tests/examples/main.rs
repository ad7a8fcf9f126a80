//! The examples, as users run them: as processes, checked by their output.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;
mod plain;
mod web_page;
mod web_terminal;
