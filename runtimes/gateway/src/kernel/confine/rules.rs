//! The part of a gateway's configuration that isolates kernels.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The part of the configuration that decides what kernels can access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    /// Where to make control groups; the group of this process by default.
    pub(crate) cgroup: Option<&'a Path>,
    /// Whether to limit which files can be opened, where the system can.
    pub(crate) isolate_files: bool,
    /// The `PATH` of kernels; that of the gateway by default.
    pub(crate) path: Option<&'a OsStr>,
    /// What kernels may read in addition to the system and their own files.
    pub(crate) readable: &'a [PathBuf],
    /// What kernels may write to in addition.
    pub(crate) writable: &'a [PathBuf],
}
