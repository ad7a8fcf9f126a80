//! Frees the session of a run that is given up.

use std::collections::VecDeque;

/// What to do next for a run that is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Interrupt the program.
    Interrupt,
    /// Ask for the next result. If it is the end, the program has ended by itself.
    Collect,
    /// Send a query without code, and the same run ID.
    Query,
    /// Give input, for which the program may wait.
    Input,
}

/// Which requests free the session, one after the other until one is answered with an end.
///
/// A manager holds a request for 2 s, so this takes 10 s at most.
#[derive(Debug)]
pub(super) struct Release {
    actions: VecDeque<Action>,
    has_queried: bool,
    /// Whether another run may have the session, which must not be interrupted then.
    may_be_another: bool,
    /// How many ends of steps may still come.
    steps: u8,
}

impl Release {
    /// For a run that is given up while its program may run.
    pub(super) fn of_program() -> Self {
        use Action::{Collect, Interrupt, Query};
        Self::of([Interrupt, Collect, Collect, Query, Collect])
    }

    /// For a run that the manager has broken. Its program may have ended.
    pub(super) fn of_broken_run() -> Self {
        use Action::{Collect, Interrupt, Query};
        Self::of([Query, Interrupt, Collect, Collect])
    }

    /// For a run of which a response was lost. Its program may run or have ended; or another run keeps the session busy, whose
    /// program is not to be interrupted: then the first request gets no response.
    pub(super) fn of_lost_run() -> Self {
        use Action::{Collect, Interrupt, Query};
        Self::of([Collect, Interrupt, Collect, Query, Collect])
    }

    /// For a run of a client that is gone, after a query with its ID: what it does is not known. A response to the query
    /// shows that the session is this run's.
    pub(super) fn of_abandoned_run() -> Self {
        use Action::{Collect, Input, Interrupt, Query};
        let then = [
            Interrupt, Collect, Collect, Input, Collect, Query, Collect, Collect,
        ];
        Self {
            has_queried: true,
            may_be_another: true,
            ..Self::of(then)
        }
    }

    fn of(actions: impl IntoIterator<Item = Action>) -> Self {
        Self {
            actions: actions.into_iter().collect(),
            has_queried: false,
            may_be_another: false,
            steps: 3,
        }
    }

    /// The next action; `None` if nothing helped.
    pub(super) fn next(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        self.has_queried |= action == Some(Action::Query);
        action
    }

    /// There was a response to a request of this run.
    pub(super) fn responded(&mut self) {
        self.may_be_another = false;
    }

    pub(super) fn may_be_another(&self) -> bool {
        self.may_be_another
    }

    /// A step of a batch has ended. Whether the next may follow at once.
    pub(super) fn step_ended(&mut self) -> bool {
        self.steps = self.steps.saturating_sub(1);
        self.steps > 0
    }

    /// Whether an end may be that of a query, and not the program's.
    pub(super) fn has_queried(&self) -> bool {
        self.has_queried
    }
}
