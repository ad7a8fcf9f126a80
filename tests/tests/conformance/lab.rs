//! The gateway under test, and what a check needs from it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sorna::{
    AccessKey, ClientOptions, Config, Credentials, ExecutionResult, KernelId, SecretKey,
    SessionToken, random_token,
};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};

use sorna_tests::drivers::Driver;

/// Only a failing check waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Features that not every gateway offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
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
}

/// A driver's client on the gateway under test.
pub(crate) struct Lab<D: Driver> {
    pub(crate) driver: D,
    pub(crate) config: Config,
    gateway: Option<RunningGateway>,
    /// Kernels that are not destroyed yet.
    kernels: Mutex<Vec<KernelId>>,
}

/// A check's future, on whatever runtime the driver has.
pub(crate) type Check<'l> = Pin<Box<dyn Future<Output = ()> + Send + 'l>>;

/// Runs one check on one driver.
pub(crate) fn check<D: Driver>(name: &str, check: fn(&Lab<D>) -> Check<'_>) {
    let lab = Lab::<D>::new();
    let checked = catch_unwind(AssertUnwindSafe(|| {
        D::block_on(async {
            check(&lab).await;
        });
    }));
    // A failed check must not leave kernels on someone else's gateway.
    let left: Vec<KernelId> = std::mem::take(&mut *lab.kernels.lock().expect("no panic inside"));
    for kernel in left {
        let destroy = sorna::protocol::Destroy::new(kernel);
        let _ = D::block_on(lab.driver.call(destroy));
    }
    if let Err(panic) = checked {
        resume_unwind(panic);
    }
    lab.end(name);
}

impl<D: Driver> Lab<D> {
    fn new() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
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
        // What another gateway speaks is found out.
        let config = match gateway {
            Some(_) => config.with_version(sorna::ApiVersion::V2_20170315),
            None => config,
        };
        Self {
            driver: D::connect(config.clone(), ClientOptions::default()),
            config,
            gateway,
            kernels: Mutex::default(),
        }
    }

    /// This configuration, with the version of the lab's own, if that is fixed.
    pub(crate) fn speaking(&self, config: Config) -> Config {
        match self.config.fixed_version() {
            Some(version) => config.with_version(version),
            None => config,
        }
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

    /// Whether the gateway offers a feature; if not, prints what is skipped.
    pub(crate) fn offers(&self, feature: Feature) -> bool {
        let lacks = std::env::var("SORNA_TEST_LACKS").unwrap_or_default();
        let lacking = lacks
            .split(',')
            .any(|name| name.trim() == format!("{feature:?}"));
        let offers = self.gateway.is_some() || (feature != Feature::Embedded && !lacking);
        if !offers {
            eprintln!("SKIPPED: this gateway does not offer {feature:?}");
        }
        offers
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
        let create = sorna::protocol::CreateKernel::new(lang, token);
        let kernel = self.driver.call(create).await.expect("a kernel").value.id;
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

fn gateway_config() -> GatewayConfig {
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
