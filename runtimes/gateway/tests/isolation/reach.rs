//! What programs in namespaces cannot reach.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use rustix::io::FdFlags;
use rustix::process::{Resource, getrlimit};
use sorna_gateway::NetworkAccess;

use crate::common::Client;
use crate::setting::{gateway, gateway_with, run};

/// Begins programs that try things: prints what each that fails fails with.
const TRY: &str = "import os, socket, ctypes, resource, signal\n\
    def attempt(name, action, *arguments):\n    \
        try: print(name, 'WORKS', action(*arguments))\n    \
        except OSError as e: print(name, type(e).__name__, e.errno)\n\
    libc = ctypes.CDLL(None, use_errno=True)\n\
    def call(function, *arguments):\n    \
        result = getattr(libc, function)(*arguments)\n    \
        if result == -1: raise OSError(ctypes.get_errno(), function)\n    \
        return result\n";

fn tries(client: &Client, code: &str) -> String {
    run(client, "python3", &format!("{TRY}{code}"))
}

#[test]
fn the_gateway_and_other_processes_are_out_of_reach() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let before = getrlimit(Resource::Nofile);
    let id = std::process::id();
    let found = tries(
        &client,
        &format!(
            "gateway = {id}\n\
             attempt('signal', os.kill, gateway, 0)\n\
             attempt('limit', resource.prlimit, gateway, resource.RLIMIT_NOFILE, (10, 10))\n\
             attempt('nice', os.setpriority, os.PRIO_PROCESS, gateway, 19)\n\
             attempt('cores', os.sched_setaffinity, gateway, [0])\n\
             attempt('memory', open, f'/proc/{{gateway}}/mem')\n\
             print(max(int(name) for name in os.listdir('/proc') if name.isdigit()) < 50)\n\
             # The first process of the box, which takes no notice, and what is outside.\n\
             attempt('kill others', os.kill, 1, signal.SIGTERM)\n\
             attempt('kill outside', os.killpg, os.getppid() or 999999, 9)\n"
        ),
    );
    assert_eq!(
        found,
        "signal ProcessLookupError 3\n\
         limit ProcessLookupError 3\n\
         nice ProcessLookupError 3\n\
         cores ProcessLookupError 3\n\
         memory FileNotFoundError 2\n\
         True\n\
         kill others WORKS None\n\
         kill outside ProcessLookupError 3\n"
    );
    assert_eq!(getrlimit(Resource::Nofile), before);
}

#[test]
fn modes_and_times_of_files_outside_cannot_be_changed() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("keys");
    fs::write(&file, "secret").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let before = fs::metadata(&file).unwrap();
    let other = client.create("bash");
    let (home, _) = client.run(&other, "echo -n $HOME").finished();
    let path = file.display();
    let found = tries(
        &client,
        &format!(
            "attempt('mode', os.chmod, '{path}', 0o777)\n\
             attempt('times', os.utime, '{path}', (1, 1))\n\
             attempt('read', open, '{path}')\n\
             attempt('other kernel', os.chmod, '{home}', 0o777)\n\
             attempt('other files', os.listdir, '{home}')\n\
             attempt('system', os.chmod, '/usr/bin/env', 0o777)\n\
             attempt('shadow', open, '/etc/shadow')\n\
             attempt('write', open, '/usr/new', 'w')\n\
             print(os.listdir('/tmp') == [os.environ['HOME'].split('/')[2]])\n"
        ),
    );
    // The system's files are another user's, or on a read-only file system.
    let found = found.replace("system PermissionError 1", "system OSError 30");
    assert_eq!(
        found,
        "mode FileNotFoundError 2\n\
         times FileNotFoundError 2\n\
         read FileNotFoundError 2\n\
         other kernel FileNotFoundError 2\n\
         other files FileNotFoundError 2\n\
         system OSError 30\n\
         shadow FileNotFoundError 2\n\
         write OSError 30\n\
         True\n"
    );
    let after = fs::metadata(&file).unwrap();
    assert_eq!(after.permissions(), before.permissions());
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
}

#[test]
fn files_that_the_gateway_was_started_with_are_closed() {
    // Open in every process that this one starts, unless that closes it.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"secret").unwrap();
    rustix::io::fcntl_setfd(&file, FdFlags::empty()).unwrap();
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let kernel = client.create("bash");
    let (open, _) = client.run(&kernel, "ls -l /proc/*/fd").finished();
    assert!(open.contains("/proc/self"), "{open}");
    assert!(!open.contains("(deleted)"), "{open}");
    let batch = sorna_core::Batch::new().without_build();
    let (_, outcome) = client.batch(&kernel, batch.with_exec("ls -l /proc/self/fd"));
    let (open, _) = outcome.finished();
    assert!(open.contains("/proc/"), "{open}");
    assert!(!open.contains("(deleted)"), "{open}");
    file.flush().unwrap();
}

#[test]
fn calls_that_few_programs_need_are_filtered() {
    let Some(gateway) = gateway() else { return };
    assert!(gateway_filters(), "this processor has no filter");
    let client = Client::new(&gateway);
    let numbers: [(&str, i64); 14] = [
        ("keyctl", libc::SYS_keyctl),
        ("add_key", libc::SYS_add_key),
        ("request_key", libc::SYS_request_key),
        ("ptrace", libc::SYS_ptrace),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("bpf", libc::SYS_bpf),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("mount", libc::SYS_mount),
        ("fsopen", libc::SYS_fsopen),
        ("open_tree", libc::SYS_open_tree),
        ("unshare", libc::SYS_unshare),
        ("setns", libc::SYS_setns),
    ];
    let attempts: String = numbers
        .iter()
        .map(|(name, number)| format!("attempt('{name}', call, 'syscall', {number}, 0, 0, 0, 0)\n"))
        .collect();
    let new_user = libc::CLONE_NEWUSER | libc::SIGCHLD;
    let more = format!(
        "attempt('clone', call, 'syscall', {}, {new_user}, 0, 0, 0, 0)\n\
         attempt('clone3', call, 'syscall', {}, 0, 0)\n\
         attempt('processes', open, '/proc/sys/kernel/pid_max', 'w')\n\
         status = open('/proc/self/status').read()\n\
         print([line.split()[1] for line in status.splitlines()\n    \
             if line.startswith(('CapEff', 'CapPrm', 'CapBnd', 'NoNewPrivs', 'Seccomp:'))])\n",
        libc::SYS_clone,
        libc::SYS_clone3,
    );
    let found = tries(&client, &format!("{attempts}{more}"));
    for (name, _) in numbers {
        assert!(
            found.contains(&format!("{name} PermissionError 1\n")),
            "{found}"
        );
    }
    assert!(found.contains("clone PermissionError 1\n"), "{found}");
    assert!(found.contains("clone3 OSError 38\n"), "{found}");
    assert!(found.contains("processes PermissionError 13\n"), "{found}");
    let none = "0000000000000000";
    let status = format!("['{none}', '{none}', '{none}', '1', '2']\n");
    assert!(found.ends_with(&status), "{found}");
}

fn gateway_filters() -> bool {
    let gateway = sorna_gateway::Gateway::bind(crate::setting::config()).unwrap();
    gateway.isolation().filters_calls
}

#[test]
fn shared_memory_and_queues_are_each_kernels_own() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let outside = tempfile::Builder::new()
        .prefix("sorna-test-")
        .tempfile_in("/dev/shm");
    let make = "shm = call('shmget', 77, 4096, 0o1666)\n\
         queue = call('msgget', 77, 0o1666)\n\
         # Landlock forbids to open POSIX queues otherwise.\n\
         open('/dev/mqueue/mine', 'w').close()\n\
         open('/dev/shm/mine', 'w').write('x')\n\
         print(os.listdir('/dev/mqueue'), os.listdir('/dev/shm'))";
    let one = client.create("python3");
    let (made, errors) = client.run(&one, &format!("{TRY}{make}")).finished();
    assert_eq!(
        (made.as_str(), errors.as_str()),
        ("['mine'] ['mine']\n", "")
    );
    let look = "attempt('shm', call, 'shmget', 77, 4096, 0)\n\
         attempt('queue', call, 'msgget', 77, 0)\n\
         print(os.listdir('/dev/shm'), os.listdir('/dev/mqueue'))";
    assert_eq!(
        tries(&client, look),
        "shm FileNotFoundError 2\nqueue FileNotFoundError 2\n[] []\n"
    );
    drop(outside);
}

#[test]
fn there_is_no_network_unless_it_is_asked_for() {
    let machine = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = machine.local_addr().unwrap().port();
    let name = format!("sorna-test-{port}");
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let code = format!(
        "def connect(family, address):\n    \
             with socket.socket(family) as it: it.settimeout(5); it.connect(address); return 1\n\
         attempt('machine', connect, socket.AF_INET, ('127.0.0.1', {port}))\n\
         attempt('abstract', connect, socket.AF_UNIX, '\\0{name}')\n\
         server = socket.socket(); server.bind(('', 0)); server.listen()\n\
         attempt('own', connect, socket.AF_INET, ('127.0.0.1', server.getsockname()[1]))\n\
         print([name for _, name in socket.if_nameindex()] == ['lo'])\n"
    );
    for (network, machine, own, alone) in [
        (NetworkAccess::None, "OSError 101", "OSError 101", "True"),
        (
            NetworkAccess::Loopback,
            "ConnectionRefusedError 111",
            "WORKS 1",
            "True",
        ),
        (NetworkAccess::Host, "WORKS 1", "WORKS 1", ""),
    ] {
        let Some(gateway) = gateway_with(|config| config.with_network(network)) else {
            return;
        };
        let found = tries(&Client::new(&gateway), &code);
        let lines: Vec<&str> = found.lines().collect();
        assert_eq!(lines[0], format!("machine {machine}"), "{network:?}");
        // With the network of the machine, Landlock still keeps these apart, from version 6 on.
        if network != NetworkAccess::Host {
            assert_eq!(
                lines[1], "abstract ConnectionRefusedError 111",
                "{network:?}"
            );
        }
        assert_eq!(lines[2], format!("own {own}"), "{network:?}");
        assert!(
            alone.is_empty() || lines[3] == alone,
            "{network:?}: {found}"
        );
    }
}

#[test]
fn names_of_files_outside_are_not_seen() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let watch = "import ctypes, os, select\n\
        libc = ctypes.CDLL(None)\n\
        watch = libc.inotify_init()\n\
        print(libc.inotify_add_watch(watch, b'/tmp', 0xfff) > 0)";
    assert_eq!(client.run(&kernel, watch).finished().0, "True\n");
    let file = tempfile::Builder::new()
        .prefix("sorna-test-")
        .tempfile_in("/tmp")
        .unwrap();
    drop(file);
    let look = "print(select.select([watch], [], [], 0.5)[0])";
    assert_eq!(client.run(&kernel, look).finished().0, "[]\n");
}
