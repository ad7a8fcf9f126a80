//! The part of a gateway's configuration that isolates kernels.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::kernel_box::BoxProgram;
use crate::{IsolationLevel, NetworkAccess};

/// The part of the configuration that decides what kernels can access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    /// Where to make control groups; the group of this process by default.
    pub(crate) cgroup: Option<&'a Path>,
    /// How to isolate kernels, where the system can.
    pub(crate) level: IsolationLevel,
    /// Whether to fail where it cannot.
    pub(crate) is_required: bool,
    /// The network of kernels that have namespaces.
    pub(crate) network: NetworkAccess,
    /// What makes and enters namespaces.
    pub(crate) box_program: Option<&'a BoxProgram>,
    /// Whether the files of kernels are in memory, if they have namespaces.
    pub(crate) has_memory_disks: bool,
    /// The directory of the gateway.
    pub(crate) directory: &'a Path,
    /// The `PATH` of kernels; that of the gateway by default.
    pub(crate) path: Option<&'a OsStr>,
    /// What kernels may read in addition to the system and their own files.
    pub(crate) readable: &'a [PathBuf],
    /// What kernels may write to in addition.
    pub(crate) writable: &'a [PathBuf],
}
