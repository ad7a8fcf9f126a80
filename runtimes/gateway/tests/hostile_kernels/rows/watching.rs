//! Watching what others do with files.

use super::row::{Row, row};
use crate::outside::World;

/// Makes a watch, and gives what it has seen.
const INOTIFY: &str = "def watch(path):\n    \
        global seen\n    \
        seen = libc.inotify_init1(os.O_NONBLOCK)\n    \
        libc.inotify_add_watch(seen, path.encode(), 0xfff)\n\
    def look():\n    \
        try: print(os.read(seen, 100000))\n    \
        except OSError: pass\n";

pub(super) const ROWS: &[Row] = &[
    row("names in `/tmp` (inotify)", |world| {
        world.attack(&format!("{INOTIFY}watch('/tmp')"));
        happens_in_tmp(world, "look()")
    }),
    row("names in `/tmp` (fanotify)", |world| {
        world.attack(
            "seen = libc.fanotify_init(0xc02, 0)\n\
             libc.fanotify_mark(seen, 1, ctypes.c_uint64(0x40000100), -100, b'/tmp')\n\
             def look():\n    \
                 try: print(os.read(seen, 100000))\n    \
                 except OSError: pass\n",
        );
        happens_in_tmp(world, "look()")
    }),
    row("names in other kernels' directories (inotify)", |world| {
        let home = world.system.victim("print(os.getcwd(), end='')");
        world.attack(&format!("{INOTIFY}watch('{home}')"));
        let word = world.word();
        world.system.victim(&format!("open('{word}', 'w').close()"));
        world.attack("look()").contains(&word)
    }),
    row(
        "which programs of the system others start (inotify on `/usr/bin`)",
        |world| {
            world.attack(&format!("{INOTIFY}watch('/usr/bin')"));
            world
                .system
                .victim("subprocess.run(['/usr/bin/tsort', '/dev/null'])");
            world.attack("look()").contains("tsort")
        },
    ),
];

fn happens_in_tmp(world: &mut World, look: &str) -> bool {
    let word = world.word();
    let path = format!("/tmp/{word}");
    std::fs::write(&path, "").unwrap();
    std::fs::remove_file(&path).unwrap();
    world.attack(look).contains(&word)
}
