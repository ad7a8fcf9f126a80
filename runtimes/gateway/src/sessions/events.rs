//! What happens to sessions, for those who listen.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::session::Session;

/// How many events a slow listener may be behind before it misses some.
const QUEUE: usize = 256;

/// Something that happened to a session.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// `session_started`, `kernel_terminated` and so on.
    pub(crate) name: &'static str,
    pub(crate) owner: String,
    pub(crate) session_id: String,
    pub(crate) session_name: String,
    reason: String,
    exit_code: Option<i32>,
}

/// Which events a listener wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Sessions,
    Kernels,
}

impl Scope {
    /// `None` if it is unknown.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "*" | "session,kernel" | "kernel,session" => Self::All,
            "session" => Self::Sessions,
            "kernel" => Self::Kernels,
            _ => return None,
        })
    }

    pub(crate) fn includes(self, event: &Event) -> bool {
        match self {
            Self::All => true,
            Self::Sessions => !event.is_of_kernel(),
            Self::Kernels => event.is_of_kernel(),
        }
    }
}

impl Event {
    fn is_of_kernel(&self) -> bool {
        self.name.starts_with("kernel_")
    }

    /// Its data, as manager 26.9.6 sends it.
    pub(crate) fn data(&self) -> Value {
        let mut data = json!({
            "reason": self.reason,
            "sessionName": self.session_name,
            "ownerAccessKey": self.owner,
            "sessionId": self.session_id,
            "exitCode": self.exit_code,
        });
        if self.is_of_kernel() {
            // A session has one kernel, whose ID is the same.
            data["kernelId"] = json!(self.session_id);
            data["clusterRole"] = json!("main");
            data["clusterIdx"] = json!(1);
        }
        data
    }
}

/// Passes events on to all who listen at that time.
#[derive(Debug)]
pub(super) struct Events(broadcast::Sender<Arc<Event>>);

impl Events {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(QUEUE))
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.subscribe()
    }

    pub(super) fn tell(&self, session: &Session, name: &'static str, reason: &str) {
        self.tell_with(session, name, reason, None);
    }

    pub(super) fn tell_with(
        &self,
        session: &Session,
        name: &'static str,
        reason: &str,
        exit_code: Option<i32>,
    ) {
        let event = Event {
            name,
            owner: session.owner.clone(),
            session_id: session.id.as_str().to_owned(),
            session_name: session.name(),
            reason: reason.to_owned(),
            exit_code,
        };
        // Without subscribers it is dropped.
        let _ = self.0.send(Arc::new(event));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn scopes_are_by_the_event_s_name() {
        let event = |name| Event {
            name,
            owner: String::new(),
            session_id: "u".to_owned(),
            session_name: String::new(),
            reason: String::new(),
            exit_code: None,
        };
        let (session, kernel) = (event("session_started"), event("kernel_started"));
        let included = |scope: &str| {
            let scope = Scope::from_name(scope).unwrap();
            (scope.includes(&session), scope.includes(&kernel))
        };
        assert_eq!(included("*"), (true, true));
        assert_eq!(included("session,kernel"), (true, true));
        assert_eq!(included("session"), (true, false));
        assert_eq!(included("kernel"), (false, true));
        assert_eq!(Scope::from_name("nope"), None);
        assert_eq!(kernel.data()["kernelId"], "u");
        assert_eq!(session.data().get("kernelId"), None);
    }
}
