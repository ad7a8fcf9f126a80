//! Finding programs for kernels, and helper programs that others are started with.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// Where programs are looked for if the gateway itself has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What all processes of a gateway have in common.
#[derive(Debug)]
pub(crate) struct Launcher {
    path: OsString,
    /// `setsid`, which gives a process its own session without a controlling terminal.
    setsid: Option<PathBuf>,
    /// A command that gives programs the usual effects of the signals that the gateway itself was started to ignore, as
    /// it is by a shell in the background (`SIGINT`, `SIGQUIT`) or by `nohup` (`SIGHUP`): its programs would ignore them,
    /// too.
    usual_signals: Arguments,
    /// Makes C programs write whole lines at once, and prompts before they read.
    stdbuf: Option<PathBuf>,
}

/// A program and its arguments.
pub(crate) type Arguments = Vec<OsString>;

impl Launcher {
    /// Looks for the tools that help. The default for `path` is that of the gateway itself.
    pub(crate) fn new(path: Option<&OsStr>) -> Self {
        let mut this = Self {
            path: search_path(path),
            setsid: None,
            usual_signals: Arguments::new(),
            stdbuf: None,
        };
        this.setsid = this.find("setsid");
        this.stdbuf = this.find("stdbuf");
        let ignored = ignored_signals();
        if !ignored.is_empty()
            && let Some(env) = this.find("env")
        {
            let option = format!("--default-signal={}", ignored.join(","));
            this.usual_signals = vec![env.into(), option.into()];
        }
        this
    }

    /// Where programs are looked for.
    pub(crate) fn path(&self) -> &OsStr {
        &self.path
    }

    /// The program that gives another its own session, if there is one.
    pub(crate) fn setsid(&self) -> Option<&Path> {
        self.setsid.as_deref()
    }

    /// What to put before a command, so that signals have their usual effects on it: that it can be interrupted.
    pub(crate) fn usual_signals(&self) -> &[OsString] {
        &self.usual_signals
    }

    /// The full path of a program.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(program))
            .find(|path| is_executable(path))
    }

    /// Prefixes a program so that its output is written line by line. Its environment has what its input needs
    /// ([`add_to_files`](super::prompts::add_to_files)).
    pub(crate) fn line_buffered(&self, arguments: Arguments) -> Arguments {
        let Some(stdbuf) = &self.stdbuf else {
            return arguments;
        };
        let prefix = [stdbuf.into(), "-oL".into()];
        prefix.into_iter().chain(arguments).collect()
    }
}

/// Where programs are looked for: by default where the gateway's own are. Places that are named by `..` get the names that
/// they have in boxes, where the directories on the way are not.
pub(crate) fn search_path(path: Option<&OsStr>) -> OsString {
    let path = path
        .map(OsStr::to_owned)
        .or_else(|| std::env::var_os("PATH"))
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| DEFAULT_PATH.into());
    let directories = std::env::split_paths(&path).map(|directory| {
        let goes_up = directory.components().any(|it| it == Component::ParentDir);
        match directory.canonicalize() {
            Ok(real) if goes_up => real,
            _ => directory,
        }
    });
    // Only a colon in a name is an error.
    std::env::join_paths(directories).unwrap_or(path)
}

/// The numbers of the signals that this process ignores. Not of `SIGPIPE`, which the standard library ignores here and
/// resets in the processes that it starts.
fn ignored_signals() -> Vec<String> {
    const PIPE: u32 = 13;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    let set = ignored.unwrap_or_default();
    // Later ones are those of real time, which `env` may not know.
    (1..32)
        .filter(|&number| number != PIPE && set & (1 << (number - 1)) != 0)
        .map(|number| number.to_string())
        .collect()
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
