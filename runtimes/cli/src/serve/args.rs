//! The options of `sorna serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::values::{self, Kib};

/// Run a gateway on this machine, for development and tests.
///
/// Prints three lines for a shell to evaluate, which tell clients where it is and by which keys, and
/// nothing else on the standard output; the log goes to the standard error. It serves until SIGINT
/// (Ctrl-C) or SIGTERM, and leaves no process and no file.
///
/// The keys are those of --keys, else SORNA_ACCESS_KEY and SORNA_SECRET_KEY of the environment, else
/// a random pair. Whoever has a pair runs programs as this user.
///
/// Exit code: 0 when it was stopped; 1 if it could not start; 2 for a wrong command line or file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = values::address)]
    pub(super) listen: SocketAddr,

    /// Listen on addresses that other machines reach. The keys must be given then.
    #[arg(long)]
    pub(super) allow_remote: bool,

    /// The key pairs, one a line: access key, white space, secret key. Lines that begin with `#` are
    /// skipped.
    #[arg(long, value_name = "FILE")]
    pub(super) keys: Option<PathBuf>,

    /// Serve HTTPS with this certificate, or chain of certificates, in PEM form.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM form.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,

    /// Add the languages of this TOML file. May be given again.
    #[arg(long, value_name = "FILE")]
    pub(super) languages: Vec<PathBuf>,

    /// How much to log.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(super) log: Level,

    #[command(flatten)]
    pub(super) limits: Limits,

    #[command(flatten)]
    pub(super) isolation: IsolationArgs,
}

/// How much to log: requests from `info` on, refusals from `debug` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// What clients and kernels may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct Limits {
    /// How long an execution may take if the client does not say, such as 500ms, 30s or 2m.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::time)]
    pub(super) exec_timeout: Duration,

    /// How long a kernel may go unused before it is destroyed.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = values::time)]
    pub(super) idle_timeout: Duration,

    /// The most memory of a kernel; a client may ask for less.
    #[arg(long, value_name = "SIZE", default_value = "1g", value_parser = values::memory)]
    pub(super) max_mem: Kib,

    /// The most processes and threads of a kernel.
    #[arg(long, value_name = "NUMBER", default_value_t = 1024)]
    pub(super) max_processes: u64,

    /// The largest file that a kernel may write.
    #[arg(long, value_name = "SIZE", default_value = "1g", value_parser = values::memory)]
    pub(super) max_file_size: Kib,

    /// The most kernels of one key.
    #[arg(long, value_name = "NUMBER", default_value_t = 256)]
    pub(super) max_kernels: usize,

    /// The most requests of one key in 15 minutes. The original gateway allows 1000.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    pub(super) max_requests: u64,

    /// The most connections at a time, terminals included.
    #[arg(long, value_name = "NUMBER", default_value_t = 4096)]
    pub(super) max_connections: usize,

    /// The most files of one upload request.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub(super) max_upload_files: usize,

    /// The largest file of an upload.
    #[arg(long, value_name = "SIZE", default_value = "1m", value_parser = values::memory)]
    pub(super) max_upload_size: Kib,

    /// The most text in one answer, and so in one console record.
    #[arg(long, value_name = "SIZE", default_value = "1m", value_parser = values::memory)]
    pub(super) max_output: Kib,
}

/// How kernels are kept apart from this machine.
#[derive(Debug, Args)]
#[command(next_help_heading = "Isolation")]
pub(super) struct IsolationArgs {
    /// Let kernels read this file or directory as well. May be given again.
    #[arg(long, value_name = "PATH")]
    pub(super) allow_read: Vec<PathBuf>,

    /// Let kernels read and write this file or directory as well. May be given again.
    #[arg(long, value_name = "PATH")]
    pub(super) allow_write: Vec<PathBuf>,

    /// Let kernels read and write whatever this user may.
    #[arg(long)]
    pub(super) no_file_isolation: bool,

    /// Make the control groups of kernels in this directory of a cgroup2 file system, which must be
    /// this user's to write and hold no processes. By default the group of this process is tried.
    #[arg(long, value_name = "DIR")]
    pub(super) cgroup: Option<PathBuf>,

    /// Where to make the directory with the kernels' files, in place of TMPDIR.
    #[arg(long, value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  eval \"$(sorna serve & echo SERVER=$!)\"   # in the background, with its clients' settings
  kill $SERVER                             # stops it
  sorna serve --listen 127.0.0.1:8081 --log debug
  sorna serve --listen 0.0.0.0:8443 --allow-remote --keys keys.txt \\
      --tls-cert cert.pem --tls-key key.pem
  sorna serve --languages my-languages.toml --allow-read ~/data";
