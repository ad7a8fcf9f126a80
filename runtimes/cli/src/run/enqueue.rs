//! `sorna run --enqueue`: creates a session, and does not wait for it.

use sorna::{Dialect, Ending, KernelId, RunEvent, RunPlan, SessionToken};

use super::resources::Wishes;
use crate::advice::show_error_creating;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{self, Event};
use crate::reporter::Reporter;
use crate::signals::LastWords;
use crate::target::Target;

pub(super) fn enqueue(
    target: &Target,
    plan: RunPlan,
    token: &SessionToken,
    wishes: Wishes<'_>,
    reporter: &mut Reporter,
    words: &LastWords,
) -> Result<Exit, Failure> {
    // A signal ends the command at once: what it ends is no more than the waiting for an answer.
    words.set(target.terms().may_start(token));
    let lang = plan.spec().language().to_owned();
    // Nothing is executed in it.
    let mut run = target.client.run(plan);
    let mut exit = Exit::SUCCESS;
    while let Ok(Some(event)) = run.next_event() {
        if let RunEvent::KernelReady(kernel) = event {
            words.clear();
            let is_new = run.is_new();
            enqueued(reporter, &kernel, token, is_new, &lang);
            let dialect = Dialect::BackendAi;
            let compared = wishes.asked().compare(target, &kernel, dialect, is_new);
            for remark in compared.remarks {
                reporter.advice(remark);
            }
            if let Some(refusal) = compared.refusal {
                reporter.fail(refusal);
                exit = Exit::USAGE;
            }
        }
    }
    match run.into_report().map(|report| report.ending) {
        Some(Ending::Failed(error)) => {
            reporter.note_error(&error);
            show_error_creating(reporter, &error, target, &lang);
            Ok(Exit::FAILURE)
        }
        _ => Ok(exit),
    }
}

fn enqueued(
    reporter: &mut Reporter,
    kernel: &KernelId,
    token: &SessionToken,
    is_new: Option<bool>,
    lang: &str,
) {
    // A closed pipe is no failure: the reader needs no more.
    let _ = json::emit(&Event::SessionEnqueued { kernel, token });
    reporter.done(match is_new {
        Some(false) => format!("Session {token} (ID: {kernel}) exists already."),
        _ => format!("Session {token} (ID: {kernel}) is enqueued."),
    });
    reporter.info(format_args!(
        "`sorna info {token}` shows its status, `sorna run -t {token} {lang}` runs code in it, and `sorna destroy {token}` ends it."
    ));
}
