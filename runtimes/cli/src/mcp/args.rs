//! The command line of `sorna mcp`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::Resettable;
use clap::{Args, Id, Subcommand, ValueEnum};

use crate::local::LocalArgs;
use crate::values::{self, Kib};

/// Serve agents: programs that write code run it on a gateway, or isolated on this machine, by MCP.
///
/// It speaks the Model Context Protocol on standard input and output, for the agent that starts it, and needs no other setting
/// than `--local` or `--profile NAME`. Its tools run code, show plots, read and write files, and keep variables in sessions.
///
/// With --local, programs run on a gateway that is started for this command only: without network, in a home directory of their
/// own, and with limits on time, memory, processes and files. A machine that cannot isolate them by namespaces is an error, unless
/// --isolation asks for less.
///
/// It ends when its input has ended and all requests are answered, when its output is closed, and at SIGTERM, SIGINT or SIGHUP,
/// and leaves no processes or files behind.
///
/// Exit code: 0; 1 if it could not start, or the client does not speak MCP; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct McpArgs {
    #[command(subcommand)]
    pub(super) command: Option<McpCommand>,

    /// Serve any number of clients by HTTP at this address of this machine; port 0 takes a free one. Clients need a bearer token: that
    /// of --token-file, else of SORNA_MCP_TOKEN, else a random one. Prints lines for a shell to evaluate, which set SORNA_MCP_URL, and
    /// SORNA_MCP_TOKEN if it is random.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = values::address)]
    pub(super) http: Option<SocketAddr>,

    /// File with the bearer token, for --http.
    #[arg(long, value_name = "FILE", requires = "http", value_parser = values::path())]
    pub(super) token_file: Option<PathBuf>,

    #[command(flatten)]
    pub(super) place: PlaceArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum McpCommand {
    Install(InstallArgs),
}

const EXAMPLES: &str = "\
Examples:
  sorna mcp --local
  sorna mcp --local --network host --allow-read ~/data
  sorna mcp --profile cluster
  sorna mcp install claude --local
  eval \"$(sorna mcp --local --http 127.0.0.1:0 & echo SERVER=$!)\"   # in the background";

/// An agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AgentName {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    Vscode,
}

/// Add this server to the configuration of an agent, which then starts it.
///
/// All else in the configuration stays as it is. A file that is not understood, or has another server of the same name, is not
/// changed. No keys are written anywhere: with --profile, the agent's server reads the settings file. What SORNA_CONFIG, SORNA_PROFILE
/// and SORNA_CA_FILE say becomes options, since agents may not hand variables on.
///
/// Exit code: 0; 1 if the file could not be changed; 2 for a usage error or a wrong setting.
#[derive(Debug, Args)]
#[command(after_help = INSTALL_EXAMPLES)]
pub(super) struct InstallArgs {
    /// Whose configuration.
    #[arg(value_enum)]
    pub(super) agent: AgentName,

    /// That of the project in the current directory, in place of the user's.
    #[arg(long)]
    pub(super) project: bool,

    /// Print what is to be added, and change nothing.
    #[arg(long)]
    pub(super) print: bool,

    /// Name of the server in the configuration.
    #[arg(long, value_name = "NAME", default_value = "sorna")]
    pub(super) name: String,

    #[command(flatten)]
    pub(super) place: PlaceArgs,
}

const INSTALL_EXAMPLES: &str = "\
Examples:
  sorna mcp install claude --local
  sorna mcp install codex --local --network host --max-mem 8g
  sorna mcp install vscode --project --profile cluster
  sorna mcp install cursor --local --print";

/// Where programs run, and what they may take.
#[derive(Debug, Args)]
#[command(mut_arg("local", |arg| arg.conflicts_with(Resettable::<Id>::Reset)))]
pub(super) struct PlaceArgs {
    /// The longest that a program may take, such as 90s or 2h.
    #[arg(long, value_name = "TIME", value_parser = values::time, default_value = "1h", help_heading = LIMITS)]
    pub(super) max_time: Duration,

    /// How long a call waits for its program, which then keeps running: `wait` gets the rest. Choose less than the client waits, often a
    /// minute.
    #[arg(long, value_name = "TIME", value_parser = values::time, default_value = "50s", help_heading = LIMITS)]
    pub(super) max_wait: Duration,

    /// Memory limit of a session [default: 2g with --local, else that of the gateway]
    #[arg(long, value_name = "SIZE", value_parser = values::kernel_memory, help_heading = LIMITS)]
    pub(super) max_mem: Option<Kib>,

    /// Maximum number of processes and threads of a session, with --local [default: 256]
    #[arg(long, value_name = "NUMBER", value_parser = values::count::<u64>, help_heading = LIMITS)]
    pub(super) max_processes: Option<u64>,

    /// Maximum size of all files of a session, with --local [default: 2g]
    #[arg(long, value_name = "SIZE", value_parser = values::memory, help_heading = LIMITS)]
    pub(super) max_disk: Option<Kib>,

    /// Time after which a session ends that is not used.
    #[arg(long, value_name = "TIME", value_parser = values::time, default_value = "30m", help_heading = LIMITS)]
    pub(super) idle_timeout: Duration,

    /// Maximum number of sessions at a time.
    #[arg(long, value_name = "NUMBER", value_parser = values::count::<usize>, default_value_t = 16, help_heading = LIMITS)]
    pub(super) max_sessions: usize,

    /// How much output of a program is returned at once; the rest is in a file of the session.
    #[arg(long, value_name = "SIZE", value_parser = output, default_value = "16k", help_heading = LIMITS)]
    pub(super) max_output: Kib,

    #[command(flatten)]
    pub(super) local: LocalArgs,
}

const LIMITS: &str = "Limits";

/// How much output is returned at once.
fn output(text: &str) -> Result<Kib, String> {
    match values::memory(text)? {
        Kib(1025..) => Err("expected 1m at most; the rest is in a file".to_owned()),
        size => Ok(size),
    }
}
