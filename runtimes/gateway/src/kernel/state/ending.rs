//! How a run ended, and what is reported of it.

use std::time::Duration;

use serde_json::{Value, json};
use sorna_core::ExecutionStatus;

use crate::kernel::exceeded::Exceeded;
use crate::kernel::run::StepKind;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Finished {
        exit_code: i32,
        /// The step that ended a batch.
        step: Option<StepKind>,
        /// Whether the interpreter ended with the run, and its state is lost.
        restarted: bool,
        /// The limit for which it was killed.
        exceeded: Option<Exceeded>,
    },
    /// It has taken longer than this limit.
    TimedOut {
        limit: Duration,
        /// Whether the interpreter was killed, and its state is lost.
        restarted: bool,
    },
    /// The run was stopped, for the reason given.
    Failed(String),
}

/// What there is to report, apart from the console.
pub(super) struct Report {
    pub(super) status: ExecutionStatus,
    pub(super) exit_code: Option<i32>,
    pub(super) options: Value,
}

impl Report {
    pub(super) fn new(status: ExecutionStatus, options: Value) -> Self {
        Self {
            status,
            exit_code: None,
            options,
        }
    }

    pub(super) fn of_step(kind: StepKind, exit_code: i32) -> Self {
        let status = match kind {
            StepKind::Clean => ExecutionStatus::CleanFinished,
            StepKind::Build | StepKind::Exec => ExecutionStatus::BuildFinished,
        };
        Self {
            exit_code: Some(exit_code),
            ..Self::new(status, json!({"exitCode": exit_code, "step": kind.name()}))
        }
    }
}

impl Report {
    /// Whether it is about the end of a program, or of a step.
    pub(super) fn ends_program(&self) -> bool {
        matches!(
            self.status,
            ExecutionStatus::BuildFinished | ExecutionStatus::CleanFinished
        ) || self.status.is_end()
    }
}

impl Ending {
    /// What there is to report of it, also whether the state of earlier snippets was lost before it; an error is one of the
    /// request.
    pub(super) fn report(&self, lost_before: bool) -> Result<Report, String> {
        let mut report = self.own_report()?;
        if lost_before {
            report.options["restartedBefore"] = json!(true);
        }
        Ok(report)
    }

    fn own_report(&self) -> Result<Report, String> {
        match self {
            Self::Finished {
                exit_code,
                step,
                restarted,
                exceeded,
            } => {
                let mut options = json!({"exitCode": exit_code});
                if let Some(step) = step {
                    options["step"] = json!(step.name());
                }
                if *restarted {
                    options["restarted"] = json!(true);
                }
                if let Some(exceeded) = exceeded {
                    exceeded.add_to(&mut options);
                }
                Ok(Report {
                    exit_code: Some(*exit_code),
                    ..Report::new(ExecutionStatus::Finished, options)
                })
            }
            Self::TimedOut { limit, restarted } => {
                let mut options = json!({});
                if *restarted {
                    options["restarted"] = json!(true);
                }
                Exceeded::time(*limit).add_to(&mut options);
                Ok(Report::new(ExecutionStatus::ExecTimeout, options))
            }
            Self::Failed(reason) => Err(reason.clone()),
        }
    }
}
