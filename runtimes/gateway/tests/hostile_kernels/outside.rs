//! What is around the kernels: a user with files, services and processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::start::start;
use crate::system::{Kind, Setting, System};
use crate::user::{PRELUDE, PYTHON, SECRET, User, processes};

/// The keys of the attacker and of its victim.
const KEYS: &str = "AKIATESTKEYATTACKER1 secret-key-of-the-attacker-0000000000000\n\
    AKIATESTKEYVICTIM001 secret-key-of-the-victim-000000000000000\n";
/// For what comes about a moment after its cause, however busy the machine is.
pub(crate) const TIME_TO_HAPPEN: Duration = Duration::from_secs(10);

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A system and its surroundings.
pub(crate) struct World {
    pub(crate) system: Box<dyn System>,
    /// What the last program has said.
    pub(crate) said: String,
    user: User,
    /// Words in the arguments of processes of the victim.
    bystanders: Vec<String>,
    directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(kind: Kind, user: User) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("sorna-test-")
            .tempdir_in("/tmp")
            .unwrap();
        let path = directory.path().to_str().unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        user.own(path);
        for name in ["keys", "secret"] {
            let file = format!("{path}/{name}");
            fs::write(&file, format!("# {SECRET}\n{KEYS}")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            user.own(&file);
        }
        let setting = Setting {
            user: &user,
            directory: path,
        };
        Self {
            system: start(kind, &setting),
            said: String::new(),
            user,
            bystanders: Vec::new(),
            directory,
        }
    }

    /// Runs a hostile program.
    pub(crate) fn attack(&mut self, code: &str) -> String {
        self.said = self.system.attack(code);
        self.said.clone()
    }

    /// Starts a process of the victim.
    pub(crate) fn bystander(&mut self) -> Process {
        let word = Self::new_number().to_string();
        let code = format!("subprocess.Popen(['sleep', '{word}'], env={{'SECRET': '{word}'}})");
        self.bystanders.push(word.clone());
        let said = self.system.victim(&code);
        assert_eq!(said, "");
        Process::with(&word)
    }

    /// Runs code as the user, outside of all kernels.
    pub(crate) fn outside(&self, code: &str) {
        let mut command = self.user.command(PYTHON);
        let code = format!("{PRELUDE}{code}");
        let done = command
            .args(["-c", &code])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(done.status.success(), "{code}\n{done:?}");
    }

    /// A path in the user's directory.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory
            .path()
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// A new file of the user.
    pub(crate) fn file(&self, name: &str) -> String {
        let path = self.path(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, "content").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        self.give(&path);
        path
    }

    /// Makes something the user's.
    pub(crate) fn give(&self, path: &str) {
        self.user.own(path);
    }

    /// A word that is nowhere else.
    pub(crate) fn word(&self) -> String {
        format!("sorna-test-{}", Self::new_number())
    }

    pub(crate) fn number(&self) -> u32 {
        Self::new_number()
    }

    /// A number that no other process has in its command line: seconds to sleep.
    pub(crate) fn new_number() -> u32 {
        let [a, b, c, ..] = crate::common::random();
        1_000_000_000 + u32::from_le_bytes([a, b, c, 0])
    }

    /// Whether this stays as it is.
    pub(crate) fn stays(&self, condition: impl Fn() -> bool) -> bool {
        let until = Instant::now() + self.system.time_to_judge();
        while condition() {
            if Instant::now() > until {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Ends processes that a row has started.
    pub(crate) fn end(&self, word: &str) {
        for id in processes_with(word) {
            let _ = kill_process(pid(id), Signal::KILL);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Where nothing ends them: and a box may not end before these have.
        self.bystanders.iter().for_each(|word| self.end(word));
    }
}

/// A process, as it is seen outside.
pub(crate) struct Process {
    pub(crate) id: u32,
    /// What is in its arguments and its environment.
    pub(crate) word: String,
}

impl Process {
    pub(crate) fn of(id: u32) -> Self {
        Self {
            id,
            word: String::new(),
        }
    }

    pub(crate) fn with(word: &str) -> Self {
        let found = || processes_with(word).first().copied();
        crate::common::wait_until("it runs", || found().is_some());
        Self {
            id: found().unwrap(),
            word: word.to_owned(),
        }
    }

    /// A field of `/proc/<id>/stat`, as the manual counts them.
    pub(crate) fn stat(&self, field: usize) -> String {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id)).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |it| it.1);
        fields
            .split_whitespace()
            .nth(field - 3)
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn status(&self, name: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap_or_default().trim().to_owned()
    }

    /// How many files it may open.
    pub(crate) fn limit(&self) -> u64 {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.id)).unwrap_or_default();
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"));
        let soft = line.unwrap_or_default().split_whitespace().next();
        soft.and_then(|it| it.parse().ok()).unwrap_or(0)
    }

    /// Where its program is in memory.
    pub(crate) fn address(&self) -> String {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.id)).unwrap_or_default();
        format!("0x{}", maps.split('-').next().unwrap_or_default())
    }

    pub(crate) fn go_on(&self) {
        let _ = kill_process(pid(self.id), Signal::CONT);
    }
}

/// Whether this comes about, soon after what brings it about.
pub(crate) fn happens(condition: impl Fn() -> bool) -> bool {
    let until = Instant::now() + TIME_TO_HAPPEN;
    while !condition() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
}

/// The processes of this machine whose arguments contain the word. Only that of `sleep`, not what has started it.
pub(crate) fn processes_with(word: &str) -> Vec<u32> {
    let line = format!("sleep\0{word}\0");
    processes()
        .filter(|id| fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|it| it == line.as_bytes()))
        .collect()
}
