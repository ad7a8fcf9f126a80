//! Whole runs.

use std::collections::BTreeSet;

use sorna_core::machine::{Cleanup, Ending, Run, RunEvent, RunReport, UploadProgress};
use sorna_core::server::Route;
use sorna_core::{ExecuteMode, ExecutionStatus, UsageError};
use sorna_fuzz::check_error;

use crate::executing::Executed;
use crate::harness::Subject;
use crate::scene::{Scene, kernel};
use crate::uploading::{check_progress, check_taken};
use crate::wire::{Exchange, Wire};

pub(crate) struct Running {
    run: Run,
    modes: Vec<ExecuteMode>,
    temporary: bool,
    is_uploadable: bool,
    names: BTreeSet<String>,
    seen: Option<UploadProgress>,
    uploaded: bool,
    executed: Executed,
    started: usize,
    finished: usize,
    output: String,
    cancelled: bool,
    ready: usize,
    cleaning_up: usize,
}

impl Running {
    pub(crate) fn new(run: Run, scene: &Scene) -> Self {
        Self {
            run,
            modes: scene.modes.clone(),
            temporary: scene.temporary,
            is_uploadable: scene.is_uploadable(),
            names: scene.files().iter().map(|f| f.name().to_owned()).collect(),
            seen: None,
            uploaded: scene.sizes.is_empty(),
            executed: Executed::new(&ExecuteMode::query("")),
            started: 0,
            finished: 0,
            output: String::new(),
            cancelled: false,
            ready: 0,
            cleaning_up: 0,
        }
    }

    fn progress(&mut self, progress: UploadProgress, wire: &Wire) {
        if let Some(seen) = self.seen {
            check_progress(seen, progress, wire);
        }
        self.seen = Some(progress);
    }
}

impl Subject for Running {
    type Machine = Run;

    fn machine(&mut self) -> &mut Run {
        &mut self.run
    }

    fn sends(&mut self, exchange: &Exchange) {
        assert!(
            self.is_uploadable,
            "a kernel for files that no gateway takes"
        );
        match exchange.asked {
            Route::Create => assert_eq!(self.ready, 0, "a second kernel"),
            Route::Destroy(_) => {
                assert!(self.temporary, "it was to be kept");
                assert_eq!(self.cleaning_up, 1, "it is reported before");
            }
            Route::Upload(_) | Route::Execute(_) => {
                assert!(!self.cancelled, "it was cancelled");
                assert_eq!(self.cleaning_up, 0);
                if exchange.code.is_some() {
                    assert!(self.uploaded, "its files are not there yet");
                    if exchange.attempt == 1 && exchange.code.as_deref() == Some("") {
                        self.executed.code.clear();
                    }
                    self.executed.sends(exchange);
                }
            }
            _ => panic!("unexpected request: {:?}", exchange.asked),
        }
    }

    fn event(&mut self, event: RunEvent, wire: &Wire) {
        match event {
            RunEvent::KernelReady(id) => {
                assert_eq!(id, kernel());
                self.ready += 1;
                assert_eq!(self.ready, 1);
            }
            RunEvent::Uploading(progress) => self.progress(progress, wire),
            RunEvent::Uploaded(progress) => {
                self.progress(progress, wire);
                check_taken(&self.names, wire, &[]);
                self.uploaded = true;
            }
            RunEvent::ExecutionStarted { index } => {
                assert_eq!((index, self.finished), (self.started, self.started));
                self.executed = Executed::new(&self.modes[index]);
                self.started += 1;
            }
            RunEvent::Execution(event) => self.executed.event(event),
            RunEvent::ExecutionFinished(result) => {
                assert!(result.status.is_end());
                self.output += &std::mem::take(&mut self.executed.output);
                self.finished += 1;
                assert_eq!(self.finished, self.started);
            }
            RunEvent::CleaningUp => {
                assert!(self.temporary && wire.created);
                self.cleaning_up += 1;
            }
            _ => unreachable!("an event of a new kind"),
        }
    }

    fn done(&mut self, report: RunReport, wire: &Wire) {
        assert_eq!(self.run.kernel().is_some(), wire.created);
        assert_eq!(report.kernel.is_some(), wire.created);
        let is_asked = wire.destroys > 0;
        assert_eq!(is_asked, self.temporary && wire.created, "destroying");
        match &report.cleanup {
            Cleanup::Kept => assert!(wire.created && !self.temporary),
            Cleanup::NoKernel => {
                assert!(!wire.created);
                assert!(
                    !(self.temporary && wire.may_hide_a_kernel),
                    "there may be a kernel"
                );
            }
            Cleanup::Unknown => assert!(self.temporary && !wire.created && wire.unclear > 0),
            Cleanup::Destroyed => assert!(wire.is_destroyed()),
            Cleanup::Failed(error) => {
                assert!(!wire.is_destroyed());
                check_error(error);
            }
            _ => unreachable!("a cleanup of a new kind"),
        }
        match &report.ending {
            Ending::Finished(last) => {
                assert!(self.uploaded);
                assert_eq!(self.started, self.finished);
                assert_eq!(last.is_some(), self.started > 0);
                let has_failed = last.as_ref().is_some_and(|result| {
                    result.status == ExecutionStatus::ExecTimeout
                        || result.exit_code().is_some_and(|code| code != 0)
                });
                assert!(has_failed || self.finished == self.modes.len());
            }
            Ending::Cancelled => assert!(self.cancelled),
            Ending::Failed(error) => check_error(error),
            _ => unreachable!("an ending of a new kind"),
        }
        if !self.cancelled {
            self.output += &self.executed.output;
            assert_eq!(self.output, wire.output, "output is lost or doubled");
        }
    }

    fn cancel(&mut self) {
        self.cancelled = true;
        self.run.cancel();
    }

    fn awaits_input(&self) -> bool {
        self.run.awaits_input()
    }

    fn answer(&mut self, input: &str) -> Result<(), UsageError> {
        self.run.answer(input)?;
        self.executed.answered(input);
        Ok(())
    }
}
