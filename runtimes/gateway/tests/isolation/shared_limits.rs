//! What programs of a kernel cannot use up for others, and sockets and attributes that they cannot have.

use std::time::Duration;

use sorna_gateway::{Gateway, IsolationLevel};

use crate::common::{Client, wait_until};
use crate::setting::{BOX, BOX_VARIABLE, config, gateway, run};

/// Begins programs that count how often something works, up to 2000 times.
pub(crate) const COUNT: &str = "import array, ctypes, os, resource, socket\n\
    libc = ctypes.CDLL(None, use_errno=True)\n\
    kept = []\n\
    def count(action):\n    \
        for n in range(2000):\n        \
            try: kept.append(action())\n        \
            except OSError: return n\n    \
        return 'no limit'\n";

#[test]
fn sockets_are_only_those_of_namespaces() {
    let Some(gateway) = gateway() else { return };
    // The last: `AF_VSOCK`, `AF_BLUETOOTH` and `AF_ALG`.
    let code = "import errno, socket\n\
        def attempt(*arguments):\n    \
            try: socket.socket(*arguments).close(); return 'made'\n    \
            except OSError as e: return errno.errorcode[e.errno]\n\
        stream, raw = socket.SOCK_STREAM, socket.SOCK_RAW\n\
        print([attempt(it, stream) for it in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)])\n\
        print([attempt(it, stream) for it in (40, 31, 38)])\n\
        print([attempt(socket.AF_NETLINK, raw, it) for it in (0, 15, 16)])\n\
        print(attempt(socket.AF_PACKET, raw), len(socket.if_nameindex()))\n\
        one, other = socket.socketpair(); one.send(b'x'); print(other.recv(1))";
    assert_eq!(
        run(&Client::new(&gateway), "python3", code),
        "['made', 'made', 'made']\n\
         ['EAFNOSUPPORT', 'EAFNOSUPPORT', 'EAFNOSUPPORT']\n\
         ['made', 'EPROTONOSUPPORT', 'EPROTONOSUPPORT']\n\
         EPERM 1\n\
         b'x'\n"
    );
}

#[test]
fn files_have_no_attributes_and_a_limited_number() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let limits = sorna_core::Limits::default().with_max_memory(200 << 20);
    let kernel = client.create_with("python3", limits);
    let code = "import errno, os, shutil, subprocess\n\
        open('a', 'w').write('x')\n\
        for path in ('a', '/tmp', '/dev/shm'):\n    \
            try: os.setxattr(path, 'user.sorna', b'1')\n    \
            except OSError as e: print(errno.errorcode[e.errno])\n\
        shutil.copy2('a', 'b')\n\
        print(subprocess.run('cp -a a c && tar cf d.tar a && tar xf d.tar', shell=True).returncode)\n\
        print([12000 < os.statvfs(it).f_files < 13000 for it in ('/tmp', '/dev/shm')])";
    let (found, errors) = client.run(&kernel, code).finished();
    assert_eq!(
        (found.as_str(), errors.as_str()),
        ("ENOTSUP\nENOTSUP\nENOTSUP\n0\n[True, True]\n", "")
    );
}

#[test]
fn watches_are_limited_in_each_kernel() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let code = format!(
        "{COUNT}\
         def watch():\n    \
             file = libc.inotify_init()\n    \
             if file < 0: raise OSError(ctypes.get_errno(), 'inotify')\n    \
             return file\n\
         print(count(watch))"
    );
    let kernels = [client.create("python3"), client.create("python3")];
    for kernel in &kernels {
        assert_eq!(client.run(kernel, &code).finished().0, "32\n");
    }
}

#[test]
fn steps_of_a_kernel_reach_each_other() {
    let Some(gateway) = gateway() else { return };
    let client = Client::new(&gateway);
    let kernel = client.create("python3");
    let serve = "import os, socket, subprocess\n\
        server = socket.socket(socket.AF_UNIX); server.bind('\\0mine'); server.listen()\n\
        child = subprocess.Popen(['sleep', '1000'])\n\
        print(child.pid)";
    let (id, _) = client.run(&kernel, serve).finished();
    let step = format!(
        "kill {} && python3 -c \"import socket; socket.socket(socket.AF_UNIX).connect('\\0mine'); print('met')\"",
        id.trim()
    );
    let batch = sorna_core::Batch::new().without_build().with_exec(&step);
    let (_, outcome) = client.batch(&kernel, batch);
    assert_eq!(outcome.finished(), ("met\n".into(), String::new()));
    wait_until("it was ended", || {
        std::thread::sleep(Duration::from_millis(50));
        client.run(&kernel, "print(child.poll())").finished().0 == "-15\n"
    });
}

#[test]
fn a_shortage_at_the_start_may_pass() {
    if gateway().is_none() {
        return;
    }
    let program = std::env::var(BOX_VARIABLE).unwrap_or(BOX.into());
    let short = |condition: &str| {
        let code = format!("{condition} && ulimit -n 6; exec {program} \"$@\"");
        config().with_box_program("/bin/sh", ["-c", &code, "sh"])
    };
    let error = Gateway::bind(short("true")).unwrap_err().to_string();
    assert!(error.contains("Too many open files"), "{error}");
    assert!(error.contains("ulimit -n"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let once = format!("mkdir {}/once 2>/dev/null", directory.path().display());
    let gateway = Gateway::bind(short(&once)).unwrap();
    assert_eq!(gateway.isolation().level(), IsolationLevel::Namespaces);
    assert!(directory.path().join("once").exists());
}
