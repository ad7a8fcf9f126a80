//! Calls of the system that programs of kernels cannot make: those that only few programs need, and what reaches beyond a
//! kernel where it has no box.

use std::io;

use seccompiler::sock_filter;

use super::failure::{At, Failure};

/// Calls that fail with `EPERM`: those that reach other processes, keys and the system itself, and those whose part of
/// the system is large and has had many defects.
const FORBIDDEN: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];
/// The same where there is no box: System V shared memory, queues and semaphores, which belong to the whole machine.
const SHARED: &[libc::c_long] = &[
    libc::SYS_migrate_pages,
    libc::SYS_msgctl,
    libc::SYS_msgget,
    libc::SYS_msgrcv,
    libc::SYS_msgsnd,
    libc::SYS_semctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_shmget,
];

/// Some bits of an argument.
#[derive(Clone, Copy)]
struct Bits {
    argument: u32,
    /// Of its upper half, which most arguments do not use.
    upper: bool,
    bits: u32,
}

/// A call fails with `EPERM` if one of these bits is set, and also one of others, if there are others.
struct Check {
    call: libc::c_long,
    bits: Bits,
    others: Option<Bits>,
}

const fn bits(argument: u32, bits: u32) -> Bits {
    Bits {
        argument,
        upper: false,
        bits,
    }
}

const fn check(call: libc::c_long, bits: Bits) -> Check {
    Check {
        call,
        bits,
        others: None,
    }
}

const fn check_both(call: libc::c_long, bits: Bits, others: Bits) -> Check {
    Check {
        call,
        bits,
        others: Some(others),
    }
}

/// A set-user-id or set-group-id bit in the argument that is a mode: with it, other people could become this user.
const fn mode(argument: u32) -> Bits {
    bits(argument, libc::S_ISUID | libc::S_ISGID)
}

/// Flags for which a file is created with a mode.
const CREATES: u32 = (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)).unsigned_abs();
/// Any value but 0, which in place of a process means the one that calls.
const ANY: u32 = u32::MAX;
/// `fchmodat2`, which is the same on all processors.
const FCHMODAT2: libc::c_long = 452;

const CHECKS: &[Check] = &[
    check(libc::SYS_clone, bits(0, libc::CLONE_NEWUSER.unsigned_abs())),
    check(libc::SYS_fchmod, mode(1)),
    check(libc::SYS_fchmodat, mode(2)),
    check(FCHMODAT2, mode(2)),
    check(libc::SYS_mknodat, mode(2)),
    check_both(libc::SYS_openat, mode(3), bits(2, CREATES)),
    #[cfg(target_arch = "x86_64")]
    check(libc::SYS_chmod, mode(1)),
    #[cfg(target_arch = "x86_64")]
    check(libc::SYS_creat, mode(1)),
    #[cfg(target_arch = "x86_64")]
    check(libc::SYS_mknod, mode(1)),
    #[cfg(target_arch = "x86_64")]
    check_both(libc::SYS_open, mode(2), bits(1, CREATES)),
];
/// The same where there is no box: limits, priorities and processors of other processes. The bit of value 2 stands for those
/// of a user, or of a group.
const SHARED_CHECKS: &[Check] = &[
    check(libc::SYS_ioprio_set, bits(0, 2)),
    check(libc::SYS_ioprio_set, bits(1, ANY)),
    check_both(libc::SYS_prlimit64, bits(0, ANY), bits(2, ANY)),
    check_both(
        libc::SYS_prlimit64,
        bits(0, ANY),
        Bits {
            argument: 2,
            upper: true,
            bits: ANY,
        },
    ),
    check(libc::SYS_sched_setaffinity, bits(0, ANY)),
    check(libc::SYS_sched_setattr, bits(0, ANY)),
    check(libc::SYS_sched_setparam, bits(0, ANY)),
    check(libc::SYS_sched_setscheduler, bits(0, ANY)),
    check(libc::SYS_setpriority, bits(0, 2)),
    check(libc::SYS_setpriority, bits(1, ANY)),
];
/// Calls that are as if the system had none, so that C libraries and programs use older ones: what these do cannot be seen.
const UNSEEN: &[libc::c_long] = &[libc::SYS_clone3, libc::SYS_openat2];
/// `setxattrat`, which is the same on all processors.
const SETXATTRAT: libc::c_long = 463;
/// Calls that fail as on file systems without attributes, which programs expect: in memory, attributes are counted by no limit.
const ATTRIBUTES: &[libc::c_long] = &[
    libc::SYS_fsetxattr,
    libc::SYS_lsetxattr,
    libc::SYS_setxattr,
    SETXATTRAT,
];
/// Calls that make sockets, with their family as the first argument and their protocol as the third.
const SOCKETS: &[libc::c_long] = &[libc::SYS_socket, libc::SYS_socketpair];
/// The only families of sockets that there are: others, such as `AF_VSOCK`, can belong to no namespace.
const FAMILIES: &[i32] = &[
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
    // It takes a capability.
    libc::AF_PACKET,
];

/// This machine's processor as the system names it to filters; `None` where there is no filter.
const PROCESSOR: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
    Some(0xc000_00b7)
} else if cfg!(target_arch = "riscv64") {
    Some(0xc000_00f3)
} else {
    None
};
/// On x86-64, from where on the numbers are those of programs with short pointers.
const SHORT_POINTERS: u32 = 0x4000_0000;

/// What is around the processes that a filter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Around {
    /// A box.
    Box,
    /// The machine, with the processes of others.
    Machine,
}

/// Whether calls can be filtered on this machine.
pub(crate) fn supports_filter() -> bool {
    // On a separate thread, because a filter cannot be lifted again.
    let probe = || {
        let _ = rustix::thread::set_no_new_privs(true);
        PROCESSOR.is_some() && filter_calls(Around::Machine).is_ok()
    };
    std::thread::spawn(probe).join().unwrap_or(false)
}

/// Filters the calls of this thread and of the processes that it starts, where that is supported. They must not be able to
/// gain privileges.
pub(crate) fn filter_calls(around: Around) -> io::Result<()> {
    match PROCESSOR {
        Some(processor) => {
            seccompiler::apply_filter(&filter(processor, around)).map_err(io::Error::other)
        }
        None => Ok(()),
    }
}

/// The same, as a step of what makes or enters a box.
pub(super) fn filter_calls_in_box() -> Result<(), Failure> {
    filter_calls(Around::Box).at("seccomp")
}

/// A filter in the system's own form: instructions on an accumulator, which loads parts of `struct seccomp_data`. What
/// `seccompiler` makes of rules gives all calls the same error, and cannot refuse a range of numbers.
fn filter(processor: u32, around: Around) -> Vec<sock_filter> {
    const NUMBER: u32 = 0;
    const PROCESSOR: u32 = 4;
    /// Each of the arguments has two halves; the lower one is the first on all processors that are filtered.
    const ARGUMENTS: u32 = 16;
    let step = |code: u32, jt, jf, k| sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    };
    let load = |from| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, from);
    let end = |with| step(libc::BPF_RET | libc::BPF_K, 0, 0, with);
    // Goes on with the next instruction if the test holds, and otherwise after so many.
    let test = |test, value, skip| step(libc::BPF_JMP | libc::BPF_K | test, 0, skip, value);
    let error = |errno: i32| end(libc::SECCOMP_RET_ERRNO | errno.unsigned_abs());
    let number = |call| u32::try_from(call).unwrap_or_default();
    let place = |it: Bits| ARGUMENTS + 8 * it.argument + if it.upper { 4 } else { 0 };
    let eperm = error(libc::EPERM);

    let mut filter = vec![
        load(PROCESSOR),
        step(libc::BPF_JMP | libc::BPF_K | libc::BPF_JEQ, 1, 0, processor),
        end(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
        test(libc::BPF_JGE, SHORT_POINTERS, 1),
        eperm.clone(),
    ];
    let (calls, checks) = match around {
        Around::Box => (&[][..], &[][..]),
        Around::Machine => (SHARED, SHARED_CHECKS),
    };
    for call in FORBIDDEN.iter().chain(calls) {
        filter.extend([test(libc::BPF_JEQ, number(*call), 1), eperm.clone()]);
    }
    for call in UNSEEN {
        filter.extend([test(libc::BPF_JEQ, number(*call), 1), error(libc::ENOSYS)]);
    }
    for check in CHECKS.iter().chain(checks) {
        match check.others {
            None => filter.extend([
                test(libc::BPF_JEQ, number(check.call), 4),
                load(place(check.bits)),
                test(libc::BPF_JSET, check.bits.bits, 1),
                eperm.clone(),
                load(NUMBER),
            ]),
            Some(others) => filter.extend([
                test(libc::BPF_JEQ, number(check.call), 6),
                load(place(check.bits)),
                test(libc::BPF_JSET, check.bits.bits, 3),
                load(place(others)),
                test(libc::BPF_JSET, others.bits, 1),
                eperm.clone(),
                load(NUMBER),
            ]),
        }
    }
    for call in ATTRIBUTES {
        let step = test(libc::BPF_JEQ, number(*call), 1);
        filter.extend([step, error(libc::EOPNOTSUPP)]);
    }
    for call in SOCKETS {
        let mut families = vec![load(place(bits(0, ANY)))];
        for (index, family) in FAMILIES.iter().enumerate() {
            // Over the other families, and the error.
            let others = u8::try_from(FAMILIES.len() - index).unwrap_or_default();
            let code = libc::BPF_JMP | libc::BPF_K | libc::BPF_JEQ;
            families.push(step(code, others, 0, family.unsigned_abs()));
        }
        families.extend([
            error(libc::EAFNOSUPPORT),
            // Of netlink, programs need the one protocol that tells the addresses of the machine.
            test(libc::BPF_JEQ, libc::AF_NETLINK.unsigned_abs(), 3),
            load(place(bits(2, ANY))),
            test(libc::BPF_JSET, ANY, 1),
            error(libc::EPROTONOSUPPORT),
            load(NUMBER),
        ]);
        let length = u8::try_from(families.len()).unwrap_or_default();
        filter.push(test(libc::BPF_JEQ, number(*call), length));
        filter.append(&mut families);
    }
    filter.push(end(libc::SECCOMP_RET_ALLOW));
    filter
}
