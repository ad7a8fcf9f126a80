//! The examples, as people run them: as processes, through what they show to the outside.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod lab;
mod plain;
mod web_page;
mod web_terminal;
