//! Operations under a fault, and their outcomes.

use std::time::Duration;

use sorna::protocol::{
    Authorize, Complete, CreateKernel, Destroy, Info, ListLanguages, Restart, Version,
};
use sorna::{
    Cleanup, Ending, Error, KernelId, RunPlan, RunReport, SessionToken, TerminalEvent,
    TerminalOptions, TransportError, TransportErrorKind, UploadFile,
};
use sorna_tests::drivers::{Driver, PtyDriver, Stop};
use sorna_tests::proxy::{Fault, Target, Times};

use crate::faults::{Row, Scope, Verdict};

/// The content of the uploaded file.
const CONTENT: &str = "as it was sent\n";

/// An operation of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Version,
    Authorize,
    Languages,
    Create,
    Info,
    Complete,
    Upload,
    Destroy,
    Restart,
    Execute,
    Terminal,
    /// A whole run in a temporary kernel; the fault strikes at this stage.
    Run(Stage),
}

/// The requests of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Create,
    Upload,
    Execute,
    Destroy,
}

impl Stage {
    pub(crate) const ALL: [Self; 4] = [Self::Create, Self::Upload, Self::Execute, Self::Destroy];

    /// The operation of the stage.
    fn operation(self) -> Operation {
        match self {
            Self::Create => Operation::Create,
            Self::Upload => Operation::Upload,
            Self::Execute => Operation::Execute,
            Self::Destroy => Operation::Destroy,
        }
    }
}

impl Operation {
    pub(crate) const ALL: [Self; 15] = [
        Self::Version,
        Self::Authorize,
        Self::Languages,
        Self::Create,
        Self::Info,
        Self::Complete,
        Self::Upload,
        Self::Destroy,
        Self::Restart,
        Self::Execute,
        Self::Terminal,
        Self::Run(Stage::Create),
        Self::Run(Stage::Upload),
        Self::Run(Stage::Execute),
        Self::Run(Stage::Destroy),
    ];

    /// Its class, for which the table has a section.
    pub(crate) fn class(self) -> Class {
        match self {
            Self::Execute | Self::Restart => Class::OnceOnly,
            Self::Terminal => Class::Terminal,
            Self::Run(_) => Class::Run,
            _ => Class::Repeatable,
        }
    }

    /// The requests that belong to it.
    pub(crate) fn target(self) -> Target {
        match self {
            Self::Run(Stage::Create) => Target::Create,
            Self::Run(Stage::Upload) => Target::Upload,
            Self::Run(Stage::Execute) => Target::Execute,
            Self::Run(Stage::Destroy) => Target::Destroy,
            _ => Target::Any,
        }
    }

    /// Whether it needs an existing kernel.
    pub(crate) fn needs_kernel(self) -> bool {
        !matches!(
            self,
            Self::Version | Self::Authorize | Self::Languages | Self::Create | Self::Run(_)
        )
    }

    fn response_has_body(self) -> bool {
        !matches!(
            self,
            Self::Upload | Self::Destroy | Self::Restart | Self::Terminal
        )
    }

    fn request_has_body(self) -> bool {
        matches!(
            self,
            Self::Authorize | Self::Create | Self::Complete | Self::Upload | Self::Execute
        )
    }

    /// Whether this fault can affect it.
    pub(crate) fn is_struck_by(self, row: &Row) -> bool {
        match (row.scope, self) {
            (Scope::Terminals, operation) => operation == Self::Terminal,
            (Scope::NewConnections, Self::Run(stage)) => stage == Stage::Create,
            // A terminal has its own connection.
            (Scope::UsedConnections, operation) => operation != Self::Terminal,
            (_, Self::Run(stage)) => {
                verdict(row, stage.operation()) != Verdict::Fine
                    || (row.verdict == Verdict::Fine && stage == Stage::Create)
            }
            (Scope::ResponseBodies, operation) => operation.response_has_body(),
            (Scope::RequestBodies, operation) => operation.request_has_body(),
            (Scope::Everything | Scope::NewConnections, _) => true,
        }
    }
}

/// Operations with the same promised outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Repeatable,
    OnceOnly,
    Run,
    Terminal,
}

/// The outcome of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The right result.
    Fine,
    /// An error of this class.
    Failed(Failure),
    /// A run that did not do everything in its plan, and what happened to the kernel.
    Run(Option<Failure>, Kernel),
    /// A success with the wrong content, or an error without the details that it needs.
    Wrong(String),
    /// It did not end.
    Hang,
    Panic(String),
}

/// Classes of errors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    NoConnection,
    Broken,
    Timeout,
    TooLarge,
    /// With the class of the cause.
    MayHaveRun(Box<Failure>),
    Malformed,
    Status(u16),
    Closed,
    Other(String),
}

/// What happened to a temporary kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kernel {
    Destroyed,
    /// There never was a kernel.
    None,
    /// It is unknown whether there is a kernel, and the report says so.
    Unknown,
    /// It still lives, and the report says so and names it.
    Left,
}

impl Failure {
    fn of(error: &Error) -> Self {
        match error {
            Error::Gateway(error) => Self::Status(error.status().as_u16()),
            Error::Parse(_) => Self::Malformed,
            Error::Transport(failure) => Self::of_transport(failure),
            Error::MayHaveRun(failure) => Self::MayHaveRun(Box::new(Self::of_transport(failure))),
            error => Self::Other(format!("{error:?}")),
        }
    }

    fn of_transport(failure: &TransportError) -> Self {
        match failure.kind() {
            TransportErrorKind::Resolve | TransportErrorKind::Connect => Self::NoConnection,
            // Which of the two it is can depend on a race.
            TransportErrorKind::Send | TransportErrorKind::Receive => Self::Broken,
            TransportErrorKind::Timeout => Self::Timeout,
            TransportErrorKind::TooLarge => Self::TooLarge,
            _ => Self::Other(format!("{failure:?}")),
        }
    }

    /// Its text in the table.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::NoConnection => "no connection".into(),
            Self::Broken => "broken".into(),
            Self::Timeout => "timeout".into(),
            Self::TooLarge => "too large".into(),
            Self::MayHaveRun(_) => "may have run".into(),
            Self::Malformed => "malformed".into(),
            Self::Status(status) => status.to_string(),
            Self::Closed => "closed".into(),
            Self::Other(what) => what.clone(),
        }
    }
}

impl Outcome {
    /// Its text in the table.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Fine => "ok".into(),
            Self::Failed(failure) => failure.name(),
            Self::Run(_, Kernel::Destroyed) => "destroyed".into(),
            Self::Run(_, Kernel::None) => "no kernel".into(),
            Self::Run(_, Kernel::Unknown) => "unknown".into(),
            Self::Run(_, Kernel::Left) => "left".into(),
            Self::Wrong(_) => "WRONG".into(),
            Self::Hang => "HANG".into(),
            Self::Panic(_) => "PANIC".into(),
        }
    }
}

/// The outcome of one request of an operation.
fn verdict(row: &Row, operation: Operation) -> Verdict {
    let strikes = match row.scope {
        Scope::ResponseBodies => operation.response_has_body(),
        Scope::RequestBodies => operation.request_has_body(),
        Scope::Terminals => operation == Operation::Terminal,
        Scope::Everything | Scope::NewConnections | Scope::UsedConnections => true,
    };
    if strikes { row.verdict } else { Verdict::Fine }
}

/// The required outcome of an operation with one request, including its retries.
fn expected_of_one(row: &Row, times: Times, operation: Operation) -> Result<(), Failure> {
    let class = operation.class();
    let repeats = match verdict(row, operation) {
        Verdict::Unsent | Verdict::NotActed(_) => class != Class::Terminal,
        Verdict::Broken | Verdict::Dropped | Verdict::Timeout => class == Class::Repeatable,
        Verdict::Status(status) => status >= 500 && class == Class::Repeatable,
        _ => false,
    };
    if repeats && times == Times::Once {
        return Ok(());
    }
    let failure = match verdict(row, operation) {
        Verdict::Fine => return Ok(()),
        Verdict::Unsent => return Err(Failure::NoConnection),
        Verdict::Broken | Verdict::Dropped => Failure::Broken,
        Verdict::Timeout => Failure::Timeout,
        Verdict::TooLarge => Failure::TooLarge,
        // Only 101 opens a terminal; everything else is an error response.
        Verdict::Malformed if class == Class::Terminal => Failure::Status(200),
        Verdict::Malformed => Failure::Malformed,
        Verdict::Status(status) | Verdict::NotActed(status) => Failure::Status(status),
        Verdict::Closed => Failure::Closed,
    };
    let is_transport = matches!(
        failure,
        Failure::Broken | Failure::Timeout | Failure::TooLarge
    );
    Err(if is_transport && class == Class::OnceOnly {
        Failure::MayHaveRun(Box::new(failure))
    } else {
        failure
    })
}

/// The same for a stage of a run, which requests its kernel again after an unusable response.
fn expected_of_stage(row: &Row, times: Times, stage: Stage) -> Result<(), Failure> {
    let operation = stage.operation();
    let asks_again = stage == Stage::Create && verdict(row, operation).is_unusable();
    if asks_again && times == Times::Once {
        return Ok(());
    }
    expected_of_one(row, times, operation)
}

/// The possible outcomes of an operation, each with how often its code runs. There is more than one
/// where client and fault race.
pub(crate) fn possible(row: &Row, times: Times, operation: Operation) -> Vec<(Outcome, usize)> {
    let of = |row: &Row| {
        let executions = expected_executions(row, times, operation);
        (expected(row, times, operation), executions)
    };
    let as_if = |verdict| of(&Row { verdict, ..*row });
    match (row.verdict, row.fault, times) {
        (Verdict::Dropped, ..) => {
            let mut possible = vec![as_if(Verdict::Unsent), as_if(Verdict::Broken)];
            // The last attempt decides the failure, and all attempts together decide the rest. A
            // connection may also break before the first byte is sent.
            if times == Times::Always && operation == Operation::Run(Stage::Create) {
                let unknown = Outcome::Run(Some(Failure::NoConnection), Kernel::Unknown);
                let none = Outcome::Run(Some(Failure::Broken), Kernel::None);
                possible.extend([(unknown, 0), (none, 0)]);
            } else if times == Times::Always {
                possible.push((Outcome::Failed(Failure::Broken), 0));
            }
            possible
        }
        (_, Fault::Gone, Times::Always) => {
            // The first attempt ends as it must; later ones may fail before they are sent.
            let mut possible = vec![of(row)];
            let later = match possible[0].0.clone() {
                Outcome::Failed(Failure::Broken) => Outcome::Failed(Failure::NoConnection),
                Outcome::Run(Some(Failure::Broken), kernel) => {
                    Outcome::Run(Some(Failure::NoConnection), kernel)
                }
                _ => return possible,
            };
            if operation != Operation::Terminal {
                possible.push((later, 0));
            }
            possible
        }
        _ => vec![of(row)],
    }
}

/// The required outcome of an operation.
fn expected(row: &Row, times: Times, operation: Operation) -> Outcome {
    let Operation::Run(struck) = operation else {
        return match expected_of_one(row, times, operation) {
            Ok(()) => Outcome::Fine,
            Err(failure) => Outcome::Failed(failure),
        };
    };
    let of_stage = |stage: Stage| {
        let is_struck = match times {
            Times::Once => stage == struck,
            Times::Always => stage >= struck,
        };
        if is_struck {
            expected_of_stage(row, times, stage)
        } else {
            Ok(())
        }
    };
    if let Err(failure) = of_stage(Stage::Create) {
        let kernel = match row.verdict {
            Verdict::Unsent | Verdict::NotActed(_) | Verdict::Status(..500) => Kernel::None,
            _ => Kernel::Unknown,
        };
        return Outcome::Run(Some(failure), kernel);
    }
    let work = of_stage(Stage::Upload).and_then(|()| of_stage(Stage::Execute));
    match (work, of_stage(Stage::Destroy)) {
        (Ok(()), Ok(())) => Outcome::Fine,
        (work, destroyed) => {
            let kernel = if destroyed.is_ok() {
                Kernel::Destroyed
            } else {
                Kernel::Left
            };
            Outcome::Run(work.err(), kernel)
        }
    }
}

/// How often the code of an operation must have run at the end.
fn expected_executions(row: &Row, times: Times, operation: Operation) -> usize {
    let executes = match operation {
        Operation::Execute => true,
        Operation::Run(Stage::Destroy) => return 1,
        Operation::Run(struck) => {
            let stages = Stage::ALL.into_iter().filter(|stage| match times {
                Times::Once => *stage == struck,
                Times::Always => *stage >= struck,
            });
            let before = stages.take_while(|stage| *stage < Stage::Execute);
            let gets_there = before
                .map(|stage| expected_of_stage(row, times, stage))
                .all(|ended| ended.is_ok());
            if !gets_there {
                return 0;
            }
            times == Times::Always || struck == Stage::Execute
        }
        _ => return 0,
    };
    let is_struck = executes;
    let runs =
        !is_struck || row.is_passed_on() || expected_of_one(row, times, Operation::Execute).is_ok();
    usize::from(runs)
}

/// What an operation needs.
pub(crate) struct Setting<'a, D> {
    pub(crate) driver: &'a D,
    /// The existing kernel.
    pub(crate) kernel: Option<KernelId>,
    /// The token for a new one.
    pub(crate) token: SessionToken,
    /// Leaves a line in the file that counts executions, and prints `ran`.
    pub(crate) code: String,
}

fn check(is_right: bool, what: &str) -> Outcome {
    if is_right {
        Outcome::Fine
    } else {
        Outcome::Wrong(what.to_owned())
    }
}

/// Carries out the operation.
pub(crate) async fn perform<D: Driver>(operation: Operation, setting: &Setting<'_, D>) -> Outcome {
    let Setting { driver, .. } = setting;
    let kernel = || setting.kernel.clone().expect("a kernel");
    let done = match operation {
        Operation::Version => driver
            .call(Version::new())
            .await
            .map(|response| check(response.value.version == "v2.20170315", "another version")),
        Operation::Authorize => driver
            .call(Authorize::new("hello"))
            .await
            .map(|response| check(response.value.echo.as_deref() == Some("hello"), "no echo")),
        Operation::Languages => driver.call(ListLanguages::new()).await.map(|response| {
            let languages = format!("{:?}", response.value);
            check(languages.contains("bash"), "no bash")
        }),
        Operation::Create => {
            let create = CreateKernel::new("bash", setting.token.clone());
            driver.call(create).await.map(|_| Outcome::Fine)
        }
        Operation::Info => driver
            .call(Info::new(kernel()))
            .await
            .map(|response| check(response.value.language() == Some("bash"), "another kernel")),
        Operation::Complete => {
            let complete = driver.call(Complete::at_end(kernel(), "ec")).await;
            complete.map(|response| check(response.value.is_empty(), "bash completes"))
        }
        Operation::Upload => {
            let uploaded = driver.upload(kernel(), vec![file()]).await;
            uploaded.map(|(progress, _)| check(progress.files == 1, "not all files"))
        }
        Operation::Destroy => driver
            .call(Destroy::new(kernel()))
            .await
            .map(|_| Outcome::Fine),
        Operation::Restart => driver
            .call(Restart::new(kernel()))
            .await
            .map(|_| Outcome::Fine),
        Operation::Execute => {
            let executed = driver
                .execute(kernel(), setting.code.as_str().into(), &[])
                .await;
            executed
                .map(|executed| check(executed.result.console.stdout() == "ran\n", "other output"))
        }
        Operation::Terminal => terminal(*driver, kernel()).await,
        Operation::Run(_) => return run(setting).await,
    };
    done.unwrap_or_else(|error| Outcome::Failed(Failure::of(&error)))
}

fn file() -> UploadFile {
    UploadFile::from_bytes("uploaded", CONTENT).expect("a file")
}

async fn terminal<D: Driver>(driver: &D, kernel: KernelId) -> Result<Outcome, Error> {
    let mut pty = driver
        .stream_pty(kernel, TerminalOptions::default())
        .await?;
    // If the connection is broken already, the failure is reported to the writer or to the reader.
    let typed = pty.write(b"echo $((6 * 7))-yes\n").await;
    let mut all = Vec::new();
    while !all.windows(6).any(|window| window == b"42-yes") {
        match pty.event().await? {
            Some(TerminalEvent::Output(bytes)) => all.extend_from_slice(&bytes),
            Some(TerminalEvent::Closed { .. }) => return Ok(Outcome::Failed(Failure::Closed)),
            Some(_) => {}
            None => return Ok(Outcome::Wrong("it ends without an event".into())),
        }
    }
    typed?;
    pty.close().await?;
    Ok(Outcome::Fine)
}

async fn run<D: Driver>(setting: &Setting<'_, D>) -> Outcome {
    let create = CreateKernel::new("bash", setting.token.clone());
    let code = format!("cat uploaded > /dev/null && {}", setting.code);
    let plan = RunPlan::temporary(create.spec, [code])
        .with_token(create.token)
        .with_files(vec![file()]);
    let (report, output) = setting.driver.run(plan, Stop::Not).await.expect("a report");
    let RunReport {
        kernel,
        ending,
        cleanup,
        ..
    } = report;
    let failure = match ending {
        Ending::Finished(Some(_)) if output == "ran\n" => None,
        Ending::Failed(error) => Some(Failure::of(&error)),
        ending => return Outcome::Wrong(format!("{ending:?}, after {output:?}")),
    };
    let kernel = match (cleanup, kernel) {
        (Cleanup::Destroyed, Some(_)) => Kernel::Destroyed,
        (Cleanup::NoKernel, None) => Kernel::None,
        (Cleanup::Unknown, None) => Kernel::Unknown,
        (Cleanup::Failed(_), Some(_)) => Kernel::Left,
        (cleanup, kernel) => return Outcome::Wrong(format!("{cleanup:?} of {kernel:?}")),
    };
    if (&failure, kernel) == (&None, Kernel::Destroyed) {
        return Outcome::Fine;
    }
    Outcome::Run(failure, kernel)
}

/// The client's time limits and retries. Only cells that wait in vain take these times.
pub(crate) fn patience(row: &Row, times: Times) -> sorna::RetryPolicy {
    let policy = sorna::RetryPolicy::default()
        .with_backoff(Duration::from_millis(5), Duration::from_millis(20));
    match (row.verdict, times) {
        (Verdict::Timeout, Times::Once) => policy
            .with_attempt_limit(Duration::from_secs(1))
            .with_budget(Duration::from_secs(20)),
        (Verdict::Timeout, Times::Always) => policy
            .with_attempts(2)
            .with_attempt_limit(Duration::from_secs(1))
            .with_budget(Duration::from_secs(20)),
        _ => policy
            .with_attempts(3)
            .with_attempt_limit(Duration::from_secs(20))
            .with_budget(Duration::from_secs(20)),
    }
}
