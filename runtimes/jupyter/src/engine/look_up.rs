//! What the kernel itself asks its interpreter.

use std::pin::pin;
use std::time::Instant;

use sorna::{Error, ExecutionEvent, UsageError};

use super::Worker;
use super::link::Replies;
use super::question::{Way, split};
use crate::cell::Cell;

impl<R: Replies> Worker<R> {
    /// How answers get here.
    pub(super) fn way(&self) -> Way {
        Way::new(self.remote.has_between())
    }

    /// What the answer to a question is, if there is one. What a program prints meanwhile is shown.
    pub(super) async fn look_up(&mut self, question: &str) -> Option<String> {
        let kernel = self.remote.kernel().await.ok()?;
        let mut running = pin!(kernel.run(question));
        let result = loop {
            tokio::select! {
                result = &mut running => break result,
                Some(()) = self.interrupts.recv() => {
                    let _ = self.remote.interrupt(&kernel).await;
                }
            }
        };
        let result = match result {
            Ok(result) => result,
            Err(Error::Usage(UsageError::InputUnavailable)) => {
                self.remote.next_number = 0;
                return None;
            }
            Err(_) => return None,
        };
        self.remote.note(&result);
        let (earlier, own) = result.console.clone().split_unclaimed();
        self.settle_listening().await;
        self.show_earlier(&earlier).await;
        let (answer, rest) = split(&own);
        if answer.is_some() || self.remote.has_between() {
            self.show_earlier(&rest).await;
        } else {
            // The question itself has failed, and its error is no one's.
            let mut cell = Cell::new(&self.language);
            let mut outputs = cell.event(&ExecutionEvent::Console(rest), Instant::now());
            outputs.extend(cell.end(&result, self.remote.is_ours()).outputs);
            self.show_as_earlier(outputs).await;
        }
        let answer = answer?.trim_end().to_owned();
        (!answer.is_empty()).then_some(answer)
    }
}
