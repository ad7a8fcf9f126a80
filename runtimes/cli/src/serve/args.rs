//! The options of `sorna serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sorna_gateway::IsolationLevel;

use crate::isolation::{Isolation, Network};
use crate::search_path::SearchPathArgs;
use crate::values::{self, Kib};

/// Run a gateway on this machine, for development and tests.
///
/// It speaks both APIs on one port: Sorna v2, and that of Backend.AI (23.09 to 26.9), with local processes
/// as kernels and sessions.
///
/// Prints lines for a shell to evaluate, which set the endpoint and the keys for clients
/// (SORNA_ENDPOINT, SORNA_ACCESS_KEY, SORNA_SECRET_KEY), and nothing else on standard output; with --keys, the endpoint
/// alone. The log goes to standard error. Official clients of Backend.AI read these variables, too, if those that begin with
/// BACKEND_ are not set; `sorna` then speaks Sorna v2, unless --api says otherwise. With --api backend-ai,
/// the variables are BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY instead, with which `sorna`
/// and others speak Backend.AI. On a terminal, both are shown, to copy. It serves until SIGINT (Ctrl-C) or
/// SIGTERM, and leaves no processes or files behind.
///
/// The keys come from --keys, else from SORNA_ACCESS_KEY and SORNA_SECRET_KEY, else they are a random
/// pair. Anyone with a key pair can run programs as this user. Keys of a file are not printed, and the file is read again
/// on SIGHUP: the kernels, connections and logins of a key that is not in it any more end, and others are not affected.
/// The log says what has changed, or why the file cannot be used, and then nothing changes.
///
/// Exit code: 0 when it was stopped; 1 if it could not start; 2 for a usage error or a wrong file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = values::address)]
    pub(super) listen: SocketAddr,

    /// Allow an address that other machines can reach. Requires keys from --keys or the environment.
    #[arg(long)]
    pub(super) allow_remote: bool,

    /// File with key pairs, one per line: access key, white space, secret key. Lines that start with
    /// `#` are skipped. It is read again on SIGHUP.
    #[arg(long, value_name = "FILE")]
    pub(super) keys: Option<PathBuf>,

    /// Serve HTTPS with this certificate, or chain of certificates (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,

    /// Private key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,

    /// Add the languages of this TOML file. Can be repeated.
    #[arg(long, value_name = "FILE")]
    pub(super) languages: Vec<PathBuf>,

    /// Keep so many kernels of a language in stock, started before a client asks for one, from 0 to 16; while the language is
    /// used, in the last 10 minutes. They count against no limit. Can be repeated. By default, 1 of each of python3, nodejs, ruby and r.
    #[arg(long, value_name = "LANG=N", value_parser = values::stock)]
    pub(super) warm: Vec<(String, usize)>,

    /// How much to log.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(super) log: Level,

    #[command(flatten)]
    pub(super) limits: Limits,

    #[command(flatten)]
    pub(super) isolation: IsolationArgs,

    #[cfg(feature = "jupyter")]
    #[command(flatten)]
    pub(super) jupyter: JupyterServerArgs,
}

/// The API of Jupyter's servers.
#[cfg(feature = "jupyter")]
#[derive(Debug, Args)]
#[command(next_help_heading = "Jupyter")]
pub(super) struct JupyterServerArgs {
    /// Speak the API of Jupyter's servers on the same port, too: for JupyterLab with `--gateway-url`, VS Code, Open WebUI,
    /// jupyter-kernel-client and the like. Prints the variables with which `jupyter lab` uses it (JUPYTER_GATEWAY_URL,
    /// JUPYTER_GATEWAY_AUTH_TOKEN). Clients show a token: that of --jupyter-token, else that of SORNA_JUPYTER_TOKEN, else a random
    /// one. Anyone who has it can run programs as this user, as a client with the first key pair.
    #[arg(long)]
    pub(super) jupyter: bool,

    /// File with the token for clients of Jupyter's API. It is not printed.
    #[arg(long, value_name = "FILE", requires = "jupyter")]
    pub(super) jupyter_token: Option<PathBuf>,

    /// Let web pages of this origin use Jupyter's API, such as https://lab.example.com; `*` stands for all. They need the token,
    /// too. Can be repeated.
    #[arg(long, value_name = "ORIGIN", requires = "jupyter")]
    pub(super) jupyter_origin: Vec<String>,
}

/// How much to log: requests from `info` on, error responses from `debug` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Limits of clients and kernels.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct Limits {
    /// Time limit of an execution if the client sets none, such as 500ms, 30s or 2m.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = values::time)]
    pub(super) exec_timeout: Duration,

    /// Time after which a kernel that is not in use is destroyed. In use is one in which something runs or prints, or
    /// whose terminal is attached; not one in which something was left in the background and prints nothing.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = values::time)]
    pub(super) idle_timeout: Duration,

    /// The most that a client may ask for as the idle timeout of a kernel [default: that of --idle-timeout].
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(super) max_idle_timeout: Option<Duration>,

    /// Memory limit of a kernel; a client may ask for less.
    #[arg(long, value_name = "SIZE", default_value = "1g", value_parser = values::kernel_memory)]
    pub(super) max_mem: Kib,

    /// Maximum number of processes and threads of a kernel.
    #[arg(long, value_name = "NUMBER", value_parser = values::number::<u64>, default_value_t = 1024)]
    pub(super) max_processes: u64,

    /// Maximum size of a file that a kernel writes, or that is uploaded.
    #[arg(long, value_name = "SIZE", default_value = "1g", value_parser = values::memory)]
    pub(super) max_file_size: Kib,

    /// Disk limit of a kernel: what runs in a kernel whose files come to take more is killed, and no more can be
    /// uploaded. `0` means none.
    #[arg(long, value_name = "SIZE", default_value = "2g", value_parser = values::memory_or_none)]
    pub(super) max_disk: Kib,

    /// Maximum number of files and directories of a kernel, enforced in the same way.
    #[arg(long, value_name = "NUMBER", value_parser = values::number::<u64>, default_value_t = 200_000)]
    pub(super) max_files: u64,

    /// Keep the files of each kernel in memory, in a file system of this size, where kernels have namespaces. They
    /// count as memory, of which they take at most half. Otherwise this is the same as --max-disk.
    #[arg(long, value_name = "SIZE", value_parser = values::memory)]
    pub(super) disk: Option<Kib>,

    /// Maximum number of kernels per key.
    #[arg(long, value_name = "NUMBER", value_parser = values::number::<usize>, default_value_t = 256)]
    pub(super) max_kernels: usize,

    /// Maximum of the memory limits of all kernels of a key, in sum. A kernel for which not enough is left is refused.
    #[arg(long, value_name = "SIZE", value_parser = values::kernel_memory)]
    pub(super) max_mem_per_key: Option<Kib>,

    /// Maximum of the limits on processes of all kernels of a key, in sum.
    #[arg(long, value_name = "NUMBER", value_parser = values::number::<u64>)]
    pub(super) max_processes_per_key: Option<u64>,

    /// Maximum of the disk limits of all kernels of a key, in sum.
    #[arg(long, value_name = "SIZE", value_parser = values::memory)]
    pub(super) max_disk_per_key: Option<Kib>,

    /// Maximum number of requests per key in 15 minutes. The original gateway allows 1000.
    #[arg(long, value_name = "NUMBER", value_parser = values::number::<u64>, default_value_t = 1_000_000)]
    pub(super) max_requests: u64,

    /// Maximum number of connections at a time, including terminals.
    #[arg(long, value_name = "NUMBER", value_parser = values::number::<usize>, default_value_t = 4096)]
    pub(super) max_connections: usize,

    /// Maximum number of files per upload request.
    #[arg(long, value_name = "NUMBER", value_parser = values::number::<usize>, default_value_t = 20)]
    pub(super) max_upload_files: usize,

    /// Maximum size of a file that a client uploads in the way of the original APIs. `sorna` and the library upload files of
    /// any size, up to the limits on disk and on files that a kernel writes.
    #[arg(long, value_name = "SIZE", default_value = "1m", value_parser = values::memory)]
    pub(super) max_upload_size: Kib,

    /// Maximum size of the text in one response, and so in one console record.
    #[arg(long, value_name = "SIZE", default_value = "1m", value_parser = values::memory)]
    pub(super) max_output: Kib,
}

/// How kernels are isolated from this machine.
#[derive(Debug, Args)]
#[command(next_help_heading = "Isolation")]
pub(super) struct IsolationArgs {
    /// Let kernels read this file or directory as well. Can be repeated.
    #[arg(long, value_name = "PATH")]
    pub(super) allow_read: Vec<PathBuf>,

    /// Let kernels read and write this file or directory as well. Can be repeated.
    #[arg(long, value_name = "PATH")]
    pub(super) allow_write: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) search_path: SearchPathArgs,

    /// How to isolate kernels from this machine and from each other.
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = Isolation::default(), conflicts_with = "no_file_isolation")]
    isolation: Isolation,

    /// Fail at the start where this system does not offer that, instead of isolating kernels less well.
    #[arg(long)]
    pub(super) require_isolation: bool,

    /// The network of kernels with `--isolation namespaces`: none, a loopback device of their own, or that of this
    /// machine [default: none]
    #[arg(long, value_name = "NETWORK")]
    pub(super) network: Option<Network>,

    /// The same as `--isolation none`.
    #[arg(long)]
    no_file_isolation: bool,

    /// Directory of a cgroup2 file system in which to create the control groups of kernels. It must be
    /// writable by this user and contain no processes. By default the group of this process is tried.
    #[arg(long, value_name = "DIR")]
    pub(super) cgroup: Option<PathBuf>,

    /// Where to create the directory with the kernels' files; overrides TMPDIR.
    #[arg(long, value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
}

impl IsolationArgs {
    pub(super) fn level(&self) -> IsolationLevel {
        match self.no_file_isolation {
            true => IsolationLevel::None,
            false => self.isolation.into(),
        }
    }
}

macro_rules! examples {
    () => {
        "\
Examples:
  eval \"$(sorna serve & echo SERVER=$!)\"   # in the background; sets the variables for clients
  kill $SERVER                             # stops it
  sorna serve --listen 127.0.0.1:8081 --log debug
  sorna serve --listen 0.0.0.0:8443 --allow-remote --keys keys.txt \\
      --tls-cert cert.pem --tls-key key.pem
  sorna serve --languages my-languages.toml --allow-read ~/data"
    };
}

#[cfg(not(feature = "jupyter"))]
const EXAMPLES: &str = examples!();

#[cfg(feature = "jupyter")]
const EXAMPLES: &str = concat!(
    examples!(),
    "\n  \
  sorna serve --jupyter --listen 127.0.0.1:8081 --venv ~/venv   # then, with the token that it prints:\n  \
  JUPYTER_GATEWAY_AUTH_TOKEN=... jupyter lab --gateway-url http://127.0.0.1:8081"
);
