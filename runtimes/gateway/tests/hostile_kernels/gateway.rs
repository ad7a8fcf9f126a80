//! A gateway in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use sorna_core::{AccessKey, Credentials, ExecutionStatus, KernelId, SecretKey};
use sorna_gateway::{Gateway, GatewayConfig, IsolationLevel, NetworkAccess};

use crate::common::{Client, PATIENCE};
use crate::system::{KINDS, Kind, Setting, System, Whose};
use crate::user::{BOX, FILE_SIZE, MEMORY, PRELUDE, PROCESSES, PYTHON, SECRET, START, processes};

/// A gateway that runs.
pub(crate) struct Served {
    process: Child,
    /// What else it says. It must be able to say it.
    _output: Lines<BufReader<ChildStdout>>,
    attacker: (Client, KernelId),
    victim: (Client, KernelId),
}

impl Served {
    pub(crate) fn start(level: IsolationLevel, setting: &Setting<'_>) -> Self {
        // Where the user can start them.
        let directory = setting.directory;
        let (own, helper) = (format!("{directory}/gateway"), format!("{directory}/box"));
        fs::copy(std::env::current_exe().unwrap(), &own).unwrap();
        fs::copy(BOX, &helper).unwrap();
        let secret = format!("{directory}/secret");
        let mut process = setting
            .user
            .command(PYTHON)
            .args(["-c", START, SECRET, &secret, &own])
            .args(["--exact", "gateway::serve", "--ignored", "--nocapture"])
            .arg("--test-threads=1")
            .env("SORNA_TEST_LEVEL", format!("{level:?}"))
            .env("SORNA_TEST_DIRECTORY", directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let endpoint =
            lines.find_map(|line| Some(line.unwrap().split_once("at http:")?.1.to_owned()));
        let endpoint = format!("http:{}", endpoint.expect("a gateway that listens"));
        let [attacker, victim] = keys(directory).map(|key| {
            let client = Client::at(&endpoint, key);
            let kernel = client.create("python3");
            (client, kernel)
        });
        Self {
            process,
            _output: lines,
            attacker,
            victim,
        }
    }
}

/// The keys of the attacker and of the victim.
fn keys(directory: &str) -> [Credentials; 2] {
    let text = fs::read_to_string(format!("{directory}/keys")).unwrap();
    let mut lines = text.lines().skip(1);
    [(); 2].map(|()| {
        let (access, secret) = lines.next().unwrap().split_once(' ').unwrap();
        Credentials::new(
            AccessKey::new(access).unwrap(),
            SecretKey::new(secret).unwrap(),
        )
    })
}

fn run((client, kernel): &(Client, KernelId), code: &str) -> String {
    let outcome = client.run(kernel, &format!("{PRELUDE}{code}"));
    assert_eq!(
        outcome.status,
        Some(ExecutionStatus::Finished),
        "{outcome:?}"
    );
    format!("{}{}", outcome.stdout, outcome.stderr)
}

impl System for Served {
    fn attack(&mut self, code: &str) -> String {
        run(&self.attacker, code)
    }

    fn victim(&mut self, code: &str) -> String {
        run(&self.victim, code)
    }

    fn renew(&mut self) {
        self.attacker.0.destroy(&self.attacker.1);
        self.attacker.1 = self.attacker.0.create("python3");
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn gateway(&self) -> u32 {
        self.process.id()
    }

    fn watchdog(&self) -> Option<u32> {
        let name = b"\0sorna-watchdog\0";
        let parent = format!("PPid:\t{}\n", self.process.id());
        processes().find(|id| {
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            line.windows(name.len()).any(|it| it == name) && status.contains(&parent)
        })
    }

    fn place(&self, _whose: Whose, path: &str) -> String {
        path.to_owned()
    }

    fn time_to_judge(&self) -> Duration {
        Duration::from_secs(8)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The end of its input is its end.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "a part of another test"]
fn serve() {
    let Ok(directory) = std::env::var("SORNA_TEST_DIRECTORY") else {
        return;
    };
    // As `sorna serve` does.
    sorna_gateway::close_files_on_exec();
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let name = std::env::var("SORNA_TEST_LEVEL").unwrap();
    let levels = KINDS.into_iter().filter_map(Kind::level);
    let level = levels
        .into_iter()
        .find(|it| format!("{it:?}") == name)
        .unwrap();
    let config = GatewayConfig::new()
        .with_isolation(level)
        .with_require_isolation(level != IsolationLevel::None)
        .with_network(NetworkAccess::None)
        .with_box_program(format!("{directory}/box"), [""; 0])
        .with_credentials(keys(&directory))
        // No control groups, which not every machine has.
        .with_cgroup("/no/control/groups/here")
        .with_max_memory(MEMORY)
        .with_max_processes(PROCESSES)
        .with_max_file_size(FILE_SIZE)
        .with_exec_timeout(PATIENCE);
    let gateway = Gateway::spawn(config).unwrap();
    println!("at {}", gateway.endpoint());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    gateway.stop();
}
