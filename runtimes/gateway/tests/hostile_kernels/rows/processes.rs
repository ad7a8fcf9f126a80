//! Other processes: those of the gateway, and of another key's kernel.

use super::row::{Row, row};
use crate::outside::{Process, World, cores, happens};

pub(super) const ROWS: &[Row] = &[
    row(
        "signals to the gateway's watchdog and to other kernels",
        |world| {
            let others = others(world);
            let ids = ids(&others);
            let sent = world.attack(&format!(
                "for id in {ids}: print(can(os.kill, id, signal.SIGSTOP))"
            ));
            // A process stops when it is next to run, a moment after the signal was sent.
            let stopped =
                sent.contains("True") && happens(|| others.iter().any(|it| it.stat(3) == "T"));
            others.iter().for_each(Process::go_on);
            stopped
        },
    ),
    row("signals to the gateway", |world| {
        let gateway = world.system.gateway();
        world.attack(&format!("print(can(os.kill, {gateway}, 0))")) == "True\n"
    }),
    row(
        "limits of the gateway, its watchdog and other kernels (`prlimit`)",
        |world| {
            changes(
                world,
                |it| it.limit().to_string(),
                |id, before| {
                    let lower = before.parse::<u64>().unwrap() - 1;
                    format!(
                        "import resource\ncan(resource.prlimit, {id}, resource.RLIMIT_NOFILE, ({lower}, {lower}))"
                    )
                },
            )
        },
    ),
    row("their priority (`renice`)", |world| {
        changes(
            world,
            |it| it.stat(19),
            |id, _| format!("can(os.setpriority, os.PRIO_PROCESS, {id}, 1)"),
        )
    }),
    row("their class of scheduling (`chrt`)", |world| {
        changes(
            world,
            |it| it.stat(41),
            |id, _| format!("can(os.sched_setscheduler, {id}, os.SCHED_BATCH, os.sched_param(0))"),
        )
    }),
    row("their processors (`taskset`)", |world| {
        assert!(cores() > 1, "with one processor, nothing is to be seen");
        changes(
            world,
            |it| it.status("Cpus_allowed_list"),
            |id, _| format!("can(os.sched_setaffinity, {id}, [0])"),
        )
    }),
    row("their class of disk accesses (`ionice`)", |world| {
        let ids = ids(&others(world));
        world
            .attack(&format!(
                "for id in {ids}: print(can(syscall, 251, 1, id, 2 << 13 | 7))"
            ))
            .contains("True")
    }),
    row("tracing other processes (`ptrace`)", |world| {
        let bystander = world.bystander();
        let id = bystander.id;
        world.attack(&format!("can(call, 'ptrace', 0x4206, {id}, None, None)"));
        bystander.status("TracerPid") != "0"
    }),
    row("reading their memory (`process_vm_readv`)", |world| {
        let bystander = world.bystander();
        let (id, address) = (bystander.id, bystander.address());
        let found = world.attack(&format!(
            "own = ctypes.create_string_buffer(16)\n\
             def vector(at): return (ctypes.c_size_t * 2)(at, 16)\n\
             print(can(call, 'process_vm_readv', {id}, vector(ctypes.addressof(own)), 1, vector({address}), 1, 0))"
        ));
        found == "True\n"
    }),
    row("taking their open files (`pidfd_getfd`)", |world| {
        let id = world.bystander().id;
        let found = world.attack(&format!(
            "print(can(lambda: syscall(438, os.pidfd_open({id}), 0, 0)))"
        ));
        found == "True\n"
    }),
    row("their environment and memory in `/proc`", |world| {
        let bystander = world.bystander();
        let (id, word) = (bystander.id, &bystander.word);
        let found = world.attack(&format!(
            "if can(open, '/proc/{id}/mem', 'rb'): print('{word}')\n\
             try: print(open('/proc/{id}/environ').read())\n\
             except OSError: pass"
        ));
        found.contains(&format!("SECRET={word}")) || found.contains(&format!("{word}\n"))
    }),
    row("which processes there are, and their arguments", |world| {
        let word = world.bystander().word;
        let list = "for id in os.listdir('/proc'):\n    \
                try: print(open(f'/proc/{id}/cmdline').read())\n    \
                except OSError: pass";
        world.attack(list).contains(&word)
    }),
];

/// A process of the victim, and the watchdog of the gateway.
fn others(world: &mut World) -> Vec<Process> {
    let watchdog = world.system.watchdog().map(Process::of);
    watchdog.into_iter().chain([world.bystander()]).collect()
}

fn ids(processes: &[Process]) -> String {
    format!("{:?}", processes.iter().map(|it| it.id).collect::<Vec<_>>())
}

/// Whether a program changes this for the gateway or any of the others.
fn changes(world: &mut World, look: fn(&Process) -> String, code: fn(u32, &str) -> String) -> bool {
    let mut processes = others(world);
    processes.push(Process::of(world.system.gateway()));
    let before: Vec<String> = processes.iter().map(look).collect();
    let attempts = processes.iter().zip(&before);
    let attempts: Vec<String> = attempts.map(|(it, was)| code(it.id, was)).collect();
    world.attack(&attempts.join("\n"));
    processes.iter().map(look).collect::<Vec<_>>() != before
}
