//! Who runs a gateway, or another tool, and with what.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The program that makes and enters boxes.
pub(crate) const BOX: &str = env!("CARGO_BIN_EXE_sorna-box");

/// Becomes another program, as one that was started in a session with a key, and with a file that is open.
pub(crate) const START: &str = "import ctypes, os, sys\n\
    libc = ctypes.CDLL(None)\n\
    libc.syscall(250, 1, None)\n\
    libc.syscall(248, b'user', b'sorna-test', sys.argv[1].encode(), len(sys.argv[1]), -3)\n\
    os.dup2(os.open(sys.argv[2], os.O_RDONLY), 9)\n\
    os.execv(sys.argv[3], sys.argv[3:])\n";

/// What no kernel may read.
pub(crate) const SECRET: &str = "what-no-kernel-may-read";
/// The limits of kernels.
pub(crate) const PROCESSES: u64 = 60;
pub(crate) const MEMORY: u64 = 256 << 20;
pub(crate) const FILE_SIZE: u64 = 64 << 20;
/// The interpreter of all programs: one that every user may start.
pub(crate) const PYTHON: &str = "/usr/bin/python3";
/// Who is an ordinary user, if these tests are run by root: someone who has a name, where there is one.
const PEOPLE: std::ops::Range<u32> = 1000..60000;
const NOBODY: u32 = 65534;

/// The beginning of every program.
pub(crate) const PRELUDE: &str = "import ctypes, mmap, os, signal, socket, struct, subprocess, time\n\
    libc = ctypes.CDLL(None, use_errno=True)\n\
    libc.syscall.restype = ctypes.c_long\n\
    def call(function, *arguments):\n    \
        result = getattr(libc, function)(*arguments)\n    \
        if result == -1: raise OSError(ctypes.get_errno(), function)\n    \
        return result\n\
    def syscall(number, *arguments):\n    \
        longs = [ctypes.c_long(it) if isinstance(it, int) else it for it in arguments]\n    \
        return call('syscall', ctypes.c_long(number), *longs)\n\
    def can(action, *arguments):\n    \
        try: action(*arguments)\n    \
        except OSError: return False\n    \
        return True\n\
    def connect(family, address):\n    \
        with socket.socket(family) as it: it.settimeout(5); it.connect(address)\n";

/// Whose gateway it is.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: u32,
}

impl User {
    /// Root and an ordinary user, or the one who runs these tests.
    pub(crate) fn all() -> Vec<Self> {
        let own = rustix::process::geteuid().as_raw();
        if own != 0 {
            return vec![Self { id: own }];
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let person = users.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let id = fields.get(2)?.parse().ok()?;
            (PEOPLE.contains(&id) && Path::new(fields.get(5)?).is_dir()).then_some(id)
        });
        let ordinary = person.unwrap_or(NOBODY);
        vec![Self { id: 0 }, Self { id: ordinary }]
    }

    pub(crate) fn is_root(&self) -> bool {
        self.id == 0
    }

    /// A command of this user, with nothing in its environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir("/");
        if self.id != rustix::process::geteuid().as_raw() {
            command.uid(self.id).gid(self.id);
        }
        command
    }

    pub(crate) fn own(&self, path: &str) {
        chown(path, Some(self.id), Some(self.id)).unwrap();
    }
}

pub(crate) fn python_is_there() -> bool {
    Path::new(PYTHON).exists()
}

/// All processes of this machine.
pub(crate) fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
