//! The sessions of users who are logged in.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sorna_core::signing::body_hash;
use sorna_core::{HashAlgorithm, SessionCookie};

use crate::lock::lock;
use crate::random;

/// How long a session lasts, as on web servers of Backend.AI by default.
pub(super) const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How many sessions a user may have. A further login ends the oldest one.
const MAX_PER_USER: usize = 64;

/// The sessions, by the hashes of their cookies: what is compared with a guess says nothing about a cookie.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Session>>);

#[derive(Debug)]
struct Session {
    user: String,
    since: Instant,
}

impl Sessions {
    /// Starts a session.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(super) fn begin(&self, user: &str, now: Instant) -> io::Result<SessionCookie> {
        let cookie = random::session_cookie()?;
        let mut all = lock(&self.0);
        all.retain(|_, session| session.lives(now));
        let of_user = all.iter().filter(|(_, session)| session.user == user);
        if of_user.clone().count() >= MAX_PER_USER {
            let oldest = of_user.min_by_key(|(_, session)| session.since);
            let oldest = oldest.map(|(hash, _)| hash.clone());
            all.remove(&oldest.unwrap_or_default());
        }
        let session = Session {
            user: user.to_owned(),
            since: now,
        };
        all.insert(hash(&cookie), session);
        Ok(cookie)
    }

    /// Whose session it is; `None` if there is none, or none any more.
    pub(super) fn find(&self, cookie: &SessionCookie, now: Instant) -> Option<String> {
        let all = lock(&self.0);
        let session = all.get(&hash(cookie))?;
        session.lives(now).then(|| session.user.clone())
    }

    /// Ends all sessions of a user, and returns how many there were.
    pub(super) fn end_all(&self, user: &str) -> usize {
        let mut all = lock(&self.0);
        let before = all.len();
        all.retain(|_, session| session.user != user);
        before - all.len()
    }

    /// Ends a session.
    pub(super) fn end(&self, cookie: &SessionCookie) {
        lock(&self.0).remove(&hash(cookie));
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.since) < LIFETIME
    }
}

fn hash(cookie: &SessionCookie) -> String {
    body_hash(HashAlgorithm::Sha256, cookie.expose().as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn sessions_end_by_logout_and_by_age() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let first = sessions.begin("a", start).unwrap();
        let second = sessions.begin("b", start).unwrap();
        assert_ne!(first.expose(), second.expose());
        assert_eq!(sessions.find(&first, start).as_deref(), Some("a"));
        assert_eq!(sessions.find(&second, start).as_deref(), Some("b"));
        let guess = SessionCookie::new("guess").unwrap();
        assert_eq!(sessions.find(&guess, start), None);
        sessions.end(&first);
        assert_eq!(sessions.find(&first, start), None);
        let just_before = start + LIFETIME - Duration::from_millis(1);
        assert!(sessions.find(&second, just_before).is_some());
        assert_eq!(sessions.find(&second, start + LIFETIME), None);
    }

    #[test]
    fn a_user_who_logs_in_too_often_loses_their_oldest_session() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let other = sessions.begin("b", start).unwrap();
        let second = Duration::from_secs(1);
        let mut cookies = Vec::new();
        for at in 0..=64 {
            cookies.push(sessions.begin("a", start + at * second).unwrap());
        }
        let now = start + 100 * second;
        assert_eq!(sessions.find(&cookies[0], now), None);
        assert!(sessions.find(&cookies[1], now).is_some());
        assert!(sessions.find(&other, now).is_some());
        // Those that have ended by themselves are forgotten.
        sessions.begin("a", now + LIFETIME).unwrap();
        assert_eq!(lock(&sessions.0).len(), 1);
    }
}
