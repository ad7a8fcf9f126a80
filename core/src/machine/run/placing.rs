//! The files of a run for a gateway that makes no directories.

use std::convert::Infallible;

use bytes::Bytes;
use http::Response;

use super::flat::Flat;
use crate::caller::Caller;
use crate::error::{Error, RejectedFile, TransportError};
use crate::ident::KernelId;
use crate::machine::execution::{Execution, ExecutionEvent};
use crate::machine::step::{Machine, Step};
use crate::machine::upload::{Upload, UploadProgress};
use crate::moment::Moment;
use crate::ops::{Batch, Boundary};

/// Sends files under names without directories, and runs a script that moves them. (Gateway 0.9.11 makes no directories, and
/// a command that makes them would run only after the upload.)
#[derive(Debug)]
pub(super) struct Placing {
    /// What is done of the whole upload, once this is.
    whole: UploadProgress,
    /// Why the files could not be sent under their names.
    rejected: Vec<RejectedFile>,
    kernel: KernelId,
    caller: Caller,
    /// Runs the script.
    batch: Option<Batch>,
    /// What the script prints at its end.
    mark: String,
    stage: Stage,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of these in a run, and it is never moved around"
)]
enum Stage {
    Sending(Upload),
    /// With the script's output.
    Moving(Execution, String),
}

impl Placing {
    /// `upload` has ended with these rejected files. Returns them if there is another reason than their directories.
    pub(super) fn after(
        upload: &mut Upload,
        rejected: Vec<RejectedFile>,
        kernel: KernelId,
        boundary: Boundary,
        caller: Caller,
        is_any_size: bool,
    ) -> Result<Self, Vec<RejectedFile>> {
        let Some(files) = upload.take_unplaced(&rejected) else {
            return Err(rejected);
        };
        let mut whole = upload.progress();
        (whole.files, whole.bytes) = (whole.total_files, whole.total_bytes);
        let Flat { files, batch, mark } = Flat::new(files, &boundary);
        let upload = Upload::new(kernel.clone(), files, boundary, caller.clone());
        let upload = upload.with_any_size(is_any_size);
        Ok(Self {
            whole,
            rejected,
            kernel,
            caller,
            batch: Some(batch),
            mark,
            stage: Stage::Sending(upload),
        })
    }

    pub(super) fn is_in_flight(&self) -> bool {
        match &self.stage {
            Stage::Sending(upload) => upload.is_in_flight(),
            Stage::Moving(execution, _) => execution.is_in_flight(),
        }
    }

    fn moved(&mut self, is_moved: bool) -> Result<UploadProgress, Error> {
        match is_moved {
            true => Ok(self.whole),
            false => Err(Error::FilesRejected(std::mem::take(&mut self.rejected))),
        }
    }
}

impl Machine for Placing {
    type Event = Infallible;
    type Output = Result<UploadProgress, Error>;

    fn poll(&mut self, now: Moment) -> Step<Infallible, Self::Output> {
        loop {
            match &mut self.stage {
                Stage::Sending(upload) => match upload.poll(now).split() {
                    Ok(Ok(_)) => {
                        let Some(batch) = self.batch.take() else {
                            return Step::Idle;
                        };
                        let (kernel, caller) = (self.kernel.clone(), self.caller.clone());
                        let execution = Execution::new(kernel, batch.into(), caller);
                        self.stage = Stage::Moving(execution, String::new());
                    }
                    Ok(Err(error)) => return Step::Done(Err(error)),
                    // The progress of the whole is what counts.
                    Err(Step::Event(_)) => {}
                    Err(step) => return step.within(|_| unreachable!("events are taken above")),
                },
                Stage::Moving(execution, output) => match execution.poll(now).split() {
                    Ok(Ok(_)) => {
                        let is_moved = output.contains(&self.mark);
                        return Step::Done(self.moved(is_moved));
                    }
                    Ok(Err(error)) => return Step::Done(Err(error)),
                    Err(Step::Event(ExecutionEvent::Console(console))) => {
                        *output += &console.stdout();
                    }
                    // The script reads nothing.
                    Err(Step::Event(ExecutionEvent::InputRequested { .. })) => {
                        let _ = execution.answer("");
                    }
                    Err(Step::Event(_)) => {}
                    Err(step) => return step.within(|_| unreachable!("events are taken above")),
                },
            }
        }
    }

    fn handle_response(&mut self, now: Moment, response: Response<Bytes>) {
        match &mut self.stage {
            Stage::Sending(upload) => upload.handle_response(now, response),
            Stage::Moving(execution, _) => execution.handle_response(now, response),
        }
    }

    fn handle_failure(&mut self, now: Moment, failure: TransportError) {
        match &mut self.stage {
            Stage::Sending(upload) => upload.handle_failure(now, failure),
            Stage::Moving(execution, _) => execution.handle_failure(now, failure),
        }
    }
}
