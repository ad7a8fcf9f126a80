//! The end of a temporary kernel's interpreter, which ends as its language does: hooks run, and what they print is shown.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use sorna::RunEvent;
use sorna::blocking::{Canceller, Run};

use super::Session;
use super::snippet::Snippet;
use super::watch::Program;
use crate::reporter::Reporter;
use crate::threads::start;

/// How long nothing is said of an interpreter that does not end.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it may do nothing that is seen.
const MOST_SILENCE: Duration = Duration::from_secs(30);

impl Session<'_> {
    /// Goes on with a run that ends the interpreter, until it destroys the kernel. Ctrl-C interrupts what the interpreter
    /// does then; pressed twice, nothing more is waited for.
    pub(super) fn part(&mut self, run: Run) -> Run {
        let program = Arc::new(Program::new(run.canceller()).in_temporary(true));
        program.runs_in(Some(self.kernel()));
        self.watch.runs(Arc::clone(&program));
        let silence = Silence::watch(run.canceller(), self.reporter.clone());
        let mut snippet = Snippet::new(run, program);
        self.output.set_carried(snippet.run.carries_bytes());
        loop {
            match snippet.run.next_event() {
                Ok(Some(RunEvent::CleaningUp) | None) => break,
                Ok(Some(event)) => {
                    // While the user is asked for something, nothing else is to be seen.
                    silence.is_allowed(true);
                    if let Err(problem) = self.show(&mut snippet, event) {
                        self.reporter.fail(problem);
                        let _ = snippet.run.canceller().cancel();
                    }
                    silence.is_allowed(false);
                }
                // Input was requested and not given; only a cancelled run gets here.
                Err(_) => {
                    let _ = snippet.run.canceller().cancel();
                }
            }
        }
        self.watch.is_over();
        self.reporter.end_line();
        snippet.run
    }
}

/// Ends a run in which nothing happens for too long, as of an interpreter that waits for its threads forever.
struct Silence(Sender<bool>);

impl Silence {
    fn watch(canceller: Canceller, mut reporter: Reporter) -> Self {
        let (send, allowed) = channel();
        // Without this thread, Ctrl-C still ends the run.
        let _ = start("silence", move || {
            let mut is_allowed = false;
            let mut was_told = false;
            let mut silent = Duration::ZERO;
            loop {
                let news = match is_allowed {
                    true => allowed.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    false => allowed.recv_timeout(PATIENCE),
                };
                match news {
                    Ok(now) => (is_allowed, silent) = (now, Duration::ZERO),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => silent += PATIENCE,
                }
                if silent >= MOST_SILENCE {
                    reporter.advice(format_args!(
                        "The interpreter has not ended, and has printed nothing for {} s. It is killed.",
                        MOST_SILENCE.as_secs()
                    ));
                    let _ = canceller.cancel();
                    return;
                }
                if !silent.is_zero() && !std::mem::replace(&mut was_told, true) {
                    reporter.advice(
                        "The interpreter has not ended yet: what it does at its end, or a thread, takes longer. Press Ctrl-C to interrupt that.",
                    );
                }
            }
        });
        Self(send)
    }

    fn is_allowed(&self, is_allowed: bool) {
        // The thread may have ended the run.
        let _ = self.0.send(is_allowed);
    }
}
