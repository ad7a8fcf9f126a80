//! The files of a kernel in memory. See [`boxes`](crate::boxes).

use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, PidfdFlags};

use super::kernel_box::{ANSWER_TIME, BoxProgram, answer, map, tell};
use crate::boxes::disk::DiskPlan;
use crate::boxes::message::Kind;
use crate::boxes::{DISK, MAPPED_BY_GATEWAY};
use crate::kernel::memory::Held;

/// The file system in which the files of a kernel are, in memory. It is gone when this is dropped and nothing in it is
/// open.
#[derive(Debug)]
pub(crate) struct MemoryDisk {
    helper: Child,
    /// Stands for the helper, whose namespaces boxes are made in.
    helper_file: OwnedFd,
    root: OwnedFd,
    /// Its end is the end of the helper.
    _control: UnixStream,
}

impl MemoryDisk {
    /// Makes it, for these directories. Blocks.
    pub(super) fn start(
        program: &BoxProgram,
        user: Option<u32>,
        plan: &DiskPlan,
    ) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(&plan.place)?;
        let (control, theirs) = UnixStream::pair()?;
        control.set_read_timeout(Some(ANSWER_TIME))?;
        control.set_write_timeout(Some(ANSWER_TIME))?;
        let mut command = program.command(DISK, theirs);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if user.is_some() {
            command.arg(MAPPED_BY_GATEWAY);
        }
        let mut helper = command.spawn()?;
        drop(command);
        let make = || {
            let id = i32::try_from(helper.id()).ok().and_then(Pid::from_raw);
            let id = id.ok_or(io::ErrorKind::InvalidData)?;
            let helper_file = rustix::process::pidfd_open(id, PidfdFlags::empty())?;
            answer(&control, Kind::Apart)?;
            if let Some(user) = user {
                map(helper.id(), user)?;
            }
            tell(&control, Kind::Plan, &plan.encode())?;
            let root = answer(&control, Kind::Ready)?.files.into_iter().next();
            Ok((helper_file, root.ok_or(io::ErrorKind::InvalidData)?))
        };
        let made: io::Result<_> = make();
        match made {
            Ok((helper_file, root)) => Ok(Self {
                helper,
                helper_file,
                root,
                _control: control,
            }),
            Err(error) => {
                let _ = helper.kill();
                let _ = helper.wait();
                Err(error)
            }
        }
    }

    /// The path of its root for the gateway, as long as this exists.
    pub(crate) fn root(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.root.as_raw_fd().to_string())
    }

    /// Stands for the process in whose namespaces boxes are made.
    pub(super) fn helper(&self) -> BorrowedFd<'_> {
        self.helper_file.as_fd()
    }

    /// The process that the gateway waits for.
    pub(super) fn helper_id(&self) -> u32 {
        self.helper.id()
    }

    /// Adds the memory that the files take.
    pub(super) fn add_to(&self, held: &mut Held) {
        let state = rustix::fs::fstatvfs(&self.root);
        if let (Ok(state), Ok(metadata)) = (state, rustix::fs::fstat(&self.root)) {
            let used = (state.f_blocks - state.f_bfree) * state.f_frsize;
            held.add_file_system(metadata.st_dev, used);
        }
    }
}

impl Drop for MemoryDisk {
    fn drop(&mut self) {
        // It holds nothing that must be put in order.
        let _ = self.helper.kill();
        let _ = self.helper.wait();
    }
}
