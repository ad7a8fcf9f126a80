//! Which sessions there are, in Backend.AI.

mod list;
mod matching;
mod summary;

pub use list::{ListSessions, SessionPage};
pub use matching::MatchSessions;
pub use summary::SessionSummary;
