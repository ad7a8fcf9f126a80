//! What a program in a box has not: privileges, places to write to, and calls that only few programs need.

use std::io;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope, path_beneath_rules,
};
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};
use seccompiler::sock_filter;

use super::failure::{At, Failure};

/// The newest version of Landlock whose rights are requested.
const VERSION: ABI = ABI::V9;

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

/// Gives up all capabilities for good, and becomes another user.
pub(super) fn drop_privileges(user: Option<u32>) -> Result<(), Failure> {
    set_no_new_privs(true).at("no_new_privs")?;
    for capability in CapabilitySet::all().iter() {
        // Fails for those that this system does not know.
        let _ = remove_capability_from_bounding_set(capability);
    }
    let _ = clear_ambient_capability_set();
    if let Some(user) = user {
        set_thread_groups(&[]).at("setgroups")?;
        let (group, user) = (Gid::from_raw(user), Uid::from_raw(user));
        set_thread_res_gid(group, group, group).at("setgid")?;
        set_thread_res_uid(user, user, user).at("setuid")?;
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).at("capabilities")
}

/// Lets this process write only to these places, by Landlock. All that is in the box may be read.
pub(super) fn limit_writing(writable: &[PathBuf]) -> Result<(), Failure> {
    let (all, read) = (AccessFs::from_all(VERSION), AccessFs::from_read(VERSION));
    let rules = || -> Result<_, landlock::RulesetError> {
        Ruleset::default()
            .handle_access(all)?
            .scope(Scope::from_all(VERSION))?
            .create()?
            .add_rules(path_beneath_rules(["/"], read))?
            .add_rules(path_beneath_rules(writable, all))?
            .restrict_self()
    };
    rules().map(|_| ()).map_err(io::Error::other).at("Landlock")
}

/// Whether the calls of this machine's processor can be filtered.
pub(crate) fn supports_filter() -> bool {
    PROCESSOR.is_some()
}

/// Filters the calls of this process and of those that it starts, where that is supported.
pub(super) fn filter_calls() -> Result<(), Failure> {
    match PROCESSOR.map(filter) {
        Some(filter) => seccompiler::apply_filter(&filter)
            .map_err(io::Error::other)
            .at("seccomp"),
        None => Ok(()),
    }
}

/// A filter in the system's own form: instructions on an accumulator, which loads parts of `struct seccomp_data`. What
/// `seccompiler` makes of rules gives all calls the same error, and cannot refuse a range of numbers.
fn filter(processor: u32) -> Vec<sock_filter> {
    const NUMBER: u32 = 0;
    const PROCESSOR: u32 = 4;
    /// The lower half of the first argument.
    const ARGUMENT: u32 = 16;
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
    let eperm = error(libc::EPERM);

    let mut filter = vec![
        load(PROCESSOR),
        step(libc::BPF_JMP | libc::BPF_K | libc::BPF_JEQ, 1, 0, processor),
        end(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
        test(libc::BPF_JGE, SHORT_POINTERS, 1),
        eperm.clone(),
    ];
    for call in FORBIDDEN {
        filter.extend([test(libc::BPF_JEQ, number(*call), 1), eperm.clone()]);
    }
    let new_user = libc::CLONE_NEWUSER.unsigned_abs();
    filter.extend([
        // The flags of this one cannot be seen. C libraries use `clone` where it is not there.
        test(libc::BPF_JEQ, number(libc::SYS_clone3), 1),
        error(libc::ENOSYS),
        test(libc::BPF_JEQ, number(libc::SYS_clone), 3),
        load(ARGUMENT),
        test(libc::BPF_JSET, new_user, 1),
        eperm,
        end(libc::SECCOMP_RET_ALLOW),
    ]);
    filter
}
