//! Changing files of the gateway's user, and of other kernels.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;

use super::row::{Row, row};
use crate::outside::World;
use crate::system::Whose;

pub(super) const ROWS: &[Row] = &[
    row("writing to files of the gateway's user", |world| {
        changes(world, "open(path, 'a').write('x')", |before, after| {
            before.len() != after.len()
        })
    }),
    row("removing and renaming them", |world| {
        let path = world.file("removed");
        let folder = world.path("");
        world.attack(&format!(
            "can(os.unlink, '{path}')\ncan(os.rename, '{folder}', '{folder}x')"
        ));
        !fs::exists(&path).unwrap()
    }),
    row("their modes (`chmod`)", |world| {
        changes(world, "os.chmod(path, 0o666)", |before, after| {
            before.mode() != after.mode()
        })
    }),
    row(
        "set-user-id bits on their programs (`chmod u+s`)",
        |world| {
            let code = "os.chmod(path, 0o4755)";
            changes(world, code, |_, after| after.mode() & 0o4000 != 0)
        },
    ),
    row("their times (`touch`, `utimes`)", |world| {
        changes(world, "os.utime(path, (1, 1))", |before, after| {
            before.mtime() != after.mtime()
        })
    }),
    row("their owners and groups (`chown`)", |world| {
        let code = "os.chown(path, -1, os.getgid())";
        changes(world, code, |before, after| {
            (before.ctime(), before.ctime_nsec()) != (after.ctime(), after.ctime_nsec())
        })
    }),
    row("their attributes (`setfattr`)", |world| {
        let code = "os.setxattr(path, 'user.sorna', b'1')";
        changes(world, code, |before, after| {
            (before.ctime(), before.ctime_nsec()) != (after.ctime(), after.ctime_nsec())
        })
    }),
    row("modes and times of other kernels' files", |world| {
        let path = world
            .system
            .victim("open('own', 'w').close()\nprint(os.path.abspath('own'), end='')");
        let seen = |path: &str| fs::metadata(path).map(|it| (it.mode(), it.mtime())).ok();
        let place = world.system.place(Whose::Victim, &path);
        let before = seen(&place);
        world.attack(&format!(
            "can(os.chmod, '{path}', 0o777)\ncan(os.utime, '{path}', (1, 1))"
        ));
        assert!(before.is_some(), "{place}");
        before != seen(&place)
    }),
    row("set-user-id programs in its own directories", |world| {
        let path = world.attack(
            "import shutil\n\
             shutil.copy('/bin/true', 'program')\n\
             can(os.chmod, 'program', 0o6755)\n\
             can(lambda: os.fchmod(os.open('program', os.O_RDONLY), 0o6755))\n\
             can(os.open, 'created', os.O_CREAT | os.O_WRONLY, 0o6755)\n\
             can(syscall, 437, -100, b'created2', (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_WRONLY, 0o6755, 0), 24)\n\
             print(os.getcwd(), end='')",
        );
        let place = world.system.place(Whose::Attacker, &path);
        let entries = fs::read_dir(place).unwrap().flatten();
        let modes = entries.map(|it| it.metadata().unwrap().mode());
        modes.fold(0, |all, mode| all | mode) & 0o6000 != 0
    }),
];

/// Whether code that has a `path` changes the file there.
fn changes(world: &mut World, code: &str, differ: fn(&Metadata, &Metadata) -> bool) -> bool {
    let path = world.file("file");
    let before = fs::metadata(&path).unwrap();
    world.attack(&format!("path = '{path}'\ncan(lambda: {code})"));
    differ(&before, &fs::metadata(&path).unwrap())
}
