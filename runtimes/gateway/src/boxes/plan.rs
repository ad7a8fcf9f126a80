//! What a gateway tells its helpers.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use super::message::{Reader, Writer};
use crate::NetworkAccess;

/// What is in a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// An empty directory, in which the root of the box is put together.
    pub(crate) scratch: PathBuf,
    /// What is there, with paths without links; what is below another follows it.
    pub(crate) mounts: Vec<(PathBuf, Mount)>,
    /// Symbolic links, and what is in them.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    /// The sizes of `/tmp` and of `/dev/shm`, in bytes.
    pub(crate) scratch_size: u64,
    pub(crate) network: NetworkAccess,
    /// The user, and group, of the programs in the box; `None` means the one of the gateway.
    pub(crate) user: Option<u32>,
    /// The home directory of that user.
    pub(crate) home: PathBuf,
}

/// What is at a place in a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    /// What is there outside, to read and execute.
    ReadOnly,
    /// What is there outside, to write as well.
    Writable,
    /// The devices that programs need, and terminals and shared memory of the box's own.
    Devices,
    /// The processes of the box.
    Processes,
    /// An empty directory for temporary files.
    Temporary,
    /// An empty directory, in which more can be.
    Directory,
    /// An empty directory, to hide what is there outside.
    Empty,
}

const MOUNTS: [(Mount, &str); 7] = [
    (Mount::ReadOnly, "ro"),
    (Mount::Writable, "rw"),
    (Mount::Devices, "dev"),
    (Mount::Processes, "proc"),
    (Mount::Temporary, "tmp"),
    (Mount::Directory, "dir"),
    (Mount::Empty, "empty"),
];

impl Plan {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.word(&self.scratch);
        let name = |mount: &Mount| MOUNTS.iter().find(|(it, _)| it == mount).map(|it| it.1);
        writer.list(self.mounts.iter().map(|(path, _)| path));
        writer.list(self.mounts.iter().filter_map(|(_, mount)| name(mount)));
        writer.list(self.links.iter().map(|(path, _)| path));
        writer.list(self.links.iter().map(|(_, target)| target));
        writer.word(self.scratch_size.to_string());
        writer.word(self.network.as_str());
        writer.list(self.user.map(|user| user.to_string()));
        writer.word(&self.home);
        writer.finish()
    }

    pub(crate) fn decode(body: &[u8]) -> io::Result<Self> {
        let mut reader = Reader::new(body);
        let mount = |name: OsString| {
            let mount = MOUNTS.iter().find(|(_, it)| name == *it).map(|it| it.0);
            mount.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
        };
        let scratch = reader.word()?.into();
        let (paths, kinds) = (reader.list()?, reader.list()?);
        let kinds = kinds.into_iter().map(mount);
        let mounts = paths.into_iter().zip(kinds);
        let mounts = mounts.map(|(path, mount)| Ok((path.into(), mount?)));
        let mounts: io::Result<_> = mounts.collect();
        let (paths, targets) = (reader.list()?, reader.list()?);
        let links = paths.into_iter().zip(targets);
        Ok(Self {
            scratch,
            mounts: mounts?,
            links: links.map(|(at, to)| (at.into(), to.into())).collect(),
            scratch_size: reader.number()?,
            network: network(&reader.word()?)?,
            user: reader.list()?.first().map(number).transpose()?,
            home: reader.word()?.into(),
        })
    }
}

/// A program in a box.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// It, and its arguments.
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) directory: PathBuf,
    /// What Landlock lets it write to.
    pub(crate) writable: Vec<PathBuf>,
    /// Whether Landlock is to be used.
    pub(crate) landlock: bool,
    pub(crate) network: NetworkAccess,
    /// As in [`Plan`].
    pub(crate) user: Option<u32>,
    /// Whether it gets a terminal of its own, in place of standard input and output.
    pub(crate) terminal: bool,
    /// Whether it makes a session of its own, and so must not lead a group.
    pub(crate) makes_session: bool,
    /// Whether the gateway wants to know its process, and lets the helper go on when it has seen to that.
    pub(crate) is_announced: bool,
}

impl Program {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.list(&self.arguments);
        writer.list(self.environment.iter().map(|(name, _)| name));
        writer.list(self.environment.iter().map(|(_, value)| value));
        writer.word(&self.directory);
        writer.list(&self.writable);
        writer.word(u8::from(self.landlock).to_string());
        writer.word(self.network.as_str());
        writer.list(self.user.map(|user| user.to_string()));
        writer.word(u8::from(self.terminal).to_string());
        writer.word(u8::from(self.makes_session).to_string());
        writer.word(u8::from(self.is_announced).to_string());
        writer.finish()
    }

    pub(crate) fn decode(body: &[u8]) -> io::Result<Self> {
        let mut reader = Reader::new(body);
        let arguments = reader.list()?;
        let (names, values) = (reader.list()?, reader.list()?);
        Ok(Self {
            arguments,
            environment: names.into_iter().zip(values).collect(),
            directory: reader.word()?.into(),
            writable: reader.list()?.into_iter().map(PathBuf::from).collect(),
            landlock: reader.number()? == 1,
            network: network(&reader.word()?)?,
            user: reader.list()?.first().map(number).transpose()?,
            terminal: reader.number()? == 1,
            makes_session: reader.number()? == 1,
            is_announced: reader.number()? == 1,
        })
    }
}

fn network(word: &OsString) -> io::Result<NetworkAccess> {
    let all = [
        NetworkAccess::None,
        NetworkAccess::Loopback,
        NetworkAccess::Host,
    ];
    let found = all.into_iter().find(|it| word == it.as_str());
    found.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn number(word: &OsString) -> io::Result<u32> {
    let number = word.to_str().and_then(|word| word.parse().ok());
    number.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_helpers_are_told_arrives_unchanged() {
        let plan = Plan {
            scratch: "/a b".into(),
            mounts: vec![
                ("/".into(), Mount::ReadOnly),
                ("/x".into(), Mount::Temporary),
            ],
            links: vec![("/bin".into(), "usr/bin".into())],
            scratch_size: 5,
            network: NetworkAccess::Loopback,
            user: Some(7),
            home: "/h".into(),
        };
        assert_eq!(Plan::decode(&plan.encode()).unwrap(), plan);
        let program = Program {
            arguments: vec!["sh".into(), String::new().into()],
            environment: vec![("A".into(), "b=c".into())],
            directory: "/w".into(),
            writable: vec!["/w".into()],
            landlock: true,
            network: NetworkAccess::Host,
            user: None,
            terminal: true,
            makes_session: false,
            is_announced: true,
        };
        assert!(Program::decode(&program.encode()).unwrap() == program);
        assert!(Program::decode(b"x").is_err());
    }
}
