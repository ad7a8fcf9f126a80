//! The gateway under test, and what a check needs from it.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use sorna::{
    AccessKey, ApiVersion, ClientOptions, Config, Credentials, Dialect, Error, ExecutionResult,
    KernelId, KernelSpec, ProblemKind, SecretKey, SessionToken, random_token,
};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

use sorna_tests::drivers::Driver;

/// Only a failing check waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// After this time a check counts as hanging. The slowest take a tenth of it.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// How the checks speak to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    SornaV2,
    BackendAi,
    /// Without WebSockets for executions.
    BackendAiPolled,
}

impl Manner {
    fn dialect(self) -> Dialect {
        match self {
            Self::SornaV2 => Dialect::SornaV2,
            Self::BackendAi | Self::BackendAiPolled => Dialect::BackendAi,
        }
    }
}

/// What not every gateway offers. `SORNA_TEST_LACKS` has these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// The dialect Sorna v2.
    SornaV2,
    /// The dialect Backend.AI.
    BackendAi,
    /// Uploads into directories.
    Directories,
    /// Uploads of a single file over 200 kB.
    LargeFiles,
    /// An execution that runs for too long ends in `exec-timeout`.
    ExecTimeout,
    /// `exitCode` in results.
    ExitCodes,
    /// Completion.
    Complete,
    /// The list of languages, an extension.
    Languages,
    /// One key cannot see another's kernels.
    Isolation,
    /// `stats` of a gateway in this process.
    Embedded,
    /// Names of kernels that are unique, whatever the language, can be changed, and be looked for.
    Names,
    /// Lists and downloads of files.
    Files,
    /// What a session's container printed.
    Logs,
    /// An interrupt that keeps the state of the interpreter, and frees the kernel.
    Interrupts,
    /// When a session reached which status.
    StatusHistory,
    /// A stream of what happens to sessions.
    Events,
    /// The environment of a kernel's programs.
    Environment,
    /// Messages of a terminal's client that restart the kernel.
    TerminalRestart,
    /// Restarts, which the dialect has, but managers refuse from 26.4 on.
    Restart,
    /// Terminals, which are dead with some managers.
    Terminal,
    /// Remaining requests in the headers of responses.
    RateLimit,
    /// Steps of a batch that an image other than Python's has by default, which managers dropped in 26.1.
    DefaultSteps,
    /// Kernels whose language is bash.
    Bash,
    /// Dozens of kernels of one key at the same time, which quotas may not allow.
    Crowds,
    /// All output of a program that writes much at once, of which some gateways drop a part.
    Floods,
    /// A destroyed kernel is gone when the response says so.
    PromptEnds,
}

impl Feature {
    const ALL: [Self; 26] = [
        Self::SornaV2,
        Self::BackendAi,
        Self::Directories,
        Self::LargeFiles,
        Self::ExecTimeout,
        Self::ExitCodes,
        Self::Complete,
        Self::Languages,
        Self::Isolation,
        Self::Embedded,
        Self::Names,
        Self::Files,
        Self::Logs,
        Self::Interrupts,
        Self::StatusHistory,
        Self::Events,
        Self::Environment,
        Self::TerminalRestart,
        Self::Restart,
        Self::Terminal,
        Self::RateLimit,
        Self::DefaultSteps,
        Self::Bash,
        Self::Crowds,
        Self::Floods,
        Self::PromptEnds,
    ];

    /// Why a dialect does not have this, whatever the gateway. The one place that says which checks are only for one
    /// dialect.
    fn missing_in(self, dialect: Dialect) -> Option<&'static str> {
        match (dialect, self) {
            (Dialect::SornaV2, Self::Names) => Some("its kernels have no names"),
            (Dialect::SornaV2, Self::Files) => Some("it has no list and no download of files"),
            (Dialect::SornaV2, Self::Logs) => Some("its kernels have no logs"),
            (Dialect::SornaV2, Self::Interrupts) => Some("it can only restart a kernel"),
            (Dialect::SornaV2, Self::StatusHistory) => Some("its kernels have no status"),
            (Dialect::SornaV2, Self::Events) => Some("it has no events"),
            (Dialect::SornaV2, Self::Environment) => Some("its requests have no environment"),
            (Dialect::BackendAi, Self::Languages) => Some("it has no list of languages"),
            (Dialect::BackendAi, Self::ExecTimeout) => Some("its executions have no time limit"),
            _ => None,
        }
    }
}

/// A driver's client on the gateway under test.
pub(crate) struct Lab<D: Driver> {
    pub(crate) driver: D,
    pub(crate) config: Config,
    /// What the driver speaks.
    pub(crate) version: ApiVersion,
    manner: Manner,
    gateway: Option<RunningGateway>,
    /// Kernels that are not destroyed yet.
    kernels: Mutex<Vec<KernelId>>,
}

/// A check's future, on whatever runtime the driver has.
pub(crate) type Check<'l> = Pin<Box<dyn Future<Output = ()> + Send + 'l>>;

/// Runs one check on one driver, in one manner, unless the gateway does not offer what it needs.
pub(crate) fn check<D: Driver>(
    manner: Manner,
    needs: &[Feature],
    name: &str,
    check: fn(&Lab<D>) -> Check<'_>,
) {
    let driver = std::any::type_name::<D>();
    let watched = format!("{name} with {driver} in {manner:?}");
    let _watchdog = sorna_test_tools::watch(watched, LIMIT);
    let Some(lab) = Lab::<D>::new(manner) else {
        return;
    };
    if !needs.iter().all(|feature| lab.offers(*feature)) {
        return lab.end(name);
    }
    let lab = Arc::new(lab);
    let checked = checked(name, check, &lab);
    // A failed check must not leave kernels on someone else's gateway.
    let left: Vec<KernelId> = std::mem::take(&mut *lab.kernels.lock().expect("no panic inside"));
    for kernel in left {
        let destroy = sorna::protocol::Destroy::new(kernel);
        let _ = D::block_on(lab.driver.call(destroy));
    }
    match checked {
        Err(panic) if !panic.is::<Skipped>() => resume_unwind(panic),
        _ => {}
    }
    match Arc::try_unwrap(lab) {
        Ok(lab) => lab.end(name),
        Err(_) => panic!("{name} has ended and keeps its lab"),
    }
}

/// What a check panics with that needs a language which the gateway does not have.
struct Skipped;

/// Makes a check on a thread of its own, which is left behind if it does not end: then the other checks can still be made.
fn checked<D: Driver>(
    name: &str,
    check: fn(&Lab<D>) -> Check<'_>,
    lab: &Arc<Lab<D>>,
) -> Result<(), Box<dyn Any + Send>> {
    let limit = limit();
    let lab = Arc::clone(lab);
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let checked = catch_unwind(AssertUnwindSafe(|| {
            D::block_on(async {
                check(&lab).await;
            });
        }));
        drop(lab);
        let _ = done.send(checked);
    });
    is_done.recv_timeout(limit).unwrap_or_else(|_| {
        let why = format!("{name} has not ended after {limit:?}");
        eprintln!("{why}");
        Err(Box::new(why))
    })
}

/// How long a check of someone else's gateway may take: `SORNA_TEST_LIMIT` says it in seconds. Those of ours all end.
fn limit() -> Duration {
    let limit = variable("SORNA_TEST_LIMIT");
    let seconds = limit.map(|limit| limit.parse().expect("SORNA_TEST_LIMIT is a number"));
    match variable("SORNA_TEST_ENDPOINT") {
        Some(_) => seconds.map_or(LIMIT / 2, Duration::from_secs),
        None => LIMIT * 2,
    }
}

/// A variable of the environment that is not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether `SORNA_TEST_LACKS` has this feature. A name that no feature has would skip nothing, and fails every check.
fn is_lacking(feature: Feature) -> bool {
    let lacks = variable("SORNA_TEST_LACKS").unwrap_or_default();
    let names = lacks.split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    let named = |name: &str| {
        let found = Feature::ALL.into_iter().find(|f| format!("{f:?}") == name);
        found.unwrap_or_else(|| panic!("SORNA_TEST_LACKS: no feature is named {name}"))
    };
    let lacking: Vec<Feature> = names.map(named).collect();
    lacking.contains(&feature)
}

impl<D: Driver> Lab<D> {
    /// `None` if the gateway is someone else's and does not speak this dialect.
    fn new(manner: Manner) -> Option<Self> {
        let dialect = manner.dialect();
        let (gateway, endpoint, access_key, secret_key) = match variable("SORNA_TEST_ENDPOINT") {
            Some(endpoint) => (
                None,
                endpoint,
                variable("SORNA_TEST_ACCESS_KEY").expect("SORNA_TEST_ACCESS_KEY is set"),
                variable("SORNA_TEST_SECRET_KEY").expect("SORNA_TEST_SECRET_KEY is set"),
            ),
            None => {
                let gateway = Gateway::spawn(gateway_config()).expect("a gateway");
                let endpoint = gateway.endpoint().to_owned();
                let access_key = gateway.access_key().to_owned();
                let secret_key = gateway.secret_key().to_owned();
                (Some(gateway), endpoint, access_key, secret_key)
            }
        };
        let config = Config::new(
            endpoint.parse().expect("an endpoint"),
            Credentials::new(
                AccessKey::new(access_key).expect("an access key"),
                SecretKey::new(secret_key).expect("a secret key"),
            ),
        );
        // Versions of Backend.AI are negotiated. A gateway that speaks both dialects is found to speak that one.
        let config = match dialect {
            Dialect::SornaV2 => config.with_version(ApiVersion::V2_20170315),
            _ => config,
        };
        let driver = D::connect(config.clone(), options(manner));
        let version = match gateway {
            Some(_) => Some(newest(dialect)),
            None => D::block_on(version_of_another(dialect, &driver)),
        };
        let Some(version) = version else {
            eprintln!("SKIPPED: this gateway does not speak {dialect:?}");
            return None;
        };
        Some(Self {
            driver,
            config,
            version,
            manner,
            gateway,
            kernels: Mutex::default(),
        })
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.version.dialect()
    }

    /// Whether output comes over WebSockets.
    pub(crate) fn streams(&self) -> bool {
        self.manner == Manner::BackendAi
    }

    /// The options of another client of the same manner.
    pub(crate) fn options(&self) -> ClientOptions {
        options(self.manner)
    }

    /// The problem that says that there is no such kernel.
    pub(crate) fn not_found(&self) -> ProblemKind {
        match self.dialect() {
            Dialect::SornaV2 => ProblemKind::KernelNotFound,
            // Managers up to 25 say `object-not-found`.
            _ => match self.gateway {
                Some(_) => ProblemKind::EntityNotFound,
                None if self.version < ApiVersion::V9_20250722 => ProblemKind::ObjectNotFound,
                None => ProblemKind::EntityNotFound,
            },
        }
    }

    /// Another configuration that speaks this lab's dialect, even if nothing can be negotiated there.
    pub(crate) fn speaking(&self, config: Config) -> Config {
        config.with_version(self.version)
    }

    /// No kernel may be left.
    fn end(self, name: &str) {
        let Some(gateway) = self.gateway else { return };
        let start = Instant::now();
        // The clean-up of a dropped run, in the background, may take a moment.
        while gateway.stats().kernels > 0 {
            assert!(
                start.elapsed() < PATIENCE,
                "{name} leaves {} kernels",
                gateway.stats().kernels
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        gateway.stop();
    }

    /// Whether the dialect and the gateway offer a feature; if not, prints what is skipped.
    pub(crate) fn offers(&self, feature: Feature) -> bool {
        let dialect = self.dialect();
        if let Some(reason) = feature.missing_in(dialect) {
            eprintln!("SKIPPED: {dialect:?} does not offer {feature:?}: {reason}");
            return false;
        }
        let offers =
            self.gateway.is_some() || (feature != Feature::Embedded && !is_lacking(feature));
        if !offers {
            eprintln!("SKIPPED: this gateway does not offer {feature:?}");
        }
        offers
    }

    /// What the gateway calls a language. `SORNA_TEST_LANGS` has the languages of someone else's gateway, separated by
    /// commas, with their names there if these differ: `python3=cr.backend.ai/stable/python:3.9-ubuntu20.04,bash=git`. A
    /// check that needs another one is skipped.
    pub(crate) fn image(&self, lang: &str) -> String {
        let Some(langs) = variable("SORNA_TEST_LANGS").filter(|_| self.gateway.is_none()) else {
            return lang.to_owned();
        };
        let pairs = langs.split(',').map(str::trim);
        let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, pair)));
        if let Some((_, image)) = pairs.find(|(name, _)| *name == lang) {
            return image.to_owned();
        }
        eprintln!("SKIPPED: this gateway does not have the language {lang}");
        resume_unwind(Box::new(Skipped))
    }

    /// Whether a kernel is gone when its destruction is answered. Managers of Backend.AI need some more seconds.
    pub(crate) fn ends_at_once(&self) -> bool {
        let is_prompt = self.dialect() == Dialect::SornaV2 && !is_lacking(Feature::PromptEnds);
        self.gateway.is_some() || is_prompt
    }

    /// Waits until a destroyed kernel is gone.
    pub(crate) async fn gone(&self, kernel: &KernelId) {
        let start = Instant::now();
        let info = || sorna::protocol::Info::new(kernel.clone());
        while self.driver.call(info()).await.is_ok() {
            assert!(start.elapsed() < PATIENCE, "{kernel} is still there");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The gateway in this process, if it is one.
    pub(crate) fn gateway(&self) -> Option<&RunningGateway> {
        self.gateway.as_ref()
    }

    /// A new kernel.
    pub(crate) async fn kernel(&self, lang: &str) -> KernelId {
        self.kernel_named(lang, random_token()).await
    }

    pub(crate) async fn kernel_named(&self, lang: &str, token: SessionToken) -> KernelId {
        self.kernel_of(KernelSpec::new(self.image(lang)), token)
            .await
    }

    pub(crate) async fn kernel_of(&self, spec: KernelSpec, token: SessionToken) -> KernelId {
        let created = self.driver.get_or_create(spec, token).await;
        let kernel = created.expect("a kernel");
        self.kernels
            .lock()
            .expect("no panic inside")
            .push(kernel.clone());
        kernel
    }

    /// Runs a snippet without input to its end.
    pub(crate) async fn run(&self, kernel: &KernelId, code: &str) -> ExecutionResult {
        let executed = self.driver.execute(kernel.clone(), code.into(), &[]).await;
        executed.expect("it runs").result
    }

    pub(crate) async fn destroy(&self, kernel: KernelId) {
        let destroy = sorna::protocol::Destroy::new(kernel.clone());
        self.driver.call(destroy).await.expect("it is destroyed");
        self.kernels
            .lock()
            .expect("no panic inside")
            .retain(|living| *living != kernel);
    }
}

fn options(manner: Manner) -> ClientOptions {
    ClientOptions::new().with_streaming(manner != Manner::BackendAiPolled)
}

/// The version of our gateway.
fn newest(dialect: Dialect) -> ApiVersion {
    match dialect {
        Dialect::SornaV2 => ApiVersion::V2_20170315,
        _ => ApiVersion::V9_20250722,
    }
}

/// Which version of this dialect someone else's gateway speaks, if it speaks one.
async fn version_of_another<D: Driver>(dialect: Dialect, driver: &D) -> Option<ApiVersion> {
    let named = match dialect {
        Dialect::SornaV2 => Feature::SornaV2,
        _ => Feature::BackendAi,
    };
    if is_lacking(named) {
        return None;
    }
    match dialect {
        Dialect::SornaV2 => match driver.call(sorna::protocol::Version::new()).await {
            Ok(reply) => reply.value.version.parse().ok(),
            // It is there, and responds with something else.
            Err(Error::Gateway(_) | Error::Parse(_)) => None,
            Err(error) => panic!("{error}"),
        },
        _ => Some(driver.negotiated().await.expect("a version").version),
    }
    .filter(|version| version.dialect() == dialect)
}

pub(crate) fn gateway_config() -> GatewayConfig {
    // The second pair is for the check of isolation.
    let pairs = [
        ("AKIAFIRST", "first-secret"),
        ("AKIASECOND", "second-secret"),
    ]
    .map(|(access_key, secret_key)| {
        Credentials::new(
            AccessKey::new(access_key).expect("an access key"),
            SecretKey::new(secret_key).expect("a secret key"),
        )
    });
    GatewayConfig::new()
        .with_exec_timeout(Duration::from_secs(120))
        .with_credentials(pairs)
}
