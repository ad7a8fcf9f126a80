//! A gateway, and clients that speak to it in all ways.

use std::time::{Duration, Instant};

use sorna::blocking::{Client, Execution, Kernel};
use sorna::{
    ApiVersion, Batch, ClientOptions, Config, ExecuteMode, ExecutionEvent, RetryPolicy,
    SessionToken, UploadFile,
};
use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel, RunningGateway};

/// The most a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    SornaV2,
    /// Backend.AI by requests.
    Requests,
    /// Backend.AI over WebSockets.
    Streamed,
}

pub(crate) const WAYS: [Way; 3] = [Way::SornaV2, Way::Requests, Way::Streamed];

/// As the tests of the gateway: with `SORNA_TEST_ISOLATION=namespaces`, kernels have namespaces of their own. The helper for that
/// is a program of the gateway's crate, and is built by `cargo build -p sorna-gateway`.
fn at_level(config: GatewayConfig) -> GatewayConfig {
    match std::env::var("SORNA_TEST_ISOLATION") {
        Ok(level) if level == "namespaces" && config.isolate_files() => {
            let test = std::env::current_exe().unwrap();
            let helper = test.parent().unwrap().with_file_name("sorna-box");
            assert!(
                helper.exists(),
                "{} is missing: run `cargo build -p sorna-gateway`",
                helper.display()
            );
            config
                .with_isolation(IsolationLevel::Namespaces)
                .with_require_isolation(true)
                .with_box_program(helper, [""; 0])
        }
        _ => config,
    }
}

pub(crate) struct Lab {
    gateway: RunningGateway,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|config| config)
    }

    pub(crate) fn with(change: impl FnOnce(GatewayConfig) -> GatewayConfig) -> Self {
        let config = GatewayConfig::new().with_continuation_interval(Duration::from_millis(300));
        let gateway = Gateway::spawn(at_level(change(config))).unwrap();
        Self { gateway }
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        let endpoint = self.gateway.endpoint();
        endpoint.strip_prefix("http://").unwrap().parse().unwrap()
    }

    pub(crate) fn endpoint(&self) -> String {
        self.gateway.endpoint().to_owned()
    }

    /// The same kernel for another client.
    pub(crate) fn same(&self, kernel: &Kernel, way: Way) -> Kernel {
        let client =
            Client::with_options(self.config(way, &self.endpoint()), Self::options("another"));
        client.kernel(kernel.id().clone())
    }

    pub(crate) fn config(&self, way: Way, endpoint: &str) -> Config {
        let keys = self.gateway.credentials()[0].clone();
        let config = Config::new(endpoint.parse().unwrap(), keys);
        match way {
            Way::SornaV2 => config.with_version(ApiVersion::V2_20170315),
            // What is known of a version that is fixed is not enough for WebSockets.
            Way::Requests => config.with_version(ApiVersion::V9_20250722),
            Way::Streamed => config,
        }
    }

    pub(crate) fn options(name: &str) -> ClientOptions {
        let retry = RetryPolicy::default().with_backoff(Duration::ZERO, Duration::ZERO);
        ClientOptions::new()
            .with_retry(retry)
            .with_client_name(name)
    }

    /// A new client's kernel, which is the same for all.
    pub(crate) fn kernel(&self, way: Way, lang: &str) -> Kernel {
        self.kernel_at(self.gateway.endpoint(), way, lang)
    }

    pub(crate) fn kernel_at(&self, endpoint: &str, way: Way, lang: &str) -> Kernel {
        let client = Client::with_options(self.config(way, endpoint), Self::options("a test"));
        client.get_or_create(lang, &token(way)).unwrap()
    }

    pub(crate) fn put(&self, kernel: &Kernel, name: &str) {
        kernel
            .upload(vec![UploadFile::from_bytes(name, "").unwrap()])
            .unwrap();
    }

    /// Waits until a program has made a file.
    pub(crate) fn has(&self, kernel: &Kernel, name: &str) {
        let began = Instant::now();
        let is_there = || {
            let files = kernel.list_files(".").unwrap();
            format!("{files:?}").contains(&format!("{name:?}"))
        };
        while !is_there() {
            assert!(began.elapsed() < PATIENCE, "{name} is not made");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

pub(crate) fn token(way: Way) -> SessionToken {
    SessionToken::new(format!("attached-{way:?}")).unwrap()
}

pub(crate) fn exec(command: &str) -> ExecuteMode {
    Batch::new().without_build().with_exec(command).into()
}

/// The standard output until there is this.
pub(crate) fn until(execution: &mut Execution, text: &str) -> String {
    let mut output = String::new();
    while !output.contains(text) {
        match execution.next_event().unwrap() {
            Some(ExecutionEvent::Console(console)) => output += &console.stdout(),
            Some(_) => {}
            None => panic!("it ended after {output:?}"),
        }
    }
    output
}
