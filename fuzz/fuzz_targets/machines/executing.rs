//! Executions, alone or in a run.

use sorna_core::machine::{Execution, ExecutionEvent};
use sorna_core::{Error, ExecuteMode, ExecutionStatus, UsageError};
use sorna_fuzz::check_error;

use crate::harness::Subject;
use crate::scene::Scene;
use crate::wire::{Exchange, Wire};

/// Follows what an execution sends and reports.
pub(crate) struct Executed {
    /// The code that the next request must carry.
    pub(crate) code: String,
    pub(crate) output: String,
    pub(crate) last_input: usize,
}

impl Executed {
    pub(crate) fn new(mode: &ExecuteMode) -> Self {
        Self {
            code: match mode {
                ExecuteMode::Query { code } => code.clone(),
                _ => String::new(),
            },
            output: String::new(),
            last_input: 0,
        }
    }

    pub(crate) fn sends(&self, exchange: &Exchange) {
        assert_eq!(exchange.code.as_deref(), Some(self.code.as_str()));
    }

    pub(crate) fn event(&mut self, event: ExecutionEvent) {
        match event {
            ExecutionEvent::Console(console) => {
                assert!(!console.is_empty(), "an event without output");
                self.output += &console.stdout();
            }
            ExecutionEvent::InputRequested { .. } => {}
            ExecutionEvent::StepFinished { status, .. } => assert!(matches!(
                status,
                ExecutionStatus::BuildFinished | ExecutionStatus::CleanFinished
            )),
            ExecutionEvent::Unknown(result) => assert!(!result.status.is_end()),
            _ => unreachable!("an event of a new kind"),
        }
    }

    pub(crate) fn answered(&mut self, input: &str) {
        self.code = input.to_owned();
        self.last_input += 1;
    }
}

pub(crate) struct Executing {
    execution: Execution,
    executed: Executed,
}

impl Executing {
    pub(crate) fn new(execution: Execution, scene: &Scene) -> Self {
        Self {
            execution,
            executed: Executed::new(&scene.mode()),
        }
    }
}

impl Subject for Executing {
    type Machine = Execution;

    fn machine(&mut self) -> &mut Execution {
        &mut self.execution
    }

    fn sends(&mut self, exchange: &Exchange) {
        if exchange.attempt == 1 && exchange.code.as_deref() == Some("") {
            self.executed.code.clear();
        }
        self.executed.sends(exchange);
    }

    fn event(&mut self, event: ExecutionEvent, _: &Wire) {
        self.executed.event(event);
    }

    fn done(&mut self, output: Result<sorna_core::ExecutionResult, Error>, wire: &Wire) {
        assert_eq!(
            self.executed.output, wire.output,
            "output is lost or doubled"
        );
        match output {
            Ok(result) => {
                assert!(result.status.is_end(), "{:?} is no end", result.status);
                assert!(result.console.is_empty(), "it was reported before");
                assert!(wire.last_was_good);
            }
            Err(error) => {
                check_error(&error);
                assert!(!wire.last_was_good, "the response was good: {error}");
            }
        }
    }

    fn awaits_input(&self) -> bool {
        self.execution.awaits_input()
    }

    fn answer(&mut self, input: &str) -> Result<(), UsageError> {
        self.execution.answer(input)?;
        self.executed.answered(input);
        Ok(())
    }
}
