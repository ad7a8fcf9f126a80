//! Kernels of Sorna v2 as sessions: a key sees all that is its own, in whichever dialect it was made.

use std::sync::Arc;

use sorna_core::{ApiVersion, SessionToken};

use super::create::follow;
use super::session::Session;
use super::table::Sessions;

impl Sessions {
    /// Makes sessions of a key's kernels that have none: their names are their tokens, or their IDs where a token cannot
    /// be a name or is in use, and their images are their languages. Clients of Sorna v2 notice nothing of it.
    pub(super) fn adopt(self: &Arc<Self>, owner: &str) {
        self.end_gone(owner);
        for (entry, token) in self.kernels.of_sorna_v2(owner) {
            if self.has(&entry.id) {
                continue;
            }
            let is_name = SessionToken::for_version(&token, ApiVersion::V9_20250722).is_ok();
            let names = [
                Some(token).filter(|_| is_name),
                Some(entry.id.as_str().to_owned()),
            ];
            for name in names.into_iter().flatten() {
                let language = self.kernels.canonical_language(&entry.lang);
                let session = Session::of_kernel(Arc::clone(&entry), &name, language);
                let session = Arc::new(session);
                if self.insert(&session).is_ok() {
                    let sessions = Arc::downgrade(self);
                    let entry = Arc::clone(&entry);
                    tokio::spawn(follow(sessions, session, entry, "terminated"));
                    break;
                }
            }
        }
    }
}
