//! `sorna run --enqueue`: creates a session, and does not wait for it.

use sorna::{RunPlan, SessionToken};

use crate::advice::show_error_creating;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{self, Event};
use crate::reporter::Reporter;
use crate::target::Target;

pub(super) fn enqueue(
    target: &Target,
    plan: &RunPlan,
    token: &SessionToken,
    reporter: &mut Reporter,
) -> Result<Exit, Failure> {
    let spec = plan.spec().clone();
    let lang = spec.language().to_owned();
    match target.client.get_or_create(spec, token) {
        Ok(kernel) => {
            // A closed pipe is no failure: the reader needs no more.
            let _ = json::emit(&Event::SessionEnqueued {
                kernel: kernel.id(),
                token,
            });
            reporter.done(format_args!(
                "Session {token} (ID: {}) is enqueued.",
                kernel.id()
            ));
            reporter.info(format_args!(
                "`sorna info {token}` shows its status, `sorna run -t {token} {lang}` runs code in it, and `sorna destroy {token}` ends it."
            ));
            Ok(Exit::SUCCESS)
        }
        Err(error) => {
            reporter.note_error(&error);
            show_error_creating(reporter, &error, target, &lang);
            Ok(Exit::FAILURE)
        }
    }
}
