//! Finding programs for kernels, and helper programs that others are started with.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where programs are looked for if the gateway itself has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What all processes of a gateway have in common.
#[derive(Debug)]
pub(crate) struct Launcher {
    path: OsString,
    /// `setsid`, which gives a process its own session without a controlling terminal.
    setsid: Option<PathBuf>,
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
            stdbuf: None,
        };
        this.setsid = this.find("setsid");
        this.stdbuf = this.find("stdbuf");
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

    /// The full path of a program.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(program))
            .find(|path| is_executable(path))
    }

    /// Prefixes a program so that its output is written line by line.
    pub(crate) fn line_buffered(&self, arguments: Arguments) -> Arguments {
        let Some(stdbuf) = &self.stdbuf else {
            return arguments;
        };
        // Unbuffered input makes the C library flush the prompt before it reads.
        let prefix = [stdbuf.into(), "-oL".into(), "-i0".into()];
        prefix.into_iter().chain(arguments).collect()
    }
}

/// Where programs are looked for: by default where the gateway's own are.
pub(crate) fn search_path(path: Option<&OsStr>) -> OsString {
    path.map(OsStr::to_owned)
        .or_else(|| std::env::var_os("PATH"))
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| DEFAULT_PATH.into())
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
