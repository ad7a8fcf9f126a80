//! Examples as processes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sorna_gateway::RunningGateway;

/// Only a failing test waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An example, to be run without this process's settings.
pub(crate) fn example(name: &str) -> Command {
    // The folder of this test's own binary is beside that of the examples.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples");
    path.push(name);
    // Cargo does not build the examples of other crates before this test, and none at all if the
    // test is selected by name.
    static BUILDING: Mutex<()> = Mutex::new(());
    let building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    if !path.exists() || !is_newer(&path, &source(name)) {
        build(path.ancestors().nth(2).unwrap());
    }
    drop(building);
    let mut command = Command::new(path);
    for variable in ["SORNA_ENDPOINT", "SORNA_ACCESS_KEY", "SORNA_SECRET_KEY"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// The same, on this gateway.
pub(crate) fn example_on(gateway: &RunningGateway, name: &str) -> Command {
    let mut command = example(name);
    command
        .env("SORNA_ENDPOINT", gateway.endpoint())
        .env("SORNA_ACCESS_KEY", gateway.access_key())
        .env("SORNA_SECRET_KEY", gateway.secret_key());
    command
}

/// The file or folder with its source.
fn source(name: &str) -> PathBuf {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    ["core", "runtimes/client", "tests"]
        .iter()
        .flat_map(|krate| {
            [
                format!("{krate}/examples/{name}"),
                format!("{krate}/examples/{name}.rs"),
            ]
        })
        .map(|path| root.join(path))
        .find(|path| path.exists())
        .unwrap()
}

/// Builds all of them, into this profile's folder.
fn build(folder: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--workspace", "--all-features", "--examples"])
        .arg("--target-dir")
        .arg(folder.parent().unwrap())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(
        cargo.status().unwrap().success(),
        "the examples are not built"
    );
}

fn is_newer(binary: &Path, source: &Path) -> bool {
    let time = |path: &Path| path.metadata().unwrap().modified().unwrap();
    let is_older = |path: &Path| time(path) <= time(binary);
    if source.is_file() {
        return is_older(source);
    }
    let mut files = source
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files.all(|file| is_older(&file))
}

/// An example that serves a page until it is stopped.
pub(crate) struct Server {
    process: Child,
    /// The URL of the page.
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Self { process, url }
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let kill = format!("kill -INT {}", self.process.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> ExitStatus {
        wait_until("its end", || self.process.try_wait().unwrap().is_some());
        self.process.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // This has no effect on one that has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn has_kernels(gateway: &RunningGateway, number: u64) {
    let what = format!("the time of {number} kernels");
    wait_until(&what, || gateway.stats().kernels == number);
}
