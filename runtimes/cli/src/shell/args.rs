//! The command line of `sorna shell`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sorna::KernelSpec;

use crate::failure::Failure;
use crate::globals::Globals;
use crate::local::LocalArgs;
use crate::run::{env_file, work_dir};
use crate::spoken;
use crate::values;

/// Open a terminal on a kernel: its shell or interpreter, live.
///
/// Ctrl-] leaves the terminal. With a session token the kernel keeps running; run the same command to
/// reattach. Without one the kernel is destroyed.
///
/// Terminals of managers of Backend.AI do not work in all releases: `sorna status` says which.
///
/// Exit code: 0 when the terminal was left or closed, whatever the shell's own exit code was, since terminals do not
/// pass it on; 1 if the gateway returned an error or could not be
/// reached, or the connection broke; 2 for a usage error or a wrong setting; 128 plus the signal number
/// if it was stopped.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShellArgs {
    /// Language or runtime, such as bash or python3. In Backend.AI an image: `sorna langs` lists them.
    pub(crate) lang: String,

    /// Use the kernel of this language with this client session token (8 to 80 characters), or create
    /// it, and keep it afterwards. Without a token, a temporary kernel is created and destroyed. In
    /// Backend.AI it is the session's name (4 to 64 ASCII letters, digits, `_`, `.` and `-`).
    #[arg(short = 't', long = "client-token", value_name = "TOKEN")]
    pub(crate) token: Option<String>,

    /// Environment variable of a new session of Backend.AI, or with --local. Can be given several times.
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = values::variable)]
    env: Vec<(String, String)>,

    /// Environment variables of a new session of Backend.AI, or with --local, one NAME=VALUE per line. Can be given several
    /// times; -e counts more.
    #[arg(long = "env-file", value_name = "FILE")]
    env_files: Vec<PathBuf>,

    /// Directory that the shell starts in, relative to the work directory of the session and below it. For gateways of
    /// `sorna serve`, in either API. A terminal that runs already must have been started there.
    #[arg(short, long, value_name = "DIR", requires = "token", conflicts_with = "local", value_parser = work_dir::directory)]
    pub(super) workdir: Option<String>,

    /// Destroy the kernel when it has not been in use for this long, from now on; at most what the gateway allows. For
    /// gateways of `sorna serve`, in either API. `sorna keep-alive` does the same later.
    #[arg(long, value_name = "TIME", requires = "token", conflicts_with = "local", value_parser = values::time)]
    pub(super) idle_timeout: Option<Duration>,

    /// Show only the terminal, failures and warnings.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

const EXAMPLES: &str = "\
Examples:
  sorna shell --local bash
  sorna shell -t my-session python3   # Ctrl-] detaches; run it again to reattach
  sorna shell -t my-session -w data/2026 bash

In Backend.AI, with images in place of languages:
  sorna shell -t my-session -e EPOCHS=3 python";

impl ShellArgs {
    /// What the kernel is to be.
    pub(super) fn spec(&self, globals: &Globals) -> Result<KernelSpec, Failure> {
        let mut spec = KernelSpec::new(self.lang.as_str());
        for (name, value) in env_file::read_all(&self.env_files)? {
            spec = spec.with_env(name, value);
        }
        for (name, value) in &self.env {
            spec = spec.with_env(name, value);
        }
        if !self.local.local {
            spoken::check(globals, |version| spec.check(version)).map_err(Failure::Argument)?;
        }
        Ok(spec)
    }
}
