//! What is printed between cells, by threads and processes that a cell has left behind: it is shown under that cell as it is
//! written, where the gateway tells of it, and with the next request elsewhere.

use std::time::{Duration, Instant};

use sorna::{Console, ExecutionEvent, ExecutionStatus};

use super::Worker;
use super::link::Replies;
use super::listening::{Heard, Listening};
use crate::cell::{Cell, Output};
use crate::message::Request;

/// How long nothing is to be done before the gateway is asked: cells that follow each other need no further request.
const CALM: Duration = Duration::from_millis(250);
/// How long to wait after a response that came at once and has nothing, or after a failure.
const PAUSE: Duration = Duration::from_secs(5);
/// What comes sooner has not been waited for.
const SOON: Duration = Duration::from_secs(1);
/// How long a gateway has to say what it has sent before a cell began.
const PATIENCE: Duration = Duration::from_secs(3);

impl<R: Replies> Worker<R> {
    /// Listens from soon on, if a cell has run that may have left something behind.
    pub(super) fn begin_listening(&mut self) {
        if self.listening.is_none() && self.last.is_some() {
            self.listen_after(CALM);
        }
    }

    /// Listens later, since there was something to do.
    pub(super) fn put_off_listening(&mut self) {
        self.listening
            .take_if(|it| matches!(it, Listening::Later(..)));
    }

    fn listen_after(&mut self, time: Duration) {
        let kernel = self.remote.to_listen().map(Box::new);
        self.listening = kernel.map(|kernel| Listening::Later(Instant::now() + time, kernel));
    }

    /// Shows what was heard.
    pub(super) async fn note_heard(&mut self, heard: Heard) {
        let was_soon = match self.listening.take() {
            Some(Listening::Now(since, _)) => since.elapsed() < SOON,
            _ => false,
        };
        match heard {
            Ok(result) => {
                let pause = match result.status == ExecutionStatus::Continued && was_soon {
                    true => PAUSE,
                    false => Duration::ZERO,
                };
                self.listen_after(pause);
                self.show_earlier(&result.console).await;
            }
            // The next cell says so.
            Err(error) if error.is_not_found() => self.listening = Some(Listening::Over),
            Err(_) => self.listen_after(PAUSE),
        }
    }

    /// Shows what was heard before something began to run, of which the response may still be on its way.
    pub(super) async fn settle_listening(&mut self) {
        if let Some(Listening::Now(_, request)) = &mut self.listening
            && let Ok(heard) = tokio::time::timeout(PATIENCE, request.response()).await
        {
            self.note_heard(heard).await;
        }
    }

    /// Shows what belongs to no cell that runs, under the one that ran last, as ipykernel does.
    pub(super) async fn show_earlier(&mut self, console: &Console) {
        if console.is_empty() {
            return;
        }
        // What earlier executions have left is output as any.
        let mut cell = Cell::new(&self.language);
        let event = ExecutionEvent::Console(console.clone());
        let mut outputs = cell.event(&event, Instant::now());
        outputs.extend(cell.release());
        self.show_as_earlier(outputs).await;
    }

    pub(super) async fn show_as_earlier(&self, outputs: Vec<Output>) {
        let Some(parent) = self.last.as_ref().or(self.running.as_ref()) else {
            return;
        };
        for output in outputs {
            let (kind, content) = output.message(self.count);
            self.publish(parent, kind, content).await;
        }
    }

    /// Notes a cell that has run: what comes from now on is shown under it.
    pub(super) fn note_run(&mut self, request: &Request) {
        // Clients show nothing of what they run silently themselves.
        if self.last.is_none() || !request.flag("silent", false) {
            self.last = Some(request.clone());
        }
        self.listening.take_if(|it| matches!(it, Listening::Over));
    }
}
