//! Operations under a fault, and their outcomes.

use std::time::Duration;

use sorna::protocol::{
    Authorize, Complete, CreateKernel, Destroy, Info, Interrupt, ListFiles, ListLanguages, Logs,
    Rename, Restart, StatusHistory, Version, VersionInfo,
};
use sorna::{
    Cleanup, Dialect, Ending, Error, KernelId, ListSessions, RunPlan, RunReport, SessionToken,
    TerminalEvent, TerminalOptions, TransportError, TransportErrorKind, UploadFile,
};
use sorna_tests::drivers::{PtyDriver, SessionDriver, Stop};
use sorna_tests::proxy::{Target, Times};

use crate::faults::{Row, Verdict};

/// The content of files.
pub(crate) const CONTENT: &str = "as it was sent\n";

/// An operation of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Finds out what the gateway speaks.
    Negotiate,
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
    /// An execution that reads a line; the fault strikes the input.
    Input,
    Interrupt,
    Rename,
    Logs,
    /// The files in a session.
    Files,
    /// When a session reached which status.
    History,
    /// Sessions, by GraphQL.
    List,
    Download,
    /// The stream of events, until there is one.
    Events,
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
    pub(crate) fn operation(self) -> Operation {
        match self {
            Self::Create => Operation::Create,
            Self::Upload => Operation::Upload,
            Self::Execute => Operation::Execute,
            Self::Destroy => Operation::Destroy,
        }
    }
}

impl Operation {
    /// All that a dialect has.
    pub(crate) fn all(dialect: Dialect) -> Vec<Self> {
        let mut all = match dialect {
            Dialect::SornaV2 => vec![Self::Version, Self::Authorize, Self::Languages],
            // Others are sent and retried in the same way as one of these.
            _ => vec![
                Self::Negotiate,
                Self::Input,
                Self::Interrupt,
                Self::Rename,
                Self::Logs,
                Self::Files,
                Self::History,
                Self::List,
                Self::Download,
                Self::Events,
            ],
        };
        all.extend([
            Self::Create,
            Self::Info,
            Self::Complete,
            Self::Upload,
            Self::Restart,
            Self::Destroy,
            Self::Execute,
            Self::Terminal,
        ]);
        all.extend(Stage::ALL.map(Self::Run));
        all
    }

    /// Its class, for which the table has a section.
    pub(crate) fn class(self) -> Class {
        match self {
            Self::Execute | Self::Input | Self::Restart | Self::Interrupt | Self::Rename => {
                Class::OnceOnly
            }
            Self::Terminal => Class::Terminal,
            Self::Download => Class::Download,
            Self::Events => Class::Events,
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
            Self::Input => Target::Input,
            _ => Target::Any,
        }
    }

    /// Whether it needs an existing kernel.
    pub(crate) fn needs_kernel(self) -> bool {
        !matches!(
            self,
            Self::Negotiate
                | Self::Version
                | Self::Authorize
                | Self::Languages
                | Self::Create
                | Self::Run(_)
        )
    }

    /// Whether it changes nothing, so that all cells can do it in one kernel.
    pub(crate) fn only_reads(self) -> bool {
        matches!(
            self,
            Self::Info | Self::Complete | Self::Logs | Self::Files | Self::History | Self::List
        )
    }

    /// Whether this is what the gateway should say of its version once the fault is gone. One that speaks both dialects is
    /// found to speak the other if the fault made its hello incomprehensible.
    pub(crate) fn works_afterwards(self, dialect: Dialect, info: &VersionInfo) -> bool {
        match (dialect, info.version.as_str()) {
            (Dialect::SornaV2, version) => version == "v2.20170315",
            (_, "v2.20170315") => self == Self::Negotiate,
            (_, version) => version == "v9.20250722",
        }
    }

    pub(crate) fn response_has_body(self, dialect: Dialect) -> bool {
        match self {
            Self::Upload
            | Self::Restart
            | Self::Interrupt
            | Self::Rename
            | Self::Events
            | Self::Terminal => false,
            Self::Destroy => dialect == Dialect::BackendAi,
            _ => true,
        }
    }

    pub(crate) fn request_has_body(self) -> bool {
        matches!(
            self,
            Self::Authorize
                | Self::Create
                | Self::Complete
                | Self::Upload
                | Self::Execute
                | Self::Input
                | Self::Rename
                | Self::Files
                | Self::List
                | Self::Download
        )
    }
}

/// Operations with the same promised outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Repeatable,
    OnceOnly,
    Run,
    Terminal,
    Download,
    Events,
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
    /// Neither dialect was found.
    Unknown,
    /// The other dialect was found, of a gateway that speaks both.
    OtherDialect,
    /// The execution was given up, and the kernel is free.
    GivenUp,
    /// The same, and the kernel may not be free.
    LeftBusy,
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
            Error::Parse(_) | Error::Unpack(_) => Self::Malformed,
            Error::Negotiation(_) => Self::Unknown,
            Error::Aborted(aborted) if aborted.is_freed => Self::GivenUp,
            Error::Aborted(_) => Self::LeftBusy,
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
            Self::Unknown => "unknown gateway".into(),
            Self::OtherDialect => "Sorna v2".into(),
            Self::GivenUp => "given up".into(),
            Self::LeftBusy => "left busy".into(),
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

/// What an operation needs.
pub(crate) struct Setting<'a, D> {
    pub(crate) driver: &'a D,
    /// The existing kernel.
    pub(crate) kernel: Option<KernelId>,
    /// The token for a new one.
    pub(crate) token: SessionToken,
    /// Leaves a line in the file that counts executions, and prints `ran`.
    pub(crate) code: String,
    pub(crate) dialect: Dialect,
    /// Destroys the existing kernel, past the proxy.
    pub(crate) end_kernel: &'a (dyn Fn() + Sync),
}

fn check(is_right: bool, what: &str) -> Outcome {
    if is_right {
        Outcome::Fine
    } else {
        Outcome::Wrong(what.to_owned())
    }
}

/// Carries out the operation.
pub(crate) async fn perform<D: SessionDriver>(
    operation: Operation,
    setting: &Setting<'_, D>,
) -> Outcome {
    let Setting {
        driver, dialect, ..
    } = setting;
    let kernel = || setting.kernel.clone().expect("a kernel");
    let done = match operation {
        Operation::Negotiate => driver
            .negotiated()
            .await
            .map(|found| match found.dialect() {
                Dialect::SornaV2 => Outcome::Failed(Failure::OtherDialect),
                _ => Outcome::Fine,
            }),
        Operation::Version => driver.call(Version::new()).await.map(|response| {
            let is_right = operation.works_afterwards(*dialect, &response.value);
            check(is_right, "another version")
        }),
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
            let created = driver.get_or_create(create.spec, create.token).await;
            created.map(|_| Outcome::Fine)
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
        Operation::Input => {
            let code = format!("{}; read line; echo $line", setting.code);
            let executed = driver.execute(kernel(), code.into(), &["typed"]).await;
            executed.map(|executed| {
                let output = executed.result.console.stdout().into_owned();
                check(output == "ran\ntyped\n", &output)
            })
        }
        Operation::Interrupt => {
            let interrupted = driver.call(Interrupt::new(kernel())).await;
            interrupted.map(|_| Outcome::Fine)
        }
        Operation::Rename => {
            let rename = Rename::new(kernel(), setting.token.clone());
            driver.call(rename).await.map(|_| Outcome::Fine)
        }
        Operation::Logs => driver
            .call(Logs::new(kernel()))
            .await
            .map(|_| Outcome::Fine),
        Operation::Files => driver
            .call(ListFiles::new(kernel(), "."))
            .await
            .map(|response| {
                let is_there = response.value.files.iter().any(|file| file.name == "kept");
                check(is_there, "it is not in the list")
            }),
        Operation::History => driver
            .call(StatusHistory::new(kernel()))
            .await
            .map(|response| {
                let has_run = response
                    .value
                    .iter()
                    .any(|change| change.status == "RUNNING");
                check(has_run, "it never ran")
            }),
        Operation::List => {
            let listed = driver.list(ListSessions::living().with_limit(1000)).await;
            listed.map(|sessions| {
                let is_there = sessions.iter().any(|session| session.id == kernel());
                check(is_there, "it is not in the list")
            })
        }
        Operation::Download => download(*driver, kernel()).await,
        Operation::Events => events(*driver, kernel(), setting.end_kernel).await,
        Operation::Terminal => terminal(*driver, kernel()).await,
        Operation::Run(_) => return run(setting).await,
    };
    done.unwrap_or_else(|error| Outcome::Failed(Failure::of(&error)))
}

fn file() -> UploadFile {
    UploadFile::from_bytes("uploaded", CONTENT).expect("a file")
}

async fn download<D: SessionDriver>(driver: &D, kernel: KernelId) -> Result<Outcome, Error> {
    let directory = tempfile::tempdir().expect("a directory");
    let saved = driver
        .download(kernel, vec!["kept".to_owned()], directory.path())
        .await;
    let content = std::fs::read_to_string(directory.path().join("kept")).ok();
    let is_right = match &saved {
        Ok(_) => content.as_deref() == Some(CONTENT),
        // What is there is complete.
        Err(_) => content.is_none_or(|content| content == CONTENT),
    };
    if !is_right {
        return Ok(Outcome::Wrong(format!("{saved:?}")));
    }
    saved.map(|_| Outcome::Fine)
}

async fn events<D: SessionDriver>(
    driver: &D,
    kernel: KernelId,
    end_kernel: &(dyn Fn() + Sync),
) -> Result<Outcome, Error> {
    let mut events = driver.events_of(kernel.clone()).await?;
    end_kernel();
    while let Some(event) = D::next_event(&mut events).await? {
        if event.session_id.as_deref() == Some(kernel.as_str()) {
            return Ok(Outcome::Fine);
        }
    }
    Ok(Outcome::Failed(Failure::Closed))
}

async fn terminal<D: SessionDriver>(driver: &D, kernel: KernelId) -> Result<Outcome, Error> {
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

async fn run<D: SessionDriver>(setting: &Setting<'_, D>) -> Outcome {
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
pub(crate) fn patience(row: &Row, times: Times, operation: Operation) -> sorna::RetryPolicy {
    // The request before the fault must have time enough on any machine.
    let attempt = Duration::from_secs(if operation == Operation::Input { 10 } else { 3 });
    let policy = sorna::RetryPolicy::default()
        .with_backoff(Duration::from_millis(5), Duration::from_millis(20));
    match (row.verdict, times) {
        (Verdict::Timeout, Times::Once) => policy
            .with_attempt_limit(attempt)
            .with_budget(Duration::from_secs(20)),
        (Verdict::Timeout, Times::Always) => policy
            .with_attempts(2)
            .with_attempt_limit(attempt)
            .with_budget(Duration::from_secs(20)),
        _ => policy
            .with_attempts(3)
            .with_attempt_limit(Duration::from_secs(20))
            .with_budget(Duration::from_secs(20)),
    }
}
