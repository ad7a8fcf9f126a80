#![allow(clippy::unwrap_used, reason = "a test may panic")]

use sorna_core::server::ExecuteRequest;

use super::*;
use crate::kernel::run::Steps;
use crate::kernel::stock::Stock;

fn shared() -> Shared {
    Shared::new(Arc::<Stock>::default().hold("key"))
}

fn text(text: &str) -> Input {
    Input::Text(text.to_owned())
}

fn snippet() -> Option<Plan> {
    Some(Plan::Snippet {
        code: "code".to_owned(),
        is_final: false,
        echoes: false,
    })
}

fn batch(exec: &str) -> Option<Plan> {
    let body = json!({"mode": "batch", "code": "", "options": {"exec": exec}}).to_string();
    let ExecuteRequest::Batch { steps, .. } = ExecuteRequest::parse(body.as_bytes()).unwrap()
    else {
        panic!("not a batch");
    };
    Some(Plan::Steps(Steps {
        source: None,
        steps: Default::default(),
        batch: Some(steps),
    }))
}

fn finished() -> Phase {
    Phase::Ended(Ending::Finished {
        exit_code: 3,
        step: None,
        restarted: false,
        exceeded: None,
    })
}

/// The status that is reported now.
fn status(shared: &Shared, is_due: bool) -> Option<String> {
    let response = shared.lock().take_response(100, is_due)?;
    Some(response.unwrap().status.as_str().to_owned())
}

#[test]
fn the_end_of_a_run_is_reported_once() {
    let shared = shared();
    assert!(matches!(
        shared.lock().begin(text(""), None),
        Ok(Intent::Continue)
    ));
    assert_eq!(status(&shared, false).as_deref(), Some("finished"));
    assert!(matches!(
        shared.lock().begin(text("code"), snippet()),
        Ok(Intent::Start(_))
    ));
    assert_eq!(status(&shared, false), None);
    assert_eq!(status(&shared, true).as_deref(), Some("continued"));
    // Code while something runs is no continuation of it.
    assert!(matches!(
        shared.lock().begin(text("code"), snippet()),
        Err(ExecuteError::Busy(_))
    ));
    assert!(matches!(
        shared.lock().begin(text(""), None),
        Ok(Intent::Continue)
    ));
    shared.enter(finished());
    let response = shared.lock().take_response(100, false).unwrap().unwrap();
    assert_eq!(response.options, json!({"exitCode": 3}));
    assert_eq!(shared.lock().phase, Phase::Idle);
    assert_eq!(shared.lock().runs, 1);
}

#[test]
fn a_full_console_is_reported_at_once() {
    let shared = shared();
    let _ = shared.lock().begin(text("code"), snippet());
    shared.lock().console.push_stdout(&"x".repeat(100));
    assert_eq!(status(&shared, false).as_deref(), Some("continued"));
    assert!(shared.lock().console.is_empty());
}

#[test]
fn input_is_accepted_only_after_it_was_asked_for() {
    let shared = shared();
    let _ = shared.lock().begin(text("code"), snippet());
    shared.enter(Phase::WaitingInput {
        echo: Echo::LineEnd,
        reported: false,
    });
    assert!(matches!(
        shared.lock().begin(text("x"), snippet()),
        Err(ExecuteError::Busy(_))
    ));
    let response = shared.lock().take_response(100, false).unwrap().unwrap();
    assert_eq!(
        response.options,
        json!({"is_password": true, "takes_lines": true, "takes_bytes": true})
    );
    let intent = shared.lock().begin(text(""), None);
    assert!(matches!(intent, Ok(Intent::Input(line)) if line == text("")));
}

#[test]
fn a_program_that_asks_while_input_is_under_way_gets_that() {
    let shared = shared();
    let _ = shared.lock().begin(text("code"), snippet());
    shared.wait_for_input(Echo::All);
    assert_eq!(status(&shared, false).as_deref(), Some("waiting-input"));
    // The program keeps running, and asks again just when its client answers.
    shared.withdraw();
    let intent = shared.lock().begin(text("x"), None);
    assert!(matches!(intent, Ok(Intent::Input(_))));
    shared.wait_for_input(Echo::All);
    assert_eq!(status(&shared, false), None);
    shared.passes_on_input();
    shared.wait_for_input(Echo::All);
    assert_eq!(status(&shared, false).as_deref(), Some("waiting-input"));
}

#[test]
fn input_that_arrives_after_the_end_is_not_run_as_code() {
    let shared = shared();
    let _ = shared.lock().begin(text("code"), snippet());
    shared.enter(Phase::WaitingInput {
        echo: Echo::All,
        reported: false,
    });
    assert_eq!(status(&shared, false).as_deref(), Some("waiting-input"));
    shared.enter(finished());
    assert!(matches!(
        shared.lock().begin(text("rm -r"), snippet()),
        Ok(Intent::Continue)
    ));
    assert_eq!(status(&shared, false).as_deref(), Some("finished"));
    assert!(matches!(
        shared.lock().begin(text("code"), snippet()),
        Ok(Intent::Start(_))
    ));
}

#[test]
fn a_batch_continues_with_the_same_steps_and_is_not_started_again() {
    let shared = shared();
    assert!(matches!(
        shared.lock().begin(text(""), batch("a")),
        Ok(Intent::Start(_))
    ));
    assert_eq!(status(&shared, true).as_deref(), Some("continued"));
    shared.enter(finished());
    assert!(matches!(
        shared.lock().begin(text(""), batch("a")),
        Ok(Intent::Continue)
    ));
    assert_eq!(status(&shared, false).as_deref(), Some("finished"));
    assert!(matches!(
        shared.lock().begin(text(""), batch("a")),
        Ok(Intent::Start(_))
    ));
    assert!(matches!(
        shared.lock().begin(text(""), batch("b")),
        Err(ExecuteError::Busy(_))
    ));
    // Another batch is another run, even if the end of this one was not reported.
    assert_eq!(status(&shared, true).as_deref(), Some("continued"));
    shared.enter(finished());
    assert!(matches!(
        shared.lock().begin(text(""), batch("b")),
        Ok(Intent::Start(_))
    ));
}

#[test]
fn a_destroyed_kernel_stays_gone() {
    let shared = shared();
    shared.enter(Phase::Gone);
    shared.enter(Phase::Running);
    let response = shared.lock().take_response(100, true).unwrap();
    assert_eq!(response.unwrap_err(), ExecuteError::Gone);
}
