//! The command line of `sorna upload`.

use std::path::PathBuf;

use clap::Args;

use crate::run::args::CollectArgs;
use crate::values;

/// Upload files to a kernel: by its ID, or by a session token and its language.
///
/// Files with the same name are replaced. Gateways of `sorna serve` take files of any size, others of at most 1 MiB.
///
/// Exit code: 0 when all files were uploaded; 1 if the gateway rejected some or all, did not store
/// them, or could not be reached; 2 for a usage error, a wrong setting, or a file that cannot be read.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UploadArgs {
    /// ID of the kernel; with --client-token, its language. In Backend.AI also the session's name, or what
    /// its name or its ID starts with.
    // Of the IDs that gateways make, one in 64 begins with a hyphen.
    #[arg(
        value_name = "KERNEL-ID|LANG",
        allow_hyphen_values = true,
        value_parser = values::kernel_or_lang
    )]
    pub(crate) kernel: String,

    /// Files, and directories with all files in them. Files keep their path relative to the current
    /// directory.
    #[arg(required = true, value_parser = values::path())]
    pub(crate) files: Vec<PathBuf>,

    /// Use the kernel with this client session token, in Backend.AI the session of this name, or create it.
    #[arg(short = 't', long = "client-token", value_name = "TOKEN")]
    pub(crate) token: Option<String>,

    #[command(flatten)]
    pub(crate) collect: CollectArgs,

    /// Show only failures.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  sorna upload zuF1OzMIhFknyjUl7Apbvg data.csv src
  sorna upload -t my-session python3 data.csv

In Backend.AI, with names of sessions:
  sorna upload my-session data.csv src
  sorna upload -t my-session python data.csv   # creates it, if there is none";
