//! The states of a session.

use std::fmt;

/// What a status means for someone who wants to run code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Pending,
    Running,
    Dying,
    /// It may become any of the others.
    Open,
}

/// One row for each status: its variant, its name, and the phase it belongs to.
macro_rules! statuses {
    ($($(#[$meta:meta])* $variant:ident = $name:literal, $phase:ident;)*) => {
        /// The state of a session of Backend.AI.
        ///
        /// ```
        /// use sorna_core::SessionStatus;
        ///
        /// assert!(SessionStatus::from_name("RUNNING").is_running());
        /// assert!(SessionStatus::from_name("PULLING").is_pending());
        /// assert!(SessionStatus::from_name("TERMINATING").is_dying());
        /// assert_eq!(SessionStatus::from_name("DREAMING").as_str(), "DREAMING");
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum SessionStatus {
            $($(#[$meta])* $variant,)*
            /// A status of a newer gateway. It belongs to no phase.
            Other(String),
        }

        impl SessionStatus {
            /// The status of this name on the wire.
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                }
            }

            /// The status's name on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(name) => name,
                }
            }

            fn phase(&self) -> Phase {
                match self {
                    $(Self::$variant => Phase::$phase,)*
                    Self::Other(_) => Phase::Open,
                }
            }
        }
    };
}

// Those of managers 23.09.10 (sessions, and their main kernels, whose status a creation may report) and 26.8.1, read
// in their source; seen in responses: PENDING, RUNNING, TERMINATING, TIMEOUT.
statuses! {
    /// It is queued.
    Pending = "PENDING", Pending;
    /// Its priority is being lowered; it returns to the queue.
    Deprioritizing = "DEPRIORITIZING", Pending;
    /// It waits for other sessions to leave its resources.
    Reserved = "RESERVED", Pending;
    /// It has its place.
    Scheduled = "SCHEDULED", Pending;
    /// It is being prepared.
    Preparing = "PREPARING", Pending;
    /// Its image is being built.
    Building = "BUILDING", Pending;
    /// Its image is being pulled.
    Pulling = "PULLING", Pending;
    /// Its image is there.
    Prepared = "PREPARED", Pending;
    /// Its containers are being created.
    Creating = "CREATING", Pending;
    /// The manager has waited for [`max_wait`](crate::KernelSpec::max_wait); it may still start. Only the response to
    /// a creation has this.
    Timeout = "TIMEOUT", Pending;
    /// It can run code.
    Running = "RUNNING", Running;
    /// It runs without some of its containers.
    RunningDegraded = "RUNNING_DEGRADED", Open;
    /// It is being restarted.
    Restarting = "RESTARTING", Pending;
    /// It has to leave its resources to another: it will be terminated or rescheduled.
    Preempted = "PREEMPTED", Open;
    /// Its containers are being removed; it returns to the queue.
    Rescheduling = "RESCHEDULING", Pending;
    /// It is being destroyed.
    Terminating = "TERMINATING", Dying;
    /// It was destroyed.
    Terminated = "TERMINATED", Dying;
    /// It has failed.
    Error = "ERROR", Dying;
    /// It was destroyed before it ran.
    Cancelled = "CANCELLED", Dying;
}

impl SessionStatus {
    /// Whether it can run code.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.phase() == Phase::Running
    }

    /// Whether it does not run yet, but is to.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.phase() == Phase::Pending
    }

    /// Whether it has ended, is about to, or has failed: it will not run again.
    #[must_use]
    pub fn is_dying(&self) -> bool {
        self.phase() == Phase::Dying
    }
}

impl fmt::Display for SessionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
