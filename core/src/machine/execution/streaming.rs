//! Which executions go over a WebSocket.

use crate::machine::negotiate::Negotiated;
use crate::ops::{ExecuteMode, VersionInfo};

/// Which executions may go over a WebSocket, by what is known about the gateway.
///
/// Snippets always may. A batch is different: managers from 25.12 on drop what its steps report until the next request
/// for it arrives (see [`Execution`](super::Execution#backendai)), and each WebSocket has a run ID of its own that only its
/// manager knows (read in the sources of 23.09.10 and 26.9.6). So if the end of a batch is dropped, nothing can end its
/// run any more, and every later execution in the session waits. Polling can end it: it knows the run's ID.
///
/// A snippet that shows HTML blocks its session in the same way, in all releases, as does a WebSocket that breaks: the
/// manager interrupts the program then, and collects no end. So a [`Run`](crate::machine::Run) that keeps its session
/// streams nothing with a manager; neither should other executions in a session that is used again, unless that may be
/// destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streaming {
    batches: Batches,
    /// Whether no program can block its session.
    never_blocks: bool,
}

/// Which batches may go over a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Batches {
    None,
    /// Those after which the session is destroyed.
    Last,
    All,
}

impl Streaming {
    /// What the gateway does well that said this of itself.
    #[must_use]
    pub fn of(negotiated: &Negotiated) -> Self {
        let release = negotiated.info.as_ref().map(VersionInfo::release);
        let batches = match release {
            // The version is fixed, so it is not known which manager it is.
            None => Batches::None,
            // No release of Backend.AI: a gateway such as ours.
            Some(None) => Batches::All,
            Some(Some(release)) if release < (25, 12) => Batches::All,
            // The runner may have to do default steps itself, which takes a second run: see `script.rs`.
            Some(Some(release)) if release < (25, 15) => Batches::None,
            Some(Some(_)) => Batches::Last,
        };
        Self {
            batches,
            never_blocks: release == Some(None),
        }
    }

    /// Whether no execution over a WebSocket can block its session, as with gateways that are not managers.
    #[must_use]
    pub fn never_blocks(self) -> bool {
        self.never_blocks
    }

    /// Whether this may be streamed; `is_last` if the session is destroyed after it.
    pub(super) fn allows(self, mode: &ExecuteMode, is_last: bool) -> bool {
        match (mode, self.batches) {
            (ExecuteMode::Query { .. }, _) | (_, Batches::All) => true,
            (_, Batches::Last) => is_last,
            (_, Batches::None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Batch;
    use crate::version::ApiVersion;

    fn of(manager: Option<&str>) -> Streaming {
        let version = ApiVersion::V9_20250722;
        let info = manager.map(|manager| {
            let text = format!(r#"{{"version": "{version}", "manager": "{manager}"}}"#);
            serde_json::from_str(&text).unwrap()
        });
        Streaming::of(&Negotiated { version, info })
    }

    #[test]
    fn batches_are_streamed_where_that_cannot_block_the_session() {
        let batch = Batch::new().into();
        let query = ExecuteMode::query("1");
        for (manager, used_again, last) in [
            (Some("23.09.10"), true, true),
            (Some("25.11.2"), true, true),
            (Some("25.12.0"), false, false),
            (Some("25.14.5"), false, false),
            (Some("25.15.0"), false, true),
            (Some("26.9.6"), false, true),
            (Some("sorna-gateway 0.1.0"), true, true),
            (None, false, false),
        ] {
            let streaming = of(manager);
            let allowed = [false, true].map(|is_last| streaming.allows(&batch, is_last));
            assert_eq!(allowed, [used_again, last], "{manager:?}");
            assert!(streaming.allows(&query, false), "{manager:?}");
        }
    }
}
