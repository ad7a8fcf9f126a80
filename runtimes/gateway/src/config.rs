//! The configuration of a gateway.

mod isolation;
mod kernel_limits;
mod key_limits;
mod level;
mod warm;

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sorna_core::Credentials;

pub use self::level::{IsolationLevel, NetworkAccess};
use crate::guest::Guest;
use crate::kernel::{BoxProgram, LanguageTable};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// What a gateway listens on, which keys it accepts, and what it allows.
///
/// ```
/// use std::time::Duration;
/// use sorna_gateway::GatewayConfig;
///
/// let config = GatewayConfig::new()
///     .with_exec_timeout(Duration::from_secs(5))
///     .with_max_memory(512 * 1024 * 1024);
/// assert!(config.listen().ip().is_loopback());
/// ```
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    listen: SocketAddr,
    allow_remote: bool,
    #[cfg(feature = "tls")]
    tls: Option<crate::TlsIdentity>,
    credentials: Vec<Credentials>,
    directory: Option<PathBuf>,
    cache: Option<PathBuf>,
    languages: LanguageTable,
    path: Option<OsString>,
    isolation: IsolationLevel,
    require_isolation: bool,
    network: NetworkAccess,
    box_program: Option<BoxProgram>,
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
    cgroup: Option<PathBuf>,
    max_memory: Option<u64>,
    max_processes: u64,
    max_file_size: u64,
    max_disk: Option<u64>,
    max_files: u64,
    memory_disk: Option<u64>,
    max_console_size: usize,
    max_kernels_per_key: usize,
    max_memory_per_key: Option<u64>,
    max_processes_per_key: Option<u64>,
    max_disk_per_key: Option<u64>,
    exec_timeout: Duration,
    idle_timeout: Duration,
    max_idle_timeout: Option<Duration>,
    continuation_interval: Duration,
    max_requests_per_window: u64,
    max_upload_files: usize,
    max_upload_file_size: u64,
    max_body_size: usize,
    head_timeout: Duration,
    body_timeout: Duration,
    write_timeout: Duration,
    max_connections: usize,
    warm_kernels: Vec<(String, usize)>,
    warm_time: Duration,
    guest: Option<Arc<dyn Guest>>,
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
            cache: None,
            languages: LanguageTable::built_in(),
            path: None,
            isolation: IsolationLevel::default(),
            require_isolation: false,
            network: NetworkAccess::default(),
            box_program: None,
            readable: Vec::new(),
            writable: Vec::new(),
            cgroup: None,
            max_memory: Some(GIB),
            max_processes: 1024,
            max_file_size: GIB,
            max_disk: Some(2 * GIB),
            max_files: 200_000,
            memory_disk: None,
            max_console_size: 1024 * 1024,
            max_kernels_per_key: 256,
            max_memory_per_key: None,
            max_processes_per_key: None,
            max_disk_per_key: None,
            exec_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60 * 60),
            max_idle_timeout: None,
            continuation_interval: Duration::from_secs(2),
            max_requests_per_window: 1_000_000,
            max_upload_files: 20,
            max_upload_file_size: MIB,
            max_body_size: 1024 * 1024,
            head_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            max_connections: 4096,
            warm_kernels: Vec::new(),
            warm_time: Duration::from_secs(10 * 60),
            guest: None,
        }
    }
}

/// The address, and the key pairs of users.
impl GatewayConfig {
    /// A gateway on a free port of 127.0.0.1 with a random key pair, and the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets where to listen: on a free port of 127.0.0.1 by default. Port 0 takes a free one.
    #[must_use]
    pub fn with_listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Where to listen.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Sets whether to listen on addresses that other machines can reach: no by default, because
    /// anyone who has a key pair runs programs as this user. The keys must then be
    /// [given](Self::with_credentials) as well.
    #[must_use]
    pub fn with_allow_remote(mut self, allow: bool) -> Self {
        self.allow_remote = allow;
        self
    }

    /// Whether to listen on addresses that other machines can reach.
    #[must_use]
    pub fn allow_remote(&self) -> bool {
        self.allow_remote
    }

    /// Serves HTTPS with this identity; plain HTTP by default.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, identity: crate::TlsIdentity) -> Self {
        self.tls = Some(identity);
        self
    }

    /// The identity for HTTPS; `None` means plain HTTP.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&crate::TlsIdentity> {
        self.tls.as_ref()
    }

    /// Adds key pairs that the gateway accepts. Without any, the default, it makes a random pair.
    #[must_use]
    pub fn with_credentials(mut self, pairs: impl IntoIterator<Item = Credentials>) -> Self {
        self.credentials.extend(pairs);
        self
    }

    /// The key pairs that the gateway accepts; empty for a random one.
    #[must_use]
    pub fn credentials(&self) -> &[Credentials] {
        &self.credentials
    }
}

/// The languages of kernels, and their access to this machine.
impl GatewayConfig {
    /// Sets where to make the directory with the kernels' files: in the system's place for temporary
    /// files by default.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets a directory for what the next gateway can use again: bytecode of the code that runs in kernels of python3, which start
    /// faster with that. It is made if it is missing, and not used if others can write to it. None by default, and then
    /// the first such kernel of each gateway starts more slowly.
    #[must_use]
    pub fn with_cache(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache = Some(directory.into());
        self
    }

    /// The directory for what the next gateway can use again.
    #[must_use]
    pub fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    /// Where to make the directory with the kernels' files; `None` for the system's place.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Sets the languages it runs, if their tools are installed: [the built-in
    /// ones](LanguageTable::built_in) by default.
    #[must_use]
    pub fn with_languages(mut self, languages: LanguageTable) -> Self {
        self.languages = languages;
        self
    }

    /// The languages it runs.
    #[must_use]
    pub fn languages(&self) -> &LanguageTable {
        &self.languages
    }

    /// Sets where to look for the languages' tools, which is also the `PATH` of the kernels:
    /// directories joined by colons. By default it is the gateway's own `PATH`. To put a virtual
    /// environment of Python first:
    ///
    /// ```
    /// # use sorna_gateway::GatewayConfig;
    /// let config = GatewayConfig::new().with_path("/srv/venv/bin:/usr/local/bin:/usr/bin:/bin");
    /// ```
    #[must_use]
    pub fn with_path(mut self, path: impl Into<OsString>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Where to look for the languages' tools; `None` for the gateway's own `PATH`.
    #[must_use]
    pub fn path(&self) -> Option<&OsStr> {
        self.path.as_deref()
    }

    /// Adds files and directories that kernels may read, such as data, or libraries in a home
    /// directory. None by default. Relative paths begin at the current directory. A path where nothing is gets a warning
    /// in the log.
    #[must_use]
    pub fn with_readable<P: Into<PathBuf>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.readable.extend(paths.into_iter().map(absolute));
        self
    }

    /// What kernels may read in addition to the system's files and their own.
    #[must_use]
    pub fn readable(&self) -> &[PathBuf] {
        &self.readable
    }

    /// Adds files and directories that kernels may also write to, such as one for results, or
    /// `/dev/pts` for programs that make their own terminals. None by default. Paths are as for
    /// [`with_readable`](Self::with_readable).
    #[must_use]
    pub fn with_writable<P: Into<PathBuf>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.writable.extend(paths.into_iter().map(absolute));
        self
    }

    /// What kernels may write to in addition to their own files.
    #[must_use]
    pub fn writable(&self) -> &[PathBuf] {
        &self.writable
    }

    /// Sets where to make a control group for each kernel: a directory of a `cgroup2` file system
    /// that this user may write to and that contains no processes itself. By default it is the group
    /// that the gateway is in, if it may make others there.
    #[must_use]
    pub fn with_cgroup(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cgroup = Some(directory.into());
        self
    }

    /// Where to make control groups; `None` for the group that the gateway is in.
    #[must_use]
    pub fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_deref()
    }
}

/// Limits on clients.
impl GatewayConfig {
    /// Sets how many files one upload may bring: 20 by default.
    #[must_use]
    pub fn with_max_upload_files(mut self, files: usize) -> Self {
        self.max_upload_files = files;
        self
    }

    /// How many files one upload may bring.
    #[must_use]
    pub fn max_upload_files(&self) -> usize {
        self.max_upload_files
    }

    /// Sets how large each uploaded file may be, in bytes: 1 MiB by default.
    #[must_use]
    pub fn with_max_upload_file_size(mut self, bytes: u64) -> Self {
        self.max_upload_file_size = bytes;
        self
    }

    /// How large each uploaded file may be, in bytes.
    #[must_use]
    pub fn max_upload_file_size(&self) -> u64 {
        self.max_upload_file_size
    }

    /// Sets the size, in bytes, from which request bodies are rejected, uploads excepted: 1 MiB by
    /// default.
    #[must_use]
    pub fn with_max_body_size(mut self, bytes: usize) -> Self {
        self.max_body_size = bytes;
        self
    }

    /// The size, in bytes, from which request bodies are rejected, uploads excepted.
    #[must_use]
    pub fn max_body_size(&self) -> usize {
        self.max_body_size
    }

    /// Sets how long a client may take for the head of a request, which is also how long a
    /// connection may be idle: 75 s by default.
    #[must_use]
    pub fn with_head_timeout(mut self, time: Duration) -> Self {
        self.head_timeout = time;
        self
    }

    /// How long a client may take for the head of a request.
    #[must_use]
    pub fn head_timeout(&self) -> Duration {
        self.head_timeout
    }

    /// Sets how long a client may take for the body of a request: 60 s by default.
    #[must_use]
    pub fn with_body_timeout(mut self, time: Duration) -> Self {
        self.body_timeout = time;
        self
    }

    /// How long a client may take for the body of a request.
    #[must_use]
    pub fn body_timeout(&self) -> Duration {
        self.body_timeout
    }

    /// Sets how long a client may read nothing of what it is sent, a response or a terminal's
    /// output, before its connection is closed: 60 s by default.
    #[must_use]
    pub fn with_write_timeout(mut self, time: Duration) -> Self {
        self.write_timeout = time;
        self
    }

    /// How long a client may read nothing of what it is sent.
    #[must_use]
    pub fn write_timeout(&self) -> Duration {
        self.write_timeout
    }

    /// Sets how many connections may be open at a time, terminals included: 4096 by default.
    /// For a further one, an idle connection is closed; so it is when more than 2048 are idle. If all are busy, it gets the error response
    /// `service-unavailable` itself. If there are several access keys, each can keep three quarters of
    /// them busy, and another machine can have a quarter of them open.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Has another API on the same port, at paths that the gateway does not know.
    #[must_use]
    pub fn with_guest(mut self, guest: Arc<dyn Guest>) -> Self {
        self.guest = Some(guest);
        self
    }

    /// The other API on the same port.
    #[must_use]
    pub fn guest(&self) -> Option<&Arc<dyn Guest>> {
        self.guest.as_ref()
    }

    /// How many connections may be open at a time, terminals included.
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.max_connections
    }
}

/// The path from the root: kernels have another current directory.
fn absolute(path: impl Into<PathBuf>) -> PathBuf {
    let path = path.into();
    std::path::absolute(&path).unwrap_or(path)
}
