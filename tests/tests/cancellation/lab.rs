//! A gateway behind a proxy that sends byte by byte, and futures that are dropped.

use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use sorna::engine::HttpTransport;
use sorna::net::Transport;
use sorna::runtime::Runtime;
use sorna::{ApiVersion, Client, Config, KernelId};
use sorna_gateway::{Gateway, GatewayConfig, RunningGateway};
use sorna_tests::proxy::{End, Fault, Pace, Proxy, Target, Times};

/// Only a failing test waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// After this time a test counts as hanging.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);

/// When a future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drop {
    /// As soon as it has been polled for the last time.
    AtOnce,
    /// When it would be polled again, because it was woken.
    WhenWoken,
}

impl Drop {
    pub(crate) const BOTH: [Self; 2] = [Self::AtOnce, Self::WhenWoken];
}

/// How often to poll: 0, 1, 2 and so on, later in larger steps.
pub(crate) fn counts() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(0), |count| Some(count + 1 + count / 8))
}

/// Polls a future this often, and then drops it, if it is not done.
pub(crate) async fn polled<F: Future>(future: F, times: usize, how: Drop) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 && how == Drop::AtOnce => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Waits a moment, so that bytes can arrive.
pub(crate) async fn pause<R: Runtime>(client: &Client<HttpTransport<R>>) {
    client.transport().sleep(Duration::from_millis(1)).await;
}

/// How many lines a file has; 0 if it does not exist.
pub(crate) fn lines(path: &Path) -> usize {
    let content = std::fs::read_to_string(path).unwrap_or_default();
    content.lines().count()
}

pub(crate) struct Lab {
    version: ApiVersion,
    gateway: RunningGateway,
    proxy: Proxy,
    /// Without the proxy.
    direct: sorna::blocking::Client,
    marks: tempfile::TempDir,
    files: AtomicUsize,
}

impl Lab {
    pub(crate) fn new(version: ApiVersion) -> Self {
        let marks = tempfile::tempdir().expect("a directory");
        let config = GatewayConfig::new()
            .with_writable([marks.path()])
            .with_continuation_interval(Duration::from_millis(50));
        let gateway = Gateway::spawn(config).expect("a gateway");
        let address = gateway.endpoint().strip_prefix("http://").expect("HTTP");
        let proxy = Proxy::start(address.parse().expect("an address"));
        let bytewise = Fault::Response {
            bodies_only: false,
            change: |response| response.bytes(),
            pace: Pace::Bytewise,
            end: End::Next,
        };
        proxy.arm(bytewise, Target::Any, Times::Always);
        let endpoint = gateway.endpoint().parse().expect("an endpoint");
        let direct = Config::new(endpoint, gateway.credentials()[0].clone()).with_version(version);
        Self {
            version,
            direct: sorna::blocking::Client::new(direct),
            gateway,
            proxy,
            marks,
            files: AtomicUsize::new(0),
        }
    }

    /// For clients of the proxy.
    pub(crate) fn config(&self) -> Config {
        self.unversioned_config().with_version(self.version)
    }

    /// The same for those that negotiate the version.
    pub(crate) fn unversioned_config(&self) -> Config {
        let endpoint = self.proxy.endpoint().parse().expect("an endpoint");
        Config::new(endpoint, self.gateway.credentials()[0].clone())
    }

    pub(crate) fn kernel(&self) -> KernelId {
        self.direct.create("bash").expect("a kernel").id().clone()
    }

    pub(crate) fn kernels(&self) -> u64 {
        self.gateway.stats().kernels
    }

    /// A file in which code may leave marks.
    pub(crate) fn new_marks(&self) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        self.marks.path().join(number.to_string())
    }

    /// Waits until there are no kernels.
    pub(crate) fn no_kernels(&self) {
        let start = Instant::now();
        while self.kernels() > 0 {
            assert!(
                start.elapsed() < PATIENCE,
                "{} kernels are left",
                self.kernels()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// No kernel is left, neither now nor a while later.
    pub(crate) fn end(self) {
        self.no_kernels();
        self.gateway.stop();
    }
}
