//! Privileges, and parts of the system that few programs need.

use super::row::{Row, row};

/// Does it in a process of its own, and prints whether that worked.
const ATTEMPT: &str = "def attempt(action):\n    \
        child = os.fork()\n    \
        if child == 0: os._exit(0 if can(action) else 1)\n    \
        print(os.waitpid(child, 0)[1] == 0)\n";

pub(super) const ROWS: &[Row] = &[
    row(
        "privileges by set-user-id programs, or those of root",
        |world| {
            let status = world.attack("print(open('/proc/self/status').read())");
            let value = |name: &str| {
                let line = status
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap();
                line.trim().to_owned()
            };
            let none = "0000000000000000";
            value("NoNewPrivs:") != "1" || value("CapEff:") != none || value("CapPrm:") != none
        },
    ),
    row("new user namespaces, and mounts in them", |world| {
        let code = "attempt(lambda: call('unshare', 0x10000000))\n\
             attempt(lambda: syscall(56, 0x10000000 | 17, 0, 0, 0, 0) or os._exit(0))\n\
             here = os.getcwd().encode()\n\
             attempt(lambda: (call('mount', b'none', here, b'tmpfs', 0, None), call('umount2', here, 2)))";
        world.attack(&format!("{ATTEMPT}{code}")).contains("True")
    }),
    row("settings of the system in `/proc/sys`", |world| {
        let code = "print(can(open, '/proc/sys/vm/overcommit_memory', 'r+'), can(open, '/proc/sys/kernel/domainname', 'r+'))";
        world.attack(code).contains("True")
    }),
    row("`io_uring`", |world| {
        works(world, "syscall(425, 1, ctypes.create_string_buffer(120))")
    }),
    row("`userfaultfd`", |world| works(world, "syscall(323, 1)")),
    row("`perf_event_open`", |world| {
        works(
            world,
            "syscall(298, ctypes.create_string_buffer(struct.pack('<IIQQQQQ', 1, 64, 1, 0, 0, 0, 0x61), 64), 0, -1, -1, 0)",
        )
    }),
    row("`bpf`", |world| {
        works(
            world,
            "syscall(321, 0, ctypes.create_string_buffer(struct.pack('<IIII', 2, 4, 4, 1), 128), 128)",
        )
    }),
];

fn works(world: &mut crate::outside::World, code: &str) -> bool {
    world.attack(&format!("{ATTEMPT}attempt(lambda: {code})")) == "True\n"
}
