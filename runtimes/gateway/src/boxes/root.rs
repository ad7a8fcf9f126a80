//! The file system of a box, made of pieces of the one outside.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};

use super::failure::{At, Failure};
use super::plan::{Mount, Plan};

/// Devices that are those of the machine.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
/// The size of directories that hold only mount points, in bytes.
const SMALL: &str = "4m";
/// For how many bytes of a directory for temporary files there may be one file, and how many there may be in any.
const SCRATCH_FILE: u64 = 8192;
const SCRATCH_FILES: u64 = 4096;
/// Enough for a thread that makes one call.
const STACK: usize = 64 * 1024;
/// The lists of users and of groups.
const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// Puts the root together and makes it that of this process, or thread, which must be the first of its namespaces.
pub(super) fn build(plan: &Plan) -> Result<(), Failure> {
    let all = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", all).at("mount propagation")?;
    let root = plan.scratch.as_path();
    tmpfs(root, &format!("mode=755,size={SMALL}"))?;
    // It is not a part of itself, when what is around it is put into it.
    mount_change(root, MountPropagationFlags::UNBINDABLE).at("mount propagation")?;
    let mut places = Places::default();
    for (path, kind) in &plan.mounts {
        let at = within(root, path);
        match kind {
            Mount::ReadOnly
                if [USERS, GROUPS].map(Path::new).contains(&path.as_path())
                    && names_user(plan, path, &at, &mut places)? => {}
            Mount::ReadOnly | Mount::Writable => places.bind(path, &at)?,
            Mount::Devices => devices(&at, plan.scratch_size, &mut places)?,
            Mount::Processes => {
                places.directory(&at)?;
                let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
                mount("proc", &at, "proc", flags, None::<&CStr>).at("mount /proc")?;
            }
            Mount::Temporary => {
                places.directory(&at)?;
                scratch(&at, plan.scratch_size)?;
            }
            Mount::Empty => {
                places.directory(&at)?;
                tmpfs(&at, &format!("mode=755,size={SMALL}"))?;
            }
            Mount::Directory => places.directory(&at)?,
        }
    }
    for (path, target) in &plan.links {
        let at = within(root, path);
        if let Some(parent) = at.parent() {
            let _ = places.directory(parent);
        }
        // It may be there already, as a part of a directory outside.
        let _ = symlink(target, at);
    }
    mount_change(root, MountPropagationFlags::PRIVATE).at("mount propagation")?;
    protect(plan)?;
    // The old root comes to lie upon the new one, and is let go.
    rustix::process::chdir(root).at("chdir")?;
    rustix::process::pivot_root(".", ".").at("pivot_root")?;
    detach_old()?;
    rustix::process::chdir("/").at("chdir")
}

/// Lets go of the old root, which lies upon this directory. When this returns, nothing leads there any more.
///
/// Before the system's call returns, it also waits until no processor can be on its way through what was unmounted. On a
/// busy machine that takes many milliseconds, which nothing else needs to wait for, so another thread does it.
fn detach_old() -> Result<(), Failure> {
    /// How often to see whether it failed.
    const PAUSE: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };
    let mut table = File::open("/proc/thread-self/mountinfo").at("mountinfo")?;
    let detach = || unmount(".", UnmountFlags::DETACH);
    let thread = thread::Builder::new().stack_size(STACK).spawn(detach);
    let thread = thread.at("unmount")?;
    loop {
        // The system tells when the table changes.
        let mut changed = [PollFd::new(&table, PollFlags::PRI)];
        match poll(&mut changed, Some(&PAUSE)) {
            Ok(1..) => break,
            Ok(0) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).at("poll"),
        }
        if thread.is_finished() {
            let done = thread.join().unwrap_or(Err(Errno::CANCELED));
            return done.at("unmount");
        }
    }
    // It changes the table under a lock that reading needs as well: after this, all of that has happened.
    table.read_exact(&mut [0]).at("mountinfo")
}

/// The same path below another root.
fn within(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn tmpfs(at: &Path, options: &str) -> Result<(), Failure> {
    let options = CString::new(options).unwrap_or_default();
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", at, "tmpfs", flags, options.as_c_str()).at_path("mount tmpfs on", at)
}

/// Files for everyone, of at most so many bytes. Their number is limited as well: an empty file takes memory too, which does
/// not count as that of the kernel.
fn scratch(at: &Path, size: u64) -> Result<(), Failure> {
    let files = (size / SCRATCH_FILE).max(SCRATCH_FILES);
    tmpfs(at, &format!("mode=1777,size={size},nr_inodes={files}"))
}

/// The directories of the new root that are known to be there.
#[derive(Default)]
struct Places(HashSet<PathBuf>);

impl Places {
    /// Makes a directory, and those above it, where they are missing.
    fn directory(&mut self, at: &Path) -> Result<(), Failure> {
        if self.0.contains(at) {
            return Ok(());
        }
        match fs::create_dir(at) {
            // Not looked at further: what is there is a part of a directory outside, or cannot be mounted on.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.directory(at.parent().unwrap_or(at))?;
                fs::create_dir(at).at_path("create", at)?;
            }
            Err(error) => return Err(error).at_path("create", at),
        }
        self.0.insert(at.to_owned());
        Ok(())
    }

    /// Makes an empty file, where there is none.
    fn file(&mut self, at: &Path) -> Result<(), Failure> {
        self.directory(at.parent().unwrap_or(at))?;
        let mode = Mode::from_raw_mode(0o644);
        match mknodat(CWD, at, FileType::RegularFile, mode, 0) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error).at_path("create", at),
        }
    }

    /// Makes what is at a place outside available in the box. Whether that may be written to is decided by [`protect`].
    fn bind(&mut self, from: &Path, to: &Path) -> Result<(), Failure> {
        match fs::symlink_metadata(from) {
            Ok(metadata) if metadata.is_dir() => self.directory(to)?,
            Ok(_) => self.file(to)?,
            // It was removed after it had been found.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).at_path("look at", from),
        }
        mount_bind_recursive(from, to).at_path("bind", from)
    }
}

/// Gives the user of the box, or its group, a name in this list, if it has none, and then returns whether the list is there.
fn names_user(plan: &Plan, list: &Path, at: &Path, places: &mut Places) -> Result<bool, Failure> {
    let own = match list == Path::new(USERS) {
        true => rustix::process::geteuid().as_raw(),
        false => rustix::process::getegid().as_raw(),
    };
    let number = plan.user.unwrap_or(own).to_string();
    let mut names = fs::read_to_string(list).unwrap_or_default();
    let mut numbers = names.lines().map(|line| line.split(':').nth(2));
    if numbers.any(|it| it == Some(&number)) || at.exists() {
        return Ok(false);
    }
    if !names.ends_with('\n') {
        names.push('\n');
    }
    names += &match list == Path::new(USERS) {
        true => {
            let home = plan.home.display();
            format!("sorna:x:{number}:{number}::{home}:/bin/bash\n")
        }
        false => format!("sorna:x:{number}:\n"),
    };
    places.directory(at.parent().unwrap_or(at))?;
    fs::write(at, names).at_path("write", list)?;
    Ok(true)
}

fn devices(at: &Path, shared_size: u64, places: &mut Places) -> Result<(), Failure> {
    places.directory(at)?;
    tmpfs(at, &format!("mode=755,size={SMALL}"))?;
    for name in DEVICES {
        places.bind(&Path::new("/dev").join(name), &at.join(name))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        fs::create_dir(at.join(name)).at("create /dev")?;
    }
    let own = MountFlags::NOSUID | MountFlags::NOEXEC;
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    mount("devpts", at.join("pts"), "devpts", own, options).at("mount /dev/pts")?;
    scratch(&at.join("shm"), shared_size)?;
    // Not all systems have it.
    let queues = own | MountFlags::NODEV;
    let _ = mount("mqueue", at.join("mqueue"), "mqueue", queues, None::<&CStr>);
    let links = [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ];
    for (name, target) in links {
        symlink(target, at.join(name)).at("create /dev")?;
    }
    Ok(())
}

/// Makes read-only what is to be, with all that is mounted below it, and lets no program of the box gain privileges by a
/// file. An ordinary user may not drop what was forbidden outside, so that is asked for again.
fn protect(plan: &Plan) -> Result<(), Failure> {
    let root = plan.scratch.as_path();
    let mounts = fs::read("/proc/thread-self/mountinfo").at("mountinfo")?;
    let kinds: HashMap<&Path, Mount> = plan.mounts.iter().map(|it| (&*it.0, it.1)).collect();
    let mut points = Vec::new();
    for line in mounts.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b' ').skip(4);
        let (Some(point), Some(options)) = (fields.next(), fields.next()) else {
            continue;
        };
        let point = unescape(point);
        let Ok(inside) = point.strip_prefix(root) else {
            continue;
        };
        let inside = Path::new("/").join(inside);
        let kind = inside.ancestors().find_map(|it| kinds.get(it)).copied();
        let more = match kind {
            Some(Mount::ReadOnly | Mount::Directory | Mount::Empty) => MountFlags::RDONLY,
            Some(Mount::Writable) => MountFlags::empty(),
            Some(Mount::Devices) if inside.parent() == Some(Path::new("/")) => MountFlags::RDONLY,
            None => MountFlags::RDONLY,
            Some(Mount::Devices | Mount::Processes | Mount::Temporary) => continue,
        };
        let flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV | more;
        points.push((point, flags | flags_of(options)));
    }
    for (point, flags) in points {
        match mount_remount(&point, flags, "") {
            // It is below something that hides it.
            Err(Errno::NOENT) => {}
            done => done.at_path("protect", &point)?,
        }
    }
    Ok(())
}

/// What a mount forbids already.
fn flags_of(options: &[u8]) -> MountFlags {
    let flags = options
        .split(|byte| *byte == b',')
        .map(|option| match option {
            b"ro" => MountFlags::RDONLY,
            b"noexec" => MountFlags::NOEXEC,
            _ => MountFlags::empty(),
        });
    flags.fold(MountFlags::empty(), |all, flag| all | flag)
}

/// A path of `mountinfo`, in which spaces and the like are octal numbers.
fn unescape(path: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *byte == b'\\');
        let code = octal.and_then(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_mountinfo_are_read() {
        assert_eq!(unescape(br"/a\040b\134"), Path::new(r"/a b\"));
        assert_eq!(unescape(br"/a\04"), Path::new(r"/a\04"));
        let flags = flags_of(b"rw,nosuid,noexec,relatime");
        assert_eq!(flags, MountFlags::NOEXEC);
    }
}
