//! What can be read.

use super::row::{Row, row};
use crate::outside::World;
use crate::user::SECRET;

pub(super) const ROWS: &[Row] = &[
    row(
        "the keys file of the gateway, other files of its user",
        |world| {
            let (keys, secret) = (world.path("keys"), world.path("secret"));
            reads(world, &[&keys, &secret])
        },
    ),
    row("the same by `..` and symbolic links", |world| {
        let secret = world.path("secret");
        let mut code = format!("os.symlink('{secret}', 'link')\n");
        code += &format!(
            "paths = ['link', '../' * 20 + '{secret}', '/proc/self/root{secret}', '/proc/self/cwd/link']\n"
        );
        world.attack(&format!("{code}{PRINT}")).contains(SECRET)
    }),
    row("the same by hard links", |world| {
        let secret = world.path("secret");
        world.attack(&format!(
            "os.path.exists('hard') or can(os.link, '{secret}', 'hard')"
        ));
        let links = std::os::unix::fs::MetadataExt::nlink(&std::fs::metadata(secret).unwrap());
        links > 1
    }),
    row("files of other kernels", |world| {
        let path = world.system.victim(&format!(
            "open('private', 'w').write('{SECRET}')\nprint(os.path.abspath('private'), end='')"
        ));
        reads(world, &[&path])
    }),
    row("the system's secrets (`/etc/shadow`)", |world| {
        world.attack("paths = ['/etc/shadow']\nif can(open, paths[0]): print('read')") == "read\n"
    }),
    row("files with which the gateway was started", |world| {
        let code = "for number in range(3, 40):\n    \
                try: print(os.pread(number, 100, 0))\n    \
                except OSError: pass";
        world.attack(code).contains(SECRET)
    }),
    row("which files exist, with their sizes and times", |world| {
        let secret = world.path("secret");
        world.attack(&format!("print(can(os.stat, '{secret}'))")) == "True\n"
    }),
];

/// Prints what is in `paths`.
const PRINT: &str = "for path in paths:\n    \
        try: print(open(path).read())\n    \
        except OSError as e: print(e)\n";

fn reads(world: &mut World, paths: &[&str]) -> bool {
    world
        .attack(&format!("paths = {paths:?}\n{PRINT}"))
        .contains(SECRET)
}
