//! What processes of a machine share otherwise.

use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::row::{Row, row};
use crate::user::SECRET;

/// Prints the content of a key that was found.
const READ_KEY: &str = "if id > 0:\n    \
        content = ctypes.create_string_buffer(100)\n    \
        if libc.syscall(250, 11, id, content, 100) > 0: print(content.value)\n";

pub(super) const ROWS: &[Row] = &[
    row("POSIX shared memory and semaphores (`/dev/shm`)", |world| {
        let path = format!("/dev/shm/{}", world.word());
        world.outside(&format!("open('{path}', 'w').write('{SECRET}')"));
        let found = world.attack(&format!("can(lambda: print(open('{path}').read()))"));
        world.outside(&format!("os.unlink('{path}')"));
        found.contains(SECRET)
    }),
    row("POSIX queues", |world| {
        let name = format!("b'/{}'", world.word());
        world.outside(&format!(
            "call('mq_open', {name}, os.O_CREAT | os.O_RDWR, 0o600, None)"
        ));
        let found = world.attack(&format!("print(can(call, 'mq_open', {name}, os.O_RDWR))"));
        world.outside(&format!("call('mq_unlink', {name})"));
        found == "True\n"
    }),
    row("System V shared memory, semaphores and queues", |world| {
        let key = world.number();
        world.outside(&format!(
            "call('shmget', {key}, 4096, 0o1600)\ncall('semget', {key}, 1, 0o1600)\ncall('msgget', {key}, 0o1600)"
        ));
        let found = world.attack(&format!(
            "print(can(call, 'shmget', {key}, 0, 0), can(call, 'semget', {key}, 0, 0), can(call, 'msgget', {key}, 0))"
        ));
        world.outside(&format!(
            "libc.shmctl(libc.shmget({key}, 0, 0), 0, None)\nlibc.semctl(libc.semget({key}, 0, 0), 0, 0)\n\
             libc.msgctl(libc.msgget({key}, 0), 0, None)"
        ));
        found.contains("True")
    }),
    row("abstract sockets", |world| {
        let name = world.word();
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap());
        let found = world.attack(&format!("print(can(connect, socket.AF_UNIX, '\\0{name}'))"));
        drop(listener);
        found == "True\n"
    }),
    row("sockets in the file system", |world| {
        let path = world.path("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        world.give(&path);
        let found = world.attack(&format!("print(can(connect, socket.AF_UNIX, '{path}'))"));
        std::fs::remove_file(path).unwrap();
        found == "True\n"
    }),
    row("keys of the user (keyring)", |world| {
        let name = world.word();
        world.outside(&format!(
            "call('syscall', 248, b'user', b'{name}', b'{SECRET}', {}, -4)",
            SECRET.len()
        ));
        let found = world.attack(&format!(
            "libc.syscall(250, 8, -4, -3)\nid = libc.syscall(250, 10, -4, b'user', b'{name}', 0)\n{READ_KEY}"
        ));
        world.outside(&format!(
            "libc.syscall(250, 9, libc.syscall(250, 10, -4, b'user', b'{name}', 0), -4)"
        ));
        found.contains(SECRET)
    }),
    row(
        "keys of the session in which the gateway was started",
        |world| {
            let code =
                format!("id = libc.syscall(250, 10, -3, b'user', b'sorna-test', 0)\n{READ_KEY}");
            world.attack(&code).contains(SECRET)
        },
    ),
    row("terminals of the user", |world| {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let path = ptsname(&terminal, Vec::new())
            .unwrap()
            .into_string()
            .unwrap();
        world.give(&path);
        // Keeps it open, so that reading does not fail.
        let _side = std::fs::File::open(&path).unwrap();
        world.attack(&format!(
            "can(lambda: open('{path}', 'w').write('{SECRET}\\n'))"
        ));
        rustix::io::ioctl_fionbio(&terminal, true).unwrap();
        let mut shown = [0; 100];
        std::fs::File::from(terminal)
            .read(&mut shown)
            .is_ok_and(|read| read > 0)
    }),
];
