//! How a gateway is set up.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use sorna_core::Credentials;

use crate::kernel::LanguageTable;

/// What a gateway listens on, whom it knows, and what it allows.
///
/// ```
/// use std::time::Duration;
/// use sorna_gateway::GatewayConfig;
///
/// let mut config = GatewayConfig::default();
/// config.exec_timeout = Duration::from_secs(5);
/// assert!(config.listen.ip().is_loopback());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayConfig {
    /// Where to listen: by default on a free port of 127.0.0.1. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether it may listen on addresses that others than this machine reach; no by default,
    /// because whoever holds a key runs programs as this user. Then the keys must be given as well.
    pub allow_remote: bool,
    /// Serves HTTPS with this identity; plain HTTP by default.
    #[cfg(feature = "tls")]
    pub tls: Option<crate::TlsIdentity>,
    /// The key pairs it knows. If there are none, the default, a random pair is made.
    pub credentials: Vec<Credentials>,
    /// Where the directory with the kernels' files is made. By default the system's place for
    /// temporary files.
    pub directory: Option<PathBuf>,
    /// The languages it runs, if their tools are on the machine: by default those that it knows by
    /// itself.
    pub languages: LanguageTable,
    /// Where the languages' tools are looked for, and the `PATH` of the kernels: directories joined
    /// by colons. By default the gateway's own `PATH`. A virtual environment of Python comes first
    /// in it like this:
    ///
    /// ```
    /// let mut config = sorna_gateway::GatewayConfig::default();
    /// config.path = Some("/srv/venv/bin:/usr/local/bin:/usr/bin:/bin".into());
    /// ```
    pub path: Option<OsString>,
    /// Whether kernels are kept from reading and writing files that are neither theirs nor the
    /// system's, where the system can do that: yes by default. See
    /// [`Gateway::isolation`](crate::Gateway::isolation).
    pub isolate_files: bool,
    /// Files and directories that kernels may read besides, none by default: such as data, or
    /// libraries in somebody's home.
    pub readable: Vec<PathBuf>,
    /// Files and directories that kernels may write to as well, none by default: such as results, or
    /// `/dev/pts` for programs that make terminals of their own.
    pub writable: Vec<PathBuf>,
    /// Where to make a control group for each kernel: a directory of a `cgroup2` file system that
    /// this user may write to and that holds no processes itself. By default the group that the
    /// gateway is in, if it may.
    pub cgroup: Option<PathBuf>,
    /// The most memory of a kernel, in KiB; a client may ask for less. 1 GiB by default; none is
    /// as much as there is.
    pub max_memory: Option<u64>,
    /// The most processes and threads of a kernel: 1024 by default.
    pub max_processes: u64,
    /// The largest file that a program may write, in bytes: 1 GiB by default.
    pub max_file_size: u64,
    /// About how much text one answer holds at most, in bytes, which bounds a console record as
    /// well: 1 MiB by default. A program that says more waits until it is fetched.
    pub console_limit: usize,
    /// How many kernels one access key may have at a time; more are refused with
    /// `quota-exceeded`. 256 by default.
    pub kernels_per_key: usize,
    /// How long an execution may run if its kernel was created without a limit: 30 s by default.
    /// The time a program waits for its client does not count.
    pub exec_timeout: Duration,
    /// How long a kernel may go without a request before it is destroyed: an hour by default.
    pub idle_timeout: Duration,
    /// How long an execute request waits at most before it is answered with `continued`: 2 s by
    /// default, as on the original gateway.
    pub continuation_interval: Duration,
    /// How many requests one access key may make in 15 minutes: a million by default, which is
    /// hardly a limit. The original allows 1000.
    pub requests_per_window: u64,
    /// How many files one upload may bring: 20 by default.
    pub upload_files: usize,
    /// How large each of them may be, in bytes: 1 MiB by default.
    pub upload_file_size: u64,
    /// Request bodies of this many bytes and more are refused, uploads excepted: 1 MiB by default.
    pub body_limit: usize,
    /// How long a client may take for the head of a request, which is also how long a connection
    /// may be idle: 75 s by default.
    pub head_timeout: Duration,
    /// How long a client may take for the body of a request: 60 s by default.
    pub body_timeout: Duration,
    /// How long a client may take nothing of what it is sent, an answer or a terminal's output,
    /// before its connection is cut: 60 s by default.
    pub write_timeout: Duration,
    /// How many connections may be open at a time, terminals included: 4096 by default. More are
    /// answered with `service-unavailable` and closed.
    pub max_connections: usize,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            allow_remote: false,
            #[cfg(feature = "tls")]
            tls: None,
            credentials: Vec::new(),
            directory: None,
            languages: LanguageTable::built_in(),
            path: None,
            isolate_files: true,
            readable: Vec::new(),
            writable: Vec::new(),
            cgroup: None,
            max_memory: Some(1024 * 1024),
            max_processes: 1024,
            max_file_size: 1024 * 1024 * 1024,
            console_limit: 1024 * 1024,
            kernels_per_key: 256,
            exec_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60 * 60),
            continuation_interval: Duration::from_secs(2),
            requests_per_window: 1_000_000,
            upload_files: 20,
            upload_file_size: 1024 * 1024,
            body_limit: 1024 * 1024,
            head_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            max_connections: 4096,
        }
    }
}
