//! Finds a session of Backend.AI, or a kernel of Sorna v2.

use std::fmt;

use sorna::blocking::Kernel;
use sorna::{BuildError, Dialect, Error, KernelId, SessionStatus, SessionSummary};

use crate::advice::advice;
use crate::ended::end_reason;
use crate::failure::Failure;
use crate::harmless::safe;
use crate::spoken;
use crate::target::Target;
use crate::terms::Terms;
use crate::values::is_id;

/// How many sessions an error lists.
const MOST: usize = 10;

/// A session that was found, or a kernel of Sorna v2.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) kernel: Kernel,
    /// What it is called in messages.
    name: String,
    /// Its status, unless it was given by its whole ID.
    status: Option<SessionStatus>,
}

impl Found {
    /// The kernel with this ID, about which nothing was asked.
    pub(crate) fn by_id(target: &Target, id: KernelId) -> Self {
        Self {
            name: id.to_string(),
            kernel: target.client.kernel(id),
            status: None,
        }
    }

    fn of(target: &Target, session: SessionSummary, text: &str) -> Self {
        let SessionSummary {
            id, name, status, ..
        } = session;
        let name = match (name.as_str(), id.as_str()) {
            ("", id) => id.to_owned(),
            (name, _) if name == text => name.to_owned(),
            // What was given is a part of it.
            (name, id) => format!("{name} (ID: {id})"),
        };
        Self {
            name: safe(&name),
            kernel: target.client.kernel(id),
            status: Some(SessionStatus::from_name(&status)),
        }
    }

    /// What to do about a request that has failed, by what the gateway says now of the session.
    pub(crate) fn advice(&self, target: &Target, error: &Error) -> Option<String> {
        // Nothing was sent, or there is no gateway.
        if matches!(error, Error::Build(_)) || error.transport().is_some() {
            return None;
        }
        if target.terms() != Terms::SESSION {
            return None;
        }
        let info = self.kernel.info();
        if info.as_ref().is_err_and(Error::is_not_found) {
            return Some(format!(
                "The session has ended, or belongs to another user. `sorna ps` lists yours. The endpoint is {}.",
                target.endpoint()
            ));
        }
        let info = info.ok()?;
        let name = info.status()?;
        let status = SessionStatus::from_name(name);
        let name = safe(name);
        if status.is_pending() {
            let id = self.kernel.id();
            Some(format!(
                "The session does not run yet ({name}): `sorna info {id}` says why."
            ))
        } else if status.is_dying() {
            Some(format!("The session does not run any more ({name})."))
        } else {
            None
        }
    }

    /// Whether it has not run yet. The gateway is asked if that is not known; then it is an error if there is no such
    /// session. Manager 26.9.6 reports that it has destroyed one that had ended long before (observed).
    pub(crate) fn is_pending(&self) -> Result<bool, Error> {
        if let Some(status) = &self.status {
            return Ok(status.is_pending());
        }
        match self.kernel.info() {
            Ok(info) => {
                let status = info.status().map(SessionStatus::from_name);
                Ok(status.is_some_and(|status| status.is_pending()))
            }
            Err(error) if error.is_not_found() => Err(error),
            // It may be destroyed all the same.
            Err(_) => Ok(false),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// As [`find`]; in Sorna v2 the only living kernel of this token, where the gateway looks for that, or the kernel of this ID.
pub(crate) fn find_any(target: &Target, text: &str) -> Result<Found, Failure> {
    if spoken::version(target)?.dialect() != Dialect::SornaV2 {
        return find(target, text);
    }
    spoken::check_name(text, true)?;
    let found = match is_id(text) {
        true => Ok(Vec::new()),
        false => target.client.find(text),
    };
    let mut found = match found {
        Err(Error::Build(BuildError::NotOffered { .. })) => Vec::new(),
        found => found.map_err(|error| Failure::Request {
            advice: advice(&error, target),
            error: Box::new(error),
        })?,
    };
    match (found.pop(), found.is_empty()) {
        (None, _) => {
            let id = KernelId::new(text).map_err(Failure::Argument)?;
            Ok(Found::by_id(target, id))
        }
        (Some(kernel), true) => Ok(Found::of(target, kernel, text)),
        (Some(last), false) => {
            found.push(last);
            found.sort_by(|one, other| one.image.cmp(&other.image));
            Err(Failure::Ambiguous {
                text: text.to_owned(),
                sessions: lines(&found),
                noun: target.terms().kernel,
            })
        }
    }
}

/// The only session of the user with this name or ID, or one that starts with it. A whole ID is taken as it is, so that
/// sessions can be asked for that have ended.
pub(crate) fn find(target: &Target, text: &str) -> Result<Found, Failure> {
    spoken::check_name(text, false)?;
    // Managers write IDs in small letters, and compare them as text.
    if let Ok(id) = KernelId::new(text.to_ascii_lowercase())
        && id.is_uuid()
    {
        return Ok(Found::by_id(target, id));
    }
    let found = target.client.find(text);
    let mut found = found.map_err(|error| Failure::Request {
        advice: advice(&error, target),
        error: Box::new(error),
    })?;
    match (found.pop(), found.is_empty()) {
        (Some(session), true) => Ok(Found::of(target, session, text)),
        (Some(last), false) => {
            found.push(last);
            found.sort_by(|one, other| one.name.cmp(&other.name));
            Err(Failure::Ambiguous {
                text: text.to_owned(),
                sessions: lines(&found),
                noun: target.terms().kernel,
            })
        }
        (None, _) => {
            // It may have had this name.
            let error = KernelId::new(text).map(|name| target.client.kernel(name).info());
            let error = error.ok().and_then(Result::err);
            Err(Failure::NoSession {
                text: text.to_owned(),
                endpoint: target.endpoint(),
                reason: error.as_ref().and_then(end_reason),
            })
        }
    }
}

fn lines(sessions: &[SessionSummary]) -> Vec<String> {
    let line = |session: &SessionSummary| {
        // Of Sorna v2, where a token may have a kernel of each language.
        let language = session.image.as_deref().filter(|_| !session.id.is_uuid());
        let about = language.unwrap_or(&session.status);
        format!("{} (ID: {}, {about})", session.name, session.id)
    };
    let mut lines: Vec<_> = sessions.iter().take(MOST).map(line).collect();
    if let Some(more @ 1..) = sessions.len().checked_sub(MOST) {
        lines.push(format!("and {more} more"));
    }
    lines
}
