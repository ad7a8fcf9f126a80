//! Tools that run code.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use super::caller::Caller;
use crate::answer::{Answer, shown};
use crate::failure::Failure;
use crate::input::Input;
use crate::run::{MOST_OUTPUT, Run, Task};
use crate::sessions::Sessions;

/// How often a client hears of a program that keeps running.
const BEAT: Duration = Duration::from_secs(1);
/// The longest line of that, in bytes.
const MOST_LINE: usize = 200;
/// How long to wait for the end of what was interrupted.
const INTERRUPTED: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunCode {
    language: String,
    code: String,
    session: Option<String>,
    #[serde(default)]
    stdin: String,
    timeout: Option<f64>,
    max_output: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    run: String,
    timeout: Option<f64>,
    max_output: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Interrupt {
    run: Option<String>,
    session: Option<String>,
}

/// Runs code, and waits for its end as long as clients wait.
pub(super) async fn run_code(
    sessions: &Sessions,
    arguments: RunCode,
    caller: &Caller,
) -> Result<Answer, Failure> {
    let begun = begin(sessions, arguments, sessions.options().time, caller).await?;
    if attend(&begun.run, begun.until, caller).await {
        // It is the caller's alone.
        begun.run.interrupt();
        // What is to be said of it is kept for the next one, since this answer is not read.
        return Err(Failure::new(
            "The call was cancelled, and the program interrupted.",
        ));
    }
    answer(&begun.run, begun.max_output)
}

/// Starts code, and does not wait for it.
pub(super) async fn start(
    sessions: &Sessions,
    arguments: RunCode,
    caller: &Caller,
) -> Result<Answer, Failure> {
    let begun = begin(sessions, arguments, sessions.options().max_time, caller).await?;
    let run = &begun.run;
    tokio::select! {
        () = run.ended() => {}
        // Then it has begun, or says soon why not.
        () = sessions.is_reached(&run.session) => {}
        () = sleep_until(begun.until) => {}
        () = caller.cancelled.cancelled() => {}
    }
    answer(run, begun.max_output)
}

/// Waits for a program.
pub(super) async fn wait(
    sessions: &Sessions,
    arguments: Wait,
    caller: &Caller,
) -> Result<Answer, Failure> {
    let patience = sessions.options().patience;
    let time = seconds(arguments.timeout)?.map_or(patience, |asked| asked.min(patience));
    let max_output = bytes(arguments.max_output)?;
    let run = sessions.run(&caller.client, &arguments.run)?;
    if attend(&run, Instant::now() + time, caller).await {
        // What is new is kept for the next one, since this answer is not read.
        return Err(Failure::new(
            "The call was cancelled; the program keeps running.",
        ));
    }
    answer(&run, max_output)
}

/// Interrupts a program.
pub(super) async fn interrupt(
    sessions: &Sessions,
    arguments: Interrupt,
    caller: &Caller,
) -> Result<Answer, Failure> {
    let client = &caller.client;
    let run = match (arguments.run, arguments.session) {
        (Some(run), None) => sessions.run(client, &run)?,
        (None, Some(name)) => {
            let session = sessions.named(client, &name)?;
            session
                .running()
                .ok_or_else(|| Failure::new(format!("Nothing runs in session `{name}`.")))?
        }
        _ => {
            return Err(Failure::new(
                "Name either a run or a session, in which something runs.",
            ));
        }
    };
    run.interrupt();
    tokio::select! {
        biased;
        // What is new is kept for the next one, since this answer is not read.
        () = caller.cancelled.cancelled() => {
            return Err(Failure::new("The call was cancelled; the program was interrupted."));
        }
        () = run.ended() => {}
        () = sleep_until(Instant::now() + INTERRUPTED) => {}
    }
    Ok(Answer::of_run(&run, run.news(None)))
}

/// What is new of a program, unless it could not be run as it was given.
fn answer(run: &Run, max_output: Option<usize>) -> Result<Answer, Failure> {
    match run.refusal() {
        Some(failure) => Err(failure),
        None => Ok(Answer::of_run(run, run.news(max_output))),
    }
}

/// A program that was begun, how long the call may wait for it, and how much output it wants.
struct Begun {
    run: Arc<Run>,
    until: Instant,
    max_output: Option<usize>,
}

/// Begins to run code, which may take this long if nothing is said.
async fn begin(
    sessions: &Sessions,
    arguments: RunCode,
    usual: Duration,
    caller: &Caller,
) -> Result<Begun, Failure> {
    let until = Instant::now() + sessions.options().patience;
    let max_output = bytes(arguments.max_output)?;
    let asked = seconds(arguments.timeout)?;
    if asked.is_some_and(|time| time.is_zero()) {
        return Err(Failure::new(
            "`timeout` is the time that the program may take, in seconds: more than 0. Without it, the usual limit holds.",
        ));
    }
    let asked = asked.map(|time| time.as_secs_f64());
    let task = Task {
        code: arguments.code,
        input: Input::new(arguments.stdin),
        time: sessions.options().time_for(asked, usual),
        max_output,
    };
    let name = arguments.session.as_deref();
    let begun = async {
        let client = &caller.client;
        let queue = sessions.queue(client, name, &arguments.language);
        let (session, turn) = match tokio::time::timeout_at(until, queue).await {
            Ok(queued) => queued?,
            Err(_) => return Err(silent(sessions.options().patience, "nothing has run")),
        };
        let rest = until.saturating_duration_since(Instant::now());
        sessions.start(client, &session, turn, task, rest).await
    };
    let run = tokio::select! {
        begun = begun => begun?,
        () = caller.cancelled.cancelled() => {
            return Err(Failure::new("The call was cancelled, and nothing has run."));
        }
    };
    Ok(Begun {
        run,
        until,
        max_output,
    })
}

/// Waits for the end of a program, or until this time, and tells the client meanwhile that it keeps running. Whether the client has
/// cancelled that.
async fn attend(run: &Run, until: Instant, caller: &Caller) -> bool {
    let mut beat = tokio::time::interval_at(Instant::now() + BEAT, BEAT);
    loop {
        tokio::select! {
            biased;
            () = caller.cancelled.cancelled() => return true,
            () = run.ended() => return false,
            () = sleep_until(until) => return false,
            _ = beat.tick() => {
                if let Some(progress) = &caller.progress {
                    progress(run.time().as_secs_f64(), run.last_line(MOST_LINE)).await;
                }
            }
        }
    }
}

/// The gateway has not answered for as long as a call may wait. What has become of what was asked for follows.
pub(super) fn silent(patience: Duration, what: &str) -> Failure {
    Failure::new(format!(
        "The gateway has not answered within {}: {what}.",
        shown(patience)
    ))
}

fn seconds(given: Option<f64>) -> Result<Option<Duration>, Failure> {
    match given.map(Duration::try_from_secs_f64) {
        None => Ok(None),
        Some(Ok(time)) => Ok(Some(time)),
        Some(Err(_)) => Err(Failure::new("`timeout` is in seconds, such as 30 or 0.5.")),
    }
}

fn bytes(given: Option<f64>) -> Result<Option<usize>, Failure> {
    let Some(given) = given else {
        return Ok(None);
    };
    if !(0.0..=MOST_OUTPUT as f64).contains(&given) {
        return Err(Failure::new(format!(
            "`max_output` is in bytes, from 0 to {MOST_OUTPUT}."
        )));
    }
    Ok(Some(given as usize))
}
