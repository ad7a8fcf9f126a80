//! Downloads: each file or directory as an archive of its own.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};
use tar::{Builder, EntryType, Header};

use super::tree;
use crate::kernel::size;

/// How large all archives of one download may be, in bytes.
pub(super) const MAX_SIZE: u64 = 1024 * 1024 * 1024;
/// The most files of one archive.
const MAX_FILES: usize = 20_000;
/// How deep directories are followed.
const MAX_DEPTH: usize = 64;

/// A file in which an archive is, from its beginning, and its size, which is taken from what is `left`.
pub(super) fn of(
    work: &Path,
    scratch: &Path,
    path: &str,
    left: &mut u64,
) -> io::Result<(File, u64)> {
    let opened = tree::open(work, path)?;
    let name = Path::new(path).file_name().unwrap_or("work".as_ref());
    let limited = Limited {
        file: tempfile::tempfile_in(scratch)?,
        left: *left,
    };
    let mut archive = Builder::new(limited);
    let mut count = 1;
    add(&mut archive, opened, Path::new(name), &mut count, 0)?;
    let limited = archive.into_inner()?;
    *left = limited.left;
    let mut file = limited.file;
    let size = file.stream_position()?;
    file.rewind()?;
    Ok((file, size))
}

/// Adds a file, or a directory with all files, links and named pipes in it. Other special files in a directory are left out:
/// archives have no sockets, and kernels no devices.
fn add(
    archive: &mut Builder<Limited>,
    file: File,
    name: &Path,
    count: &mut usize,
    depth: usize,
) -> io::Result<()> {
    let stat = rustix::fs::fstat(&file)?;
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!(
            "more than {MAX_DEPTH} directories in each other, which must be downloaded in parts"
        )));
    }
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let size = u64::try_from(stat.st_size).unwrap_or_default();
            // Nothing is written for a file without room, such as one of holes.
            if size > archive.get_ref().left {
                return Err(too_large());
            }
            let mut header = header(EntryType::Regular, size, &stat);
            // A file that becomes shorter meanwhile ends in zeros, one that grows is cut off.
            let content = file.take(size).chain(io::repeat(0)).take(size);
            archive.append_data(&mut header, name, content)
        }
        FileType::Directory => {
            let mut own = header(EntryType::Directory, 0, &stat);
            archive.append_data(&mut own, name, io::empty())?;
            let directory = OwnedFd::from(file);
            for below in names(&directory, count)? {
                let stat =
                    rustix::fs::statat(&directory, &below, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
                let kind = stat
                    .as_ref()
                    .map(|stat| FileType::from_raw_mode(stat.st_mode));
                if matches!(kind, Ok(FileType::RegularFile | FileType::Directory)) {
                    let file = tree::open_in(&directory, &below)?;
                    add(archive, file, &name.join(&below), count, depth + 1)?;
                }
                if let (Ok(stat), Ok(FileType::Fifo)) = (&stat, kind) {
                    let mut pipe = header(EntryType::Fifo, 0, stat);
                    archive.append_data(&mut pipe, name.join(&below), io::empty())?;
                }
                if let Ok(stat) = stat
                    && FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
                {
                    let target = rustix::fs::readlinkat(&directory, &below, Vec::new())?;
                    let mut link = header(EntryType::Symlink, 0, &stat);
                    let target = OsStr::from_bytes(target.to_bytes());
                    archive.append_link(&mut link, name.join(&below), target)?;
                }
            }
            Ok(())
        }
        _ => Err(io::Error::other("neither a file nor a directory")),
    }
}

/// What is in a directory, which is added to the count.
fn names(directory: &OwnedFd, count: &mut usize) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            *count += 1;
            if *count > MAX_FILES {
                return Err(io::Error::other(format!(
                    "more than {MAX_FILES} files, which must be downloaded in parts"
                )));
            }
            names.push(PathBuf::from(OsStr::from_bytes(name.to_bytes())));
        }
    }
    names.sort();
    Ok(names)
}

fn header(kind: EntryType, size: u64, stat: &Stat) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(stat.st_mode & 0o777);
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or_default());
    header.set_uid(1000);
    header.set_gid(1000);
    header
}

fn too_large() -> io::Error {
    let most = size(MAX_SIZE);
    io::Error::other(format!(
        "more than {most} in one download: download its parts, or each file alone"
    ))
}

/// A file that does not become larger than this.
struct Limited {
    file: File,
    left: u64,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(too_large());
        }
        let written = self.file.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
