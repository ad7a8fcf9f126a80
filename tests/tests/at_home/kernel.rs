//! Programs run by a client in a kernel.

use sorna::blocking::{Client, Run};
use sorna::{Ending, ExecutionEvent, RunEvent, RunPlan};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

use crate::outcome::Outcome;

/// A gateway and its client.
pub(crate) struct Place {
    pub(crate) gateway: RunningGateway,
    pub(crate) client: Client,
}

impl Place {
    pub(crate) fn start() -> Self {
        Self::of(GatewayConfig::default())
    }

    pub(crate) fn of(config: GatewayConfig) -> Self {
        let gateway = Gateway::spawn(config).unwrap();
        let client = Client::new(gateway.config());
        Self { gateway, client }
    }

    /// The same with a client that speaks the API of Backend.AI.
    pub(crate) fn with_backend_ai() -> Self {
        let gateway = Gateway::spawn(GatewayConfig::default()).unwrap();
        let config = gateway
            .config()
            .with_version(sorna::ApiVersion::V9_20250722);
        let client = Client::new(config);
        Self { gateway, client }
    }
}

/// Runs a program in a temporary kernel.
#[track_caller]
pub(crate) fn run(place: &Place, language: &str, program: &str) -> Outcome {
    let (outcome, _) = run_plan(place, RunPlan::temporary(language, [program]), &[]);
    outcome
}

/// Carries out a plan, and answers questions. Returns the outcome of all, and how many executions were reported.
#[track_caller]
pub(crate) fn run_plan(place: &Place, plan: RunPlan, answers: &[&str]) -> (Outcome, usize) {
    let mut run: Run = place.client.run(plan);
    let (mut stdout, mut stderr, mut executions) = (String::new(), String::new(), 0);
    let mut answers = answers.iter();
    while let Some(event) = run.next_event().unwrap() {
        match event {
            RunEvent::Execution(ExecutionEvent::Console(console)) => {
                stdout += &console.stdout();
                stderr += &console.stderr();
            }
            RunEvent::Execution(ExecutionEvent::InputRequested { .. }) => {
                run.answer(*answers.next().expect("no question")).unwrap();
            }
            RunEvent::ExecutionFinished(_) => executions += 1,
            _ => {}
        }
    }
    let report = run.into_report().unwrap();
    let Ending::Finished(Some(last)) = report.ending else {
        panic!("{report:?}")
    };
    let exit_code = last.exit_code().unwrap_or(match last.status {
        sorna::ExecutionStatus::ExecTimeout => -1,
        _ => -2,
    });
    let outcome = Outcome {
        stdout,
        stderr,
        exit_code,
    };
    (outcome, executions)
}
