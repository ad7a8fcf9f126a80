//! Finds a session of Backend.AI.

use sorna::blocking::Kernel;
use sorna::{KernelId, SessionSummary};

use crate::advice::advice;
use crate::failure::Failure;
use crate::target::Target;

/// How many sessions an error lists.
const MOST: usize = 10;

/// The only session of the user with this name or ID, or one that starts with it. A whole ID is taken as it is, so that
/// sessions can be asked for that have ended.
pub(crate) fn find(target: &Target, text: &str) -> Result<Kernel, Failure> {
    // Managers write IDs in small letters, and compare them as text.
    if let Ok(id) = KernelId::new(text.to_ascii_lowercase())
        && id.is_uuid()
    {
        return Ok(target.client.kernel(id));
    }
    let found = target.client.find(text);
    let mut found = found.map_err(|error| Failure::Request {
        advice: advice(&error, target),
        error: Box::new(error),
    })?;
    match (found.pop(), found.is_empty()) {
        (Some(session), true) => Ok(target.client.kernel(session.id)),
        (Some(last), false) => {
            found.push(last);
            found.sort_by(|one, other| one.name.cmp(&other.name));
            Err(Failure::Ambiguous {
                text: text.to_owned(),
                sessions: lines(&found),
            })
        }
        (None, _) => Err(Failure::NoSession {
            text: text.to_owned(),
            endpoint: target.endpoint(),
        }),
    }
}

fn lines(sessions: &[SessionSummary]) -> Vec<String> {
    let line = |session: &SessionSummary| {
        format!("{} (ID: {}, {})", session.name, session.id, session.status)
    };
    let mut lines: Vec<_> = sessions.iter().take(MOST).map(line).collect();
    if let Some(more @ 1..) = sessions.len().checked_sub(MOST) {
        lines.push(format!("and {more} more"));
    }
    lines
}
