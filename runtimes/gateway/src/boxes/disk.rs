//! A file system in memory for the files of a kernel.
//!
//! It belongs to a process outside of the box, which has a user and a mount namespace: boxes of the kernel are made within
//! these, one after another, so that files outlive a box that ends. The gateway reaches the files by a directory that it is
//! sent. All is gone when the gateway closes the socket, or is.

use std::ffi::CString;
use std::fs::DirBuilder;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};

use super::failure::{At, Failure};
use super::hold::{MAPPED_BY_GATEWAY, separate};
use super::message::{self, Kind, Reader, Writer};

/// What is to be in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiskPlan {
    /// An empty directory, for the file system.
    pub(crate) place: PathBuf,
    /// Empty directories that are replaced by new ones in it, with the same names.
    pub(crate) directories: Vec<PathBuf>,
    /// In bytes.
    pub(crate) size: u64,
    /// The most files and directories.
    pub(crate) files: u64,
}

impl DiskPlan {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.word(&self.place);
        writer.list(&self.directories);
        writer.word(self.size.to_string());
        writer.word(self.files.to_string());
        writer.finish()
    }

    fn decode(body: &[u8]) -> std::io::Result<Self> {
        let mut reader = Reader::new(body);
        Ok(Self {
            place: reader.word()?.into(),
            directories: reader.list()?.into_iter().map(PathBuf::from).collect(),
            size: reader.number()?,
            files: reader.number()?,
        })
    }
}

/// Makes the file system, sends the gateway its root, and keeps it until the gateway closes the socket.
pub(super) fn disk(
    mut control: &UnixStream,
    mut options: impl Iterator<Item = std::ffi::OsString>,
) -> Result<ExitCode, Failure> {
    let _ = rustix::process::setsid();
    let is_mapped = options.any(|it| it == MAPPED_BY_GATEWAY);
    let namespaces = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS;
    separate(namespaces, is_mapped)?;
    message::send(control, Kind::Apart, &[], &[]).at("the gateway")?;
    let plan = message::receive(control).at("the gateway")?;
    let Some(plan) = plan.filter(|it| it.is(Kind::Plan)) else {
        return Ok(ExitCode::SUCCESS);
    };
    let plan = DiskPlan::decode(&plan.body).at("the gateway")?;
    // What the machine unmounts is let go here as well, and what is mounted here is seen nowhere else.
    let all = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", all).at("mount propagation")?;
    let options = format!("mode=711,size={},nr_inodes={}", plan.size, plan.files);
    let options = CString::new(options).unwrap_or_default();
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", &plan.place, "tmpfs", flags, options.as_c_str())
        .at_path("mount tmpfs on", &plan.place)?;
    for directory in &plan.directories {
        let name = directory.file_name().unwrap_or_default();
        let inner = plan.place.join(name);
        let made = DirBuilder::new().mode(0o700).create(&inner);
        made.at_path("create", &inner)?;
        mount_bind(&inner, directory).at_path("bind", directory)?;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(&plan.place, flags, Mode::empty()).at_path("open", &plan.place)?;
    message::send(control, Kind::Ready, &[], &[root.as_fd()]).at("the gateway")?;
    drop(root);
    while matches!(control.read(&mut [0; 16]), Ok(1..)) {}
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_the_helper_is_told_arrives_unchanged() {
        let plan = DiskPlan {
            place: "/a b".into(),
            directories: vec!["/x/work".into(), "/x/tmp".into()],
            size: 5,
            files: 6,
        };
        assert_eq!(DiskPlan::decode(&plan.encode()).unwrap(), plan);
    }
}
