//! The files of the system that programs need.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::kernel::language::is_personal;

/// Directories of programs and libraries, readable as a whole.
const PROGRAMS: &[&str] = &[
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/snap",
];
/// What may be read in `/etc`: names, or prefixes of names where a `*` follows. The rest may hold
/// secrets, above all for a gateway that runs as root.
const ETC: &[&str] = &[
    "alternatives",
    "bash.bashrc",
    "ca-certificates*",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "inputrc",
    "irbrc",
    "java*",
    "ld.so.*",
    "locale*",
    "localtime",
    "lsb-release",
    "lua*",
    "magic*",
    "manpath.config",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "perl*",
    "php*",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "python*",
    "R",
    "resolv.conf",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];
/// What else may be read.
const OTHERS: &[&str] = &[
    // Landlock itself hides the details of processes of other kernels.
    "/proc",
    "/sys/dev/block",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    "/var/cache/fontconfig",
    "/var/lib/dpkg",
    "/var/lib/gems",
];
/// Without `/dev/pts`, which holds the terminals of this user and of other kernels.
const DEVICES: &[&str] = &[
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];
/// POSIX shared memory and semaphores, which many libraries need. Kernels share it.
const SHARED: &[&str] = &["/dev/shm"];

/// The places that all kernels of a gateway may access.
#[derive(Debug)]
pub(super) struct SystemPlaces {
    pub(super) readable: Vec<PathBuf>,
    pub(super) devices: Vec<PathBuf>,
    pub(super) shared: Vec<PathBuf>,
    /// What the configuration lets them read, and write to.
    pub(super) given_readable: Vec<PathBuf>,
    pub(super) given_writable: Vec<PathBuf>,
}

impl SystemPlaces {
    /// `path` is where programs are looked for; kernels may also read what is `readable`, and write
    /// to what is `writable`.
    pub(super) fn find(path: &OsStr, readable: &[PathBuf], writable: &[PathBuf]) -> Self {
        let paths = |names: &[&str]| -> Vec<PathBuf> { names.iter().map(PathBuf::from).collect() };
        let mut all = paths(PROGRAMS);
        all.extend(paths(OTHERS));
        all.extend(ETC.iter().flat_map(|name| etc(Path::new("/etc"), name)));
        // Files that are links to elsewhere, such as `/run`.
        let links = ["/etc/resolv.conf", "/etc/localtime"].map(Path::new);
        all.extend(
            links
                .into_iter()
                .filter_map(|link| link.canonicalize().ok()),
        );
        for directory in std::env::split_paths(path).filter(|it| it.is_absolute()) {
            // Shims start other programs, which they find by files beside their directory.
            let shims = directory.parent().filter(|_| directory.ends_with("shims"));
            all.extend(shims.filter(|it| !is_personal(it)).map(Path::to_owned));
            if !is_personal(&directory) {
                all.push(directory);
            }
        }
        Self {
            readable: all,
            devices: paths(DEVICES),
            shared: paths(SHARED),
            given_readable: readable.to_vec(),
            given_writable: writable.to_vec(),
        }
    }
}

/// The entries that a name of [`ETC`] stands for.
fn etc(etc: &Path, name: &str) -> Vec<PathBuf> {
    let Some(beginning) = name.strip_suffix('*') else {
        return vec![etc.join(name)];
    };
    let begins = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(beginning);
    fs::read_dir(etc)
        .into_iter()
        .flatten()
        .flatten()
        .filter(begins)
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn names_in_etc_may_be_prefixes() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["java-17", "java.conf", "shadow"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let mut found = etc(directory.path(), "java*");
        found.sort();
        let expected = ["java-17", "java.conf"].map(|name| directory.path().join(name));
        assert_eq!(found, expected);
        assert_eq!(etc(Path::new("/etc"), "group"), [Path::new("/etc/group")]);
    }
}
