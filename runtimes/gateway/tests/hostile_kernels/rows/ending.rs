//! Living longer than the kernel.

use super::row::{Row, row};
use crate::outside::{World, processes_with};

pub(super) const ROWS: &[Row] = &[
    row(
        "outliving its kernel (forked twice, in a new session, without environment)",
        |world| {
            // It may be found by chance, before it is on its own.
            (0..3).any(|_| {
                let word = hide(world);
                world.system.renew();
                let reached = world.stays(|| !processes_with(&word).is_empty());
                world.end(&word);
                reached
            })
        },
    ),
    row(
        "outliving the gateway that is killed (`kill -9`)",
        |world| {
            let word = hide(world);
            world.system.kill();
            let reached = world.stays(|| !processes_with(&word).is_empty());
            world.end(&word);
            reached
        },
    ),
];

/// Starts what is hard to find again, and returns the word in its arguments.
fn hide(world: &mut World) -> String {
    let word = world.number().to_string();
    world.attack(&format!(
        "if os.fork() == 0:\n    \
             os.setsid()\n    \
             os.chdir('/')\n    \
             if os.fork() == 0:\n        \
                 null = os.open('/dev/null', os.O_RDWR)\n        \
                 [os.dup2(null, number) for number in range(40)]\n        \
                 os.execve('/bin/sleep', ['sleep', '{word}'], {{}})\n    \
             os._exit(0)\n\
         os.wait()"
    ));
    crate::common::wait_until("it runs", || !processes_with(&word).is_empty());
    word
}
