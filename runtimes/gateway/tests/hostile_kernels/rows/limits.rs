//! More processes and memory than a kernel may have.

use super::row::{Row, limit};
use crate::outside::{World, processes_with};
use crate::user::PROCESSES;

/// Takes 20 times 25 MiB, where the limit is 256, and then waits to be stopped.
fn takes(world: &mut World, begin: &str, step: &str) -> bool {
    let wait = world.system.time_to_judge().as_secs_f32();
    let found = world.attack(&format!(
        "kept = []\n\
         size = 25 << 20\n\
         data = b'x' * (1 << 20)\n\
         {begin}\n\
         try:\n    \
             for number in range(20):\n        {step}\n    \
             time.sleep({wait})\n    \
             print('all of it')\n\
         except (OSError, MemoryError) as e: print(e)\n\
         del kept"
    ));
    found.contains("all of it")
}

pub(super) const ROWS: &[Row] = &[
    limit("more processes than allowed (fork bombs)", |world| {
        let word = world.number().to_string();
        world.attack(&format!(
            "try:\n    \
                 for _ in range({}): subprocess.Popen(['sleep', '{word}'], stdin=-3, stdout=-3, stderr=-3)\n\
             except OSError: print('no more')",
            3 * PROCESSES
        ));
        let reached = world.stays(|| processes_with(&word).len() as u64 > PROCESSES);
        world.end(&word);
        crate::common::wait_until("they end", || processes_with(&word).is_empty());
        // Where the gateway has killed everything for them, the interpreter may just be starting again.
        world.system.renew();
        reached
    }),
    limit("memory of one process", |world| {
        takes(world, "", "kept.append(bytearray(data * 25))")
    }),
    limit("memory of many processes", |world| {
        let step = "if os.fork() == 0: kept.append(data * 25); time.sleep(20); os._exit(0)";
        let reached = takes(world, "", step);
        world.system.renew();
        reached
    }),
    limit("memory that processes share (`MAP_SHARED`)", |world| {
        takes(
            world,
            "",
            "kept.append(mmap.mmap(-1, size)); [kept[-1].write(data) for _ in range(25)]",
        )
    }),
    limit(
        "files in memory that are not mapped (`memfd_create`)",
        |world| {
            takes(
                world,
                "",
                "kept.append(os.fdopen(os.memfd_create('x'), 'wb', 0)); [kept[-1].write(data) for _ in range(25)]",
            )
        },
    ),
    limit("the same, sent by a socket and never received", |world| {
        let begin = "near, far = socket.socketpair()";
        let step = "file = os.memfd_create('x'); [os.write(file, data) for _ in range(25)]; \
             socket.send_fds(near, [b'x'], [file]); os.close(file)";
        let reached = takes(world, begin, step);
        world.attack("near.close()\nfar.close()");
        reached
    }),
    limit("files in `/dev/shm` that are closed", |world| {
        let word = world.word();
        let step = format!("open('/dev/shm/{word}-' + str(number), 'wb').write(data * 25)");
        let reached = takes(world, "", &step);
        world.outside(&format!(
            "[os.unlink('/dev/shm/' + name) for name in os.listdir('/dev/shm') if name.startswith('{word}')]"
        ));
        world.attack(&format!(
            "[os.unlink('/dev/shm/' + name) for name in os.listdir('/dev/shm') if name.startswith('{word}')]"
        ));
        reached
    }),
    limit("System V shared memory that no one has attached", |world| {
        let key = world.number();
        let begin = "libc.shmat.restype = ctypes.c_void_p";
        let step = format!(
            "id = call('shmget', {key} + number, size, 0o1600); at = libc.shmat(id, None, 0); \
             ctypes.memset(at, 1, size); libc.shmdt(ctypes.c_void_p(at))"
        );
        let reached = takes(world, begin, &step);
        let remove = format!(
            "for number in range(20): libc.shmctl(libc.shmget({key} + number, 0, 0), 0, None)"
        );
        world.outside(&remove);
        world.attack(&remove);
        reached
    }),
    limit("files larger than allowed", |world| {
        let code = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n\
             with open('large', 'wb') as file: print(can(file.truncate, 65 << 20))\n\
             os.unlink('large')";
        world.attack(code).contains("True")
    }),
];
