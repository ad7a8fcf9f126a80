//! The command line of `sorna repl`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sorna::KernelSpec;

use crate::asked::Asked;
use crate::failure::Failure;
use crate::globals::Globals;
use crate::local::LocalArgs;
use crate::pending::MAX_WAIT;
use crate::run::args::{LimitArgs, MediaArgs};
use crate::run::env_file;
use crate::run::work_dir;
use crate::spoken;
use crate::values;

/// Run code interactively: a prompt whose lines run in one kernel.
///
/// It needs no terminal in the kernel, and so works wherever code runs. Tab completes, where the gateway does. Enter starts
/// another line where the code goes on (open brackets, strings, blocks and operators), Alt-Enter always; pasted lines
/// run together. The value of the last expression is shown, where the gateway sends it. `%help` lists what else there is.
///
/// Ctrl-C interrupts a program, whose variables stay, where the gateway can do that; pressed twice, it leaves. Ctrl-D at the
/// prompt ends the session: the interpreter of a temporary kernel ends as its language does (hooks run, and what they print is
/// shown, where the gateway can do that), and the kernel is destroyed; one with a token is kept.
///
/// While it is open, its kernel counts as in use, on gateways of `sorna serve`. One that has ended nevertheless is replaced when code
/// is typed next, which is not run then: it may need variables that are lost.
///
/// What is typed at prompts is kept for the next time in the state directory (~/.local/state/sorna/history), or that which
/// SORNA_HISTORY names, but not what begins with a space, and never what programs ask for.
///
/// Exit code: 0; that of the last program if that ended its interpreter, or that of the interpreter's end; 1 if the gateway returned an error or could not be
/// reached; 2 for a usage error or a wrong setting; 128 plus the signal number (130 for Ctrl-C) if it was stopped.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReplArgs {
    /// Language or runtime, such as python3 or bash. In Backend.AI an image: `sorna langs` lists them.
    pub(super) lang: String,

    /// Use the kernel of this language with this client session token (8 to 80 characters), or create
    /// it, and keep it afterwards. Without a token, a temporary kernel is created and destroyed. In
    /// Backend.AI it is the session's name (4 to 64 ASCII letters, digits, `_`, `.` and `-`).
    #[arg(short = 't', long = "client-token", value_name = "TOKEN")]
    pub(super) token: Option<String>,

    /// Environment variable of a new session of Backend.AI. Can be given several times.
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = values::variable)]
    env: Vec<(String, String)>,

    /// Environment variables of a new session of Backend.AI, one NAME=VALUE per line. Can be given several times; -e
    /// counts more.
    #[arg(long = "env-file", value_name = "FILE")]
    env_files: Vec<PathBuf>,

    /// Directory below the work directory of the session of -t to which its interpreter changes first.
    #[arg(short, long, value_name = "DIR", value_parser = work_dir::directory, requires = "token", conflicts_with = "local")]
    pub(super) workdir: Option<String>,

    /// Destroy the kernel when it has not been in use for this long, from now on (an open prompt uses it); at most what the gateway allows. For
    /// gateways of `sorna serve`, in either API. `sorna keep-alive` does the same later.
    #[arg(long, value_name = "TIME", requires = "token", conflicts_with = "local", value_parser = values::time)]
    pub(super) idle_timeout: Option<Duration>,

    #[command(flatten)]
    limits: LimitArgs,

    /// How much of a resource a new session of Backend.AI has, such as cpu=2, mem=4g or
    /// cuda.device=1. Can be given several times.
    #[arg(short, long = "resource", value_name = "NAME=AMOUNT", value_parser = values::assignment)]
    resources: Vec<(String, String)>,

    /// Option of the resources of a new session of Backend.AI, such as shmem=256m. Can be given several
    /// times.
    #[arg(long = "resource-opt", value_name = "NAME=VALUE", value_parser = values::assignment)]
    resource_options: Vec<(String, String)>,

    /// Give up when the session does not run after this time, such as 30s or 2m; by default 10 minutes.
    /// Backend.AI only.
    #[arg(long, value_name = "TIME", value_parser = values::wait)]
    max_wait: Option<Duration>,

    #[command(flatten)]
    pub(super) media: MediaArgs,

    /// Neither keep what is typed at prompts for the next time, nor show what was typed before.
    #[arg(long)]
    pub(super) no_history: bool,

    /// Show only the prompt, the output of programs, failures and warnings.
    #[arg(short, long)]
    pub(super) quiet: bool,

    #[command(flatten)]
    pub(super) local: LocalArgs,
}

const EXAMPLES: &str = "\
Examples:
  sorna repl --local python3
  sorna repl -t my-session python3   # the kernel and its variables are kept

In Backend.AI, with images in place of languages:
  sorna repl -r cpu=2 -r mem=4g python";

impl ReplArgs {
    /// What the kernel is to be.
    pub(super) fn spec(&self, globals: &Globals) -> Result<KernelSpec, Failure> {
        let mut spec = KernelSpec::new(self.lang.as_str())
            .with_limits(self.limits.limits())
            .with_mounts(self.limits.mounts.clone());
        if let Some(time) = self.max_wait {
            spec = spec.with_max_wait(time);
        }
        for (name, value) in env_file::read_all(&self.env_files)? {
            spec = spec.with_env(name, value);
        }
        for (name, value) in &self.env {
            spec = spec.with_env(name, value);
        }
        for (slot, amount) in &self.resources {
            spec = spec.with_resource(slot, amount);
        }
        for (name, value) in &self.resource_options {
            spec = spec.with_resource_option(name, value);
        }
        if !self.local.local {
            spoken::check(globals, |version| spec.check(version)).map_err(Failure::Argument)?;
        }
        Ok(spec)
    }

    /// What is asked for, for a kernel that may exist. Each execution has its time limit.
    pub(super) fn asked(&self) -> Asked {
        Asked {
            max_mem: self.limits.max_mem,
            resources: self.resources.clone(),
            is_kept: self.token.is_some(),
            ..Asked::default()
        }
    }

    /// How long the session is waited for.
    pub(super) fn max_wait(&self) -> Duration {
        self.max_wait.unwrap_or(MAX_WAIT)
    }
}
