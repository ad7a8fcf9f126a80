//! The command line of `sorna shell`.

use clap::Args;

/// Open a terminal on a kernel: its shell or interpreter, live.
///
/// Ctrl-] leaves the terminal. With a session token the kernel goes on then, and the same command
/// comes back to it; without one it is destroyed.
///
/// Exit code: 0 when the terminal was left or closed; 1 if the gateway refused, could not be reached
/// or the connection broke; 2 for a wrong command line; 128 and the signal's number if it was
/// stopped.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShellArgs {
    /// The language or runtime, such as bash or python3.
    pub(crate) lang: String,

    /// Use the kernel with this client session token (8 to 80 characters), or create it, and keep it
    /// afterwards. Without a token a temporary kernel is created and destroyed.
    #[arg(short = 't', long = "client-token", value_name = "TOKEN")]
    pub(crate) token: Option<String>,

    /// Show nothing but the terminal, failures and warnings.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// On this machine, on a gateway that is started for this command alone.
    #[arg(long, conflicts_with = "token")]
    pub(crate) local: bool,
}

const EXAMPLES: &str = "\
Examples:
  sorna shell --local bash
  sorna shell -t my-session python3   # Ctrl-] leaves; run it again to come back";
