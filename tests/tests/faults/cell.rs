//! One fault, one operation, one driver.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use sorna::blocking::Client;
use sorna::protocol::{Destroy, Info, Version};
use sorna::{
    AccessKey, ApiVersion, ClientOptions, Config, Credentials, Dialect, Error, KernelId, Observer,
    SecretKey, random_token,
};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use sorna_tests::drivers::{AsyncStd, Blocking, SessionDriver, Smol, Tokio};
use sorna_tests::proxy::{Accept, Fault, Proxy, Times};

use crate::expected::possible;
use crate::faults::{Row, Scope, Verdict};
use crate::operations::{CONTENT, Failure, Kernel, Operation, Outcome, Setting, patience, perform};

/// After this time an operation counts as hanging. Others take less than a third of it.
const HANG: Duration = Duration::from_secs(100);

/// The drivers, in the table's order.
pub(crate) const DRIVERS: [&str; 4] = ["blocking", "tokio", "smol", "async-std"];

/// The gateway behind all proxies, and one dialect to speak with it.
pub(crate) struct Ground {
    version: ApiVersion,
    gateway: RunningGateway,
    address: SocketAddr,
    config: Config,
    /// A client without a proxy.
    direct: Client,
    /// Where executions leave their marks.
    marks: tempfile::TempDir,
    /// A kernel that no operation changes.
    unchanged: OnceLock<KernelId>,
}

impl Ground {
    pub(crate) fn new(version: ApiVersion) -> Self {
        let marks = tempfile::tempdir().expect("a directory");
        let config = GatewayConfig::new()
            .with_writable([marks.path()])
            .with_max_kernels_per_key(100_000)
            .with_credentials([Credentials::new(
                AccessKey::new("AKIAFAULTS").expect("an access key"),
                SecretKey::new("secret").expect("a secret key"),
            )]);
        let gateway = Gateway::spawn(config).expect("a gateway");
        let endpoint = gateway.endpoint();
        let address = endpoint.strip_prefix("http://").expect("plain HTTP");
        let config = Config::new(
            endpoint.parse().expect("an endpoint"),
            gateway.credentials()[0].clone(),
        )
        .with_version(version);
        Self {
            version,
            address: address.parse().expect("an address"),
            direct: Client::new(config.clone()),
            config,
            gateway,
            marks,
            unchanged: OnceLock::new(),
        }
    }

    /// The kernel of all operations that change nothing. It has a file.
    fn unchanged(&self) -> KernelId {
        let new = || {
            let kernel = self.kernel();
            self.put(&kernel);
            kernel
        };
        self.unchanged.get_or_init(new).clone()
    }

    /// Destroys that kernel.
    pub(crate) fn end(&self) {
        if let Some(kernel) = self.unchanged.get() {
            self.destroy(kernel);
        }
    }

    /// The number of living kernels.
    pub(crate) fn kernels(&self) -> u64 {
        self.gateway.stats().kernels
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.version.dialect()
    }

    /// A client's configuration for a proxy.
    pub(crate) fn config(&self, proxy: &Proxy) -> Config {
        self.negotiating(proxy).with_version(self.version)
    }

    /// The same without a version.
    fn negotiating(&self, proxy: &Proxy) -> Config {
        let endpoint = proxy.endpoint().parse().expect("an endpoint");
        Config::new(endpoint, self.config.credentials().expect("keys").clone())
    }

    /// A proxy without a fault yet.
    pub(crate) fn proxy(&self) -> Proxy {
        Proxy::start(self.address)
    }

    /// A file in which executions may leave marks.
    pub(crate) fn marks(&self, name: &str) -> PathBuf {
        self.marks.path().join(name)
    }

    /// A kernel, created without the proxy.
    pub(crate) fn kernel(&self) -> KernelId {
        self.direct.create("bash").expect("a kernel").id().clone()
    }

    /// Puts a file into a kernel.
    fn put(&self, kernel: &KernelId) {
        let file = sorna::UploadFile::from_bytes("kept", CONTENT).expect("a file");
        let kernel = self.direct.kernel(kernel.clone());
        kernel.upload(vec![file]).expect("it is stored");
    }

    pub(crate) fn is_alive(&self, kernel: &KernelId) -> bool {
        match self.direct.call(Info::new(kernel.clone())) {
            Ok(_) => true,
            Err(error) if error.is_not_found() => false,
            Err(error) => panic!("the direct way fails: {error:?}"),
        }
    }

    pub(crate) fn destroy(&self, kernel: &KernelId) {
        match self.direct.call(Destroy::new(kernel.clone())) {
            Err(error) if !is_gone(&error) => panic!("the direct way fails: {error:?}"),
            _ => {}
        }
    }
}

/// Managers reject the destruction of a session that is being destroyed.
fn is_gone(error: &Error) -> bool {
    let is_forbidden = |error: &sorna::GatewayError| error.is_forbidden();
    error.is_not_found() || error.gateway().is_some_and(is_forbidden)
}

/// A cell of the matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) row: &'static Row,
    pub(crate) driver: &'static str,
    pub(crate) operation: Operation,
    pub(crate) times: Times,
    pub(crate) number: usize,
}

/// The observations in a cell.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    /// How often its code ran.
    pub(crate) executions: usize,
    /// The deviations from what must hold.
    pub(crate) complaints: Vec<String>,
    pub(crate) time: Duration,
}

impl Cell {
    /// How often its code has run so far.
    pub(crate) fn executions(&self, ground: &Ground) -> usize {
        let marks = std::fs::read_to_string(self.marks(ground)).unwrap_or_default();
        marks.lines().count()
    }

    fn marks(&self, ground: &Ground) -> PathBuf {
        ground.marks(&self.number.to_string())
    }

    /// Runs it on its own thread, which is abandoned if it hangs.
    pub(crate) fn run(self, ground: &Arc<Ground>) -> Report {
        let (done, wait) = mpsc::channel();
        let start = Instant::now();
        let inside = Arc::clone(ground);
        std::thread::spawn(move || {
            let guarded = AssertUnwindSafe(|| match self.driver {
                "blocking" => self.run_on::<Blocking>(&inside),
                "tokio" => self.run_on::<Tokio>(&inside),
                "smol" => self.run_on::<Smol>(&inside),
                "async-std" => self.run_on::<AsyncStd>(&inside),
                driver => unreachable!("{driver} is no driver"),
            });
            let ended = std::panic::catch_unwind(guarded);
            drop(inside);
            // The receiver has given up if this took too long.
            let _ = done.send(ended);
        });
        let (outcome, mut complaints) = match wait.recv_timeout(HANG) {
            Ok(Ok(ended)) => ended,
            Ok(Err(panic)) => {
                let message = panic.downcast_ref::<String>().cloned();
                let message = message.or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned()));
                (Outcome::Panic(message.unwrap_or_default()), Vec::new())
            }
            Err(_) => {
                let state = sorna_test_tools::state();
                (Outcome::Hang, vec![format!("it hangs:\n{state}")])
            }
        };
        let Self {
            row,
            times,
            operation,
            ..
        } = self;
        let executions = self.executions(ground);
        let possible = possible(row, times, operation, ground.dialect());
        if !possible.contains(&(outcome.clone(), executions)) {
            complaints.push(format!(
                "{outcome:?} after {executions} executions, not {possible:?}"
            ));
        }
        Report {
            outcome,
            executions,
            complaints,
            time: start.elapsed(),
        }
    }

    fn run_on<D: SessionDriver>(self, ground: &Ground) -> (Outcome, Vec<String>) {
        let Self {
            row,
            operation,
            times,
            ..
        } = self;
        let mut complaints = Vec::new();
        let mut kernel =
            (operation.needs_kernel() && !operation.only_reads()).then(|| ground.kernel());
        if operation.only_reads() {
            kernel = Some(ground.unchanged());
        } else if let (Operation::Download, Some(kernel)) = (operation, &kernel) {
            ground.put(kernel);
        }
        let is_refused = matches!(row.fault, Fault::Accept(Accept::Refuse));
        let proxy = Arc::new(if is_refused {
            Proxy::closed(ground.address)
        } else {
            ground.proxy()
        });
        // Executions by WebSocket are broken in the tests of the client.
        let mut options = ClientOptions::new()
            .with_retry(patience(row, times, operation))
            .with_streaming(false);
        let is_stream = matches!(operation, Operation::Download | Operation::Events);
        if is_stream
            && matches!(
                row.verdict,
                Verdict::Timeout | Verdict::TooLarge | Verdict::Garbled
            )
        {
            options = options.with_idle_timeout(Duration::from_secs(1));
        }
        if is_refused && times == Times::Once {
            let door = Arc::clone(&proxy);
            options = options.with_observer(Observer::new(move |exchange| {
                if exchange.outcome.is_err() {
                    door.open();
                }
            }));
        }
        let config = match operation {
            Operation::Negotiate => ground.negotiating(&proxy),
            _ => ground.config(&proxy),
        };
        let driver = D::connect(config, options);
        let setting = Setting {
            driver: &driver,
            kernel: kernel.clone(),
            token: random_token(),
            dialect: ground.dialect(),
            code: format!("echo ran >> {} && echo ran", self.marks(ground).display()),
            end_kernel: &|| ground.destroy(kernel.as_ref().expect("a kernel")),
        };
        let outcome = D::block_on(async {
            if row.scope == Scope::UsedConnections {
                driver.call(Version::new()).await.expect("no fault yet");
            }
            if !is_refused {
                proxy.arm(row.fault, operation.target(), times);
            }
            let outcome = perform(operation, &setting).await;
            if !is_refused && proxy.seen().hits == 0 {
                complaints.push("the fault did not strike".to_owned());
            }
            // The client works as before.
            proxy.lift();
            match driver.call(Version::new()).await {
                Ok(response) if operation.works_afterwards(ground.dialect(), &response.value) => {}
                after => complaints.push(format!("afterwards: {after:?}")),
            }
            outcome
        });
        complaints.extend(self.aftermath(ground, &proxy, kernel, &outcome));
        (outcome, complaints)
    }

    /// Looks for kernels that should not exist, and cleans up.
    fn aftermath(
        self,
        ground: &Ground,
        proxy: &Proxy,
        kernel: Option<KernelId>,
        outcome: &Outcome,
    ) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut created = proxy.seen().kernels;
        created.sort();
        created.dedup();
        if created.len() > 1 {
            complaints.push(format!("{} kernels in place of one", created.len()));
        }
        for id in created {
            let id = KernelId::new(id).expect("the gateway made it");
            let may_live = match self.operation {
                Operation::Run(_) => {
                    matches!(outcome, Outcome::Run(_, Kernel::Left | Kernel::Unknown))
                }
                _ => true,
            };
            if !may_live && ground.is_alive(&id) {
                complaints.push("a kernel is left that is not in the report".to_owned());
            }
            ground.destroy(&id);
        }
        if let Some(kernel) = kernel {
            if self.operation == Operation::Destroy
                && *outcome == Outcome::Fine
                && ground.is_alive(&kernel)
            {
                complaints.push("it is not destroyed".to_owned());
            }
            if self.operation == Operation::Upload && *outcome == Outcome::Fine {
                let read = ground
                    .direct
                    .kernel(kernel.clone())
                    .execute("cat uploaded")
                    .finish();
                let content = read.map(|result| result.console.stdout().into_owned());
                if content.as_deref().ok() != Some("as it was sent\n") {
                    complaints.push(format!("uploaded: {content:?}"));
                }
            }
            // A session of which no one knows any more whether its program runs can be used again.
            let is_lost = matches!(outcome, Outcome::Failed(Failure::MayHaveRun(_)));
            let reads = self.operation == Operation::Input && self.times == Times::Once;
            if ground.dialect() == Dialect::BackendAi && is_lost && reads {
                let after = ground.direct.kernel(kernel.clone()).run("echo free");
                let output = after.map(|result| result.stdout().into_owned());
                if output.as_deref().ok() != Some("free\n") {
                    complaints.push(format!("its session is blocked: {output:?}"));
                }
            }
            if !self.operation.only_reads() {
                ground.destroy(&kernel);
            }
        }
        complaints
    }
}
